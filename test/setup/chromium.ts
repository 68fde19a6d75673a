/** A headless browser for tests, from Debian's package. Who launches it closes it. */
import { type Browser, chromium } from 'playwright-core';
import { ensureDebianPackage } from './debian.ts';

/** Installing it on a fresh machine. */
export const installMs = 300_000;

export async function launchChromium(): Promise<Browser> {
  const executablePath = await ensureDebianPackage('chromium', '/usr/bin/chromium');
  return chromium.launch({
    executablePath,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
