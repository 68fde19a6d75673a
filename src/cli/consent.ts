/**
 * consent request|sign|show: what is asked, who agrees, and what is still missing.
 * A request is made where the program is, signed where the signing keys are, and redeemed by the seed that it names. No server has a key
 * that could sign: it can only verify.
 */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import { CAPABILITIES, type Capability, isCapability } from '../language/capability.ts';
import { consentLifetimeMsDefault } from '../limits.ts';
import { systemRandom } from '../random.ts';
import {
  CONSENT_SCHEMA,
  type ConsentToken,
  consentDigest,
  encodeConsentToken,
} from '../rollout/consent-token.ts';
import type { OpenedConsent } from '../rollout/consent-verify.ts';
import { readConsentFile, signConsent } from './consent-file.ts';
import { type AskedDeploy, askedDeploy, policyWithKeys } from './consent-program.ts';
import { type Judged, judge, judgedRows, tokenRows } from './consent-show.ts';
import { replaceFile } from './module-files.ts';
import { parseDurationMs } from './quantity.ts';
import type { Shell } from './shell.ts';
import { signingKey } from './signing-key.ts';
import { printJson, printLine, printTable } from './terminal.ts';

export function define(command: Command, shell: Shell): void {
  command.addHelpText(
    'after',
    `
Examples:
  kwam-dp consent request h100.kwam --deploy rollout_h100 --requester "Nina Frei" -o token.json
  kwam-dp consent sign token.json --key ~/keys/acme-prod.pem
  kwam-dp consent show token.json --program h100.kwam`,
  );
  defineRequest(command, shell);
  defineSign(command, shell);
  defineShow(command, shell);
}

interface RequestOptions {
  readonly deploy: string;
  readonly requester: string;
  readonly capability?: string[];
  readonly resource?: string;
  readonly valid: number;
  readonly output?: string;
  readonly from?: string[];
  readonly json?: boolean;
}

function defineRequest(command: Command, shell: Shell): void {
  command
    .command('request')
    .description('Write what a deploy asks people to agree to.')
    .argument('<program>', 'the program that would run')
    .requiredOption('--deploy <name>', 'the deploy of the program')
    .requiredOption('--requester <name>', 'who asks, by the name that the policy gives to people')
    .option('--capability <capability...>', 'what it is for (default: deploy)')
    .option('--resource <pattern>', 'where it may be used (default: the scope of the deploy)')
    .option('--valid <duration>', 'how long, at most 24h', parseDurationMs, consentLifetimeMsDefault)
    .option('-o, --output <file>', 'where to write it (default: print it)')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
The request names program, image, deploy, pool and the one seed that may redeem it. Its
text is what people sign, so nothing of it can change afterwards. It is good for one rollout.

Examples:
  kwam-dp consent request h100.kwam --deploy rollout_h100 --requester "Nina Frei" -o token.json
  kwam-dp consent request h100.kwam --deploy rollout_h100 --requester "Nina Frei" --valid 30m`,
    )
    .action(async (file: string, options: RequestOptions) => {
      const asked = await askedDeploy(shell, file, options.deploy, options.from ?? []);
      const token = tokenFor(asked, options, Date.now());
      const payload = encodeConsentToken(token);
      if (options.output !== undefined) replaceFile(options.output, payload);
      const made = { token, digest: consentDigest(payload), file: options.output ?? null };
      if (options.json) printJson(shell.output, 'kwam.consent-request/v1', made);
      else if (options.output === undefined) shell.output.stdout.write(payload);
      else printLine(shell.output, `${token.jti} asked in ${options.output}, until ${token.expiresAt}`);
    });
}

function tokenFor(
  { use }: AskedDeploy,
  { requester, capability = ['deploy'], resource = use.scope, valid }: RequestOptions,
  nowMs: number,
): ConsentToken {
  const now = new Date(nowMs).toISOString();
  return {
    schema: CONSENT_SCHEMA,
    audience: use.self as ConsentToken['audience'],
    jti: Buffer.from(systemRandom.fill(new Uint8Array(16))).toString('hex'),
    issuedAt: now,
    notBefore: now,
    expiresAt: new Date(nowMs + valid).toISOString(),
    capabilities: [...new Set(capability.map(capabilityOf))].sort(),
    resource,
    program: use.program,
    image: use.image,
    deploy: use.deploy,
    pool: use.pool,
    requester,
  };
}

function capabilityOf(word: string): Capability {
  if (isCapability(word)) return word;
  throw new KwamError('USAGE', `expected --capability to be one of ${CAPABILITIES.join(', ')}, got ${word}`);
}

interface SignOptions {
  readonly key: string;
  readonly keyName?: string;
  readonly output?: string;
  readonly json?: boolean;
}

function defineSign(command: Command, shell: Shell): void {
  command
    .command('sign')
    .description('Agree to a request, or to one that others have signed: adds a signature.')
    .argument('<file>', 'the request, or the token with earlier signatures')
    .requiredOption('--key <file>', 'your private key in PEM, Ed25519 or ECDSA P-256')
    .option('--key-name <name>', 'a name for people; nothing is decided by it (default: that of the file)')
    .option('-o, --output <file>', 'where to write it (default: into the file)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
Read it first: kwam-dp consent show FILE. Sign on the machine where your key is, never on
a server. Only the public key belongs into the policy; to make a pair:
openssl genpkey -algorithm ed25519 -out ~/keys/acme-prod.pem

Examples:
  kwam-dp consent sign token.json --key ~/keys/acme-prod.pem
  kwam-dp consent sign token.json --key ~/keys/acme-ops.pem -o signed.json`,
    )
    .action(async (file: string, options: SignOptions) => {
      const opened = readConsentFile(file);
      const key = signingKey(options.key, options.keyName ?? basename(options.key, '.pem'));
      const target = options.output ?? file;
      replaceFile(target, await signConsent(opened, key, Date.now()));
      const { token, digest, envelope } = opened;
      const signatures = envelope.signatures.length + 1;
      const made = { jti: token.jti, digest, file: target, signatures, publicKey: key.publicKeyPem };
      if (options.json) return printJson(shell.output, 'kwam.consent-sign/v1', made);
      printTable(shell.output, tokenRows(opened));
      printLine(
        shell.output,
        `signed in ${target}, signature ${signatures}, by\n${key.publicKeyPem.trimEnd()}`,
      );
    });
}

interface ShowOptions {
  readonly program?: string;
  readonly from?: string[];
  readonly json?: boolean;
}

function defineShow(command: Command, shell: Shell): void {
  command
    .command('show')
    .description('Show what a token allows, who has signed it, and what is missing.')
    .argument('<file>', 'a request or a token')
    .option('--program <program>', 'judge it by the policy of this program, as the seed will')
    .option('--from <directory...>', 'where modules outside std/ lie, as NAME.kwam')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `
With --program it ends with 1 while anything is missing. Whether the token was used before
is known to the cluster only.

Examples:
  kwam-dp consent show token.json
  kwam-dp consent show token.json --program h100.kwam --json`,
    )
    .action(async (file: string, options: ShowOptions) => {
      const opened = readConsentFile(file);
      const judged =
        options.program === undefined ? undefined : await judgedBy(options.program, opened, options);
      if (judged !== undefined && judged.missing !== null) shell.exitCode = EXIT.no;
      if (options.json) return printJson(shell.output, 'kwam.consent-show/v1', documentOf(opened, judged));
      printTable(shell.output, [...tokenRows(opened), ...(judged === undefined ? [] : judgedRows(judged))]);
    });

  async function judgedBy(program: string, opened: OpenedConsent, { from }: ShowOptions): Promise<Judged> {
    const { use, policy } = await askedDeploy(shell, program, opened.token.deploy, from ?? []);
    const { capabilities } = opened.token;
    const asked = { ...use, capabilities, rollout: opened.token.deploy };
    return judge(opened, asked, await policyWithKeys(shell, program, policy), Date.now());
  }
}

function documentOf({ token, digest, envelope }: OpenedConsent, judged: Judged | undefined): object {
  return { token, digest, signatures: envelope.signatures.length, judged: judged ?? null };
}
