/**
 * The page of browser.test.ts: uses the library as a web application would, under its package name, bundled by esbuild.
 * The test calls window.kwam and compares what comes back with Node's answers.
 */
import {
  chunkStream,
  KwamError,
  toHex,
  useKernels,
  verifyChunk,
  verifyManifest,
  verifyStream,
} from 'kwam-dp';

/** A response body in pieces, as the network delivers it. */
async function bodyOf(url: string): Promise<ReadableStream<Uint8Array>> {
  const { body } = await fetch(url);
  if (body === null) throw new Error(`no body at ${url}`);
  return body;
}

async function chunks(url: string): Promise<[string, number, number][]> {
  const list: [string, number, number][] = [];
  for await (const chunk of chunkStream(await bodyOf(url))) {
    await verifyChunk(chunk.bytes, chunk.digest);
    list.push([toHex(chunk.digest), chunk.offset, chunk.length]);
  }
  return list;
}

async function verify(envelopeUrl: string, dataUrl: string, trustedKey: string) {
  let good = 0;
  try {
    const envelope = await (await fetch(envelopeUrl)).text();
    const manifest = await verifyManifest(envelope, { trustedKeys: [trustedKey] });
    for await (const bytes of verifyStream(await bodyOf(dataUrl), manifest)) good += bytes.length;
    return { good };
  } catch (error) {
    if (!(error instanceof KwamError)) throw error;
    return { good, code: error.code, context: error.context };
  }
}

const kwam = { chunks, verify, engine: () => useKernels() };
export type KwamPage = typeof kwam;
Object.assign(globalThis, { kwam });
