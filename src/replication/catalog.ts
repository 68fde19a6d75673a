/**
 * What the cluster holds, as the control store says it: objects by name and packs by id.
 * Publishing an object and the packs that it needs is one transaction, guarded by the pack epoch, so that a pack cannot
 * be retired between the moment a put counted on it and the moment the put is acknowledged.
 */
import type { Compare, ControlEntry, ControlStore, Operation } from '../control/control-store.ts';
import type { DigestHex } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { objectNameBytesMax } from '../limits.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';
import type { ErasureScheme } from '../plan.ts';

export interface ObjectRecord {
  readonly schema: 'kwam.object/v1';
  readonly name: string;
  /** SHA-256 of the signed envelope. */
  readonly manifest: DigestHex;
  /** Digests of the records that hold the envelope, in order. */
  readonly parts: readonly DigestHex[];
  /** Of the record that lists them, where there are several (manifest/manifest-parts.ts). */
  readonly partList?: DigestHex;
  /** Every pack that a reader of the object may need. */
  readonly packs: readonly DigestHex[];
  readonly producer: string;
  readonly files: number;
  readonly bytes: number;
  readonly chunks: number;
  readonly createdAt: string;
}

export interface PackRecordEntry {
  readonly id: DigestHex;
  readonly bytes: number;
  readonly records: number;
  /** Full copies, or a stripe whose shard packs are named by the producer. */
  readonly copies?: number;
  readonly stripe?: ErasureScheme & {
    /** Of the codec runtime that made the shards; the header of each says the same (stripe-identity.ts). */
    readonly codecId: DigestHex;
    readonly shards: readonly DigestHex[];
  };
}

const OBJECTS = 'objects/';
const PACKS = 'packs/';
const RELEASES = 'releases/';
const PACK_EPOCH = 'epoch/packs';
const OBJECT_EPOCH = 'epoch/objects';

function parse<T>(value: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(value)) as T;
}

export function checkObjectName(name: string): string {
  const bytes = new TextEncoder().encode(name).length;
  if (bytes === 0 || bytes > objectNameBytesMax || !name.isWellFormed() || name.includes('\0')) {
    throw new KwamError(
      'USAGE',
      `expected an object name of 1 to ${objectNameBytesMax} bytes of UTF-8 without NUL, got ${JSON.stringify(name)}`,
    );
  }
  return name;
}

const objectKey = (name: string): string => OBJECTS + encodeURIComponent(checkObjectName(name));
const packKey = (id: DigestHex): string => PACKS + id;
const releasesKey = (id: DigestHex): string => RELEASES + id;

/** What the catalog says of a pack, as of one moment. */
export interface Listing {
  readonly entry: PackRecordEntry;
  readonly at: ControlEntry;
}

export interface Epoch {
  readonly modRevision: number;
}

/** Nodes that are giving up their copy of a stored pack, as of one moment (repair/surplus.ts). */
export interface Releases {
  /** The stored pack: a copy, or a shard. */
  readonly pack: DigestHex;
  readonly nodes: readonly string[];
  readonly modRevision: number;
  /** What it belongs to in the catalog; undefined when that is gone. */
  readonly entry: ControlEntry | undefined;
  /** What the entry says. */
  readonly wanted: PackRecordEntry | undefined;
}

export class Catalog {
  readonly #control: ControlStore;
  readonly #settled: () => Promise<void>;

  /** @param settled  resolves when this node is not removing packs: only then may an epoch be taken here. */
  constructor(control: ControlStore, settled: () => Promise<void> = async () => undefined) {
    this.#control = control;
    this.#settled = settled;
  }

  async object(name: string): Promise<ObjectRecord> {
    const entry = await this.#control.get(objectKey(name));
    if (entry !== undefined) return parse(entry.value);
    throw new KwamError(
      'NOT_FOUND',
      `no object is named ${JSON.stringify(name)}; kwam-dp ls shows the names`,
    );
  }

  async hasObject(name: string): Promise<boolean> {
    return (await this.#control.get(objectKey(name))) !== undefined;
  }

  /** One page, by key; `next` continues after it and is absent at the end. */
  async objectPage(
    after: string | undefined,
    limit: number,
  ): Promise<{ objects: ObjectRecord[]; next?: string }> {
    const from = after === undefined ? {} : { after: objectKey(after) };
    const page = await this.#control.list(OBJECTS, { limit, ...from });
    const objects = page.map((entry) => parse<ObjectRecord>(entry.value));
    return page.length < limit ? { objects } : { objects, next: objects.at(-1)!.name };
  }

  async *objects(): AsyncGenerator<ObjectRecord> {
    for await (const entry of this.#scan(OBJECTS)) yield parse<ObjectRecord>(entry);
  }

  async pack(id: DigestHex): Promise<PackRecordEntry | undefined> {
    const entry = await this.#control.get(packKey(id));
    return entry === undefined ? undefined : parse(entry.value);
  }

  /** With the revision of the entry, for `restate`. */
  async listing(id: DigestHex): Promise<Listing | undefined> {
    const at = await this.#control.get(packKey(id));
    return at && { entry: parse(at.value), at };
  }

  async *packs(): AsyncGenerator<PackRecordEntry> {
    for await (const entry of this.#scan(PACKS)) yield parse<PackRecordEntry>(entry);
  }

  async *#scan(prefix: string): AsyncGenerator<Uint8Array> {
    for await (const { value } of this.#entries(prefix)) yield value;
  }

  async *#entries(prefix: string): AsyncGenerator<ControlEntry> {
    let after: string | undefined;
    for (;;) {
      const page = await this.#control.list(prefix, {
        limit: 1000,
        ...(after === undefined ? {} : { after }),
      });
      yield* page;
      if (page.length < 1000) return;
      after = page.at(-1)!.key;
    }
  }

  /** Taken before a put counts on any pack; `publish` refuses when packs were retired since. */
  async packEpoch(): Promise<Epoch> {
    await this.#settled();
    return { modRevision: (await this.#control.get(PACK_EPOCH))?.modRevision ?? 0 };
  }

  /** Packs are about to disappear that no object lists: every put that counts on some has to look again. */
  async raisePackEpoch(): Promise<void> {
    await this.#control.transact([], [put(PACK_EPOCH, { retired: 0 })]);
  }

  /** @param entry  the id of the catalog entry that `pack` is, or is a shard of. */
  async releases(pack: DigestHex, entry: DigestHex): Promise<Releases> {
    const listed = await this.#control.get(releasesKey(pack));
    const found = await this.#control.get(packKey(entry));
    return {
      pack,
      nodes: nodesOf(listed),
      modRevision: listed?.modRevision ?? 0,
      entry: found,
      wanted: found && parse(found.value),
    };
  }

  /**
   * False when the list or the pack's entry changed since it was read, or the entry is gone. Writes the entry anew, unchanged:
   * a list that was filled and emptied meanwhile looks as it did, the entry's revision does not.
   */
  async release({ pack, nodes, modRevision, entry }: Releases, node: string): Promise<boolean> {
    if (entry === undefined) return false;
    const key = releasesKey(pack);
    const operations: Operation[] = [
      put(key, { nodes: [...new Set([...nodes, node])].sort() }),
      { kind: 'put', key: entry.key, value: entry.value },
    ];
    return (await this.#control.transact([{ key, modRevision }, entry], operations)).committed;
  }

  async endRelease(pack: DigestHex, node: string): Promise<void> {
    const key = releasesKey(pack);
    for (;;) {
      const listed = await this.#control.get(key);
      if (listed === undefined || !nodesOf(listed).includes(node)) return;
      const nodes = nodesOf(listed).filter((one) => one !== node);
      const operation: Operation = nodes.length === 0 ? { kind: 'delete', key } : put(key, { nodes });
      const compare = { key, modRevision: listed.modRevision };
      if ((await this.#control.transact([compare], [operation])).committed) return;
    }
  }

  /** Packs whose list of releases names this node. */
  async releasedBy(node: string): Promise<DigestHex[]> {
    const packs: DigestHex[] = [];
    for await (const { key, value } of this.#entries(RELEASES)) {
      if (parse<{ nodes: string[] }>(value).nodes.includes(node))
        packs.push(key.slice(RELEASES.length) as DigestHex);
    }
    return packs;
  }

  async objectEpoch(): Promise<Epoch> {
    return { modRevision: (await this.#control.get(OBJECT_EPOCH))?.modRevision ?? 0 };
  }

  /** Returns false when packs were retired since `epoch`; then the caller checks its packs and tries again. */
  async publish(object: ObjectRecord, packs: readonly PackRecordEntry[], epoch: Epoch): Promise<boolean> {
    const operations: Operation[] = packs.map((pack) => put(packKey(pack.id), pack));
    operations.push(put(objectKey(object.name), object), put(OBJECT_EPOCH, { name: object.name }));
    const compare = { key: PACK_EPOCH, modRevision: epoch.modRevision };
    return (await this.#control.transact([compare], operations)).committed;
  }

  /**
   * Adds an object and entries for packs that have none, and changes nothing that is there. Returns false when the name or one of the packs is
   * listed by now, or packs were retired since `epoch`.
   */
  async publishMissing(
    object: ObjectRecord,
    packs: readonly PackRecordEntry[],
    epoch: Epoch,
  ): Promise<boolean> {
    const added: Operation[] = packs.map((pack) => put(packKey(pack.id), pack));
    added.push(put(objectKey(object.name), object));
    const compares = [
      { key: PACK_EPOCH, modRevision: epoch.modRevision },
      ...added.map(({ key }) => ({ key, modRevision: 0 })),
    ];
    const operations = [...added, put(OBJECT_EPOCH, { name: object.name })];
    return (await this.#control.transact(compares, operations)).committed;
  }

  /**
   * The same pack with another redundancy, and a new epoch: what it had is garbage from now on, so whoever counted on that looks again.
   * Returns false when its entry was changed since it was read, or packs were retired since `epoch`.
   */
  async restate({ at }: Listing, entry: PackRecordEntry, epoch: Epoch): Promise<boolean> {
    const compares = [{ key: PACK_EPOCH, modRevision: epoch.modRevision }, at];
    const operations = [put(at.key, entry), put(PACK_EPOCH, { retired: 0 })];
    return (await this.#control.transact(compares, operations)).committed;
  }

  async removeObject(name: string): Promise<ObjectRecord> {
    const key = objectKey(name);
    for (;;) {
      const entry = await this.#control.get(key);
      if (entry === undefined) return this.object(name);
      const compare = { key, modRevision: entry.modRevision };
      const operations: Operation[] = [{ kind: 'delete', key }, put(OBJECT_EPOCH, { name })];
      const result = await this.#control.transact([compare], operations);
      if (result.committed) return parse(entry.value);
    }
  }

  /**
   * Replaces packs by others in one step: `retired` disappear, `added` appear, and `objects` get their new pack lists.
   * Returns false when an object was published or a pack retired meanwhile; then liveness must be computed anew. So when `fence` does
   * not hold any more.
   */
  async replacePacks(
    change: {
      readonly retired: readonly DigestHex[];
      readonly added: readonly PackRecordEntry[];
      readonly objects: readonly ObjectRecord[];
    },
    epochs: { readonly packs: Epoch; readonly objects: Epoch },
    fence?: Compare,
  ): Promise<boolean> {
    const operations: Operation[] = [
      ...change.retired.map((id): Operation => ({ kind: 'delete', key: packKey(id) })),
      ...change.added.map((pack) => put(packKey(pack.id), pack)),
      ...change.objects.map((object) => put(objectKey(object.name), object)),
      put(PACK_EPOCH, { retired: change.retired.length }),
    ];
    const compares = [
      { key: PACK_EPOCH, modRevision: epochs.packs.modRevision },
      { key: OBJECT_EPOCH, modRevision: epochs.objects.modRevision },
      ...(fence === undefined ? [] : [fence]),
    ];
    return (await this.#control.transact(compares, operations)).committed;
  }
}

function nodesOf(entry: ControlEntry | undefined): readonly string[] {
  return entry === undefined ? [] : parse<{ nodes: string[] }>(entry.value).nodes;
}

function put(key: string, value: object): Operation {
  return { kind: 'put', key, value: canonicalBytes(value) };
}
