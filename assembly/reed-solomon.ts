/** Placeholder until the kernel lands in its own commit. */
export const reed_solomon_version: u32 = 1;
