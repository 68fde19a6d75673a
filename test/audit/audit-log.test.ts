/** The audit log: whole after every kill, and every change of it found. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AUDIT_BEGINNING, AuditChain, nextLine } from '../../src/audit/audit-chain.ts';
import { AuditLog } from '../../src/audit/audit-log.ts';
import { auditFiles } from '../../src/audit/audit-tail.ts';
import { verifyAuditFiles } from '../../src/audit/audit-verify.ts';
import { systemClock } from '../../src/clock.ts';
import { noteGap, writeAnchor } from '../../src/cluster/audit-anchor.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { seededRandom } from '../../src/random.ts';
import { FakeClock } from '../control/fake-clock.ts';
import { CAMPAIGN, chosenSeed } from '../store/packs.ts';

const AT = Date.parse('2026-11-20T12:00:00.000Z');
let directory: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), 'kwam-audit-'));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

const open = (fileBytes?: number) =>
  AuditLog.open({ directory, clock: new FakeClock(AT), ...(fileBytes && { fileBytes }) });
const paths = () => auditFiles(directory).map((name) => join(directory, name));
const verify = (anchor?: { seq: number; hash: string }) =>
  verifyAuditFiles(paths(), { isWhole: true, anchor });
const ruleOf = async (anchor?: { seq: number; hash: string }) => (await verify(anchor)).problem?.rule;
const text = (path: string): string => fs.readFileSync(path, 'utf8');

async function filled(records: number, fileBytes?: number): Promise<AuditLog['head']> {
  const log = open(fileBytes);
  for (let i = 0; i < records; i++) log.append({ kind: 'decision', allowed: i % 2 === 0, method: `m${i}` });
  await log.close();
  return log.head;
}

describe('a record', () => {
  it('is this text: the vector of ARCHITECTURE.md', () => {
    const event = { kind: 'decision', allowed: false, method: 'node.compact', rule: 'grant-peer' } as const;
    const first = nextLine(event, AUDIT_BEGINNING, '2026-11-20T12:00:00.000Z');
    expect(first.line.toString()).toBe(
      '{"allowed":false,"at":"2026-11-20T12:00:00.000Z","kind":"decision","method":"node.compact",' +
        '"prev":"0000000000000000000000000000000000000000000000000000000000000000","rule":"grant-peer","seq":0}\n',
    );
    const line = first.line.subarray(0, -1);
    expect(first.head.hash).toBe(createHash('sha256').update(line).digest('hex'));
    expect(first.head.hash).toBe('0d24a479eab88cc65460f0b7bcd586503b3f920110f596f5a2d021319c8659ef');
    expect(new AuditChain(AUDIT_BEGINNING).accept(line)).toMatchObject(event);
  });

  it('has a bound', () => {
    expect(() => open().append({ kind: 'x'.repeat(20_000) })).toThrow(/at most 16384 bytes/);
  });
});

describe('a log', () => {
  it('goes on over restarts and files, and is verified as a whole', async () => {
    await filled(30, 1000);
    await filled(30, 1000);
    expect(paths().length).toBeGreaterThan(5);
    expect(await verify()).toMatchObject({
      records: 60,
      allowed: 30,
      refused: 30,
      tornBytes: 0,
      problem: null,
    });
    const log = open();
    expect(log.head.seq).toBe(59);
    expect(await verify(log.head)).toMatchObject({ head: log.head, problem: null });
  });

  it('of a part says what the part says', async () => {
    await filled(30, 1000);
    const last = paths().at(-1)!;
    expect(await verifyAuditFiles([last], { isWhole: false })).toMatchObject({ problem: null });
    expect((await verifyAuditFiles([last], { isWhole: true })).problem?.rule).toBe('audit-beginning');
  });

  it('is no part of one that has no record', async () => {
    const path = join(directory, 'kept');
    const part = async () => (await verifyAuditFiles([path], { isWhole: false })).problem?.rule;
    fs.writeFileSync(path, 'nonsense');
    expect(await part()).toBe('audit-form');
    fs.writeFileSync(path, '');
    expect(await part()).toBeUndefined();
  });

  it('that is empty is whole', async () => {
    expect(await verify()).toMatchObject({ records: 0, problem: null });
    await open().close();
    expect(await verify(AUDIT_BEGINNING)).toMatchObject({ records: 0, problem: null });
  });

  it('sets a torn line aside as it was, and says so', async () => {
    await filled(3);
    fs.appendFileSync(paths()[0]!, '{"allowed":true,"at":"20');
    expect(await verify()).toMatchObject({ records: 3, tornBytes: 24, problem: null });
    await open().close();
    expect(text(join(directory, 'torn-000000000003.bin'))).toBe('{"allowed":true,"at":"20');
    expect(await verify()).toMatchObject({ records: 4, tornBytes: 0, problem: null });
    expect(text(paths()[0]!)).toContain('"file":"torn-000000000003.bin","kind":"torn"');
  });

  it('goes on after a file that was begun and never written', async () => {
    await filled(30, 1000);
    const { seq } = open().head;
    fs.writeFileSync(join(directory, `${String(seq + 1).padStart(12, '0')}.log`), '{"torn');
    await open().close();
    expect(await verify()).toMatchObject({ records: 31, problem: null });
  });

  it('does not go on after one that it cannot read', async () => {
    await filled(3);
    fs.writeFileSync(paths()[0]!, 'x'.repeat(200_000));
    expect(() => open()).toThrow(/whole record|record in the last/);
    fs.writeFileSync(join(directory, '000000000099.log'), 'x');
    expect(() => open()).toThrow();
  });
});

describe('a change of the log is found:', () => {
  const lines = () => text(paths()[0]!).trimEnd().split('\n');
  const write = (changed: string[]) => fs.writeFileSync(paths()[0]!, `${changed.join('\n')}\n`);
  const changes: [string, string, (all: string[]) => string[]][] = [
    ['a refusal made an allowance', 'audit-chain', (all) => all.with(3, all[3]!.replace('false', 'true'))],
    ['two records swapped', 'audit-sequence', (all) => all.with(3, all[4]!).with(4, all[3]!)],
    ['a record taken out', 'audit-sequence', (all) => all.toSpliced(4, 1)],
    ['a record put in', 'audit-sequence', (all) => all.toSpliced(4, 0, all[4]!)],
    ['the first record taken out', 'audit-sequence', (all) => all.slice(1)],
    [
      'a record taken out and the numbers closed up',
      'audit-chain',
      (all) => all.toSpliced(4, 1).map((line, at) => line.replace(/"seq":\d+/, `"seq":${at}`)),
    ],
    ['a line in another spelling', 'audit-form', (all) => all.with(3, all[3]!.replace(',', ', '))],
    ['a line cut in the middle', 'audit-form', (all) => all.with(3, all[3]!.slice(0, 40))],
  ];
  it.each(changes)('%s (%s)', async (_, rule, change) => {
    await filled(8);
    write(change(lines()));
    expect(await ruleOf()).toBe(rule);
  });

  it('any flipped bit before the last record', async () => {
    await filled(8);
    const path = paths()[0]!;
    const whole = fs.readFileSync(path);
    const end = whole.lastIndexOf('\n', whole.length - 2);
    const random = seededRandom(chosenSeed());
    for (let round = 0; round < (CAMPAIGN ? 3000 : 200); round++) {
      const changed = Buffer.from(whole);
      changed[random.below(end)]! ^= 1 << random.below(8);
      fs.writeFileSync(path, changed);
      expect((await verify()).problem).not.toBeNull();
    }
  });

  it('a file between others taken out, and one put in twice', async () => {
    await filled(60, 1000);
    const [first, second, third, ...rest] = paths();
    fs.renameSync(second!, join(directory, 'away'));
    expect(await ruleOf()).toBe('audit-sequence');
    const twice = [first!, join(directory, 'away'), join(directory, 'away'), third!, ...rest];
    expect((await verifyAuditFiles(twice, { isWhole: true })).problem?.rule).toBe('audit-sequence');
  });

  it('whole records cut off at the end, if the head is known from elsewhere, and only then', async () => {
    const head = await filled(8);
    write(lines().slice(0, 5));
    expect(await ruleOf()).toBeUndefined();
    expect(await ruleOf(head)).toBe('audit-truncated');
  });

  it('the last record changed, if the head is known from elsewhere', async () => {
    const head = await filled(8);
    write(lines().with(7, lines()[7]!.replace('false', 'true')));
    expect(await ruleOf()).toBeUndefined();
    expect(await ruleOf(head)).toBe('audit-anchor');
  });

  it('a log that its own node found shorter than it had been', async () => {
    await filled(3);
    const log = open();
    log.append({ kind: 'gap', anchored: 7 });
    log.append({ kind: 'decision', allowed: true });
    await log.close();
    expect(await ruleOf()).toBe('audit-gap');
  });
});

describe('a node that starts holds its log against its anchor', () => {
  const control = () => new MemoryControlStore({ clock: systemClock });
  /** A log of 9 records in several files whose record 6 is anchored. */
  async function anchored(store: MemoryControlStore): Promise<void> {
    await filled(7, 300);
    const log = open(300);
    await writeAnchor(store, 'n1', log);
    log.append({ kind: 'decision', method: 'm7' });
    log.append({ kind: 'decision', method: 'm8' });
    await log.close();
  }
  async function started(store: MemoryControlStore): Promise<boolean> {
    const log = open(300);
    const isNoted = await noteGap(store, 'n1', log);
    await log.close();
    return isNoted;
  }

  it('and takes it when it is as it was, or without an anchor', async () => {
    const store = control();
    expect(await started(store)).toBe(false);
    await anchored(store);
    expect(await started(store)).toBe(false);
    expect(await started(control())).toBe(false);
    expect(await ruleOf()).toBeUndefined();
  });

  it('which is an anchor, or an error', async () => {
    const store = control();
    const value = new TextEncoder().encode('{"schema":"kwam.audit-anchor/v9"}');
    await store.transact([], [{ kind: 'put', key: 'audit/n1', value }]);
    await expect(started(store)).rejects.toMatchObject({ code: 'INTEGRITY' });
  });

  it('of the time when there was no record yet', async () => {
    const store = control();
    const log = open();
    await writeAnchor(store, 'n1', log);
    await log.close();
    expect(await started(store)).toBe(false);
  });

  it('and says for ever that records are missing', async () => {
    const store = control();
    await anchored(store);
    for (const path of paths().slice(1)) fs.rmSync(path);
    expect(await started(store)).toBe(true);
    expect(await ruleOf()).toBe('audit-gap');
  });

  it.each([
    ['as many', 9],
    ['more', 12],
  ])('and says for ever that it was written anew, with %s records', async (_, records) => {
    const store = control();
    await anchored(store);
    for (const path of paths()) fs.rmSync(path);
    const log = open(300);
    for (let i = 0; i < records; i++) log.append({ kind: 'decision', method: 'harmless' });
    await log.close();
    expect(await ruleOf()).toBeUndefined();
    expect(await started(store)).toBe(true);
    expect(await ruleOf()).toBe('audit-altered');
  });
});

describe('kill -9', () => {
  const child = new URL('./append-loop.ts', import.meta.url).pathname;

  /** The number of the last record that the child said was written. */
  async function killedRun(afterMs: number): Promise<number> {
    const running = spawn(process.execPath, [child, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    running.stdout.setEncoding('utf8').on('data', (piece) => {
      output += piece;
    });
    const ended = new Promise<void>((resolve) => running.once('close', () => resolve()));
    while (output.split('\n').length < 3 && running.exitCode === null) await Promise.race([delay(1), ended]);
    await delay(afterMs);
    running.kill('SIGKILL');
    await ended;
    return Number(output.split('\n').at(-2));
  }

  it('loses no record that was written, at any moment', { timeout: 600_000 }, async () => {
    const random = seededRandom(chosenSeed());
    for (let round = 0; round < (CAMPAIGN ? 100 : 6); round++) {
      const written = await killedRun(random.below(15));
      const report = await verify();
      expect(report.problem, `round ${round}`).toBeNull();
      expect(report.head.seq).toBeGreaterThanOrEqual(written);
    }
  });
});
