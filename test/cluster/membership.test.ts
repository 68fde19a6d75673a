import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Membership, type NodeSelf } from '../../src/cluster/membership.ts';
import type { ControlStore } from '../../src/control/control-store.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import { KwamError } from '../../src/errors.ts';
import { FakeClock } from '../control/fake-clock.ts';

function node(name: string, changes: Partial<NodeSelf> = {}): NodeSelf {
  return {
    name,
    spiffe: `spiffe://kwam/node/${name}`,
    address: '127.0.0.1:7000',
    metricsAddress: '127.0.0.1:9000',
    labels: { rack: 'r1', pdu: 'p1', spine: 's1', az: 'az1' },
    weight: 1,
    ...changes,
  };
}

/** A store that can be cut off, as a network would. */
function breakable(store: ControlStore) {
  let cut = false;
  const guard = async <T>(act: () => Promise<T>): Promise<T> => {
    if (cut) throw new KwamError('UNAVAILABLE', 'the control store cannot be reached', { retryable: true });
    return act();
  };
  const control: ControlStore = {
    get: (key) => guard(() => store.get(key)),
    list: (prefix, options) => guard(() => store.list(prefix, options)),
    transact: (compares, operations) => guard(() => store.transact(compares, operations)),
    grantLease: (ttlMs) => guard(() => store.grantLease(ttlMs)),
    keepAlive: (lease) => guard(() => store.keepAlive(lease)),
    revokeLease: (lease) => guard(() => store.revokeLease(lease)),
    async *watch(prefix, options) {
      for await (const event of store.watch(prefix, options)) yield await guard(async () => event);
    },
    requireWhole: () => guard(() => store.requireWhole()),
    close: () => store.close(),
  };
  return {
    control,
    cut: (value: boolean) => {
      cut = value;
    },
  };
}

describe('membership', () => {
  let clock: FakeClock;
  let store: MemoryControlStore;
  const joined: Membership[] = [];
  const join = async (self: NodeSelf, control: ControlStore = store, pid = process.pid) => {
    const membership = await Membership.join(control, self, clock, { pid });
    joined.push(membership);
    return membership;
  };
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += 100) await clock.advance(100);
  };
  const states = async (membership: Membership) =>
    (await membership.members()).map(({ name, state }) => `${name} ${state}`);
  /** A node that stops without a word: its heartbeat cannot reach the store any more. */
  const crash = async (self: NodeSelf, pid?: number) => {
    const { control, cut } = breakable(store);
    await join(self, control, pid);
    cut(true);
  };

  beforeEach(() => {
    clock = new FakeClock();
    store = new MemoryControlStore({ clock });
  });
  afterEach(async () => {
    for (const membership of joined.splice(0)) await membership.leave();
    await store.close();
  });

  it('shows all that a node says about itself', async () => {
    const membership = await join(node('n1', { weight: 2.5 }));
    expect(await membership.members()).toEqual([
      expect.objectContaining({ ...node('n1', { weight: 2.5 }), pid: process.pid, state: 'up' }),
    ]);
  });

  it('keeps a node up for as long as its heart beats, and no longer than its lease after that', async () => {
    const watcher = await join(node('n1'));
    await crash(node('n2'));
    await pass(2900);
    expect(await states(watcher)).toEqual(['n1 up', 'n2 up']);
    await pass(200);
    expect(await states(watcher)).toEqual(['n1 up', 'n2 down']);
    await pass(60_000);
    expect(await states(watcher)).toEqual(['n1 up', 'n2 down']);
  });

  it('tells listeners of every change until they leave', async () => {
    const membership = await join(node('n1'));
    const seen: string[] = [];
    const stop = membership.onChange((members) => {
      seen.push(members.map(({ name, state }) => `${name} ${state}`).join(', '));
    });
    const other = await join(node('n2'));
    await pass(100);
    await other.leave();
    await pass(100);
    expect(new Set(seen)).toEqual(new Set(['n1 up, n2 up', 'n1 up, n2 down']));
    expect(seen.at(-1)).toBe('n1 up, n2 down');
    stop();
    const heard = seen.length;
    await join(node('n3'));
    await pass(100);
    expect(seen).toHaveLength(heard);
  });

  it('refuses a name that a live process holds and says who it is', async () => {
    await join(node('n1'));
    await expect(join(node('n1', { address: '127.0.0.1:7001' }))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringMatching(
        new RegExp(`n1 to be free, but process ${process.pid} at 127.0.0.1:7000 .*another name`),
      ),
    });
  });

  it('hands the name of a killed process to its successor at once', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    await crash(node('n1'), child.pid);
    await expect(join(node('n1'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    child.kill('SIGKILL');
    await once(child, 'exit');
    const successor = await join(node('n1', { address: '127.0.0.1:7002' }));
    await pass(10_000);
    expect(await successor.members()).toEqual([
      expect.objectContaining({ state: 'up', pid: process.pid, address: '127.0.0.1:7002' }),
    ]);
  });

  it('hands the name of a process it cannot see over when its lease has ended', async () => {
    await crash(node('n1'));
    await expect(join(node('n1'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await pass(3000);
    expect(await states(await join(node('n1')))).toEqual(['n1 up']);
  });

  it('raises the epoch when the topology changes and only then', async () => {
    const first = await join(node('n1'));
    const { epoch } = first;
    const second = await join(node('n2'));
    await pass(100);
    expect(first.epoch).toBe(epoch + 1);
    await second.leave();
    const again = await join(node('n2', { address: '127.0.0.1:7005' }));
    await pass(100);
    expect(first.epoch).toBe(epoch + 1);
    await again.leave();
    const heavier = await join(node('n2', { weight: 3 }));
    await pass(100);
    expect(first.epoch).toBe(epoch + 2);
    await heavier.leave();
    await first.removeNode('n2');
    await pass(100);
    expect(first.epoch).toBe(epoch + 3);
    expect(await states(first)).toEqual(['n1 up']);
  });

  it('does not forget a node that is up or was never there', async () => {
    const membership = await join(node('n1'));
    await expect(membership.removeNode('n1')).rejects.toMatchObject({ code: 'REFUSED' });
    await expect(membership.removeNode('n9')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('lets many nodes join at the same moment', async () => {
    await Promise.all(Array.from({ length: 12 }, (_, i) => join(node(`n${i + 10}`))));
    await pass(100);
    expect(await states(joined[0]!)).toHaveLength(12);
    expect(joined[0]!.epoch).toBe(12);
  });

  it('keeps the last known members while the control store is out of reach, and comes back', async () => {
    const { control, cut } = breakable(store);
    const membership = await join(node('n1'), control);
    const other = await join(node('n2'));
    await pass(100);
    cut(true);
    await pass(5000);
    expect(membership.controlReachable).toBe(false);
    expect(membership.controlProblems[0]).toContain('cannot be reached');
    expect(await states(membership)).toEqual(['n1 up', 'n2 up']);
    expect(await states(other)).toEqual(['n1 down', 'n2 up']);
    cut(false);
    await pass(11_000);
    expect(membership.controlReachable).toBe(true);
    expect(await states(other)).toEqual(['n1 up', 'n2 up']);
    expect(await states(membership)).toEqual(['n1 up', 'n2 up']);
  });

  it('observes without being a member', async () => {
    await join(node('n1'));
    const observer = await Membership.observe(store, clock);
    joined.push(observer);
    expect(await states(observer)).toEqual(['n1 up']);
  });

  it.each(['', 'epoch', 'N1', '-n', 'a/b', 'a.b', 'x'.repeat(64)])('refuses %j as a name', async (name) => {
    await expect(join(node(name, { spiffe: 'spiffe://kwam/node/x' }))).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  it('does not start on a record that somebody else wrote under its keys', async () => {
    await store.transact(
      [],
      [{ kind: 'put', key: 'topology/n7', value: new TextEncoder().encode('{"a":1}') }],
    );
    await expect(join(node('n1'))).rejects.toMatchObject({
      code: 'INTEGRITY',
      message: expect.stringContaining('topology/n7'),
    });
    expect(await store.get('nodes/n1')).toBeUndefined();
  });
});
