/** Every object of the cluster, page by page. */
import type { ObjectPage, ObjectSummary } from '../service.ts';
import type { Cluster } from './cluster-client.ts';

export async function allObjects(cluster: Cluster): Promise<ObjectSummary[]> {
  const objects: ObjectSummary[] = [];
  for (let after: string | undefined; ; ) {
    const request = after === undefined ? {} : { after };
    const page = await cluster.askOne<ObjectPage>('object.list', request);
    objects.push(...page.objects);
    if (page.next === undefined) return objects;
    after = page.next;
  }
}
