/**
 * What a long-running process says when it dies of a bug: the error with its stack, without the secrets that it had resolved.
 * Diagnostic reports are kept free of the environment by a flag of Node (serve.ts). Not covered: core dumps and heap snapshots, which are
 * the memory itself.
 */
import { writeSync } from 'node:fs';
import { inspect } from 'node:util';
import { EXIT } from '../errors.ts';
import { redacted } from '../secrets/redaction.ts';

export function crashWithoutSecrets(): void {
  process.on('uncaughtException', (error) => {
    // Synchronous: the process ends with the next line.
    writeSync(2, redacted(`kwam-dp: internal error, please report it\n${inspect(error)}\n`));
    process.exit(EXIT.environment);
  });
}
