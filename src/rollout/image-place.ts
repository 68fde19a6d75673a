/**
 * Where the image of a client is read from.
 * In: a directory with OCI layouts, how registries are asked, and a client of the plan. Out: the layout that has the client's name, as a machine without a
 * way to the registry keeps it; otherwise the `registry` of the client. That is HOST/REPOSITORY, or a host alone, where the repository has the
 * client's name. Nothing is guessed beyond that: without either the image cannot be shown to be released.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ImageSource } from '../images/image-source.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { parseImageReference } from '../images/reference.ts';
import { Registry, type RegistryOptions } from '../images/registry.ts';
import type { ClientPlan } from '../plan.ts';
import { refuseConsent } from './consent-refusal.ts';

export type OpenImage = (client: ClientPlan) => ImageSource;

export function openImagesIn(layouts: string, options: RegistryOptions): OpenImage {
  return (client) => {
    const layout = join(layouts, client.name);
    if (existsSync(layout)) return new OciLayout(layout);
    const place = client.registry ?? refusePlace(client, layout);
    const repository = place.includes('/') ? place : `${place}/${client.name}`;
    return new Registry(parseImageReference(`${repository}@${client.image}`), options);
  };
}

function refusePlace({ name }: ClientPlan, layout: string): never {
  return refuseConsent({
    rule: 'image-place',
    expected: `a place where the signatures of the image of client ${name} can be read`,
    actual: 'none',
    remedy: `name its \`registry\` in the program, or put it as an OCI layout into ${layout}`,
  });
}
