/**
 * Refuses a text that is too large before anything is built from it.
 * Counting is one pass without allocation; it never counts fewer tokens than the lexer would make.
 */
import { programCharactersMax, programTokensMax } from '../limits.ts';

const SPACE = 32;

/** The characters that every word and number may go on with; a run of them is at most one token, as is any other mark. */
function isRunUnit(unit: number): boolean {
  const letter = unit | 32;
  return (
    (letter >= 97 && letter <= 122) || (unit >= 48 && unit <= 57) || unit === 95 || unit === 45 || unit === 42
  );
}

function countTokensAtMost(text: string): number {
  let count = 0;
  let inRun = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= SPACE) {
      inRun = false;
      continue;
    }
    const isRun = isRunUnit(unit);
    if (!isRun || !inRun) count++;
    inRun = isRun;
  }
  return count;
}

/** What is too large, in words, or undefined. */
export function sizeProblem(text: string): string | undefined {
  if (text.length > programCharactersMax) {
    return `expected a program of at most ${programCharactersMax} characters, got ${text.length}`;
  }
  const tokens = countTokensAtMost(text);
  if (tokens > programTokensMax) {
    return `expected a program of at most ${programTokensMax} words and marks, got about ${tokens}`;
  }
  return undefined;
}
