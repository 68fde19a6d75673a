/**
 * Reading typed values out of the IR.
 * In: a body and an attribute's name. Out: the value with its range, or undefined when it is absent, a hole or wrong; in the
 * last two cases a diagnostic has already been made, so that a rule simply has nothing to say.
 */
import type { ErasureScheme } from '../plan.ts';
import type { AttributeIr, BlockIr, BodyIr, ProgramIr, ValueIr } from './ir.ts';
import type { BlockKind } from './schema-types.ts';

type Kind = ValueIr['kind'];
export type ValueOf<K extends Kind> = Extract<ValueIr, { readonly kind: K }>;

export function attributeOf(body: BodyIr, name: string): AttributeIr | undefined {
  return body.attributes.find((each) => each.name === name);
}

/** `valueIn(body, 'bake', 'quantity')?.amount` is milliseconds. */
export function valueIn<K extends Kind>(body: BodyIr, name: string, kind: K): ValueOf<K> | undefined {
  const value = attributeOf(body, name)?.value;
  return value?.kind === kind ? (value as ValueOf<K>) : undefined;
}

/** The items of a list that are of this kind; holes and wrong ones are left out. */
export function itemsOf<K extends Kind>(body: BodyIr, name: string, kind: K): readonly ValueOf<K>[] {
  const list = valueIn(body, name, 'list');
  return (list?.items ?? []).filter((item): item is ValueOf<K> => item.kind === kind);
}

/** The code that a `replicate` asks for; its shards are those of other tools where they have it. */
export function schemeIn(replicate: BodyIr): ErasureScheme | undefined {
  const erasure = valueIn(replicate, 'erasure', 'erasure');
  if (erasure === undefined) return undefined;
  const { dataShards, parityShards, localGroups } = erasure;
  return localGroups === undefined
    ? { dataShards, parityShards, matrix: 'vandermonde' }
    : { dataShards, parityShards, matrix: 'lrc', localGroups };
}

/** Every item was written and is right: only then may a rule about the whole list speak. */
export function isComplete(value: ValueIr | undefined): boolean {
  if (value === undefined || value.kind === 'hole' || value.kind === 'wrong') return false;
  return value.kind !== 'list' || value.items.every(isComplete);
}

export function bodyOf(body: BodyIr, name: string): BodyIr | undefined {
  return attributeOf(body, name)?.body;
}

interface BlockIndex {
  readonly byKind: Partial<Record<BlockKind, BlockIr[]>>;
  /** The first of its kind under each name. */
  readonly byName: ReadonlyMap<string, BlockIr>;
}

/** Rules ask once a block, so an answer that looked at all blocks would make a long program slow. */
const indexes = new WeakMap<ProgramIr, BlockIndex>();

function indexOf(program: ProgramIr): BlockIndex {
  const known = indexes.get(program);
  if (known !== undefined) return known;
  const byKind: BlockIndex['byKind'] = Object.groupBy(program.blocks, ({ kind }) => kind);
  // Backwards, so that the first one stays.
  const byName = new Map(program.blocks.toReversed().map((each) => [`${each.kind} ${each.name}`, each]));
  const index = { byKind, byName };
  indexes.set(program, index);
  return index;
}

export function blocksOf(program: ProgramIr, kind: BlockKind): readonly BlockIr[] {
  return indexOf(program).byKind[kind] ?? [];
}

export function blockNamed(program: ProgramIr, kind: BlockKind, name: string): BlockIr | undefined {
  return indexOf(program).byName.get(`${kind} ${name}`);
}

/** The block that a reference attribute names, when this program declares it. */
export function referencedBlock(program: ProgramIr, body: BodyIr, name: string): BlockIr | undefined {
  const reference = valueIn(body, name, 'reference');
  if (reference === undefined) return undefined;
  return blockNamed(program, reference.to, reference.name);
}
