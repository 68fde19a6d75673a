/**
 * Rules of the rollout: ports, waves and the scope of the consent.
 * In: a resolved program, and the token's resource glob where the caller has one. Out: what must not start. The token itself is verified again,
 *   always, when a rollout starts. That `bake` is there and above zero is its type's business (schema.ts).
 * Source: LANGUAGE.md "What the checker refuses".
 */
import { blocksOf, bodyOf, isComplete, itemsOf, valueIn } from './access.ts';
import type { CheckContext, Rule } from './check-context.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import { globIncludes, parseGlob } from './glob-inclusion.ts';
import type { ListIr, NumberIr, ProgramIr, QuantityIr, WordIr } from './ir.ts';
import type { Rational } from './quantity.ts';
import { appendTo, at, writeInstead } from './suggestions.ts';

const portMax = 65_535;

const checkPorts: Rule = (program) =>
  blocksOf(program, 'server').flatMap(({ body }) => {
    const ports = bodyOf(body, 'ports');
    const numbers = (ports?.attributes ?? []).flatMap(({ name, value }) =>
      value?.kind === 'number' ? { name, port: value } : [],
    );
    return numbers.flatMap((each, index) => {
      const twin = numbers.slice(0, index).find(({ port }) => port.amount === each.port.amount);
      return [
        ...portRange(program, each.port),
        ...(twin === undefined ? [] : [portTwice(program, each, twin, numbers)]),
      ];
    });
  });

interface NamedPort {
  readonly name: string;
  readonly port: NumberIr;
}

function portRange(program: ProgramIr, port: NumberIr): readonly Diagnostic[] {
  if (port.amount >= 1 && port.amount <= portMax) return [];
  return [
    diagnostic('KW5004', `expected a port from 1 to ${portMax}, got ${port.amount}`, at(program, port)),
  ];
}

function portTwice(
  program: ProgramIr,
  each: NamedPort,
  twin: NamedPort,
  all: readonly NamedPort[],
): Diagnostic {
  const taken = new Set(all.map(({ port }) => port.amount));
  let free = each.port.amount + 1;
  while (taken.has(free)) free++;
  const message = `expected a port of its own for \`${each.name}\`, got ${each.port.amount}, which is \`${twin.name}\`'s`;
  return diagnostic('KW5005', message, at(program, each.port), {
    ...(free <= portMax ? { suggestion: writeInstead(each.port.range, `${free}`) } : {}),
  });
}

const checkWaves: Rule = (program) =>
  blocksOf(program, 'deploy').flatMap(({ body }) => {
    const list = valueIn(body, 'waves', 'list');
    if (list === undefined || !isComplete(list)) return [];
    const waves = itemsOf(body, 'waves', 'quantity');
    const backwards = waves.flatMap((wave, index) => {
      const before = waves[index - 1];
      if (before === undefined || isLess(before.exact, wave.exact)) return [];
      const message = `expected more than the wave before, ${before.written}, got ${wave.written}`;
      return diagnostic('KW5001', message, at(program, wave), {
        note: 'Waves grow strictly, up to 100percent.',
      });
    });
    return [...backwards, ...lastWave(program, list, waves)];
  });

function lastWave(program: ProgramIr, list: ListIr, waves: readonly QuantityIr[]): readonly Diagnostic[] {
  const last = waves.at(-1);
  if (last === undefined || !isLess(last.exact, { numerator: 1n, denominator: 1n })) return [];
  const message = `expected the last wave to be 100percent, got ${last.written}: the rest would never get the new code`;
  return [
    diagnostic('KW5001', message, at(program, last), {
      suggestion: appendTo(list, '100percent'),
    }),
  ];
}

function isLess(a: Rational, b: Rational): boolean {
  return a.numerator * b.denominator < b.numerator * a.denominator;
}

const checkScopes: Rule = (program, { consentResource }) =>
  blocksOf(program, 'deploy').flatMap(({ name, body }) => {
    const consent = bodyOf(body, 'consent');
    const scope = consent && valueIn(consent, 'scope', 'word');
    if (scope === undefined) return [];
    const inner = parseGlob(scope.word, '.');
    if (typeof inner === 'string') {
      const message = `expected a resource pattern such as fleet.h100_pool, got \`${scope.word.slice(0, 120)}\`: ${inner}`;
      return diagnostic('KW5006', message, at(program, scope));
    }
    const resource = consentResource?.(name);
    return resource === undefined ? [] : scopeWithin(program, scope, resource);
  });

function scopeWithin(program: ProgramIr, scope: WordIr, resource: string): readonly Diagnostic[] {
  const problem = scopeProblem(scope.word, resource);
  if (problem === undefined) return [];
  return [
    diagnostic(
      'KW5003',
      `expected a scope within the token's \`${resource}\`, got \`${scope.word}\`: ${problem}`,
      at(program, scope),
      {
        note: 'A token covers what its signers saw. Narrow the scope, or ask for a token that covers it.',
      },
    ),
  ];
}

/** Why the scope is not a subset of the token's resource glob, with a counter-example; undefined when it is. */
function scopeProblem(scope: string, resource: string): string | undefined {
  const [inner, outer] = [parseGlob(scope, '.'), parseGlob(resource, '.')];
  if (typeof inner === 'string') return `the scope is no pattern: ${inner}`;
  if (typeof outer === 'string') return `the token's resource is no pattern: ${outer}`;
  const result = globIncludes(outer, inner);
  if (result.included) return undefined;
  if (result.counterExample === undefined) return 'the patterns are too tangled to show that it is a subset';
  return `it also covers \`${result.counterExample}\`, which the token does not`;
}

const ROLLOUT_RULES: readonly Rule[] = [checkPorts, checkWaves, checkScopes];

export function checkRollout(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return ROLLOUT_RULES.flatMap((rule) => rule(program, context));
}
