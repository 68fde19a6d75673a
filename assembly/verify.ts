/**
 * Entry of the verification library's module: the kernels that cut and hash chunks, and nothing else.
 * Compiled without relaxed SIMD, which not every browser has, and without tables that a verifier never uses.
 * Same memory map as kernels.ts (memory.ts); makes the same bytes.
 */
export * from './chunker';
export * from './sha256';
