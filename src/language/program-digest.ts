/**
 * The digest of what a program means: SHA-256 over the canonical JSON of its blocks and the digests of its imports.
 * In: a resolved program without errors and holes. Out: `sha256:<64 hex>`. Comments, layout, the order of blocks and attributes, names of
 * lets and aliases, and spellings of one quantity (`60m`, `1h`) do not change it; any change of meaning does.
 * Source: as for modules (modules-meaning.ts), under a domain of its own. A secret counts by its reference, never by what it opens.
 */
import { assert } from '../errors.ts';
import type { BodyIr, ProgramIr, ValueIr } from './ir.ts';
import type { DigestOf } from './modules.ts';
import type { Rational } from './quantity.ts';
import { secretLocation } from './secret.ts';

const PROGRAM_DOMAIN = 'kwam.dev/program/v1';

/** A number as JSON cannot round it: numerator/denominator in lowest terms. */
export function exactText({ numerator, denominator }: Rational): string {
  return `${numerator}/${denominator}`;
}

export function programDigest(program: ProgramIr, digestOf: DigestOf): string {
  const blocks = program.blocks.map(({ kind, name, body }) => [name, { kind, body: meaningOfBody(body) }]);
  const uses = program.uses.map(({ alias, name }) => `${digestBehind(program, alias)} ${name}`);
  return digestOf(PROGRAM_DOMAIN, {
    apiVersion: program.apiVersion?.version ?? '',
    imports: [...new Set(program.imports.map(({ loaded }) => loaded?.digest ?? ''))].sort(),
    uses: [...new Set(uses)].sort(),
    blocks: Object.fromEntries(blocks),
  });
}

function digestBehind(program: ProgramIr, alias: string): string {
  return program.imports.find((each) => each.alias === alias)?.loaded?.digest ?? '';
}

function meaningOfBody({ attributes }: BodyIr): object {
  return Object.fromEntries(
    attributes.map(({ name, value, body }) => [
      name,
      {
        ...(value === undefined ? {} : { value: meaningOf(value) }),
        ...(body === undefined ? {} : { body: meaningOfBody(body) }),
      },
    ]),
  );
}

/** The value without where it is written and how. */
function meaningOf(value: ValueIr): object {
  const { kind } = value;
  switch (value.kind) {
    case 'number':
      return { kind, exact: exactText(value.exact) };
    case 'quantity':
      return { kind, dimension: value.dimension, exact: exactText(value.exact) };
    case 'secret':
      return { kind, secret: secretLocation(value.secret) };
    case 'reference':
      return { kind, to: value.to, name: value.name };
    case 'list':
      return { kind, items: value.items.map(meaningOf) };
    default: {
      assert(kind !== 'hole' && kind !== 'wrong', 'a program with errors or holes has no digest');
      const { range: _, ...rest } = value;
      return rest;
    }
  }
}
