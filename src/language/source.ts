/**
 * Places in a program's text.
 * In: a text. Out: points and ranges; lines and columns are 1-based, columns and offsets count UTF-16 units, an end is exclusive.
 * A line ends with LF, CR LF or CR, as in the language server protocol.
 */
export interface SourcePoint {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

export interface SourceRange {
  readonly start: SourcePoint;
  readonly end: SourcePoint;
}

const LF = 10;
const CR = 13;

function lineStartsOf(text: string): readonly number[] {
  const starts = [0];
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === LF || (unit === CR && text.charCodeAt(at + 1) !== LF)) starts.push(at + 1);
  }
  return starts;
}

/** One text with its name; turns offsets into points. Offsets outside the text are moved to its nearest end. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly #lineStarts: readonly number[];

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    this.#lineStarts = lineStartsOf(text);
  }

  get lineCount(): number {
    return this.#lineStarts.length;
  }

  point(offset: number): SourcePoint {
    const inside = Math.min(Math.max(offset, 0), this.text.length);
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle]! <= inside) low = middle;
      else high = middle - 1;
    }
    return { offset: inside, line: low + 1, column: inside - this.#lineStarts[low]! + 1 };
  }

  /** The other way round: a place beyond its line is the line's end, before the mark that ends it. */
  offset(line: number, column: number): number {
    if (line < 1) return 0;
    const start = this.#lineStarts[line - 1];
    if (start === undefined) return this.text.length;
    return start + Math.min(Math.max(column - 1, 0), this.line(line).length);
  }

  range(startOffset: number, endOffset: number): SourceRange {
    return { start: this.point(startOffset), end: this.point(Math.max(startOffset, endOffset)) };
  }

  /** The text of a line without its end, 1-based. */
  line(number: number): string {
    const start = this.#lineStarts[number - 1] ?? this.text.length;
    const next = this.#lineStarts[number] ?? this.text.length + 1;
    return this.text.slice(start, next).replace(/[\r\n]+$/, '');
  }

  slice(range: SourceRange): string {
    return this.text.slice(range.start.offset, range.end.offset);
  }
}
