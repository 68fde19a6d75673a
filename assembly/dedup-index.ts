/** Placeholder until the kernel lands in its own commit. */
export const dedup_index_version: u32 = 1;
