/**
 * The memory twin of the transport: a network of any number of peers inside one process, for tests and simulation.
 * Uses the same credits, messages and stream halves as grpc.ts; only the wire is a queue. Bytes and JSON are copied, as
 * on a real wire, so that nobody comes to rely on sharing.
 * With a seed it is a bad network: latency per message, connections that break, single bits that flip in bulk bytes, calls that arrive
 * twice, directions in which nothing arrives. A stream keeps its order, as over TCP: a lost packet is one that comes late and holds
 * up what follows it, and only different streams overtake each other.
 * The faults repeat with the seed as long as the order of messages does. Does not model bandwidth.
 */
import { type Clock, systemClock } from '../clock.ts';
import { KwamError } from '../errors.ts';
import { streamCreditBytes } from '../limits.ts';
import { type Random, seededRandom } from '../random.ts';
import { formatAddress, parseAddress } from './address.ts';
import { consumeBytes, consumeJson, type OpenStream } from './consume-stream.ts';
import { CreditGate, CreditReceiver } from './credit.ts';
import { lostPeer, portTaken, wrongPeer } from './failures.ts';
import { creditBytesOf, type StreamOpen, serveStream } from './serve-stream.ts';
import {
  type CallContext,
  type Connection,
  type Handler,
  type Listener,
  type PeerId,
  silentObserver,
  type Transport,
  type TransportObserver,
} from './transport.ts';
import { decodeError, decodeOpen, encodeError, encodeOpen, type Open } from './wire.ts';

/** All peers of this network are in one process. */
const LOOPBACK = '127.0.0.1';

export interface MemoryFaults {
  readonly seed: number;
  readonly latencyMsMin?: number;
  readonly latencyMsMax?: number;
  /** On average one message in this many breaks its connection. */
  readonly messagesPerBreak?: number;
  /** On average one bulk message in this many arrives with one bit flipped. */
  readonly messagesPerFlip?: number;
  /** On average one message in this many is lost, and comes once it was sent again: up to `resendMsMax` later. */
  readonly messagesPerLoss?: number;
  readonly resendMsMax?: number;
  /** On average one call in this many is carried out twice, and answered once. */
  readonly callsPerDuplicate?: number;
  /** After this long without an answer a peer gives a silent connection up. */
  readonly silenceMs?: number;
}

export type NetworkFault = 'break' | 'flip' | 'loss' | 'duplicate' | 'blocked' | 'delay' | 'reorder';

export interface MemoryNetwork {
  transport(self: PeerId, observer?: TransportObserver): Transport;
  /** The peer that listens there is gone at once, as after kill -9: its streams break, its port is free. */
  kill(address: string): void;
  /** From now on nothing that `from` sends arrives at `to`; the other direction is another matter. */
  block(from: PeerId, to: PeerId): void;
  unblock(from: PeerId, to: PeerId): void;
  isBlocked(from: PeerId, to: PeerId): boolean;
}

interface Site {
  readonly peer: PeerId;
  readonly handler: Handler;
  readonly streams: Set<ServedStream>;
  readonly observer: TransportObserver;
}

interface ServedStream {
  /** Ends both halves as if the wire had been cut. */
  cut(): void;
}

/** As gRPC's keepalive: a ping after 4 s, and 4 s for its answer (grpc.ts). */
const SILENCE_MS = 8_000;
/** First port that `HOST:0` gives out; the range of ephemeral ports (RFC 6335). */
const PORT_FIRST = 49_152;

/** @param onFault  told of each fault that happened to a message. */
export function memoryNetwork(
  faults?: MemoryFaults,
  clock: Clock = systemClock,
  onFault: (fault: NetworkFault) => void = () => undefined,
): MemoryNetwork {
  const sites = new Map<string, Site>();
  const wire = new MemoryWire(faults, clock, onFault);
  const kill = (address: string) => {
    const site = sites.get(address);
    sites.delete(address);
    for (const stream of [...(site?.streams ?? [])]) stream.cut();
  };
  return {
    kill,
    block: (from, to) => void wire.blocked.add(directionOf(from, to)),
    unblock: (from, to) => void wire.blocked.delete(directionOf(from, to)),
    isBlocked: (from, to) => wire.isBlocked(from, to),
    transport: (self, observer = silentObserver) => new MemoryTransport(self, observer, sites, wire, kill),
  };
}

const directionOf = (from: PeerId, to: PeerId): string => `${from} ${to}`;

/** Carries messages in order, late and sometimes badly. */
class MemoryWire {
  readonly clock: Clock;
  readonly blocked = new Set<string>();
  readonly #onFault: (fault: NetworkFault) => void;
  readonly #faults: MemoryFaults;
  readonly #random: Random;
  /** Of each direction, which of its messages arrived that was sent last. */
  readonly #newest = new Map<string, number>();
  #sent = 0;

  constructor(faults: MemoryFaults | undefined, clock: Clock, onFault: (fault: NetworkFault) => void) {
    this.clock = clock;
    this.#onFault = onFault;
    this.#faults = faults ?? { seed: 0 };
    this.#random = seededRandom(this.#faults.seed);
  }

  #oneIn(count: number | undefined, fault: NetworkFault): boolean {
    if (count === undefined || this.#random.below(count) !== 0) return false;
    this.#onFault(fault);
    return true;
  }

  breaks(): boolean {
    return this.#oneIn(this.#faults.messagesPerBreak, 'break');
  }

  comesTwice(): boolean {
    return this.#oneIn(this.#faults.callsPerDuplicate, 'duplicate');
  }

  isBlocked(from: PeerId, to: PeerId): boolean {
    return this.blocked.has(directionOf(from, to));
  }

  /** What somebody waits for that will never come. */
  silence(): Promise<void> {
    this.#onFault('blocked');
    return this.clock.sleep(this.#faults.silenceMs ?? SILENCE_MS);
  }

  copyOf(message: Uint8Array, bulk: boolean): Uint8Array {
    const copy = message.slice();
    if (bulk && this.#oneIn(this.#faults.messagesPerFlip, 'flip')) {
      const bit = this.#random.below(copy.length * 8);
      copy[bit >>> 3]! ^= 1 << (bit & 7);
    }
    return copy;
  }

  /** One direction of one stream: what is posted runs later, one after another, and nothing after one that was lost for good. */
  lane(from: PeerId, to: PeerId, onSilence: () => void): (act: () => void) => void {
    let last: Promise<void> = Promise.resolve();
    let isLost = false;
    const direction = directionOf(from, to);
    const deliver = (act: () => void, number: number): void => {
      if (isLost) return;
      isLost = this.blocked.has(direction);
      if (isLost) return void this.silence().then(onSilence);
      this.#arrived(direction, number);
      act();
    };
    return (act) => {
      const pause = this.#latencyMs();
      const number = this.#sent++;
      last = last
        .then(() => (pause > 0 ? this.clock.sleep(pause) : undefined))
        .then(() => deliver(act, number));
    };
  }

  #arrived(direction: string, number: number): void {
    const newest = this.#newest.get(direction) ?? -1;
    if (number < newest) this.#onFault('reorder');
    else this.#newest.set(direction, number);
  }

  #latencyMs(): number {
    const { latencyMsMin = 0, latencyMsMax = latencyMsMin, resendMsMax = 0 } = this.#faults;
    const latency = latencyMsMin + this.#random.below(latencyMsMax - latencyMsMin + 1);
    if (latency > 0) this.#onFault('delay');
    const isLate = this.#oneIn(this.#faults.messagesPerLoss, 'loss');
    return isLate ? latency + this.#random.below(resendMsMax + 1) : latency;
  }
}

class MemoryTransport implements Transport {
  readonly name = 'memory';
  readonly #self: PeerId;
  readonly #observer: TransportObserver;
  readonly #sites: Map<string, Site>;
  readonly #wire: MemoryWire;
  readonly #kill: (address: string) => void;
  readonly #listening = new Set<string>();
  readonly #connections = new Set<Connection>();

  constructor(
    self: PeerId,
    observer: TransportObserver,
    sites: Map<string, Site>,
    wire: MemoryWire,
    kill: (address: string) => void,
  ) {
    this.#self = self;
    this.#observer = observer;
    this.#sites = sites;
    this.#wire = wire;
    this.#kill = kill;
  }

  async listen(address: string, handler: Handler): Promise<Listener> {
    const wanted = parseAddress(address);
    let port = wanted.port;
    if (port === 0) for (port = PORT_FIRST; this.#sites.has(formatAddress({ ...wanted, port })); ) port++;
    const actual = formatAddress({ ...wanted, port });
    if (this.#sites.has(actual)) throw portTaken(actual);
    this.#sites.set(actual, { peer: this.#self, handler, streams: new Set(), observer: this.#observer });
    this.#listening.add(actual);
    return {
      address: actual,
      close: async () => {
        if (this.#listening.delete(actual)) this.#kill(actual);
      },
    };
  }

  async connect(address: string, expected: PeerId | undefined): Promise<Connection> {
    parseAddress(address);
    const peer = this.#sites.get(address)?.peer;
    if (peer === undefined) throw lostPeer(address);
    if (this.#wire.isBlocked(this.#self, peer) || this.#wire.isBlocked(peer, this.#self)) {
      await this.#wire.silence();
      throw lostPeer(address);
    }
    if (expected !== undefined && peer !== expected) throw wrongPeer(address, expected, peer);
    const live = new Set<ServedStream>();
    let closed = false;
    const open =
      (request: Open & StreamOpen): OpenStream =>
      () => {
        const site = this.#sites.get(address);
        if (closed || site === undefined) throw lostPeer(address);
        if (site.peer !== peer) throw wrongPeer(address, peer, site.peer);
        return this.#openStream(site, address, request, live);
      };
    const connection: Connection = {
      peer,
      call: (method, request, { signal } = {}) =>
        consumeJson(open({ kind: 'call', method, request }), signal),
      pull: (request, { creditBytes = streamCreditBytes, signal } = {}) =>
        consumeBytes(open({ kind: 'pull', request, creditBytes }), signal),
      close: async () => {
        closed = true;
        this.#connections.delete(connection);
        for (const stream of [...live]) stream.cut();
      },
    };
    this.#connections.add(connection);
    return connection;
  }

  async close(): Promise<void> {
    for (const address of this.#listening) this.#kill(address);
    this.#listening.clear();
    for (const connection of [...this.#connections]) await connection.close();
  }

  #openStream(site: Site, address: string, request: StreamOpen, live: Set<ServedStream>): CreditReceiver {
    const toServer = this.#wire.lane(this.#self, site.peer, () => stream.cut());
    const toClient = this.#wire.lane(site.peer, this.#self, () => stream.cut());
    const left = new AbortController();
    const open = decodeOpen(encodeOpen(request)) as StreamOpen;
    const gate = new CreditGate(creditBytesOf(open), this.#wire.clock, (ms) =>
      site.observer.waitedForCredit(this.#self, ms),
    );
    const leave = (error: unknown) => {
      gate.fail(error);
      left.abort(error);
    };
    const receiver = new CreditReceiver(creditBytesOf(open), {
      grant: (bytes) => toServer(() => grantOrLeave(gate, bytes, leave)),
      cancel: () => toServer(() => leave(new KwamError('CANCELLED', 'the client left the stream'))),
    });
    const stream: ServedStream = {
      cut: () => {
        receiver.fail(lostPeer(address), false);
        leave(lostPeer(this.#self));
      },
    };
    for (const streams of [site.streams, live]) streams.add(stream);
    const send = async (message: Uint8Array): Promise<void> => {
      left.signal.throwIfAborted();
      if (this.#wire.breaks()) return stream.cut();
      const copy = this.#wire.copyOf(message, open.kind === 'pull');
      toClient(() => {
        this.#observer.received(site.peer, copy.length);
        receiver.push(copy);
      });
    };
    const context = { peer: this.#self, address: LOOPBACK, signal: left.signal };
    const serve = () =>
      serveStream(open, site.handler, context, gate, send, site.observer)
        .then(
          () => toClient(() => receiver.end()),
          (error: unknown) =>
            toClient(() => receiver.fail(decodeError(encodeError(error), site.peer), false)),
        )
        .finally(() => {
          for (const streams of [site.streams, live]) streams.delete(stream);
        });
    toServer(() => {
      if (left.signal.aborted) return;
      void serve();
      if (open.kind === 'call' && this.#wire.comesTwice()) void serveUnheard(open, site.handler, context);
    });
    return receiver;
  }
}

/** Carries a call out whose answers nobody gets. Its failure is one of them. */
async function serveUnheard(
  open: Extract<StreamOpen, { kind: 'call' }>,
  handler: Handler,
  context: CallContext,
): Promise<void> {
  try {
    for await (const _ of handler.call(open.method, open.request, context))
      if (context.signal.aborted) return;
  } catch {
    return; // a failure is an answer too, and nobody hears it
  }
}

function grantOrLeave(gate: CreditGate, bytes: number, leave: (error: unknown) => void): void {
  try {
    gate.grant(bytes);
  } catch (error) {
    leave(error);
  }
}
