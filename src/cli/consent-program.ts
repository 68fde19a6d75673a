/**
 * What a program says about one of its deploys, as far as consent is concerned: what would run, where, and who must agree.
 * In: a program without errors or holes, the name of a deploy. Out: the use that a token must cover, and the policy with its public keys,
 * whose paths are relative to the program. Needs no inventory: people agree to what the program means.
 */
import { dirname } from 'node:path';
import { KwamError } from '../errors.ts';
import { blocksOf } from '../language/access.ts';
import { compile } from '../language/compile.ts';
import type { BlockIr, ProgramIr } from '../language/ir.ts';
import { clientPlan, deployPlan, policyPlan, serverPlan } from '../language/plan-blocks.ts';
import { programDigest } from '../language/program-digest.ts';
import type { BlockKind } from '../language/schema-types.ts';
import type { PolicyPlan } from '../plan.ts';
import { type ConsentPolicy, compileConsentPolicy } from '../rollout/consent-policy.ts';
import type { ConsentUse } from '../rollout/consent-verify.ts';
import { openKeysIn } from '../rollout/public-keys.ts';
import { digestOf } from './domain-digest.ts';
import { modulesOf } from './module-loading.ts';
import { programText } from './program-file.ts';
import type { Shell } from './shell.ts';

export interface AskedDeploy {
  readonly use: Omit<ConsentUse, 'rollout'>;
  readonly policy: PolicyPlan;
}

export async function askedDeploy(
  shell: Shell,
  file: string,
  name: string,
  sources: readonly string[],
): Promise<AskedDeploy> {
  const program = await rightProgram(shell, file, sources);
  const deploy = deployPlan(named(program, 'deploy', name));
  const server = serverPlan(named(program, 'server', deploy.server));
  const client = clientPlan(named(program, 'client', deploy.client));
  return {
    policy: policyPlan(named(program, 'policy', server.trust)),
    use: {
      self: server.identity,
      capabilities: ['deploy'],
      scope: deploy.consent.scope,
      program: programDigest(program, digestOf),
      image: client.image,
      deploy: name,
      pool: deploy.pool,
    },
  };
}

async function rightProgram(shell: Shell, file: string, sources: readonly string[]): Promise<ProgramIr> {
  const text = programText(file);
  const { modules, tables } = await modulesOf(file, text, { environment: shell.environment, sources });
  const { ok, program } = compile(file, text, { modules, context: { tables } });
  if (ok) return program;
  throw new KwamError(
    'REFUSED',
    `expected a program without errors or holes in ${file}, got one that \`kwam-dp check ${file}\` refuses; correct it first: ` +
      'nobody can agree to what cannot run',
  );
}

function named(program: ProgramIr, kind: BlockKind, name: string): BlockIr {
  const blocks = blocksOf(program, kind);
  const found = blocks.find((block) => block.name === name);
  if (found !== undefined) return found;
  const names = blocks.map((block) => block.name).join(', ') || 'none';
  throw new KwamError(
    'USAGE',
    `expected a ${kind} of ${program.file} (${names}), got ${JSON.stringify(name)}`,
  );
}

/** The policy with the public keys that it names, from the files beside the program or from where secrets are kept. */
export function policyWithKeys(shell: Shell, file: string, policy: PolicyPlan): Promise<ConsentPolicy> {
  const warn = (message: string): void => shell.note(`kwam-dp: ${message}`);
  return compileConsentPolicy(policy, openKeysIn(dirname(file), { environment: shell.environment, warn }));
}
