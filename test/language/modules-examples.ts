/**
 * The modules that the examples of the pages KW31xx import, each with the fault that its name says, and real signatures.
 * The zero digest stands for the right one.
 */
import type { ModuleAnswer, ModuleResolver } from '../../src/language/module-resolver.ts';
import { ModuleGraph } from '../../src/language/modules-graph.ts';
import { resolverFor } from '../../src/language/modules-resolver.ts';
import { digestOfText, keyPair, MemoryLibrary, signed, VERSION } from './modules-world.ts';

const ZERO = `sha256:${'0'.repeat(64)}`;
const WRONG = `sha256:${'f'.repeat(64)}`;
const SITE = 'export domains site { az { } rack { within az } }';
const module = (name: string, rest = SITE): string => `${VERSION}\nmodule "${name}"\n${rest}\n`;

export function isExampleModule(name: string): boolean {
  return /^(example\/|std\/example-)/.test(name);
}

const key = await keyPair('example', ['example/', 'std/']);
const stranger = await keyPair('stranger', ['other/']);
const library = new MemoryLibrary();
const revoked = await keyPair('revoked', ['example/']);
const pair = await keyPair('pair', ['example/alone']);
library.keys.push(key.trusted, { ...revoked.trusted, revoked: true }, { ...pair.trusted, threshold: 2 });
/** What the imports pin; any digest will do where the module has none. */
const pins = new Map<string, string>();

async function good(name: string, text = module(name)): Promise<void> {
  pins.set(name, await library.putSigned(name, text, key.privateKey));
}

function put(name: string, text: string, envelope?: Uint8Array, pin = WRONG): void {
  library.put(name, text, envelope);
  pins.set(name, pin);
}

for (const name of [
  'good',
  'edited-in-cache',
  'unsigned',
  'stripped',
  'swapped',
  'stranger',
  'locked',
  'unreadable',
  'revoked',
  'alone',
]) {
  await good(`example/${name}`);
}

function reEnvelope(name: string, envelope: Uint8Array | undefined): void {
  library.files.set(name, { ...library.files.get(name)!, envelope });
}

const edited = library.files.get('example/edited-in-cache')!;
library.files.delete('example/edited-in-cache');
library.cache.set(pins.get('example/edited-in-cache')!, {
  ...edited,
  origin: 'cache',
  text: edited.text.replace('within az', ''),
});

reEnvelope('example/unsigned', undefined);
reEnvelope(
  'example/stripped',
  Buffer.from('{"payload":"","payloadType":"application/vnd.kwam.module.v1+json","signatures":[]}'),
);
reEnvelope('example/swapped', library.files.get('example/good')!.envelope);
reEnvelope(
  'example/stranger',
  await signed(stranger.privateKey, { module: 'example/stranger', digest: pins.get('example/stranger') }),
);
reEnvelope(
  'example/revoked',
  await signed(revoked.privateKey, { module: 'example/revoked', digest: pins.get('example/revoked') }),
);
reEnvelope('example/unreadable', Buffer.from('-----BEGIN PGP SIGNATURE-----'));

const changed = module('example/changed', `${SITE}\nexport domains more { az { } }`);
const old = { module: 'example/changed', digest: digestOfText(module('example/changed')) };
put('example/changed', changed, await signed(key.privateKey, old), digestOfText(changed));
put('example/circle', module('example/circle', `import "example/back" as b digest "${WRONG}"\n${SITE}`));
put('example/back', module('example/back', `import "example/circle" as c digest "${WRONG}"\n${SITE}`));
put('example/hole', module('example/hole', 'export domains site { … }'));
put('std/example-secret', module('std/example-secret', `let ca = secret://vault/kwam/ca\n${SITE}`));
put('std/example-file', module('std/example-file', `${SITE}\nexport policy p { ca "keys/ca.pem" }`));
put(
  'std/example-foreign',
  module('std/example-foreign', `import "example/good" as g digest "${pins.get('example/good')}"\n${SITE}`),
);
pins.set('example/missing', WRONG);

const lock = [...library.files.keys()].map((name) => ({
  module: name,
  digest: pins.get(name)!,
  bytes: name === 'example/locked' ? WRONG : library.files.get(name)!.bytes,
}));

const graphs = { pinned: new ModuleGraph(library, { lock }), present: new ModuleGraph(library) };
const answers = new Map<string, ModuleAnswer>();

async function prepare(name: string, asked: string | undefined, pin: string | undefined): Promise<void> {
  const text = `${VERSION}\nimport "${name}" as m${pin === undefined ? '' : ` digest "${pin}"`}\n`;
  const resolver = await resolverFor('example.kwam', text, graphs);
  answers.set(`${name} ${asked}`, resolver.load({ module: name, digest: pin, from: 'example.kwam' }));
}

for (const [name, pin] of pins) {
  await prepare(name, ZERO, pin);
  await prepare(name, WRONG, WRONG);
  await prepare(name, undefined, undefined);
}

export const exampleModules: ModuleResolver = {
  load: ({ module: name, digest }) => answers.get(`${name} ${digest}`) ?? { problems: [] },
};
