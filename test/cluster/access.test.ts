/** What the gate records of a caller. Whom it refuses: test/refusals/calls.ts. */
import { expect, it } from 'vitest';
import { Access } from '../../src/cluster/access.ts';
import { compileGrants } from '../../src/identity/grants.ts';
import { GRANT, SEED } from '../rollout/consents.ts';

it.each([
  ['10.40.7.8', { address: '10.40.7.8' }],
  [undefined, {}],
])('a caller from %s is recorded by what is known', (address, known) => {
  const records: object[] = [];
  const audit = { append: (record: object) => void records.push(record) };
  new Access({ grants: compileGrants([GRANT]), audit }).admit('pack.have', { peer: SEED, address });
  const { pattern } = GRANT;
  const decision = { kind: 'decision', method: 'pack.have', capability: 'replicate', allowed: true };
  expect(records).toStrictEqual([{ ...decision, peer: SEED, ...known, grant: pattern }]);
});

it.each([
  ['10.40.7.8', 'object.put', /; call the node of your own machine$/],
  ['10.41.0.1', 'node.status', /; grant it in the policy of the program, or call as someone who has it$/],
])('a refusal of a caller from %s to %s says what helps', (address, method, remedy) => {
  const access = new Access({ grants: compileGrants([GRANT]), audit: { append: () => undefined } });
  expect(() => access.admit(method, { peer: SEED, address })).toThrow(remedy);
});
