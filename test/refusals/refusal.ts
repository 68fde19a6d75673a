/**
 * One row of the refusal table: an input that a rule must refuse, under its own code.
 * An area adds rows by a file of its own beside this one and a line in areas.ts.
 */
import { KwamError } from '../../src/errors.ts';

export interface Refusal {
  /** What is refused, in a few words. */
  readonly input: string;
  /** The error's code, and after a slash the `context.rule` where the code has rules. */
  readonly code: string;
  /** Must throw a KwamError; whatever it returns counts as accepted. */
  readonly attempt: () => unknown;
}

export interface Area {
  readonly name: string;
  /** Accepts what all is well with: the rows differ from it in one thing each. */
  readonly accepted: () => unknown;
  readonly rows: readonly Refusal[];
  /** Ends the servers that its rows have started. */
  readonly close?: () => Promise<void>;
}

export interface Outcome {
  readonly refused: boolean;
  readonly code: string;
  readonly message: string;
}

export async function outcomeOf({ attempt }: Pick<Refusal, 'attempt'>): Promise<Outcome> {
  try {
    await attempt();
  } catch (error) {
    if (!(error instanceof KwamError)) return { refused: true, code: 'not ours', message: String(error) };
    const { rule } = error.context;
    const code = rule === undefined ? error.code : `${error.code}/${rule}`;
    return { refused: true, code, message: error.message };
  }
  return { refused: false, code: 'accepted', message: '' };
}
