/**
 * Dedup index: truncated digest → u32, one open-addressing table that fills the memory from INDEX upwards.
 * In: digests in DIGESTS (32 bytes each), values in CUTS (u32). Out: values in CUTS, ABSENT where there is none.
 * Source: Amble and Knuth, "Ordered hash tables", The Computer Journal 17(2), 1974 (stop at the first smaller key);
 *   Celis, "Robin Hood hashing", Waterloo 1986 (backward-shift deletion); mixing: SplitMix64 (Steele et al. 2014).
 * Does not grow by itself (the host decides, src/dedup/dedup-index.ts), does not compare more than 8 bytes of a digest.
 *
 *   INDEX                          valuesAt = INDEX + 8 (slots + 1)        + 4 slots
 *   ├ u64 key[slots], 0 = empty ┬ u64 0 ┼ u32 value[slots] ───────────────┤        12 bytes a slot
 *   └ 0 … homes-1: a key may start here ┴ homes … slots-1: room for the last run; the zero word ends every scan
 *
 * Holds: stored keys fall strictly from slot to slot, leaving empty slots out; a key's home rises as it falls; no key
 * lies before its home, and every slot between the two is taken. The layout so depends on the set of keys and `slots` alone.
 */
import { CUTS, DIGESTS, INDEX, SCRATCH } from './memory';

const ABSENT: u32 = 0xffff_ffff;
const DIGEST_SHIFT: u32 = 5;
/** Keys whose first cache line is requested together, so that misses overlap: 1.5–2× the speed of one by one; 16, 32: no gain. */
const GROUP: u32 = 8;

let slots: u32 = 0;
let homes: u32 = 0;
let valuesAt: usize = 0;
let entries: u32 = 0;
let entriesLimit: u32 = 0;
let seed: u64 = 0;

/** SplitMix64's finaliser, a bijection, so different prefixes stay different; clustered prefixes spread. 0 means empty. */
function keyOf(digest: usize): u64 {
  let z = load<u64>(digest) ^ seed;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return z == 0 ? 1 : z;
}

/** The digest's first 8 bytes again; the factors are the inverses modulo 2^64 of those above. */
function prefixOf(key: u64): u64 {
  let z = key ^ (key >> 31) ^ (key >> 62);
  z *= 0x319642b2d24d8ec3;
  z ^= (z >> 27) ^ (z >> 54);
  z *= 0x96de1b173f119089;
  return z ^ (z >> 30) ^ (z >> 60) ^ seed;
}

/** Largest keys first: 32 bits of the key scaled to 0 … count-1, without a division. */
function homeOf(key: u64, count: u32): u32 {
  return <u32>(((~key >> 32) * <u64>count) >> 32);
}

function homeAt(key: u64): usize {
  return INDEX + ((<usize>homeOf(key, homes)) << 3);
}

/** Where `key` is, or the slot that it would take: the first from its home on that is empty or holds a smaller key. */
function seek(key: u64): usize {
  let at = homeAt(key);
  while (load<u64>(at) > key) at += 8;
  return at;
}

function valueOf(at: usize): usize {
  return valuesAt + ((at - INDEX) >> 1);
}

/** Makes room for `count` slots; false when memory cannot grow, and then nothing has changed. */
function reserve(count: u32): bool {
  const end = <u64>INDEX + 8 + 12 * <u64>count;
  const pages = <i64>((end + 0xffff) >> 16) - <i64>memory.size();
  if (end > 0x1_0000_0000) return false;
  return pages <= 0 || memory.grow(<i32>pages) >= 0;
}

function shapeTo(count: u32, tail: u32, limit: u32): void {
  slots = count;
  homes = count - tail;
  valuesAt = INDEX + ((<usize>count + 1) << 3);
  entriesLimit = limit;
}

/** An empty table; `tail` < `count` slots behind the last home, at most `limit` entries. False: no memory, no change. */
export function dedupReset(count: u32, tail: u32, limit: u32, seedLow: u32, seedHigh: u32): bool {
  if (!reserve(count)) return false;
  shapeTo(count, tail, limit);
  seed = (<u64>seedHigh << 32) | <u64>seedLow;
  entries = 0;
  memory.fill(INDEX, 0, (<usize>count + 1) << 3);
  return true;
}

export function dedupSlots(): u32 {
  return slots;
}

export function dedupEntries(): u32 {
  return entries;
}

/** Asks for the first cache line of up to GROUP keys at once, so that their misses overlap; keys go to SCRATCH. */
function fetchGroup(from: u32, count: u32): void {
  let touched: u64 = 0;
  for (let i: u32 = 0; i < count; i++) {
    const key = keyOf(DIGESTS + ((<usize>(from + i)) << DIGEST_SHIFT));
    store<u64>(SCRATCH + ((<usize>i) << 3), key);
    touched ^= load<u64>(homeAt(key));
  }
  store<u64>(SCRATCH + (GROUP << 3), touched);
}

/** Digests 0 … count-1 → their values, or ABSENT. */
export function dedupLookup(count: u32): void {
  for (let from: u32 = 0; from < count; from += GROUP) {
    const group = min(GROUP, count - from);
    fetchGroup(from, group);
    for (let i: u32 = 0; i < group; i++) {
      const key = load<u64>(SCRATCH + ((<usize>i) << 3));
      const at = seek(key);
      const value = load<u64>(at) == key ? load<u32>(valueOf(at)) : ABSENT;
      store<u32>(CUTS + ((<usize>(from + i)) << 2), value);
    }
  }
}

/** Moves the run that starts at `at` up by one slot. False when it fills the table to its last slot. */
function openSlot(at: usize): bool {
  let end = at;
  while (load<u64>(end) != 0) end += 8;
  if (end == INDEX + ((<usize>slots) << 3)) return false;
  let value = valueOf(end);
  for (; end > at; end -= 8, value -= 4) {
    store<u64>(end, load<u64>(end - 8));
    store<u32>(value, load<u32>(value - 4));
  }
  return true;
}

function insertOne(key: u64, value: u32): bool {
  const at = seek(key);
  if (load<u64>(at) != key) {
    if (entries >= entriesLimit || !openSlot(at)) return false;
    store<u64>(at, key);
    entries++;
  }
  store<u32>(valueOf(at), value);
  return true;
}

/** Inserts digests from … count-1, replacing values. Returns the first not inserted for lack of room; count: all are in. */
export function dedupInsert(from: u32, count: u32): u32 {
  for (; from < count; from += GROUP) {
    const group = min(GROUP, count - from);
    fetchGroup(from, group);
    for (let i: u32 = 0; i < group; i++) {
      const value = load<u32>(CUTS + ((<usize>(from + i)) << 2));
      if (!insertOne(load<u64>(SCRATCH + ((<usize>i) << 3)), value)) return from + i;
    }
  }
  return count;
}

/** Pulls the rest of the run back over slot `at`, up to a key that is at home; so deletion leaves no trace. */
function closeSlot(at: usize): void {
  let next = at + 8;
  for (; ; at = next, next += 8) {
    const key = load<u64>(next);
    if (key == 0 || homeAt(key) == next) break;
    store<u64>(at, key);
    store<u32>(valueOf(at), load<u32>(valueOf(next)));
  }
  store<u64>(at, 0);
}

/** Removes digests 0 … count-1; returns how many were there. */
export function dedupRemove(count: u32): u32 {
  const before = entries;
  for (let i: u32 = 0; i < count; i++) {
    const key = keyOf(DIGESTS + ((<usize>i) << DIGEST_SHIFT));
    const at = seek(key);
    if (load<u64>(at) != key) continue;
    closeSlot(at);
    entries--;
  }
  return before - entries;
}

/**
 * Entries of slots from … to-1 (≤ 32768): first 8 digest bytes packed into DIGESTS, values into CUTS. Returns how many.
 * The one prefix that mixes to 0 (it equals the seed) shares key 1 with another and is listed under that one's name.
 */
export function dedupScan(from: u32, to: u32): u32 {
  let found: u32 = 0;
  for (let slot = from; slot < min(to, slots); slot++) {
    const at = INDEX + ((<usize>slot) << 3);
    const key = load<u64>(at);
    if (key == 0) continue;
    store<u64>(DIGESTS + ((<usize>found) << 3), prefixOf(key));
    store<u32>(CUTS + ((<usize>found) << 2), load<u32>(valueOf(at)));
    found++;
  }
  return found;
}

/** Whether all entries find a slot among `count`: only keys made to collide run over the tail. */
function fits(count: u32, newHomes: u32): bool {
  const end = INDEX + ((<usize>slots) << 3);
  let next: u32 = 0;
  for (let at = INDEX; at < end; at += 8) {
    const key = load<u64>(at);
    next = select<u32>(max(homeOf(key, newHomes), next) + 1, next, key != 0);
  }
  return next <= count;
}

/**
 * Packs all entries, in order, against the end of a table of `count` slots; the values' array has already moved there.
 * An empty slot is copied too, and overwritten by the next one: which slots are empty is a coin toss that no branch predictor wins.
 */
function packUp(count: u32, newValuesAt: usize): void {
  let at = INDEX + ((<usize>slots) << 3);
  let value = newValuesAt + ((<usize>count) << 2);
  let toKey = INDEX + ((<usize>count) << 3);
  let toValue = value;
  while (at > INDEX) {
    at -= 8;
    value -= 4;
    const key = load<u64>(at);
    store<u64>(toKey - 8, key);
    store<u32>(toValue - 4, load<u32>(value));
    const taken = <usize>(key != 0);
    toKey -= taken << 3;
    toValue -= taken << 2;
  }
}

/** Deals the packed entries out to their slots, lowest first; fits() has shown that writing never overtakes reading. */
function spreadOut(): void {
  let key = INDEX + ((<usize>(slots - entries)) << 3);
  let value = valuesAt + ((<usize>(slots - entries)) << 2);
  const end = INDEX + ((<usize>slots) << 3);
  let slot: u32 = 0;
  for (; key < end; slot++) {
    const next = load<u64>(key);
    const due = <usize>(homeOf(next, homes) <= slot);
    store<u64>(INDEX + ((<usize>slot) << 3), select<u64>(next, 0, due != 0));
    store<u32>(valuesAt + ((<usize>slot) << 2), load<u32>(value));
    key += due << 3;
    value += due << 2;
  }
  memory.fill(INDEX + ((<usize>slot) << 3), 0, (<usize>(slots - slot) + 1) << 3);
}

/**
 * Resizes in place to `count` > slots; from then on at most `limit` entries. Three passes in address order, no second copy.
 * Returns 1 done, 0 no memory, 2 the keys crowd past so short a tail; unless 1, nothing has changed.
 */
export function dedupGrow(count: u32, tail: u32, limit: u32): u32 {
  if (!fits(count, count - tail)) return 2;
  if (!reserve(count)) return 0;
  const newValuesAt = INDEX + ((<usize>count + 1) << 3);
  memory.copy(newValuesAt + ((<usize>(count - slots)) << 2), valuesAt, (<usize>slots) << 2);
  packUp(count, newValuesAt);
  shapeTo(count, tail, limit);
  spreadOut();
  return 1;
}
