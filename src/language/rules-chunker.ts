/**
 * Rules of chunking: what a `chunker` asks for, against what the chunk kernel does.
 * In: a resolved program. Out: sizes that no kernel cuts by, and rules that there are not. Sizes that are left out count with their defaults.
 */
import { CHUNKER_RULE } from '../chunking/chunker.ts';
import {
  chunkBytesMaxDefault,
  chunkBytesMaxHighest,
  chunkBytesMinDefault,
  chunkBytesMinLowest,
  chunkBytesTargetDefault,
  KIB,
} from '../limits.ts';
import { attributeOf, blocksOf, bodyOf, valueIn } from './access.ts';
import type { Rule } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { AttributeIr, BodyIr, ProgramIr, QuantityIr } from './ir.ts';
import { at, didYouMean } from './suggestions.ts';

const DEFAULTS = [
  { name: 'min', bytes: chunkBytesMinDefault },
  { name: 'target', bytes: chunkBytesTargetDefault },
  { name: 'max', bytes: chunkBytesMaxDefault },
];

interface Size {
  readonly name: string;
  readonly bytes: number;
  readonly shown: string;
  readonly written: QuantityIr | undefined;
}

function chunkers(program: ProgramIr): readonly BodyIr[] {
  return blocksOf(program, 'replicate').flatMap(({ body }) => bodyOf(body, 'chunker') ?? []);
}

/** Undefined while a size is open or wrong, which has been said. */
function sizesOf(body: BodyIr): readonly Size[] | undefined {
  if (body.open) return undefined;
  const sizes = DEFAULTS.map(({ name, bytes }): Size | undefined => {
    const attribute: AttributeIr | undefined = attributeOf(body, name);
    const written = valueIn(body, name, 'quantity');
    if (attribute === undefined) {
      return { name, bytes, shown: `${bytes / KIB}kib (the default)`, written: undefined };
    }
    return written && { name, bytes: written.amount, shown: written.written, written };
  });
  return sizes.every((size) => size !== undefined) ? sizes : undefined;
}

const checkOrder: Rule = (program) =>
  chunkers(program).flatMap((body) => {
    const sizes = sizesOf(body) ?? [];
    return sizes.flatMap((size, index): Diagnostic[] => {
      const before = sizes[index - 1];
      const place = size.written ?? before?.written;
      if (before === undefined || place === undefined || before.bytes < size.bytes) return [];
      const message = `expected min < target < max, got ${before.name} ${before.shown} before ${size.name} ${size.shown}`;
      return [diagnostic('KW4014', message, at(program, place))];
    });
  });

const checkBounds: Rule = (program) =>
  chunkers(program).flatMap((body) => {
    const lowest = valueIn(body, 'min', 'quantity');
    const highest = valueIn(body, 'max', 'quantity');
    const bounds = [
      lowest !== undefined && lowest.amount < chunkBytesMinLowest
        ? { size: lowest, what: `min of at least ${chunkBytesMinLowest / KIB}kib` }
        : undefined,
      highest !== undefined && highest.amount > chunkBytesMaxHighest
        ? { size: highest, what: `max of at most ${chunkBytesMaxHighest / KIB}kib` }
        : undefined,
    ];
    return bounds.flatMap((bound) =>
      bound === undefined
        ? []
        : diagnostic(
            'KW4014',
            `expected a ${bound.what}, got ${bound.size.written}`,
            at(program, bound.size),
          ),
    );
  });

const checkCutRule: Rule = (program) =>
  chunkers(program).flatMap((body) => {
    const rule = valueIn(body, 'profile', 'text');
    if (rule === undefined || rule.text === CHUNKER_RULE) return [];
    return diagnostic(
      'KW4022',
      `expected the cut rule "${CHUNKER_RULE}", got "${rule.text.slice(0, 60)}"`,
      at(program, rule),
      {
        note: 'There is one rule in this version. Another one cuts elsewhere, and data would no longer share chunks.',
        suggestion: didYouMean(rule.text, [CHUNKER_RULE], rule.range, true),
      },
    );
  });

export const CHUNKER_RULES: readonly Rule[] = [checkOrder, checkBounds, checkCutRule];
