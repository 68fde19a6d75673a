/**
 * Reads the kernel module of this installation from build/ (Node only; the verification library uses load-verify.ts).
 * The codec id is the SHA-256 of the release module: manifests and packs record it, so that any past pack names the
 * exact code that made it. KWAM_KERNELS=debug selects the debug build, which computes the same bytes.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { asDigest, type Digest } from '../digest.ts';
import { KwamError } from '../errors.ts';
import { instantiateKernels, type Kernels } from './kernels.ts';

export type KernelBuild = 'release' | 'debug';

const FILES: Record<KernelBuild, string> = { release: 'kernels.wasm', debug: 'kernels.debug.wasm' };

export function readKernelBytes(build: KernelBuild = 'release'): Uint8Array {
  const url = new URL(`../../build/${FILES[build]}`, import.meta.url);
  try {
    return readFileSync(url);
  } catch (cause) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected the compiled kernels at ${url.pathname}; run: npm run build`,
      { cause },
    );
  }
}

export function loadKernels(build: KernelBuild = 'release'): Kernels {
  return instantiateKernels(readKernelBytes(build));
}

export function readCodecId(): Digest {
  return asDigest(createHash('sha256').update(readKernelBytes('release')).digest());
}
