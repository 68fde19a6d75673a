/**
 * Writes chunker.json: cuts by the slow reference, over bytes that any language can make again.
 * Run with: node test/vectors/chunker.generate.ts
 */
import { writeFileSync } from 'node:fs';
import { referenceCuts } from '../reference/chunker.ts';
import { VECTOR_INPUTS } from './chunker-inputs.ts';

const vectors = Object.entries(VECTOR_INPUTS).flatMap(([input, bytes]) =>
  [
    [1024, 2048, 4096],
    [1024, 8192, 65536],
    [2000, 2001, 2130],
    [16384, 65536, 262144],
  ].map(([chunkBytesMin, chunkBytesTarget, chunkBytesMax]) => {
    const sizes = {
      chunkBytesMin: chunkBytesMin!,
      chunkBytesTarget: chunkBytesTarget!,
      chunkBytesMax: chunkBytesMax!,
    };
    return { input, ...sizes, cuts: referenceCuts(bytes, sizes) };
  }),
);
const lines = vectors.map((vector) => `    ${JSON.stringify(vector)}`).join(',\n');
const text = `{\n  "origin": "test/reference/chunker.ts; generator: chunker.generate.ts, inputs: chunker-inputs.ts",\n  "rule": "kwam-window34-v1",\n  "vectors": [\n${lines}\n  ]\n}\n`;
writeFileSync(new URL('chunker.json', import.meta.url), text);
