/** The identity commands as processes: an authority, SVIDs, what is shown, and what is refused. */
import { X509Certificate } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { run, runHere, temporary } from './run.ts';

const ROOT = temporary('identity');
afterAll(() => fs.rmSync(ROOT, { recursive: true }));

const at = (...args: string[]): string[] => ['identity', ...args, '--dir', join(ROOT, 'cluster')];
const documentOf = async (args: string[]) => JSON.parse((await runHere([...args, '--json'])).stdout);

describe('identity', () => {
  it('makes an authority once, issues, renews and shows', async () => {
    const made = await run([...at('init'), '--trust-domain', 'example.org']);
    expect(made).toMatchObject({ code: 0, stderr: '' });
    const again = await run(at('init'));
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('found ca.pem');

    const issued = await documentOf([...at('issue', 'trainer'), '--valid', '2h']);
    const [trainer] = issued.identities;
    expect(issued.schema).toBe('kwam.identity/v1');
    expect(trainer).toMatchObject({
      name: 'trainer',
      spiffe: 'spiffe://example.org/client/trainer',
      problem: null,
    });
    const validMs = Date.parse(trainer.expiresAt) - Date.now();
    expect(validMs).toBeGreaterThan(1.9 * 3_600_000);
    expect(validMs).toBeLessThanOrEqual(2 * 3_600_000);

    await runHere([...at('issue', 'n0001'), '--id', 'spiffe://example.org/node/n0001']);
    // Renewed without --id, it stays who it is.
    const [renewed] = (await documentOf(at('issue', 'n0001'))).identities;
    expect(renewed.spiffe).toBe('spiffe://example.org/node/n0001');
    const { subjectAltName } = new X509Certificate(fs.readFileSync(join(ROOT, 'cluster/identity/n0001.pem')));
    expect(subjectAltName).toContain(`DNS:${renewed.dnsName}`);
    const { identities } = await documentOf(at('show'));
    expect(identities.map((one: { name: string }) => one.name)).toEqual(['n0001', 'trainer']);
    expect((await runHere(at('show', 'n0001'))).stdout).toContain('spiffe://example.org/node/n0001');
  });

  it('keeps keys to their owner and never prints them', async () => {
    const directory = join(ROOT, 'cluster/identity');
    for (const key of ['ca.key', 'trainer.key'])
      expect(fs.statSync(join(directory, key)).mode & 0o777).toBe(0o600);
    const { stdout, stderr } = await runHere([...at('show'), '--json']);
    expect(stdout + stderr).not.toContain('PRIVATE');
  });

  it('shows an SVID that is no good, with the reason and exit code 1', async () => {
    const directory = join(ROOT, 'cluster/identity');
    fs.copyFileSync(join(directory, 'n0001.pem'), join(directory, 'mixed.pem'));
    fs.copyFileSync(join(directory, 'trainer.key'), join(directory, 'mixed.key'));
    const { code, stdout } = await run([...at('show', 'mixed'), '--json']);
    expect(code).toBe(1);
    expect(JSON.parse(stdout).identities[0].problem).toContain('private key');
  });

  it.each([
    [['issue', 'x', '--id', 'spiffe://elsewhere/x'], 'USAGE', 'vouches for example.org only'],
    [['issue', 'Bad Name', '--id', 'spiffe://example.org/x'], 'USAGE', 'expected a name'],
    [['issue', 'x', '--id', 'http://example.org/x'], 'SVID_INVALID', 'spiffe://'],
    [['show', 'nobody'], 'ENVIRONMENT', 'no such file'],
  ])('identity %j is refused', async (args, code, message) => {
    await expect(runHere(at(...args))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });
});
