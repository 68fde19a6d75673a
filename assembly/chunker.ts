/** Placeholder until the kernel lands in its own commit. */
export const chunker_version: u32 = 1;
