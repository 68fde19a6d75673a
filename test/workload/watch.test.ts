/** A real directory under a clock that the test moves. */
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KwamError } from '../../src/errors.ts';
import { type PutReport, watch } from '../../src/workload/watch.ts';
import { FakeClock } from '../control/fake-clock.ts';

const POLL_MS = 500;
const QUIET_MS = 10_000;

let directory: string;
let clock: FakeClock;
let stop: AbortController;
let running: Promise<void>;
let memory: Map<string, string>;
/** What was put: name and the content of its files at that moment. */
let puts: [string, string][];
let stored: string[];
let failures: [string, unknown][];
let onPut: (name: string) => PutReport | Promise<PutReport>;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-watch-'));
  memory = new Map();
  [puts, stored, failures] = [[], [], []];
  onPut = () => ({ bytes: 1 });
  begin();
});
afterEach(async () => {
  await end();
  fs.rmSync(directory, { recursive: true, force: true });
});

function begin(): void {
  clock = new FakeClock();
  stop = new AbortController();
  running = watch(
    {
      directory,
      quietMs: QUIET_MS,
      pollMs: POLL_MS,
      clock,
      put: async (path, name) => {
        puts.push([name, contentOf(path)]);
        return onPut(name);
      },
      memory: { get: (name) => memory.get(name), set: (name, version) => void memory.set(name, version) },
      onPut: (name) => stored.push(name),
      onFailure: (name, error) => failures.push([name, error]),
    },
    stop.signal,
  );
  running.catch(() => undefined);
}

async function end(): Promise<void> {
  stop.abort();
  await running.catch(() => undefined);
}

function contentOf(path: string): string {
  if (!fs.statSync(path).isDirectory()) return fs.readFileSync(path, 'utf8');
  const names = fs.readdirSync(path, { recursive: true }) as string[];
  const files = names.filter((name) => fs.statSync(join(path, name), { throwIfNoEntry: false })?.isFile());
  return files
    .sort()
    .map((name) => `${name}=${fs.readFileSync(join(path, name), 'utf8')}`)
    .join();
}

/** So many looks at the directory; the real time that passes between changes is what the kernel's clock needs to tell them apart. */
async function looks(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await clock.advance(POLL_MS);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const quiet = (): Promise<void> => looks(QUIET_MS / POLL_MS + 2);
const at = (...parts: string[]): string => join(directory, ...parts);
const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 12));

describe('a checkpoint is put', () => {
  it('at once when it was renamed to its final name, as a file and as a directory', async () => {
    fs.writeFileSync(at('step-1.tmp'), 'one');
    fs.mkdirSync(at('step-2.partial'));
    fs.writeFileSync(at('step-2.partial', 'weights'), 'two');
    await quiet();
    expect(puts).toEqual([]);
    await tick();
    fs.renameSync(at('step-1.tmp'), at('step-1'));
    await tick();
    fs.renameSync(at('step-2.partial'), at('step-2'));
    await looks(3);
    expect(puts).toEqual([
      ['step-1', 'one'],
      ['step-2', 'weights=two'],
    ]);
    await quiet();
    expect(stored).toEqual(['step-1', 'step-2']);
  });

  it.each(['.done', 'done', '_SUCCESS'])('at once when %s lies in it', async (marker) => {
    fs.mkdirSync(at('c'));
    fs.writeFileSync(at('c', 'w'), 'x');
    await looks(3);
    expect(puts).toEqual([]);
    fs.writeFileSync(at('c', marker), '');
    await looks(3);
    expect(stored).toEqual(['c']);
  });

  it('at once when its marker lies beside it, in the order of the markers', async () => {
    for (const name of ['a', 'b', 'c']) fs.writeFileSync(at(name), name);
    await looks(3);
    expect(puts).toEqual([]);
    for (const name of ['c', 'a', 'b']) {
      await tick();
      fs.writeFileSync(at(`${name}.done`), '');
    }
    await looks(3);
    expect(stored).toEqual(['c', 'a', 'b']);
  });

  it('when nothing in it has changed for the quiet time, oldest first', async () => {
    for (const name of ['z', 'y', 'x']) {
      fs.mkdirSync(at(name, 'deep', 'er'), { recursive: true });
      fs.writeFileSync(at(name, 'deep', 'er', 'file'), name);
      await tick();
    }
    await looks(QUIET_MS / POLL_MS - 1);
    expect(puts).toEqual([]);
    await looks(4);
    expect(stored).toEqual(['z', 'y', 'x']);
  });

  it('with names in it that are not UTF-8; one that has such a name itself is reported', async () => {
    fs.mkdirSync(at('c'));
    fs.writeFileSync(Buffer.from(`${at('c')}/\xff`, 'latin1'), 'x');
    fs.writeFileSync(Buffer.from(`${directory}/bad\xff`, 'latin1'), 'x');
    fs.writeFileSync(at('c', 'done'), '');
    await looks(3);
    expect(stored).toEqual(['c']);
    expect(failures.map(([name]) => name)).toEqual(['bad\ufffd']);
    await looks(3);
    expect(failures.length).toBe(1);
  });
});

describe('a checkpoint is never put half-written', () => {
  it('while somebody writes into it, however slowly', async () => {
    fs.mkdirSync(at('c'));
    for (let i = 0; i < 30; i++) {
      fs.appendFileSync(at('c', `part${i % 4}`), `${i} `);
      await looks(3);
    }
    expect(puts).toEqual([]);
    const whole = contentOf(at('c'));
    await quiet();
    expect(puts).toEqual([['c', whole]]);
  });

  it('because its mode was changed in the middle, which looks like a rename', async () => {
    for (const isDirectory of [false, true]) {
      const name = isDirectory ? 'd' : 'f';
      const file = isDirectory ? at(name, 'w') : at(name);
      if (isDirectory) fs.mkdirSync(at(name));
      fs.writeFileSync(file, 'half');
      await looks(2);
      await tick();
      fs.chmodSync(at(name), 0o700);
      await looks(4);
      expect(puts).toEqual([]);
      fs.appendFileSync(file, ' whole');
      await quiet();
      expect(puts.splice(0)).toEqual([[name, isDirectory ? 'w=half whole' : 'half whole']]);
    }
  });

  it('because its marker came before its last file', async () => {
    fs.mkdirSync(at('c'));
    fs.writeFileSync(at('c', 'done'), '');
    fs.writeFileSync(at('c', 'late'), 'x');
    await looks(1);
    fs.writeFileSync(at('c', 'later'), 'y');
    await looks(1);
    expect(puts).toEqual([]);
    await looks(2);
    expect(puts).toEqual([['c', 'done=,late=x,later=y']]);
  });

  it.each(['.hidden', 'a.tmp', 'b.partial', 'c.incomplete', 'd.done'])(
    'under the name %s, whatever its age',
    async (name) => {
      fs.writeFileSync(at(name), 'x');
      await quiet();
      expect(puts).toEqual([]);
    },
  );
});

describe('a checkpoint is put again', () => {
  it('when it changed while it was put', async () => {
    fs.writeFileSync(at('c'), 'one');
    onPut = (name) => {
      if (puts.length === 1) fs.appendFileSync(at(name), ' two');
      return { bytes: 1 };
    };
    await quiet();
    expect(puts).toEqual([['c', 'one']]);
    expect(stored).toEqual([]);
    await quiet();
    expect(puts.at(-1)).toEqual(['c', 'one two']);
    expect(stored).toEqual(['c']);
  });

  it('when the put itself saw files change, though they look the same now', async () => {
    fs.writeFileSync(at('c'), 'one');
    onPut = () => ({ bytes: 1, problems: puts.length === 1 ? [{ path: 'c', reason: 'changed' }] : [] });
    await quiet();
    await looks(4);
    expect(puts.length).toBe(2);
    expect(stored).toEqual(['c']);
  });

  it('when it was overwritten later', async () => {
    fs.writeFileSync(at('c'), 'one');
    await quiet();
    fs.writeFileSync(at('new.tmp'), 'two');
    await tick();
    fs.renameSync(at('new.tmp'), at('c'));
    await looks(3);
    expect(puts).toEqual([
      ['c', 'one'],
      ['c', 'two'],
    ]);
  });

  it('after a failure, with growing pauses', async () => {
    fs.writeFileSync(at('c'), 'one');
    onPut = () => Promise.reject(new KwamError('UNAVAILABLE', 'no nodes'));
    await quiet();
    const first = failures.length;
    await looks(40);
    const second = failures.length - first;
    await looks(40);
    const third = failures.length - first - second;
    expect(first).toBeGreaterThanOrEqual(1);
    expect(first + second).toBeGreaterThanOrEqual(3);
    expect(third).toBeLessThan(first + second);
    expect(third).toBeLessThanOrEqual(2);
    onPut = () => ({ bytes: 1 });
    await looks(130);
    expect(stored).toEqual(['c']);
  });
});

it('what was put is remembered over a restart, and what was not is put', async () => {
  fs.writeFileSync(at('old'), 'x');
  await quiet();
  await end();
  fs.writeFileSync(at('new'), 'y');
  begin();
  await quiet();
  expect(puts.map(([name]) => name)).toEqual(['old', 'new']);
});

it('an entry that is stored without some of its files is reported once and not put for ever', async () => {
  fs.writeFileSync(at('c'), 'x');
  onPut = () => ({ bytes: 1, problems: [{ path: 'socket', reason: 'unsupported' }] });
  await quiet();
  await quiet();
  expect(stored).toEqual(['c']);
  expect(failures.length).toBe(1);
  expect(String(failures[0]![1])).toContain('socket');
});

it('a directory that goes away for a while is reported, and watched again when it is back', async () => {
  await looks(1);
  fs.renameSync(directory, `${directory}-away`);
  await looks(2);
  expect(failures.length).toBeGreaterThanOrEqual(1);
  expect(failures[0]![1]).toMatchObject({ code: 'ENVIRONMENT' });
  fs.renameSync(`${directory}-away`, directory);
  fs.writeFileSync(at('c'), 'x');
  await quiet();
  expect(stored).toEqual(['c']);
});

it('a directory that is not there to begin with is an error at once', async () => {
  const options = {
    directory: at('none'),
    quietMs: 1,
    pollMs: 1,
    clock,
    memory,
    onPut: () => undefined,
    onFailure: () => undefined,
  };
  const never = watch(
    { ...options, memory: { get: () => undefined, set: () => undefined }, put: async () => ({ bytes: 0 }) },
    stop.signal,
  );
  await expect(never).rejects.toMatchObject({ code: 'ENVIRONMENT' });
});

it('stopping in the middle of a put ends the watch without a word about it', async () => {
  fs.writeFileSync(at('c'), 'x');
  onPut = () => {
    stop.abort();
    return Promise.reject(new KwamError('CANCELLED', 'stopped'));
  };
  await quiet();
  await running;
  expect(failures).toEqual([]);
  expect(stored).toEqual([]);
});
