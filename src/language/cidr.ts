/**
 * The one spelling of a network.
 * In: an IPv4 or IPv6 address and a prefix length, as written. Out: the canonical form, or why it is none; whether a network holds an address.
 * Source: RFC 4632 §3.1 (no bits beyond the prefix), RFC 6943 §3.1.1 (no leading zeros: some readers take them for octal), RFC 5952 §4
 *   (lower case, no leading zeros, the first longest run of two or more zero groups as `::`).
 * Does not know zones (`%eth0`) or dotted quads inside IPv6 (they are an error here).
 */
const IPV4_BITS = 32;
const IPV6_BITS = 128;

interface Bits {
  readonly value: bigint;
  readonly width: typeof IPV4_BITS | typeof IPV6_BITS;
}

export type CidrVerdict =
  | { readonly canonical: string; readonly problem?: undefined }
  | { readonly canonical?: undefined; readonly problem: string };

export function canonicalCidr(address: string, prefixLength: number): CidrVerdict {
  const bits = addressBits(address);
  if (bits === undefined) return { problem: `\`${address}\` is not an IPv4 or IPv6 address` };
  if (!Number.isSafeInteger(prefixLength) || prefixLength < 0 || prefixLength > bits.width) {
    return { problem: `a prefix length is 0 to ${bits.width}, not ${prefixLength}` };
  }
  const host = BigInt(bits.width - prefixLength);
  const network = (bits.value >> host) << host;
  const text = bits.width === IPV4_BITS ? ipv4Text(network) : ipv6Text(network);
  return { canonical: `${text}/${prefixLength}` };
}

export interface Network {
  readonly prefix: bigint;
  readonly hostBits: bigint;
  readonly width: Bits['width'];
}

/** A network in its one spelling; undefined for every other text. */
export function parseNetwork(text: string): Network | undefined {
  const [, address, length] = /^([^/]+)\/([0-9]{1,3})$/.exec(text) ?? [];
  if (address === undefined || canonicalCidr(address, Number(length)).canonical !== text) return undefined;
  const { value, width } = addressBits(address)!;
  const hostBits = BigInt(width - Number(length));
  return { prefix: value >> hostBits, hostBits, width };
}

/** Whether an address, as a socket names its peer, lies in the network; false for what is no address. */
export function networkContains({ prefix, hostBits, width }: Network, address: string): boolean {
  const bits = addressBits(MAPPED.exec(address)?.[1] ?? address);
  return bits !== undefined && bits.width === width && bits.value >> hostBits === prefix;
}

/** An IPv4 peer of a socket that listens on both (RFC 4291 §2.5.5.2). */
const MAPPED = /^::ffff:([0-9.]+)$/i;

function addressBits(address: string): Bits | undefined {
  return address.includes(':') ? ipv6Bits(address) : ipv4Bits(address);
}

function ipv4Bits(address: string): Bits | undefined {
  const octets = address.split('.');
  if (octets.length !== 4 || !octets.every((octet) => /^[0-9]{1,3}$/.test(octet) && Number(octet) <= 255)) {
    return undefined;
  }
  return { value: joinBits(octets.map(Number), 8n), width: IPV4_BITS };
}

function ipv6Bits(address: string): Bits | undefined {
  const halves = address.split('::');
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - head.length - tail.length;
  // `::` stands for one group at least; without it all eight are written.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...tail];
  if (!groups.every((group) => /^[0-9A-Fa-f]{1,4}$/.test(group))) return undefined;
  return {
    value: joinBits(
      groups.map((group) => Number.parseInt(group, 16)),
      16n,
    ),
    width: IPV6_BITS,
  };
}

function joinBits(parts: readonly number[], bitsEach: bigint): bigint {
  return parts.reduce((all, part) => (all << bitsEach) | BigInt(part), 0n);
}

function ipv4Text(value: bigint): string {
  return [24n, 16n, 8n, 0n].map((shift) => ((value >> shift) & 0xffn).toString()).join('.');
}

function ipv6Text(value: bigint): string {
  const groups = Array.from({ length: 8 }, (_, at) => (value >> BigInt(16 * (7 - at))) & 0xffffn);
  const { start, length } = longestZeros(groups);
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`;
}

/** The first of equally long runs, RFC 5952 §4.2.3. */
function longestZeros(groups: readonly bigint[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let end = start;
    while (groups[end] === 0n) end++;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}
