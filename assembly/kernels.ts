/**
 * The one entry of the kernel module: every exported function of every kernel, nothing else.
 * No imports, no floats, no allocation; see memory.ts for where things lie.
 */
export * from './chunker';
export * from './sha256';
export * from './reed-solomon';
export * from './dedup-index';
