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

export function blocksOf(program: ProgramIr, kind: BlockKind): readonly BlockIr[] {
  return program.blocks.filter((each) => each.kind === kind);
}

/** The block that a reference attribute names, when this program declares it. */
export function referencedBlock(program: ProgramIr, body: BodyIr, name: string): BlockIr | undefined {
  const reference = valueIn(body, name, 'reference');
  if (reference === undefined) return undefined;
  return program.blocks.find((each) => each.kind === reference.to && each.name === reference.name);
}
