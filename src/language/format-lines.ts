/**
 * The lines of a formatted program, and the alignment of their trailing comments.
 */
export interface Line {
  readonly indent: number;
  readonly code: string;
  readonly comment?: string;
  readonly blankBefore: boolean;
}

const widthOf = ({ indent, code }: Line): number => indent + code.length;

/** Neighbouring lines of one depth that all have a comment share its column: one space after the longest of them. */
function commentColumns(lines: readonly Line[]): readonly number[] {
  const columns: number[] = [];
  for (let from = 0; from < lines.length; ) {
    let to = from + 1;
    const goesOn = () => {
      const next = lines[to];
      return next?.comment !== undefined && !next.blankBefore && next.indent === lines[from]!.indent;
    };
    while (lines[from]!.comment !== undefined && goesOn()) to++;
    const run = lines.slice(from, to);
    const column = run.reduce((widest, line) => Math.max(widest, widthOf(line)), 0) + 1;
    for (let at = from; at < to; at++) columns.push(column);
    from = to;
  }
  return columns;
}

export function writeLines(lines: readonly Line[]): string {
  const columns = commentColumns(lines);
  return lines
    .map((line, at) => {
      const code = `${' '.repeat(line.indent)}${line.code}`;
      const comment =
        line.comment === undefined ? '' : `${' '.repeat(columns[at]! - code.length)}${line.comment}`;
      return `${line.blankBefore ? '\n' : ''}${code}${comment}\n`;
    })
    .join('');
}
