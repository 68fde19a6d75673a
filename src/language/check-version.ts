/**
 * Rule: the program says for which version of the language it is written, and it is the one that this compiler knows.
 */
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { ProgramIr } from './ir.ts';

const API_VERSION = 'kwam.dev/v0.2';

export function checkVersion({ file, apiVersion, start }: ProgramIr): readonly Diagnostic[] {
  const text = `apiVersion "${API_VERSION}"`;
  if (apiVersion === undefined) {
    return [
      diagnostic(
        'KW1015',
        `expected \`${text}\` at the top of the program, got none`,
        { file, range: start },
        {
          suggestion: { title: `add \`${text}\``, replacement: { range: start, text: `${text}\n` } },
        },
      ),
    ];
  }
  const { version, range } = apiVersion;
  if (version === API_VERSION) return [];
  return [
    diagnostic(
      'KW1015',
      `expected the version "${API_VERSION}", got "${version.slice(0, 60)}"`,
      { file, range },
      {
        note: 'Another version may mean something else by the same words, so it is not read as this one.',
        suggestion: { title: `write "${API_VERSION}"`, replacement: { range, text: `"${API_VERSION}"` } },
      },
    ),
  ];
}
