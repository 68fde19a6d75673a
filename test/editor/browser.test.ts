/**
 * The language in a browser: the tour is compiled there, with the standard modules, and the answers are those that Node gives.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modulesOf } from '../../src/cli/module-loading.ts';
import { quickFixes } from '../../src/editor/quick-fixes.ts';
import { semanticTokens } from '../../src/editor/semantic-tokens.ts';
import { compile } from '../../src/language/compile.ts';
import { format } from '../../src/language/format.ts';
import { installMs, launchChromium } from '../setup/chromium.ts';
import type { KwamEditorPage } from './page/page.ts';

declare global {
  /** Set by page.ts, in the page only. */
  var kwamEditor: KwamEditorPage;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOUR = readFileSync(`${ROOT}/examples/tour.kwam`, 'utf8');

let server: Server;
let browser: Browser;
let origin: string;

async function bundle(): Promise<string> {
  const result = await build({
    absWorkingDir: ROOT,
    entryPoints: ['test/editor/page/page.ts'],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  return result.outputFiles[0]!.text;
}

beforeAll(async () => {
  const page =
    '<!doctype html><meta charset="utf-8"><title>kwam</title><script type="module" src="/page.js"></script>';
  const served = new Map([
    ['/', { type: 'text/html', body: page }],
    ['/page.js', { type: 'text/javascript', body: await bundle() }],
    ['/tour.kwam', { type: 'text/plain; charset=utf-8', body: TOUR }],
  ]);
  for (const name of ['faultdomains', 'hardware', 'interconnects', 'sandbox']) {
    const body = readFileSync(`${ROOT}/std/${name}.kwam`, 'utf8');
    served.set(`/std/${name}.kwam`, { type: 'text/plain; charset=utf-8', body });
  }
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

describe('in a browser', () => {
  it(
    'the tour compiles as in Node, and an editor gets the same answers',
    async () => {
      const page = await browser.newPage();
      page.on('pageerror', (error) => {
        throw error;
      });
      await page.goto(origin);
      await page.waitForFunction(() => 'kwamEditor' in globalThis);
      const found = await page.evaluate(() => globalThis.kwamEditor.check('/tour.kwam'));

      const { modules, tables } = await modulesOf('/tour.kwam', TOUR, { environment: process.env });
      const here = compile('/tour.kwam', TOUR, { modules, context: { tables } });
      expect(found.holes).toEqual(here.program.holes.map(({ path, expected }) => ({ path, expected })));
      expect(found.holes.length).toBeGreaterThanOrEqual(7);
      expect(found.diagnostics).toEqual(
        here.diagnostics.map(({ code, severity, message, range }) => ({
          code,
          severity,
          message,
          at: [range.start.line, range.start.column],
        })),
      );
      expect(found.formatted).toBe(format('/tour.kwam', TOUR).text);
      expect(found.tokens).toBe(semanticTokens(here).length);
      expect(found.hover).toContain('`10m` is 600 seconds.');
      expect(found.completions).toBeGreaterThan(0);
      const fixes = quickFixes(here, tables, here.source.range(0, TOUR.length));
      expect(found.fixes).toEqual(fixes.map(({ title }) => title));
    },
    installMs,
  );
});
