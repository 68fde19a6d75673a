/**
 * Pages of the codes KW31xx: modules. What is wrong with a module does not show in the program that imports it, so the examples
 * import modules of which each has the one fault that its name says; the tests make them, damage and signatures included.
 */
import { type CodePage, type CodePages, program } from './code-page.ts';

const domains = (module: string, pin = ' digest "sha256:DIGEST"'): string =>
  program(`import "${module}" as fd${pin}\nuse fd.site`);

/** The same program with a module that is in order. */
function page(title: string, why: string, failing: string): CodePage {
  return { title, why, failing, passing: domains('example/good') };
}

export const MODULE_PAGES: CodePages = {
  KW3101: page(
    'An import without a digest',
    'Without a pin, whoever changes the module changes what this program promises, and nobody notices. `kwam-dp module freeze` writes the digest.',
    domains('example/good', ''),
  ),
  KW3102: page(
    'A module that does not have the digest of its import',
    'The digest is of what the module means. Either its content changed, or the import was pointed at another module. Look at the change; `kwam-dp module freeze --update` accepts it.',
    domains('example/good', ` digest "sha256:${'f'.repeat(64)}"`),
  ),
  KW3103: page(
    'An edited copy in the cache',
    'The cache is named by content and verified on every read. A copy that no longer has the digest it lies under was changed on disk: delete it and freeze again.',
    domains('example/edited-in-cache'),
  ),
  KW3104: page(
    'A module without a signature',
    'A digest says that the content is the one that was pinned, a signature says who vouches for it. Fetch the .sig file with the module, or sign it with `kwam-dp module sign`.',
    domains('example/unsigned'),
  ),
  KW3105: page(
    'A signature that was taken out of its envelope',
    'The envelope is there and empty: somebody removed the signatures. That is never an accident of transport.',
    domains('example/stripped'),
  ),
  KW3106: page(
    'A signature of another module',
    'A genuine signature beside the wrong module vouches for nothing: it names the module and the digest that it is for.',
    domains('example/swapped'),
  ),
  KW3107: page(
    'A signature by a key that is not trusted for this module',
    'The trust store names the keys that count and the modules that each may sign. What a signature says of its own key is never believed.',
    domains('example/stranger'),
  ),
  KW3108: page(
    'A module that was changed after it was signed',
    'The signature is good, for another content. Pinning the new digest does not make the change right: it has to be signed too.',
    domains('example/changed'),
  ),
  KW3109: page(
    'Modules that import each other in a circle',
    'The digest of a module covers those of its imports, so a circle has no digest. Move what both need into a third module.',
    domains('example/circle'),
  ),
  KW3110: page(
    'A module that holds a secret',
    'Exports are hashed, compared and shown, and a secret never is. A program passes its own secrets; std/ may not even name one.',
    domains('std/example-secret'),
  ),
  KW3111: page(
    'A standard module that reads a file',
    'std/ means the same on every machine. A path means what the machine has there.',
    domains('std/example-file'),
  ),
  KW3112: page(
    'A module that kwam.lock has otherwise',
    'The lock records digest and bytes of every module that was frozen. A difference is shown before it counts: look at it, then freeze again.',
    domains('example/locked'),
  ),
  KW3113: page(
    'A module that is not there',
    'Modules are looked for in std/ and, by digest, in the cache; nothing is fetched. `kwam-dp module freeze --from DIRECTORY` brings one in.',
    domains('example/missing'),
  ),
  KW3114: page(
    'A file that is no module',
    'A module is KWAM without errors and holes, declares its own name with `module "NAME"`, and exports each of its blocks.',
    domains('example/hole'),
  ),
  KW3115: page(
    'A standard module that rests on another one',
    'std/ imports std/ only. Otherwise whoever owns the other module would decide what the standard means.',
    domains('std/example-foreign'),
  ),
  KW3116: page(
    'A signature file that cannot be read',
    'Beside a module lies one DSSE envelope with a statement of kwam.module/v1 and nothing else.',
    domains('example/unreadable'),
  ),
  KW3117: page(
    'A signature by a key that has expired, begins later or was revoked',
    'A signature has no time of its own, so its key must be good now. Have the module signed with a current key; digests, and the programs that pin them, stay as they are.',
    domains('example/revoked'),
  ),
  KW3118: page(
    'Fewer signatures than the trust store asks for',
    'A trust store with `threshold` wants so many distinct keys for each of its modules. Have the others sign the same module too.',
    domains('example/alone'),
  ),
};
