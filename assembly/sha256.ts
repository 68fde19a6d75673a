/** Placeholder until the kernel lands in its own commit. */
export const sha256_version: u32 = 1;
