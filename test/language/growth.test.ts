/**
 * Programs of one thing many times: blocks, rows, names, items, slips. Each shape ends in diagnostics, not in an exception, and four times the
 * program takes about four times the processor's time.
 * Every day each shape runs small; KWAM_CAMPAIGN=1 measures 1,000 against 4,000 and prints a line a shape. More than nine times is not linear:
 * three measurements in a row have to say so, because a busy machine alone can.
 * A canary: work that grows with the square is noticed.
 */
import { expect, test } from 'vitest';
import { compile } from '../../src/language/compile.ts';
import { format } from '../../src/language/format.ts';
import { faultdomains } from './front.ts';
import { TABLES } from './standard-tables.ts';

const campaign = process.env['KWAM_CAMPAIGN'] === '1';
const growthMax = 9;
const PIN = `digest "sha256:${'0'.repeat(64)}"`;
const SCOPE = `import "std/faultdomains" as fd ${PIN}\nuse fd.h100\n`;
const ROWS = ['node', 'rack'].map(
  (name) => `${name} 5y { source "log" audited_by "Ada" audited_on "2026-01-01" }`,
);
const GUARD = `durability 1nines mttr_restore 30m recovery_time 12h integrity sha256 on_violation quarantine mtbf { ${ROWS.join(' ')} }`;

const many = (count: number, one: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => one(index)).join('\n');

const SHAPES: Readonly<Record<string, (count: number) => string>> = {
  'guards of one replicate': (n) =>
    `${SCOPE}replicate r { factor 3 anti_affinity [rack] }\n${many(n, (i) => `guard g${i} { ${GUARD} covers r }`)}`,
  'guards that cover nothing': (n) =>
    many(n, (i) => `replicate r${i} { factor 3 anti_affinity [] }\nguard g${i} { … }`),
  'rollouts, each of its own': (n) =>
    many(n, (i) => `server s${i} { … }\nclient c${i} { … }\ndeploy d${i} { server s${i} client c${i} … }`),
  'rollouts of one client': (n) => `client c { … }\n${many(n, (i) => `deploy d${i} { client c … }`)}`,
  'policies and clients': (n) =>
    many(n, (i) => `policy p${i} { … sandbox_floor kata }\nclient c${i} { … sandbox runc }`),
  'rows of one mtbf': (n) => `${SCOPE}guard g { mtbf { ${many(n, (i) => `d${i} 5y {}`)} } … }`,
  'domains of one list': (n) =>
    `${SCOPE}replicate r { factor 3 anti_affinity [${many(n, (i) => `d${i},`)}] }`,
  'domains within each other': (n) =>
    `module "a/b"\nexport domains d { ${many(n, (i) => `d${i} { within d${i + 1} }`)} }`,
  'domains in one circle': (n) =>
    `module "a/b"\nexport domains d { ${many(n, (i) => `d${i} { within d${(i + 1) % n} }`)} }`,
  'grants and keys': (n) =>
    `policy p { … grants { ${many(n, (i) => `"spiffe://kwam/a${i}/**" { caps [deploy] signed_by "k${i}" dual_control true }`)} } trusted_keys { ${many(n, (i) => `"k${i}" "x" { person "p${i}" }`)} } }`,
  'imports and their uses': (n) =>
    `${many(n, (i) => `import "std/faultdomains" as f${i} ${PIN}`)}\n${many(n, (i) => `use f${i}.h100`)}`,
  'imports and uses of others': (n) =>
    `${many(n, (i) => `import "std/faultdomains" as f${i} ${PIN}`)}\n${many(n, (i) => `use g${i}.h100`)}`,
  'unknown names': (n) => many(n, (i) => `let a${i} = \${b${i}}`),
  'unknown blocks': (n) => many(n, (i) => `metrik m${i} { }`),
  'unknown attributes': (n) => `metric m { ${many(n, (i) => `obsrve${i} x`)} }`,
  'one name': (n) => many(n, () => 'metric m { observe x target 0 window 1d }'),
  'blocks in blocks': (n) => 'profile b { '.repeat(n),
  'omission comments': (n) => many(n, (i) => `metric m${i} { # … left out …\n}`),
  'pools and rollouts to them': (n) =>
    many(n, (i) => `pool p${i} { select spiffe://kwam/*/a${i} }\ndeploy d${i} { to p${i} … }`),
  'items without commas': (n) => `let a = [${'b '.repeat(n)}]`,
  'lists without commas': (n) => `let a = [${'[b b] '.repeat(n)}]`,
  'names without values': (n) => `metric m {\n${'observe\ntarget 0\n'.repeat(n)}}`,
  'errors to recover from': (n) => 'mtbf { node 5y } [a, use x.y\n'.repeat(n),
  'strings that stay open': (n) => 'let a = "b\n'.repeat(n),
  'words in a row': (n) => `m x {\n${'a\n'.repeat(n)}b 5 }`,
};

/** Processor time in milliseconds. */
function work(text: string): number {
  const before = process.cpuUsage();
  const program = `apiVersion "kwam.dev/v0.2"\n${text}`;
  const { diagnostics } = compile('x.kwam', program, {
    modules: faultdomains(),
    context: { tables: TABLES },
  });
  format('x.kwam', program);
  const { user, system } = process.cpuUsage(before);
  expect(diagnostics.filter(({ range }) => range.end.offset > program.length)).toEqual([]);
  // Beyond the limits nothing would be measured.
  expect(diagnostics.map(({ code }) => code)).not.toContain('KW1010');
  return (user + system) / 1000;
}

/** The least of three: what four times as much took, in terms of once. */
function growthOf(name: string, workOf: (count: number) => number): number {
  const measured = [1, 2, 3].map(() => [workOf(1000), workOf(4000)] as const);
  console.log(
    `${name}: ${measured.map((pair) => pair.map((ms) => ms.toFixed(0)).join(' → ')).join(', ')} ms`,
  );
  return Math.min(...measured.map(([small, large]) => large / Math.max(small, 20)));
}

test.each(Object.entries(SHAPES))('%s', { timeout: 600_000 }, (name, shape) => {
  work(shape(60));
  if (campaign) expect(growthOf(name, (count) => work(shape(count)))).toBeLessThan(growthMax);
});

test('a canary: what grows with the square is noticed', () => {
  expect(growthOf('canary', (count) => count ** 2 / 10_000)).toBeGreaterThan(growthMax);
  expect(growthOf('canary', (count) => count / 10)).toBeLessThan(growthMax);
});
