/**
 * A pull over loopback between two processes.
 *   grpc-pull  MB/s (10^6 bytes) through Transport.pull with its default credit, beside a bare TLS 1.3 socket of node:tls
 *              between the same two processes with the same certificates: what encryption and TCP alone allow.
 * Both take turns round by round; value: median of the rounds; spread: their interquartile range divided by the median.
 * Digest: SHA-256 of the bytes of one further, untimed round; both sides must have received the same.
 * Does not measure disks: the sender's bytes are in memory, the receiver drops them.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, type Hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { assert } from '../src/errors.ts';
import type { Identity } from '../src/identity/identity.ts';
import { initAuthority, issueIdentity } from '../src/identity/identity-files.ts';
import { parseSpiffeId, parseTrustDomain } from '../src/identity/spiffe-id.ts';
import { MIB } from '../src/limits.ts';
import { grpcTransport } from '../src/transport/grpc.ts';
import type { Figure } from './figure.ts';

const SCALE = {
  smoke: { rounds: 3, bytes: 16 * MIB },
  real: { rounds: 11, bytes: 256 * MIB },
} as const;

/** Pulls so many bytes and shows each piece to `see`. */
type Pull = (bytes: number, see: (piece: Uint8Array) => void) => Promise<void>;

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const { rounds, bytes } = options.smoke ? SCALE.smoke : SCALE.real;
  const directory = mkdtempSync(join(tmpdir(), 'kwam-bench-'));
  const identity = await identities(directory);
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('transport-peer.ts', import.meta.url)), directory],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const transport = grpcTransport({ credentials: identity });
  try {
    const { grpc, port } = await addressesOf(child);
    const connection = await transport.connect(grpc, undefined);
    const ours: Pull = async (count, see) => {
      for await (const piece of connection.pull(count)) see(piece);
    };
    return [await compare(ours, bareTls(identity, port), rounds, bytes)];
  } finally {
    await transport.close();
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  }
}

async function identities(directory: string): Promise<Identity> {
  const validity = { nowMs: Date.now() };
  const issue = (name: string) =>
    issueIdentity(directory, name, parseSpiffeId(`spiffe://kwam.bench/${name}`), validity, console.error);
  await initAuthority(directory, parseTrustDomain('kwam.bench'), validity);
  await issue('server');
  return issue('client');
}

async function addressesOf(child: ChildProcess): Promise<{ grpc: string; port: number }> {
  for await (const line of createInterface({ input: child.stdout! })) return JSON.parse(line);
  throw new Error('the sending process ended before it listened');
}

function bareTls(identity: Identity, port: number): Pull {
  return (bytes, see) =>
    new Promise((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port,
        ca: identity.bundlePem,
        cert: identity.certificateChainPem,
        key: identity.privateKeyPem,
        checkServerIdentity: () => undefined,
      });
      socket.on('data', see).once('end', resolve).once('error', reject);
      socket.write(`${bytes}\n`);
    });
}

async function compare(ours: Pull, peer: Pull, rounds: number, bytes: number): Promise<Figure> {
  const [digest, peerDigest] = [await digestOf(ours, bytes), await digestOf(peer, bytes)];
  assert(digest === peerDigest, 'both ways carry the same bytes');
  const speeds: number[] = [];
  const peerSpeeds: number[] = [];
  for (let round = 0; round < rounds; round++) {
    speeds.push(await speedOf(ours, bytes));
    peerSpeeds.push(await speedOf(peer, bytes));
  }
  const value = quantile(speeds, 0.5);
  const peerValue = quantile(peerSpeeds, 0.5);
  return {
    name: 'grpc-pull',
    value,
    unit: 'MB/s',
    spread: (quantile(speeds, 0.75) - quantile(speeds, 0.25)) / value,
    peer: { name: 'bare TLS 1.3 socket', value: peerValue },
    ratio: value / peerValue,
    digest,
  };
}

async function digestOf(pull: Pull, bytes: number): Promise<string> {
  const hash: Hash = createHash('sha256');
  await pull(bytes, (piece) => hash.update(piece));
  return hash.digest('hex');
}

async function speedOf(pull: Pull, bytes: number): Promise<number> {
  let received = 0;
  const since = performance.now();
  await pull(bytes, (piece) => {
    received += piece.length;
  });
  const seconds = (performance.now() - since) / 1000;
  assert(received === bytes, 'nothing was lost');
  return bytes / 1e6 / seconds;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))]!;
}
