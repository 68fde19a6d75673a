import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/random.ts';
import { chunkStream } from '../../src/verify.ts';
import { ed25519Signer, p256Signer, signWhole } from '../manifest/samples.ts';
import { installMs, launchChromium } from '../setup/chromium.ts';
import type { KwamPage } from './page/page.ts';
import { listOf, manifestOf, sha256Hex } from './streams.ts';

declare global {
  /** Set by page.ts, in the page only. */
  var kwam: KwamPage;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const data = seededRandom(31).fill(new Uint8Array(3_000_000));
data.fill(0, 1_000_000, 1_600_000);
const position = 1_234_567;
const damaged = data.slice();
damaged[position]! ^= 4;
/** The page withholds SIMD before the library loads. */
const withoutSimd = '<script>WebAssembly.validate = () => false</script>';

let server: Server;
let browser: Browser;
let origin: string;
const served = new Map<string, { type: string; body: string | Uint8Array }>();
const expectedChunks: [string, number, number][] = [];
const keys: { pem: string; envelope: string }[] = [];

const pageText = (head: string): string =>
  `<!doctype html><meta charset="utf-8"><title>kwam</title>${head}<script type="module" src="/app/assets/page.js"></script>`;

async function bundle(): Promise<string> {
  const result = await build({
    absWorkingDir: root,
    entryPoints: ['test/verify/page/page.ts'],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  return result.outputFiles[0]!.text;
}

async function signWith(make: typeof p256Signer, name: string): Promise<void> {
  const { signer, publicKey } = await make();
  const lengths = expectedChunks.map(([, , length]) => length);
  const { envelope } = await signWhole(manifestOf(data, lengths, [1_000_000, 2_000_000]), [signer]);
  const der = Buffer.from(await crypto.subtle.exportKey('spki', publicKey)).toString('base64');
  keys.push({ pem: `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----`, envelope: name });
  served.set(name, { type: 'application/json', body: envelope });
}

beforeAll(async () => {
  for (const { digest, offset, length } of await listOf(chunkStream([data]))) {
    expectedChunks.push([Buffer.from(digest).toString('hex'), offset, length]);
  }
  await signWith(p256Signer, '/p256.json');
  await signWith(ed25519Signer, '/ed25519.json');
  served.set('/', { type: 'text/html', body: pageText('') });
  served.set('/without-simd', { type: 'text/html', body: pageText(withoutSimd) });
  served.set('/app/assets/page.js', { type: 'text/javascript', body: await bundle() });
  // The library asks for ../../build/verify.wasm beside its own file; a bundle at /app/assets/ finds it here.
  served.set('/build/verify.wasm', {
    type: 'application/wasm',
    body: readFileSync(`${root}/build/verify.wasm`),
  });
  served.set('/data', { type: 'application/octet-stream', body: data });
  served.set('/damaged', { type: 'application/octet-stream', body: damaged });
  server = createServer((request, response) => {
    const found = served.get(request.url ?? '');
    response.writeHead(found ? 200 : 404, { 'content-type': found?.type ?? 'text/plain' }).end(found?.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await launchChromium();
}, installMs);

afterAll(async () => {
  await browser?.close();
  await new Promise((resolve) => server?.close(resolve) ?? resolve(undefined));
});

async function openPage(path: string): Promise<Page> {
  const page = await browser.newPage();
  page.on('pageerror', (error) => {
    throw error;
  });
  await page.goto(origin + path);
  await page.waitForFunction(() => 'kwam' in globalThis);
  return page;
}

describe.each([
  ['wasm', '/'],
  ['portable', '/without-simd'],
])('in a browser, engine %s', (engine, path) => {
  let page: Page;
  beforeAll(async () => {
    page = await openPage(path);
  }, installMs);

  it('is what runs', async () => {
    const name = await page.evaluate(() => globalThis.kwam.engine());
    expect(name).toBe(engine);
  });

  it('cuts and names a network stream as Node does', async () => {
    const found = await page.evaluate(() => globalThis.kwam.chunks('/data'));
    expect(found).toEqual(expectedChunks);
  });

  it('verifies signed manifests of both kinds of key and lets good data through', async () => {
    for (const { pem, envelope } of keys) {
      const good = await page.evaluate(
        ([envelope, pem]) => globalThis.kwam.verify(envelope!, '/data', pem!),
        [envelope, pem],
      );
      expect(good).toEqual({ good: data.length });
    }
  });

  it('stops before the damaged chunk and says where', async () => {
    const [, offset, length] = expectedChunks.find(([, at, size]) => at <= position && position < at + size)!;
    const outcome = await page.evaluate(
      ([envelope, pem]) => globalThis.kwam.verify(envelope!, '/damaged', pem!),
      [keys[0]!.envelope, keys[0]!.pem],
    );
    expect(outcome).toMatchObject({
      good: offset,
      code: 'CHUNK_DIGEST_MISMATCH',
      context: {
        chunk: expectedChunks.findIndex(([, at]) => at === offset),
        path: '"file-0"',
        lastPath: '"file-1"',
        offset,
        length,
        expected: sha256Hex(data.subarray(offset, offset + length)),
        actual: sha256Hex(damaged.subarray(offset, offset + length)),
      },
    });
  });

  it('refuses a manifest by a stranger', async () => {
    const outcome = await page.evaluate(
      ([envelope, pem]) => globalThis.kwam.verify(envelope!, '/data', pem!),
      [keys[0]!.envelope, keys[1]!.pem],
    );
    expect(outcome).toMatchObject({ good: 0, code: 'MANIFEST_SIGNATURE' });
  });
});
