/** Secrets that must not be had, or not like this; Vault is a process of its own. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/clock.ts';
import { secretBytesMax } from '../../src/limits.ts';
import { resolveSecret } from '../../src/secrets/resolve.ts';
import { TestVault } from '../secrets/vault.ts';
import type { Area, Refusal } from './refusal.ts';

const TOKEN = 'hvs.a-token-of-a-test';
const clock: Clock = { ...systemClock, sleep: async () => undefined };
const secrets = {
  'kwam/ca': [{ data: { value: 'x' } }],
  'kwam/pair': [{ data: { certificate: 'a', key: 'b', serial: 7 } }],
  'kwam/gone': [{ data: { value: 'x' }, deletedAt: '2026-05-01T00:00:00Z' }],
  'kwam/destroyed': [{ data: { value: 'x' }, destroyed: true }],
};

let started: Promise<TestVault> | undefined;
const vault = (): Promise<TestVault> => {
  started ??= TestVault.start({ token: TOKEN, secrets });
  return started;
};

async function attempt(uri: string, environment: Record<string, string> = {}): Promise<unknown> {
  const settings = { VAULT_ADDR: (await vault()).address, VAULT_TOKEN: TOKEN, ...environment };
  return resolveSecret(uri, { environment: settings, clock });
}

/** A file of this content, for as long as the attempt takes. */
async function attemptFile(content: string | Buffer): Promise<unknown> {
  const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-refusals-'));
  try {
    fs.writeFileSync(join(directory, 'secret'), content, { mode: 0o600 });
    return await attempt(`secret://file${directory}/secret`);
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

const refused = (
  rule: string,
  input: string,
  uri: string,
  environment?: Record<string, string>,
): Refusal => ({
  input,
  code: `SECRET_UNREADABLE/${rule}`,
  attempt: () => attempt(uri, environment),
});

const CA = 'secret://vault/kwam/ca';

export const secretRefusals: Area = {
  name: 'secrets',
  accepted: async () => {
    await attempt(CA);
    await attempt('secret://env/PAIR#key', { PAIR: '{"key":"k"}' });
    await attemptFile('x');
  },
  close: async () => {
    await (await started)?.stop();
    started = undefined;
  },
  rows: [
    refused('secret-form', 'another scheme', 'https://vault/kwam/ca'),
    refused('secret-form', 'a mount without a path', 'secret://vault/kwam'),
    refused('secret-form', 'a dot segment in a path', 'secret://vault/kwam/../sys/x'),
    refused('secret-form', 'an empty segment in a path', 'secret://vault/kwam//ca'),
    refused('secret-form', 'version 0', `${CA}?version=0`),
    refused('secret-form', 'a version of a variable', 'secret://env/PAIR?version=1', { PAIR: 'x' }),
    refused('secret-provider', 'a provider that nobody knows', 'secret://aws/kwam/ca'),
    refused('secret-missing', 'a variable that is not set', 'secret://env/KWAM_NOT_SET'),
    refused('secret-missing', 'an empty variable', 'secret://env/EMPTY', { EMPTY: '' }),
    refused('secret-missing', 'a file that is not there', 'secret://file/nothing/here'),
    refused('secret-missing', 'a directory', 'secret://file/tmp'),
    refused('secret-missing', 'a path that Vault does not have', 'secret://vault/kwam/nothing'),
    refused('secret-missing', 'a version that Vault does not have', `${CA}?version=9`),
    refused('secret-field', 'a field that is not there', 'secret://env/PAIR#other', { PAIR: '{"key":"k"}' }),
    refused('secret-field', 'a field that is written twice', 'secret://env/PAIR#key', {
      PAIR: '{"key":"a","key":"b"}',
    }),
    refused('secret-field', 'a field of the prototype', 'secret://vault/kwam/pair#toString'),
    refused('secret-field', 'a field that is a number', 'secret://vault/kwam/pair#serial'),
    refused('secret-field', 'one of several fields, without saying which', 'secret://vault/kwam/pair'),
    refused('secret-deleted', 'a version that was deleted', 'secret://vault/kwam/gone'),
    refused('secret-destroyed', 'a version that was destroyed', 'secret://vault/kwam/destroyed'),
    refused('secret-denied', 'a path that the token may not read', 'secret://vault/kwam/denied/x'),
    refused('secret-denied', 'a token that Vault does not know', CA, { VAULT_TOKEN: 'hvs.another' }),
    refused('secret-sealed', 'a sealed Vault', 'secret://vault/sealed/x'),
    refused('secret-answer', 'an answer that is no JSON', 'secret://vault/text/x'),
    refused('secret-answer', 'an answer of version 1 of the engine', 'secret://vault/v1/x'),
    refused('secret-address', 'a redirect, with the token', 'secret://vault/redirect/x'),
    refused('secret-address', 'an address that is none', CA, { VAULT_ADDR: 'vault' }),
    refused('secret-token', 'a token that would be two headers', CA, {
      VAULT_TOKEN: 'a\r\nX-Vault-Token: b',
    }),
    refused('secret-token', 'no token', CA, { VAULT_TOKEN: '', VAULT_TOKEN_FILE: '/nothing/here' }),
    {
      input: 'a secret without an end',
      code: 'LIMIT_EXCEEDED',
      attempt: () => attempt('secret://vault/endless/x'),
    },
    {
      input: 'a file that is too long',
      code: 'SECRET_UNREADABLE/secret-size',
      attempt: () => attemptFile(Buffer.alloc(secretBytesMax + 1, 0x61)),
    },
    {
      input: 'a file that is no text',
      code: 'SECRET_UNREADABLE/secret-answer',
      attempt: () => attemptFile(Buffer.from([0xff, 0xfe])),
    },
  ],
};
