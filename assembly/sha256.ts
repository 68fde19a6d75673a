/**
 * SHA-256 of many messages and of one stream.
 * In: JOBS, u32 (pointer, length) pairs; or pointers given to sha256Update. Out: 32 digest bytes a message in DIGESTS, in
 * the order of the jobs and in the byte order in which the standard prints them.
 * Source: FIPS 180-4 (padding in 5.1.1, initial value in 5.3.3).
 *
 * Four messages of any lengths run side by side. Each lane owns a place of its own:
 *
 *   TURNS + 16·lane:    | pointer u32 | whole blocks left u32 | job u32 | phase u32 |
 *   PADDED + 128·lane:  the last one or two blocks of the lane's message, padded
 *
 * A lane reads its message where it lies, then its padded blocks, writes its digest and takes the next job; a lane's
 * state is loaded and stored only then. Bytes at the pointers are only read. SCRATCH and INPUT stay untouched.
 */
import { DIGESTS, JOBS } from './memory';
import { compressLanes, LANES } from './sha256-lanes';
import { compressOne } from './sha256-one';

const INITIAL: usize = memory.data<u32>(
  [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
  16,
);
const TURNS: usize = memory.data(64, 16);
const PADDED: usize = memory.data(512, 16);
/** State of the message that runs alone at the end. */
const ALONE: usize = memory.data(32, 16);
/** | state u32[8] | bytes so far u64 | zero u64 | held bytes u8[64] | */
const STREAM: usize = memory.data(112, 16);
const STREAM_COUNT: usize = STREAM + 32;
const STREAM_HELD: usize = STREAM + 48;
const STREAM_BYTES: u32 = 112;

const IDLE: u32 = 0;
const BODY: u32 = 1;
const PADDING: u32 = 2;

class Turn {
  @inline static pointer(lane: u32): usize { return load<u32>(TURNS + (lane << 4)); }
  @inline static blocks(lane: u32): u32 { return load<u32>(TURNS + (lane << 4), 4); }
  @inline static job(lane: u32): u32 { return load<u32>(TURNS + (lane << 4), 8); }
  @inline static phase(lane: u32): u32 { return load<u32>(TURNS + (lane << 4), 12); }
  @inline static read(lane: u32, pointer: usize, blocks: u32, phase: u32): void {
    store<u32>(TURNS + (lane << 4), <u32>pointer);
    store<u32>(TURNS + (lane << 4), blocks, 4);
    store<u32>(TURNS + (lane << 4), phase, 12);
  }
  @inline static take(lane: u32, job: u32): void { store<u32>(TURNS + (lane << 4), job, 8); }
}

/** Pads the last `rest` < 64 bytes of a message of `bytes` bytes into `to`; returns how many blocks that makes. */
function pad(to: usize, from: usize, rest: u32, bytes: u64): u32 {
  const blocks: u32 = rest < 56 ? 1 : 2;
  memory.fill(to, 0, blocks << 6);
  memory.copy(to, from, rest);
  store<u8>(to + rest, 0x80);
  store<u64>(to + (blocks << 6) - 8, bswap(bytes << 3));
  return blocks;
}

function beginPadding(lane: u32): void {
  const job = JOBS + (Turn.job(lane) << 3);
  const bytes = load<u32>(job, 4);
  const rest = bytes & 63;
  const to = PADDED + (lane << 7);
  Turn.read(lane, to, pad(to, load<u32>(job) + bytes - rest, rest, bytes), PADDING);
}

/** Gives a lane its next message; the lane's column of LANES starts anew. */
function begin(lane: u32, job: u32): void {
  for (let i: usize = 0; i < 8; i++) store<u32>(LANES + (i << 4) + (lane << 2), load<u32>(INITIAL + (i << 2)));
  Turn.take(lane, job);
  const at = JOBS + (job << 3);
  const whole = load<u32>(at, 4) >> 6;
  if (whole == 0) beginPadding(lane);
  else Turn.read(lane, load<u32>(at), whole, BODY);
}

function writeDigest(state: usize, stride: usize, digest: usize): void {
  for (let i: usize = 0; i < 8; i++) store<u32>(digest + (i << 2), bswap(load<u32>(state + i * stride)));
}

function blocksTogether(): u32 {
  let least = u32.MAX_VALUE;
  for (let lane: u32 = 0; lane < 4; lane++) {
    if (Turn.phase(lane) != IDLE) least = min(least, Turn.blocks(lane));
  }
  return least;
}

/** Runs all lanes until the first of them has no blocks left. An idle lane reads along with a busy one, unused. */
function runLanes(): void {
  let busy: u32 = 0;
  while (Turn.phase(busy) == IDLE) busy++;
  const spare = Turn.pointer(busy);
  const blocks = blocksTogether();
  compressLanes(
    Turn.phase(0) == IDLE ? spare : Turn.pointer(0),
    Turn.phase(1) == IDLE ? spare : Turn.pointer(1),
    Turn.phase(2) == IDLE ? spare : Turn.pointer(2),
    Turn.phase(3) == IDLE ? spare : Turn.pointer(3),
    blocks,
  );
  for (let lane: u32 = 0; lane < 4; lane++) {
    if (Turn.phase(lane) == IDLE) continue;
    Turn.read(lane, Turn.pointer(lane) + (<usize>blocks << 6), Turn.blocks(lane) - blocks, Turn.phase(lane));
  }
}

/** The last message runs alone: the one-message code is quicker than four lanes of which three are idle. */
function finishAlone(lane: u32): void {
  for (let i: usize = 0; i < 8; i++) store<u32>(ALONE + (i << 2), load<u32>(LANES + (i << 4) + (lane << 2)));
  compressOne(ALONE, Turn.pointer(lane), Turn.blocks(lane));
  if (Turn.phase(lane) == BODY) {
    beginPadding(lane);
    compressOne(ALONE, Turn.pointer(lane), Turn.blocks(lane));
  }
  writeDigest(ALONE, 4, DIGESTS + (Turn.job(lane) << 5));
}

/** @param count  jobs in JOBS, at most 32768. A pointer outside of memory traps. */
export function sha256Jobs(count: u32): void {
  let next: u32 = 0;
  for (let lane: u32 = 0; lane < 4; lane++) {
    if (next < count) begin(lane, next++);
    else Turn.read(lane, 0, 0, IDLE);
  }
  let busy = next;
  while (busy > 1) {
    runLanes();
    for (let lane: u32 = 0; lane < 4; lane++) {
      if (Turn.phase(lane) == IDLE || Turn.blocks(lane) != 0) continue;
      if (Turn.phase(lane) == BODY) {
        beginPadding(lane);
        continue;
      }
      writeDigest(LANES + (lane << 2), 16, DIGESTS + (Turn.job(lane) << 5));
      if (next < count) {
        begin(lane, next++);
      } else {
        Turn.read(lane, 0, 0, IDLE);
        busy--;
      }
    }
  }
  for (let lane: u32 = 0; lane < 4; lane++) if (Turn.phase(lane) != IDLE) finishAlone(lane);
}

/** Where the stream's state lies: the host may copy it away and back to interleave several streams. */
export function sha256State(): usize {
  return STREAM;
}

export function sha256StateBytes(): u32 {
  return STREAM_BYTES;
}

export function sha256Init(): void {
  memory.copy(STREAM, INITIAL, 32);
  memory.fill(STREAM_COUNT, 0, STREAM_BYTES - 32);
}

/** Appends `len` bytes at `ptr` to the stream. */
export function sha256Update(ptr: usize, len: u32): void {
  const held = load<u32>(STREAM_COUNT) & 63;
  store<u64>(STREAM_COUNT, load<u64>(STREAM_COUNT) + len);
  if (held != 0) {
    const taken = min(64 - held, len);
    memory.copy(STREAM_HELD + held, ptr, taken);
    if (held + taken < 64) return;
    compressOne(STREAM, STREAM_HELD, 1);
    ptr += taken;
    len -= taken;
  }
  compressOne(STREAM, ptr, len >> 6);
  memory.copy(STREAM_HELD, ptr + (len & ~63), len & 63);
}

/** Writes the digest to DIGESTS[0]. The stream is used up: sha256Init before the next one. */
export function sha256Final(): void {
  const bytes = load<u64>(STREAM_COUNT);
  const blocks = pad(PADDED, STREAM_HELD, <u32>bytes & 63, bytes);
  compressOne(STREAM, PADDED, blocks);
  writeDigest(STREAM, 4, DIGESTS);
}
