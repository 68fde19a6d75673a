/**
 * image verify: whether an image was released by keys that are named here. Reads a registry or an OCI layout; needs nobody else.
 * Exit code 5 when the keys did not sign it, 4 when bytes are not what their digest says, 1 when there is no such image.
 */
import { basename } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { ImageSource } from '../images/image-source.ts';
import { OciLayout } from '../images/oci-layout.ts';
import { type ImageReference, parseImageReference, showDigest, showReference } from '../images/reference.ts';
import { Registry } from '../images/registry.ts';
import { type AcceptedKey, acceptedKey } from '../images/signing-key.ts';
import { type VerifiedImage, verifyImage } from '../images/verify-image.ts';
import { textOf } from './read-text.ts';
import { registryOptions } from './registry-options.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine } from './terminal.ts';

interface VerifyOptions {
  readonly key: readonly string[];
  readonly threshold: number;
  readonly layout?: string;
  readonly ca?: string;
  readonly username?: string;
  readonly password?: string;
  readonly json?: boolean;
}

export function define(command: Command, shell: Shell): void {
  command.addHelpText(
    'after',
    `
Examples:
  kwam-dp image verify registry.example/kwam/seed@sha256:… --key release.pem`,
  );
  command
    .command('verify')
    .description('Say which of the accepted keys signed an image.')
    .argument('<reference>', 'REGISTRY/REPOSITORY@sha256:DIGEST; a tag is refused')
    .requiredOption('--key <pem...>', 'public keys that are accepted: ECDSA P-256 or Ed25519')
    .option('--threshold <count>', 'distinct keys that must have signed', wholeNumber, 1)
    .option('--layout <directory>', 'read this OCI layout instead of the registry')
    .option('--ca <pem>', 'authorities of the registry (default: those of the system)')
    .option('--username <name>', 'who we are to the registry; needs --password')
    .option('--password <secret>', 'secret://… with the password or token (see kwam-dp serve --help)')
    .option('--json', 'print one JSON document (kwam.image-verify/v1)')
    .addHelpText(
      'after',
      `
Signatures are those of cosign sign --key: a payload under the tag sha256-DIGEST.sig, or a
bundle that refers to the image. No log and no public authority is asked or trusted. A
registry on loopback is asked by http (by https with --ca), any other one by https.

Examples:
  kwam-dp image verify registry.example/kwam/seed@sha256:… --key release.pem
  kwam-dp image verify registry.example/kwam/seed@sha256:… --key a.pem b.pem --threshold 2
  kwam-dp image verify registry.example/kwam/seed@sha256:… --key a.pem --layout ./seed.oci
  kwam-dp image verify … --key a.pem --username ci --password secret://env/REGISTRY_TOKEN`,
    )
    .action((reference: string, options: VerifyOptions) => verify(shell, reference, options));
}

function wholeNumber(text: string): number {
  if (/^[1-9][0-9]{0,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 1');
}

async function verify(shell: Shell, text: string, options: VerifyOptions): Promise<void> {
  const reference = parseImageReference(text);
  const keys = await Promise.all(options.key.map(readKey));
  const source = sourceOf(shell, reference, options);
  const { threshold } = options;
  const verified = await verifyImage(source, reference.digest, { keys, threshold });
  if (options.json) printJson(shell.output, 'kwam.image-verify/v1', report(reference, source, verified));
  else printVerified(shell, reference, verified);
}

function readKey(path: string): Promise<AcceptedKey> {
  return acceptedKey(basename(path), textOf(path, 'a public key in PEM'));
}

const LOGIN = { username: '--username', password: '--password' };

function sourceOf(shell: Shell, reference: ImageReference, options: VerifyOptions): ImageSource {
  if (options.layout !== undefined) return new OciLayout(options.layout);
  return new Registry(reference, registryOptions(shell, options, LOGIN));
}

function report(reference: ImageReference, source: ImageSource, { image, accepted, refused }: VerifiedImage) {
  return {
    image: showReference(reference),
    mediaType: image.mediaType,
    place: source.place,
    accepted: accepted.map(({ key, format, blob }) => ({
      key: key.name,
      fingerprint: key.fingerprint,
      format,
      blob: showDigest(blob),
    })),
    refused: refused.map((one) => ({ ...one, blob: showDigest(one.blob) })),
  };
}

function printVerified(shell: Shell, reference: ImageReference, { accepted, refused }: VerifiedImage): void {
  printLine(shell.output, showReference(reference));
  for (const { key, format } of accepted) printLine(shell.output, `signed by ${key.name} (${format})`);
  for (const { message } of refused) shell.note(`kwam-dp: does not count: ${message}`);
}
