import { expect, it } from 'vitest';
import { openKeysIn } from '../../src/rollout/public-keys.ts';

it('a trusted key that is not there is named with its path', async () => {
  const open = openKeysIn('/nothing/here', { environment: {} });
  await expect(open({ pem: 'keys/a.pem' })).rejects.toMatchObject({
    code: 'ENVIRONMENT',
    message: expect.stringMatching(
      /expected a trusted public key in \/nothing\/here\/keys\/a\.pem, got ENOENT; /,
    ),
  });
});
