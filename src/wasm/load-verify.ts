/**
 * Loads the verification library's kernels (build/verify.wasm) wherever the library runs.
 * In: nothing, or the module's bytes or address. Out: kernels, or undefined when this WebAssembly has no SIMD.
 * A file is read with Node's fs, anything else is fetched. fs comes from process.getBuiltinModule, not from an import, so one file
 * serves Node, browsers and bundlers: bundlers find no built-in on the library's path, and those that know the
 * `new URL(…, import.meta.url)` form copy the module by themselves. Others: see `useKernels` in verify.ts.
 * The module has the chunking and hashing exports of KernelExports only; nothing of the library calls others.
 */
import { KwamError } from '../errors.ts';
import { instantiateKernels, type Kernels } from './kernels.ts';

/** Where the module lies, or the module. */
export type KernelSource = URL | string | Uint8Array | ArrayBuffer;

/** (module (func (result v128) (i8x16.splat (i32.const 0)))): valid exactly where SIMD128 is known. */
const SIMD_PROBE = Uint8Array.of(
  0,
  97,
  115,
  109,
  1,
  0,
  0,
  0,
  1,
  5,
  1,
  96,
  0,
  1,
  123,
  3,
  2,
  1,
  0,
  10,
  8,
  1,
  6,
  0,
  65,
  0,
  253,
  15,
  11,
);

function builtinFs(): typeof import('node:fs') | undefined {
  return globalThis.process?.getBuiltinModule?.('node:fs');
}

async function fetched(url: URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function readModule(source: KernelSource): Promise<Uint8Array<ArrayBuffer>> {
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  if (source instanceof Uint8Array) return source as Uint8Array<ArrayBuffer>;
  const url = new URL(source, import.meta.url);
  try {
    const fs = url.protocol === 'file:' ? builtinFs() : undefined;
    return fs ? new Uint8Array(fs.readFileSync(url)) : await fetched(url);
  } catch (cause) {
    throw new KwamError(
      'ENVIRONMENT',
      `expected the verification kernels at ${url.href}; serve verify.wasm there, or call useKernels with its address or bytes`,
      { cause, retryable: url.protocol.startsWith('http') },
    );
  }
}

export async function loadVerifyKernels(source?: KernelSource): Promise<Kernels | undefined> {
  if (!WebAssembly.validate(SIMD_PROBE)) return undefined;
  const bytes = await readModule(source ?? new URL('../../build/verify.wasm', import.meta.url));
  try {
    return instantiateKernels(await WebAssembly.compile(bytes));
  } catch (cause) {
    throw new KwamError(
      'ENVIRONMENT',
      'expected verify.wasm to be a kernel module; build or download it again',
      {
        cause,
      },
    );
  }
}
