/**
 * A copy of a WebAssembly module whose memory may not grow past `pagesMax`, to meet the end of memory in a test.
 * Source: WebAssembly core specification 2.0, §5.5 (sections) and §5.3.7 (limits): 00 min becomes 01 min max.
 */
const MEMORY_SECTION = 5;

export function withMemoryPagesMax(module: Uint8Array, pagesMax: number): Uint8Array {
  for (let at = 8; at < module.length; ) {
    const size = readLeb(module, at + 1);
    const [id, body, end] = [module[at], size.next, size.next + size.value];
    if (id !== MEMORY_SECTION) {
      at = end;
      continue;
    }
    if (module[body] !== 1 || module[body + 1] !== 0)
      throw new Error('expected one memory without a maximum');
    const limits = [1, 1, ...module.subarray(body + 2, end), ...leb(pagesMax)];
    return Uint8Array.of(
      ...module.subarray(0, at + 1),
      ...leb(limits.length),
      ...limits,
      ...module.subarray(end),
    );
  }
  throw new Error('expected a memory section');
}

function readLeb(bytes: Uint8Array, at: number): { value: number; next: number } {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]!;
    value |= (byte & 127) << shift;
    if (byte < 128) return { value, next: at };
  }
}

function leb(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...leb(value >>> 7)];
}
