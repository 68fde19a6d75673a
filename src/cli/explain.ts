/** explain CODE: why a diagnostic is given, with a program that fails and one that passes. */
import type { Command } from 'commander';
import { KwamError } from '../errors.ts';
import { readable } from '../language/code-page.ts';
import { CODES } from '../language/codes.ts';
import type { DiagnosticCode } from '../language/diagnostic.ts';
import type { Shell } from './shell.ts';
import { printJson, printLine, printTable } from './terminal.ts';

export function define(command: Command, shell: Shell): void {
  command
    .argument('[code]', 'such as KW3102; left out, all codes are listed')
    .option('--json', 'print one JSON document (kwam.explain/v1)')
    .addHelpText('after', '\nExamples:\n  kwam-dp explain\n  kwam-dp explain KW4101')
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
  if (json) {
    printJson(shell.output, 'kwam.explain/v1', { code, ...page });
    return;
  }
  printLine(shell.output, `${code}: ${page.title}\n\n${page.why}\n`);
  printLine(
    shell.output,
    `This fails:\n\n${indented(page.failing)}\n\nThis passes:\n\n${indented(page.passing)}`,
  );
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `  ${line}`))
    .join('\n');
}
