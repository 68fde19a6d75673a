/**
 * argv → command → exit code.
 * In: the arguments as Node gives them. Out: 0 success, 1 the thing asked about is not so, 2 usage, 3 environment,
 * 4 integrity, 5 refused. Results go to stdout, everything else to stderr. Does not exit: bin/kwam-dp.mjs does.
 */
import { type Output, printError } from './cli/terminal.ts';

/** A reader that has seen enough (`kwam-dp ls | head`) is no failure of ours. */
function heedClosedPipe(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

export async function main(argv: readonly string[], output: Output = process): Promise<number> {
  if (output === process) heedClosedPipe();
  const { exitCodeOf } = await import('./errors.ts');
  try {
    const { runProgram } = await import('./cli/program.ts');
    return await runProgram(argv.slice(2), output);
  } catch (error) {
    printError(output, error);
    return exitCodeOf(error);
  }
}
