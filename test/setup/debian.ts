/**
 * Programs that tests drive but npm does not carry (a browser, a peer tool), from Debian's own packages.
 * In: the package's name and a file that exists once it is installed. Out: that file's path, installed when it was missing.
 * Several test files may ask at once, in several processes: a lock directory lets one of them run apt.
 * A failure to install throws, so the test that needs the program fails: it is never passed over.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const LOCK = join(tmpdir(), 'kwam-debian-packages.lock');
const HOLDER = join(LOCK, 'pid');
const pollMs = 200;
/** Somebody else on this machine may be installing too. */
const dpkgLockSeconds = 120;
/** A holder writes its pid right after it makes the directory; without one for this long, it died in between. */
const holderlessMsMax = 5_000;

function holderIsAlive(): boolean {
  try {
    process.kill(Number(readFileSync(HOLDER, 'utf8')), 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function tryLock(): boolean {
  try {
    mkdirSync(LOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
  writeFileSync(HOLDER, String(process.pid));
  return true;
}

async function lock(): Promise<void> {
  let deadForMs = 0;
  while (!tryLock()) {
    await sleep(pollMs);
    deadForMs = holderIsAlive() ? 0 : deadForMs + pollMs;
    if (deadForMs >= holderlessMsMax) rmSync(LOCK, { recursive: true, force: true });
  }
}

function apt(...args: string[]): void {
  const asRoot = process.getuid?.() === 0;
  const [command, ...rest] = asRoot ? ['apt-get', ...args] : ['sudo', '-n', 'apt-get', ...args];
  const result = spawnSync(command!, rest, {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (result.status === 0) return;
  const said =
    result.error?.message ?? `${result.stdout}${result.stderr}`.trim().split('\n').slice(-8).join('\n');
  throw new Error(
    `apt-get ${args.join(' ')} failed; this test needs the package, install it by hand:\n${said}`,
  );
}

export async function ensureDebianPackage(name: string, probe: string): Promise<string> {
  if (existsSync(probe)) return probe;
  await lock();
  try {
    if (existsSync(probe)) return probe;
    apt('update', '-q');
    apt(
      'install',
      '-o',
      `DPkg::Lock::Timeout=${dpkgLockSeconds}`,
      '-y',
      '-q',
      '--no-install-recommends',
      name,
    );
  } finally {
    rmSync(LOCK, { recursive: true, force: true });
  }
  if (!existsSync(probe)) throw new Error(`Debian package ${name} was installed but ${probe} is missing`);
  return probe;
}
