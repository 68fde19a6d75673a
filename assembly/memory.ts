/**
 * The fixed memory map of every kernel instance.
 *
 *   0x0000_0000  reserved (1 KiB), then static tables of the kernels (gear, GF(2^8), SHA-256 constants)
 *   0x0002_0000  CUTS     u32[32768]            chunk end offsets relative to the start of the scanned run
 *   0x0004_0000  JOBS     (u32 ptr, u32 len)[32768]  messages to hash
 *   0x0008_0000  DIGESTS  u8[32][32768]         one digest a job, same order
 *   0x0018_0000  SCRATCH  512 KiB               private to the running kernel; nothing survives a call
 *   0x0020_0000  INPUT    16 MiB                bytes the host reads in, shards, everything large
 *   0x0120_0000  end of the fixed map (18 MiB); initial memory
 *
 * A dedup index lives in an instance of its own: there INDEX starts where INPUT does and memory grows upwards.
 * Nothing allocates: the host writes into regions, calls a kernel, reads regions.
 */
export const CUTS: usize = 0x0002_0000;
export const CUTS_MAX: u32 = 32768;
export const JOBS: usize = 0x0004_0000;
export const DIGESTS: usize = 0x0008_0000;
export const SCRATCH: usize = 0x0018_0000;
export const SCRATCH_BYTES: u32 = 0x0008_0000;
export const INPUT: usize = 0x0020_0000;
export const INPUT_BYTES: u32 = 0x0100_0000;
export const INDEX: usize = INPUT;
