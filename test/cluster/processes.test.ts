import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { processStartTicks } from '../../src/cluster/process-identity.ts';
import { processFile, readProcesses, writeProcesses } from '../../src/cluster/process-table.ts';
import { kill, type ProcessSpec, start, status, stop } from '../../src/cluster/processes.ts';

let directory: string;
const options = { clock: systemClock, readyMsMax: 20_000 };
const stopAll = { clock: systemClock, graceMs: 5000 };

function spec(name: string, script: string, ready: ProcessSpec['ready']): ProcessSpec {
  return {
    name,
    command: process.execPath,
    args: ['-e', script],
    env: { GREETING: `hello from ${name}` },
    logFile: path.join(directory, name, 'node.log'),
    ready,
  };
}

const stays = 'setInterval(() => {}, 1000);';
const line = { kind: 'line', text: 'ready' } as const;
const good = (name: string) =>
  spec(name, `${stays} console.log(process.env.GREETING); console.log('ready')`, line);

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'kwam-processes-'));
});
afterEach(async () => {
  if (fs.existsSync(processFile(directory))) await stop(directory, stopAll);
  fs.rmSync(directory, { recursive: true });
});

it('starts processes, lists them, and stops exactly those', async () => {
  const bystander = spawn(process.execPath, ['-e', stays], { stdio: 'ignore' });
  const started = await start(directory, [good('n1'), good('n2')], options);
  expect(started.map(({ name, state }) => `${name} ${state}`)).toEqual(['n1 running', 'n2 running']);
  expect(fs.readFileSync(started[1]!.logFile, 'utf8')).toContain('hello from n2');
  expect(status(directory)).toEqual(started);
  expect((await stop(directory, stopAll)).map(({ name }) => name)).toEqual(['n1', 'n2']);
  expect(started.map(({ pid }) => processStartTicks(pid))).toEqual([undefined, undefined]);
  expect(status(directory)).toEqual([]);
  expect(processStartTicks(bystander.pid!)).toBeDefined();
  bystander.kill('SIGKILL');
});

it('knows readiness by a file and by a URL', async () => {
  const file = path.join(directory, 'sign');
  const port = path.join(directory, 'port');
  await start(
    directory,
    [
      spec('byfile', `${stays} require('fs').writeFileSync(${JSON.stringify(file)}, '')`, {
        kind: 'file',
        path: file,
      }),
    ],
    options,
  );
  // The server answers 503 twice, so that only waiting for 2xx passes.
  const server = `let n = 0; const s = require('http').createServer((q, r) => { r.statusCode = n++ < 2 ? 503 : 200; r.end(); });
    s.listen(0, '127.0.0.1', () => require('fs').writeFileSync(${JSON.stringify(port)}, String(s.address().port)))`;
  const probe = spawn(process.execPath, ['-e', server], { stdio: 'ignore' });
  while (!fs.existsSync(port) || fs.readFileSync(port, 'utf8') === '') await systemClock.sleep(10);
  const url = `http://127.0.0.1:${fs.readFileSync(port, 'utf8')}/readyz`;
  const started = await start(directory, [spec('byurl', stays, { kind: 'url', url })], options);
  probe.kill('SIGKILL');
  expect(started.map(({ name }) => name)).toEqual(['byurl']);
  expect(status(directory).map(({ name }) => name)).toEqual(['byfile', 'byurl']);
});

it('refuses to start what runs and starts again what died', async () => {
  const [first] = await start(directory, [good('n1'), good('n2')], options);
  await expect(start(directory, [good('n1')], options)).rejects.toMatchObject({
    code: 'ALREADY_EXISTS',
    message: expect.stringContaining(`n1 (pid ${first!.pid})`),
  });
  await kill(directory, 'n1', systemClock);
  expect(
    status(directory)
      .map(({ state }) => state)
      .sort(),
  ).toEqual(['dead', 'running']);
  await expect(kill(directory, 'n1', systemClock)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const [again] = await start(directory, [good('n1')], options);
  expect(again!.pid).not.toBe(first!.pid);
  expect(status(directory).map(({ state }) => state)).toEqual(['running', 'running']);
});

it('stops single processes by name and keeps the others', async () => {
  await start(directory, [good('n1'), good('n2')], options);
  await stop(directory, { ...stopAll, names: ['n1'] });
  expect(status(directory).map(({ name, state }) => `${name} ${state}`)).toEqual(['n2 running']);
  await expect(stop(directory, { ...stopAll, names: ['n9'] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('tells the end of the log when a process ends before it is ready, and stops the others', async () => {
  const bad = spec('bad', "console.error('the disk is on fire'); process.exit(3)", line);
  await expect(start(directory, [good('n1'), bad], options)).rejects.toMatchObject({
    code: 'ENVIRONMENT',
    message: expect.stringMatching(/bad to get ready, but it ended; its log ends:\nthe disk is on fire/),
  });
  expect(status(directory)).toEqual([]);
});

it('gives up on a process that never gets ready', async () => {
  const slow = spec('slow', `${stays} console.log('still loading')`, line);
  await expect(start(directory, [slow], { ...options, readyMsMax: 1500 })).rejects.toMatchObject({
    code: 'ENVIRONMENT',
    message: expect.stringContaining('within 1500 ms'),
  });
  expect(status(directory)).toEqual([]);
});

it('says which program is missing', async () => {
  const missing = { ...good('n1'), command: '/nowhere/kwam-dp' };
  await expect(start(directory, [missing], options)).rejects.toMatchObject({
    code: 'ENVIRONMENT',
    message: expect.stringContaining('/nowhere/kwam-dp'),
  });
});

it('kills what does not heed SIGTERM', async () => {
  const deaf = spec('deaf', `process.on('SIGTERM', () => {}); ${stays} console.log('ready')`, line);
  const pid = (await start(directory, [deaf], options))[0]!.pid;
  await stop(directory, { clock: systemClock, graceMs: 200 });
  expect(processStartTicks(pid)).toBeUndefined();
});

it('never signals a recycled pid', async () => {
  const stranger = spawn(process.execPath, ['-e', stays], { stdio: 'ignore' });
  await once(stranger, 'spawn');
  const [ours] = await start(directory, [good('n1')], options);
  await kill(directory, 'n1', systemClock);
  // One tick earlier than the stranger: both may have started within the same 10 ms.
  const startTicks = processStartTicks(stranger.pid!)! - 1;
  writeProcesses(directory, [{ ...ours!, pid: stranger.pid!, startTicks }]);
  expect(status(directory).map(({ state }) => state)).toEqual(['dead']);
  expect(await stop(directory, stopAll)).toEqual([]);
  expect(processStartTicks(stranger.pid!)).toBeDefined();
  stranger.kill('SIGKILL');
});

it('survives the command that started it', async () => {
  const script = path.join(directory, 'start.mts');
  const source = path.resolve(import.meta.dirname, '../../src');
  fs.writeFileSync(
    script,
    `import { start } from ${JSON.stringify(`${source}/cluster/processes.ts`)};
     import { systemClock } from ${JSON.stringify(`${source}/clock.ts`)};
     await start(${JSON.stringify(directory)}, [${JSON.stringify(good('n1'))}], { clock: systemClock });`,
  );
  const command = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect(command.status, command.stderr).toBe(0);
  expect(status(directory).map(({ state }) => state)).toEqual(['running']);
  await stop(directory, stopAll);
});

it('refuses a list that it cannot read instead of guessing', () => {
  fs.writeFileSync(processFile(directory), '{"schema":"kwam.processes/v1","processes":[{"pid":1}]}');
  expect(() => readProcesses(directory)).toThrowError(expect.objectContaining({ code: 'ENVIRONMENT' }));
  fs.rmSync(processFile(directory));
});
