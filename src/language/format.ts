/**
 * `fmt`: a program in the one style. Two spaces, one attribute a line; a block or a body that was written on one line and fits in 80 columns
 * stays on one; a list is on one line where it fits, else one item a line; one blank line at most; the trailing comments of
 * neighbouring lines are aligned; a comment in the middle of an attribute moves above it.
 * In: a text. Out: the styled text; the same text and the errors if it has syntax errors. Formatting twice changes nothing more.
 * Does not reorder, rename or rewrite values.
 */
import { type Diagnostic, hasErrors } from './diagnostic.ts';
import { type Line, writeLines } from './format-lines.ts';
import { type FormatUnit, unitsOfBody, unitsOfProgram, valueText } from './format-units.ts';
import { parse } from './parse.ts';
import type { Comment } from './parser.ts';
import type { SourceText } from './source.ts';
import type { WrittenBody, WrittenList } from './written.ts';

export interface Formatted {
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

const columnsMax = 80;
const indentColumns = 2;

class Printer {
  readonly lines: Line[] = [];
  readonly #source: SourceText;
  readonly #comments: readonly Comment[];
  #next = 0;
  /** Last line of the source that has been printed; undefined right after an opening brace. */
  #lastLine: number | undefined;

  constructor(source: SourceText, comments: readonly Comment[]) {
    this.#source = source;
    this.#comments = comments;
  }

  /** Units in order, then the comments before `limit`. */
  units(units: readonly FormatUnit[], depth: number, limit: number): void {
    units.forEach((unit, at) => {
      this.#unit(unit, depth, units[at + 1]?.range.start.offset ?? limit);
    });
    this.#ownLines(this.#takeUntil(limit), depth);
  }

  #lineOf(offset: number): number {
    return this.#source.point(offset).line;
  }

  #takeUntil(limit: number): readonly Comment[] {
    const from = this.#next;
    while ((this.#comments[this.#next]?.startOffset ?? limit) < limit) this.#next++;
    return this.#comments.slice(from, this.#next);
  }

  #push(depth: number, code: string, sourceLine: number, comment?: string): void {
    const blank = this.#lastLine !== undefined && sourceLine > this.#lastLine + 1;
    const indent = depth * indentColumns;
    this.lines.push({ indent, code, blankBefore: blank, ...(comment === undefined ? {} : { comment }) });
    this.#lastLine = sourceLine;
  }

  #ownLines(comments: readonly Comment[], depth: number): void {
    for (const { text, startOffset } of comments) this.#push(depth, text, this.#lineOf(startOffset));
  }

  /** The comment that follows on the line where the last thing ended. */
  #trailing(endOffset: number, limit: number): string | undefined {
    const comment = this.#comments[this.#next];
    if (comment === undefined || comment.startOffset >= limit) return undefined;
    if (this.#lineOf(comment.startOffset) !== this.#lineOf(endOffset)) return undefined;
    this.#next++;
    return comment.text;
  }

  #unit(unit: FormatUnit, depth: number, limit: number): void {
    this.#ownLines(this.#takeUntil(unit.range.start.offset), depth);
    const oneLine = this.#onOneLine(unit, depth);
    if (oneLine !== undefined) this.#pushEnd(unit, depth, oneLine, limit);
    else this.#spread(unit, depth, limit);
  }

  #pushEnd(unit: FormatUnit, depth: number, code: string, limit: number): void {
    const { start, end } = unit.range;
    this.#push(depth, code, start.line, this.#trailing(end.offset - 1, limit));
    this.#lastLine = end.line;
  }

  /** Undefined when it has comments inside, does not fit, or has a body that the author spread over lines. */
  #onOneLine(unit: FormatUnit, depth: number): string | undefined {
    if ((this.#comments[this.#next]?.startOffset ?? Number.POSITIVE_INFINITY) < unit.range.end.offset)
      return undefined;
    if (unit.body !== undefined && unit.body.range.start.line !== unit.body.range.end.line) return undefined;
    const text = unitText(unit);
    const breakable = unit.body !== undefined || unit.value?.kind === 'list';
    return !breakable || depth * indentColumns + text.length <= columnsMax ? text : undefined;
  }

  #spread(unit: FormatUnit, depth: number, limit: number): void {
    const headEnd = unit.body?.range.start.offset ?? unit.range.end.offset;
    const inHead = this.#takeUntil(headEnd);
    const list = unit.value?.kind === 'list' ? unit.value : undefined;
    const inList = inHead.filter((each) => list !== undefined && isInside(each, list));
    this.#ownLines(
      inHead.filter((each) => !inList.includes(each)),
      depth,
    );
    const opening = unit.body === undefined ? '' : ' {';
    const head = this.#head(unit, depth, list, inList, opening);
    if (unit.body === undefined) this.#pushEnd(unit, depth, head, limit);
    else this.#body(unit, unit.body, head, depth, limit);
  }

  /** What stands on the last line of the head; the lines before it are pushed. */
  #head(
    unit: FormatUnit,
    depth: number,
    list: WrittenList | undefined,
    inList: readonly Comment[],
    opening: string,
  ): string {
    const flat = `${unit.head}${unit.value === undefined ? '' : ` ${valueText(unit.value)}`}${opening}`;
    const fits = depth * indentColumns + flat.length <= columnsMax;
    if (list === undefined || (inList.length === 0 && (fits || list.items.length === 0))) return flat;
    this.#list(unit, list, inList, depth);
    return `]${opening}`;
  }

  #list(unit: FormatUnit, list: WrittenList, comments: readonly Comment[], depth: number): void {
    const left = [...comments];
    const takeBefore = (offset: number) =>
      left.splice(0, left.findLastIndex((each) => each.startOffset < offset) + 1);
    const takeOnLine = (line: number, before: number) =>
      left[0] !== undefined && left[0].startOffset < before && this.#lineOf(left[0].startOffset) === line
        ? left.shift()?.text
        : undefined;
    const first = list.items[0]?.range.start.offset ?? list.range.end.offset;
    this.#push(depth, `${unit.head} [`, unit.range.start.line, takeOnLine(list.range.start.line, first));
    this.#lastLine = undefined;
    list.items.forEach((item, at) => {
      this.#ownLines(takeBefore(item.range.start.offset), depth + 1);
      const until = list.items[at + 1]?.range.start.offset ?? list.range.end.offset;
      const inside = left.splice(
        0,
        left.findLastIndex((each) => each.startOffset < item.range.end.offset) + 1,
      );
      this.#ownLines(inside, depth + 1);
      const trailing = takeOnLine(item.range.end.line, until);
      this.#push(depth + 1, `${valueText(item)},`, item.range.start.line, trailing);
      this.#lastLine = item.range.end.line;
    });
    this.#ownLines(left, depth + 1);
    this.#lastLine = undefined;
  }

  #body(unit: FormatUnit, body: WrittenBody, head: string, depth: number, limit: number): void {
    const units = unitsOfBody(body);
    const end = body.range.end.offset;
    const first = units[0]?.range.start.offset ?? end;
    this.#push(depth, head, unit.range.start.line, this.#trailing(body.range.start.offset, first));
    this.#lastLine = undefined;
    this.units(units, depth + 1, end - 1);
    this.#lastLine = undefined;
    this.#push(depth, '}', body.range.end.line, this.#trailing(end - 1, limit));
  }
}

function isInside(comment: Comment, list: WrittenList): boolean {
  return comment.startOffset > list.range.start.offset && comment.startOffset < list.range.end.offset;
}

function unitText(unit: FormatUnit): string {
  const value = unit.value === undefined ? '' : ` ${valueText(unit.value)}`;
  if (unit.body === undefined) return `${unit.head}${value}`;
  const inner = unitsOfBody(unit.body).map(unitText);
  return inner.length === 0 ? `${unit.head}${value} { }` : `${unit.head}${value} { ${inner.join(' ')} }`;
}

export function format(file: string, text: string): Formatted {
  const { source, program, comments, diagnostics } = parse(file, text);
  if (hasErrors(diagnostics)) return { text, diagnostics };
  const printer = new Printer(source, comments);
  printer.units(unitsOfProgram(program), 0, text.length + 1);
  return { text: writeLines(printer.lines), diagnostics };
}
