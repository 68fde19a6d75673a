/**
 * What `explain CODE` shows. Both examples are whole programs that the tests compile: the failing one gives this code, the
 * passing one gives no error when holes are allowed.
 * `sha256:DIGEST` in an example stands for the digest of the module: the tests put one in, `explain` that of the standard module.
 */

export const DIGEST_PLACEHOLDER = 'sha256:DIGEST';

export interface CodePage {
  readonly title: string;
  readonly why: string;
  readonly failing: string;
  readonly passing: string;
  /** Instead of a failing example that is too long to read. */
  readonly shown?: string;
}

export type CodePages = Readonly<Record<`KW${number}`, CodePage>>;

/** The page as people read it. */
export function readable({ shown, ...page }: CodePage): CodePage {
  return shown === undefined ? page : { ...page, failing: shown };
}

/** A program around the lines that matter. */
export function program(lines: string): string {
  return `apiVersion "kwam.dev/v0.2"\n${lines.trim()}\n`;
}
