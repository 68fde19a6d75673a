/** Damaged modules and envelopes: always an answer, never an exception, and never a module that was not signed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesDigest } from '../../src/cli/module-files.ts';
import { readLock } from '../../src/language/lockfile.ts';
import { ModuleGraph } from '../../src/language/modules-graph.ts';
import { digestOfText, keyPair, MemoryLibrary } from './modules-world.ts';

const NAME = 'std/faultdomains';
const TEXT = readFileSync(join(import.meta.dirname, '../../std/faultdomains.kwam'), 'utf8');
const runs = process.env['KWAM_CAMPAIGN'] === '1' ? 20_000 : 400;

/** A run takes some milliseconds. */
const timeoutMs = 60_000 + 20 * runs;

const piece = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '"',
    '#',
    '\n',
    '…',
    '${',
    'export',
    'let x = ',
    'secret://vault/a',
    'import "std/a" as a',
    '0',
    ' ',
  ),
  fc.string({ maxLength: 5 }),
);
interface Cut {
  readonly at: number;
  readonly length: number;
  readonly text: string;
}
const cuts = fc.array(fc.record({ at: fc.nat(), length: fc.nat({ max: 12 }), text: piece }), {
  minLength: 1,
  maxLength: 3,
});

function cut(text: string, changes: readonly Cut[]): string {
  return changes.reduce((now, { at, length, text: between }) => {
    const start = at % (now.length + 1);
    return now.slice(0, start) + between + now.slice(start + length);
  }, text);
}

it(
  'a damaged text is the same module or none',
  async () => {
    const key = await keyPair('std', ['std/']);
    const digest = digestOfText(TEXT);
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(cuts, async (changes) => {
        const library = new MemoryLibrary();
        library.keys.push(key.trusted);
        await library.putSigned(NAME, TEXT, key.privateKey);
        const text = cut(TEXT, changes);
        library.files.set(NAME, { ...library.files.get(NAME)!, text, bytes: bytesDigest(Buffer.from(text)) });
        const outcome = await new ModuleGraph(library).loadRoot(NAME);
        if (!outcome.ok) refused++;
        // Signed is the meaning: what is taken means what was signed.
        else expect(outcome.value.digest).toBe(digest);
      }),
      { numRuns: runs },
    );
    // A canary: most cuts hit something that matters.
    expect(refused).toBeGreaterThan(runs / 10);
  },
  timeoutMs,
);

function contentOf(envelope: Buffer): readonly string[] {
  const { payload, payloadType, signatures } = JSON.parse(envelope.toString());
  const hex = (base64: string): string => Buffer.from(base64, 'base64').toString('hex');
  return [payloadType, hex(payload), ...signatures.map(({ sig }: { sig: string }) => hex(sig))];
}

it(
  'a damaged envelope vouches for the same content or for nothing',
  async () => {
    const key = await keyPair('std', ['std/']);
    const library = new MemoryLibrary();
    library.keys.push(key.trusted);
    const digest = await library.putSigned(NAME, TEXT, key.privateKey);
    const envelope = Buffer.from(library.files.get(NAME)!.envelope!);
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: envelope.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        async (at, flip) => {
          const damaged = Buffer.from(envelope);
          damaged[at]! ^= flip;
          const problem = await library.judge(NAME, digest, damaged);
          // What is still accepted says the same: only the key's name and the unused bits at the end of base64 mean nothing.
          if (problem === undefined) expect(contentOf(damaged)).toEqual(contentOf(envelope));
          else expect(problem.code).toMatch(/^KW31/);
        },
      ),
      { numRuns: runs },
    );
  },
  timeoutMs,
);

it('any text is a lock or none', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(readLock('kwam.lock', text).ok).toBe(false);
    }),
    { numRuns: runs },
  );
});
