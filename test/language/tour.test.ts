/**
 * The guided tour's own text and the example made from it.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { blocksOf, bodyOf, itemsOf, referencedBlock, valueIn } from '../../src/language/access.ts';
import { secretLocation } from '../../src/language/secret.ts';
import { codesOf, front } from './front.ts';

const read = (name: string) => readFileSync(new URL(`../../examples/${name}`, import.meta.url), 'utf8');

test('the tour has no syntax error, and nothing is wrong with it but what it leaves open', () => {
  const tour = front(read('tour.kwam'));
  expect(codesOf(tour).filter((code) => code !== 'KW1901')).toEqual([]);
  expect(tour.diagnostics.length).toBe(tour.program.holes.length);
});

test('the tour has exactly these holes', () => {
  const { program } = front(read('tour.kwam'));
  const digest = 'a digest: "sha256:" and 64 hexadecimal digits';
  const token =
    'a path of a consent token such as "consent/rollout.json" or a URI of a consent token such as https://consent.internal/42';
  const rows = '`mtbf { … }`, each entry named by `node` or a fault domain, with a duration such as 10m';
  expect(program.holes.map(({ path, expected, range }) => [path, expected, range.start.line])).toEqual([
    ['import.fd.digest', digest, 2],
    ['server.seed.ports.control', 'a port number', 31],
    ['server.seed.ports.data', 'a port number', 31],
    ['server.seed.ports.metrics', 'a port number', 31],
    ['client.kwam_node.image', digest, 47],
    ['guard.sla.mttr_restore', 'a duration such as 10m', 60],
    ['guard.sla.recovery_time', 'a duration such as 10m', 61],
    ['guard.sla.mtbf', rows, 64],
    ['deploy.rollout_h100.consent.grant_ref', token, 76],
  ]);
});

test('the example is right, and its values arrive typed', () => {
  const example = front(read('h100.kwam'));
  expect(codesOf(example)).toEqual([]);
  const { program } = example;
  const [deploy] = blocksOf(program, 'deploy');
  expect(valueIn(deploy!.body, 'bake', 'quantity')?.amount).toBe(600_000);
  expect(itemsOf(deploy!.body, 'waves', 'quantity').map((each) => each.amount)).toEqual([
    0.01, 0.05, 0.25, 0.5, 1,
  ]);
  expect(referencedBlock(program, deploy!.body, 'client')?.name).toBe('kwam_node');
  expect(valueIn(deploy!.body, 'to', 'reference')).toMatchObject({ name: 'h100_pool', declared: false });
  const [guard] = blocksOf(program, 'guard');
  const rows = bodyOf(guard!.body, 'mtbf')!.attributes;
  expect(rows.map((row) => row.name)).toEqual(['node', 'rack', 'pdu', 'spine', 'az']);
  const [profile] = blocksOf(program, 'profile');
  expect(valueIn(profile!.body, 'fanout', 'quantity')?.amount).toBe(8);
  expect(program.uses[0]?.block?.body.attributes.map((each) => each.name)).toEqual([
    'az',
    'spine',
    'pdu',
    'rack',
  ]);
});

test('a secret prints as nothing, everywhere', () => {
  const { program } = front(read('h100.kwam'));
  const ca = valueIn(blocksOf(program, 'policy')[0]!.body, 'ca', 'secret');
  expect(`${ca?.secret}`).toBe('[secret]');
  expect(
    JSON.stringify(program, (_, value) => (typeof value === 'bigint' ? `${value}` : value)),
  ).not.toContain('vault/kwam');
  expect(secretLocation(ca!.secret)).toBe('secret://vault/kwam/mtls-ca');
});
