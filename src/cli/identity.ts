/**
 * identity init|issue|show: the development authority and the SVIDs it issues, as files in one directory.
 * Private keys are never printed.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, KwamError } from '../errors.ts';
import type { Identity } from '../identity/identity.ts';
import {
  initAuthority,
  issueIdentity,
  listIdentities,
  loadIdentity,
  loadTrustDomain,
} from '../identity/identity-files.ts';
import { dnsNameOf, parseSpiffeId, parseTrustDomain, type SpiffeId } from '../identity/spiffe-id.ts';
import { clusterDirectory } from './cluster-directory.ts';
import { parseDurationMs } from './quantity.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

interface DirectoryOptions {
  readonly dir?: string;
  readonly identityDir?: string;
  readonly json?: boolean;
}

interface ValidOptions extends DirectoryOptions {
  readonly valid?: number;
}

const TRUST_DOMAIN = 'kwam';

export function define(command: Command, shell: Shell): void {
  command.addHelpText(
    'after',
    `
Examples:
  kwam-dp identity init --dir ./cluster
  kwam-dp identity issue trainer --dir ./cluster --id spiffe://kwam/job/trainer
  kwam-dp identity show --dir ./cluster`,
  );
  defineInit(command, shell);
  defineIssue(command, shell);
  defineShow(command, shell);
}

function defineInit(command: Command, shell: Shell): void {
  withDirectory(command.command('init').description('Make a development authority for a trust domain.'))
    .option('--trust-domain <name>', 'the trust domain', TRUST_DOMAIN)
    .option('--valid <duration>', 'how long it may vouch, for example 365d', parseDurationMs)
    .addHelpText('after', '\nExamples:\n  kwam-dp identity init --dir ./cluster --trust-domain kwam.example')
    .action(async (options: ValidOptions & { trustDomain: string }) => {
      const directory = identityDirectory(shell, options);
      await initAuthority(directory, parseTrustDomain(options.trustDomain), validityOf(options));
      const made = { trustDomain: options.trustDomain, directory };
      if (options.json) printJson(shell.output, 'kwam.identity-init/v1', made);
      else printLine(shell.output, `authority of spiffe://${made.trustDomain} in ${directory}`);
    });
}

function defineIssue(command: Command, shell: Shell): void {
  withDirectory(command.command('issue').description('Issue an SVID, or renew one under its name.'))
    .argument('<name>', 'file name of the SVID, for example n0001 or trainer')
    .option(
      '--id <spiffe>',
      'its SPIFFE ID (default: the one it has, or spiffe://<trust domain>/client/<name>)',
    )
    .option('--valid <duration>', 'how long it is valid, for example 24h', parseDurationMs)
    .addHelpText(
      'after',
      `
Examples:
  kwam-dp identity issue trainer --dir ./cluster
  kwam-dp identity issue n0001 --dir ./cluster --id spiffe://kwam/node/n0001 --valid 7d`,
    )
    .action(async (name: string, options: ValidOptions & { id?: string }) => {
      const directory = identityDirectory(shell, options);
      const id =
        options.id ?? knownId(directory, name) ?? `spiffe://${loadTrustDomain(directory)}/client/${name}`;
      const issued = await issueIdentity(
        directory,
        name,
        parseSpiffeId(id),
        validityOf(options),
        warnOn(shell),
      );
      show(shell, options, [{ name, ...factsOf(issued) }]);
    });
}

function defineShow(command: Command, shell: Shell): void {
  withDirectory(command.command('show').description('Show SVIDs: who they are and until when.'))
    .argument('[name]', 'one of them (default: all)')
    .addHelpText(
      'after',
      '\nExamples:\n  kwam-dp identity show\n  kwam-dp identity show admin --dir ./cluster --json',
    )
    .action((name: string | undefined, options: DirectoryOptions) => {
      const directory = identityDirectory(shell, options);
      const names = name === undefined ? listIdentities(directory) : [name];
      if (name === undefined) loadTrustDomain(directory);
      const lines = names.map((one) => inspect(directory, one, warnOn(shell)));
      show(shell, options, lines);
      if (lines.some((line) => line.problem !== null)) shell.exitCode = EXIT.no;
    });
}

function withDirectory(command: Command): Command {
  return command
    .option(
      '--dir <directory>',
      'directory of the cluster (default: $KWAM_DIR or ./.kwam); identities lie in its identity/',
    )
    .option('--identity-dir <directory>', 'the directory with the identities itself')
    .option('--json', 'print one JSON document');
}

function identityDirectory(shell: Shell, options: DirectoryOptions): string {
  if (options.identityDir !== undefined) return resolve(options.identityDir);
  return resolve(clusterDirectory(shell, options.dir), 'identity');
}

/** Who an SVID says it is, expired or not: it is checked at the time when it became valid. */
function knownId(directory: string, name: string): SpiffeId | undefined {
  if (!listIdentities(directory).includes(name)) return undefined;
  const pem = readFileSync(join(directory, `${name}.pem`));
  try {
    const validFromMs = new X509Certificate(pem).validFromDate.getTime();
    return loadIdentity(directory, name, validFromMs, () => undefined).spiffeId;
  } catch (cause) {
    const message = `expected --id, since the SVID ${name} in ${directory} does not say who it is`;
    throw new KwamError('USAGE', `${message}: ${(cause as Error).message}`, { cause });
  }
}

function validityOf({ valid }: ValidOptions): { nowMs: number; validMs?: number } {
  return { nowMs: Date.now(), ...(valid === undefined ? {} : { validMs: valid }) };
}

const warnOn = (shell: Shell) => (line: string) => shell.note(`kwam-dp: ${line}`);

interface IdentityLine {
  readonly name: string;
  readonly spiffe: string | null;
  /** Stands for the ID where a TLS client can only ask for a host name. */
  readonly dnsName: string | null;
  readonly expiresAt: string | null;
  /** Why it cannot be used, or null. */
  readonly problem: string | null;
}

function factsOf(identity: Identity): Omit<IdentityLine, 'name'> {
  return {
    spiffe: identity.spiffeId,
    dnsName: dnsNameOf(identity.spiffeId),
    expiresAt: new Date(identity.expiresAtMs).toISOString(),
    problem: null,
  };
}

/** An SVID that is no good is a line of the answer; one that is not there is an error. */
function inspect(directory: string, name: string, warn: (line: string) => void): IdentityLine {
  try {
    return { name, ...factsOf(loadIdentity(directory, name, Date.now(), warn)) };
  } catch (error) {
    if (!(error instanceof KwamError) || error.code !== 'SVID_INVALID') throw error;
    return { name, spiffe: null, dnsName: null, expiresAt: null, problem: error.message };
  }
}

function show(shell: Shell, options: DirectoryOptions, lines: readonly IdentityLine[]): void {
  if (options.json) {
    printJson(shell.output, 'kwam.identity/v1', { identities: lines });
    return;
  }
  const rows = lines.map((line) => [
    line.name,
    line.spiffe ?? '',
    line.problem ?? `valid until ${line.expiresAt}`,
  ]);
  printTable(shell.output, [['name', 'spiffe', 'state'], ...rows]);
}
