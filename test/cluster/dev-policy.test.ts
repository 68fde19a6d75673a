import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { identityPath, trustPath } from '../../src/cli/cluster-directory.ts';
import { devPolicy } from '../../src/cluster/dev-policy.ts';

it('the policy of a development cluster names the authority of its directory', () => {
  const { ca } = devPolicy('kwam');
  if (!('pem' in ca)) throw new Error('expected a path');
  expect(resolve(trustPath('/cluster'), ca.pem)).toBe(resolve(identityPath('/cluster'), 'ca.pem'));
});
