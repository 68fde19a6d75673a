/** fmt: programs in the one style, in place; `--check` only says which are not. */
import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import { hasErrors } from '../language/diagnostic.ts';
import { format } from '../language/format.ts';
import { renderPretty } from '../language/render-pretty.ts';
import { SourceText } from '../language/source.ts';
import { replaceFile } from './module-files.ts';
import { programText } from './program-file.ts';
import type { Shell } from './shell.ts';
import { isColoured, printLine } from './terminal.ts';

export function define(command: Command, shell: Shell): void {
  command
    .argument('<program...>', '.kwam files')
    .option('--check', 'change nothing; exit 1 when a file is not formatted')
    .addHelpText('after', '\nExamples:\n  kwam-dp fmt cluster.kwam\n  kwam-dp fmt --check *.kwam')
    .action((files: string[], options: { readonly check?: boolean }) => {
      for (const file of files) formatFile(shell, file, options.check === true);
    });
}

function formatFile(shell: Shell, file: string, checkOnly: boolean): void {
  const before = programText(file);
  const { text, diagnostics } = format(file, before);
  if (hasErrors(diagnostics)) {
    shell.exitCode = EXIT.no;
    const colour = isColoured(shell.output, shell.environment);
    printLine(shell.output, renderPretty(diagnostics, [new SourceText(file, before)], { colour }));
    return;
  }
  if (text === before) return;
  if (checkOnly) shell.exitCode = EXIT.no;
  else replaceFile(file, text);
  printLine(shell.output, checkOnly ? `${file} is not formatted` : `${file} formatted`);
}
