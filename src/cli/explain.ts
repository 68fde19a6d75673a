/** explain CODE: why a diagnostic is given, with a program that fails and one that passes. */
import { join } from 'node:path';
import type { Command } from 'commander';
import { KwamError } from '../errors.ts';
import { DIGEST_PLACEHOLDER, readable } from '../language/code-page.ts';
import { CODES } from '../language/codes.ts';
import type { DiagnosticCode } from '../language/diagnostic.ts';
import { meaningOf, readModule } from '../language/modules.ts';
import { digestOf } from './domain-digest.ts';
import { copyAt, standardDirectory } from './module-files.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

export function define(command: Command, shell: Shell): void {
  command
    .argument('[code]', 'such as KW3102; left out, all codes are listed')
    .option('--json', 'print one JSON document (kwam.explain/v1)')
    .addHelpText('after', '\nExamples:\n  kwam-dp explain\n  kwam-dp explain KW3102')
    .action((code: string | undefined, options: { readonly json?: boolean }) => {
      if (code === undefined) list(shell, options.json === true);
      else explain(shell, code.toUpperCase(), options.json === true);
    });
}

function list(shell: Shell, json: boolean): void {
  const pages = [...CODES].map(([code, { title }]) => ({ code, title }));
  if (json) printJson(shell.output, 'kwam.explain/v1', { codes: pages });
  else
    printTable(
      shell.output,
      pages.map(({ code, title }) => [code, title]),
    );
}

function explain(shell: Shell, code: string, json: boolean): void {
  const found = CODES.get(code as DiagnosticCode);
  if (found === undefined) {
    throw new KwamError('NOT_FOUND', `no diagnostic has the code ${code}; kwam-dp explain lists all`);
  }
  const page = readable(found);
  const [failing, passing] = [pinned(page.failing), pinned(page.passing)];
  if (json) {
    printJson(shell.output, 'kwam.explain/v1', { code, ...page, failing, passing });
    return;
  }
  printLine(shell.output, `${code}: ${page.title}\n\n${page.why}\n`);
  printLine(
    shell.output,
    `${headingOf(page.title)}\n\n${indented(failing)}\n\nThis passes:\n\n${indented(passing)}`,
  );
  if ([failing, passing].some((text) => text.includes(DIGEST_PLACEHOLDER)))
    printLine(shell.output, '\nDIGEST stands for that of a module that is made up for this page.');
}

/** A warning or a note leaves a program right. */
function headingOf(title: string): string {
  const severity = /\((warning|note)\)$/.exec(title)?.[1];
  return severity === undefined ? 'This fails:' : `This gets the ${severity}:`;
}

/** With the digests that the standard modules have, so that an example can be taken as it stands. */
function pinned(text: string): string {
  return text.replaceAll(/^import "(std\/[a-z]+)" as \w+ digest "sha256:DIGEST"$/gm, (line, name: string) =>
    line.replace(DIGEST_PLACEHOLDER, standardDigest(name) ?? DIGEST_PLACEHOLDER),
  );
}

function standardDigest(name: string): string | undefined {
  const file = join(standardDirectory(), `${name.slice('std/'.length)}.kwam`);
  const copy = copyAt(file, 'file');
  const read = copy && readModule(file, copy.text, name);
  const meaning = read?.ok === true ? meaningOf(read.value, new Map(), digestOf) : undefined;
  return meaning?.ok === true ? meaning.value.digest : undefined;
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
    .join('\n');
}
