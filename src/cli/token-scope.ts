/**
 * What a consent token covers, for `check --token`: its resource, for the deploy that it names.
 * In: the file of a request or token, the program. Out: the resource pattern by deploy. Believes no signature: `consent show --program` judges
 * those, and the seed verifies the token again when it redeems it.
 */
import { KwamError } from '../errors.ts';
import { blocksOf } from '../language/access.ts';
import type { ProgramIr } from '../language/ir.ts';
import { listed } from '../language/suggestions.ts';
import { readConsentFile } from './consent-file.ts';

/** @throws KwamError USAGE  the token is for a deploy that the program does not have. */
export function tokenScope(file: string, program: ProgramIr): (deploy: string) => string | undefined {
  const { token } = readConsentFile(file);
  const deploys = blocksOf(program, 'deploy').map(({ name }) => name);
  if (!deploys.includes(token.deploy)) {
    throw new KwamError(
      'USAGE',
      `expected a token for a deploy of ${program.file} (${listed(deploys)}), got one for ${token.deploy}; give the program that it was asked for`,
    );
  }
  return (deploy) => (deploy === token.deploy ? token.resource : undefined);
}
