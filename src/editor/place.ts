/**
 * What is due where the cursor stands, for completion.
 * In: a text and an offset. Out: the kind of thing that belongs there, and the part of it that has been typed.
 * Reads the tokens before the cursor and nothing after it, because a program is half written where one types: the parser would
 * take the next line's attribute for the value that is still missing here.
 */
import { attributeRow, BLOCKS } from '../language/schema.ts';
import type { AttributeRow, BodyRow, ExpectedType } from '../language/schema-types.ts';

export type Due =
  | { readonly kind: 'item' }
  | { readonly kind: 'attribute'; readonly body: BodyRow; readonly written: readonly string[] }
  | { readonly kind: 'value'; readonly type: ExpectedType; readonly row: AttributeRow }
  | { readonly kind: 'any value' }
  | { readonly kind: 'version' }
  | { readonly kind: 'module' }
  | { readonly kind: 'export' }
  | { readonly kind: 'word'; readonly word: string }
  /** A comment, or a name that the author invents. */
  | { readonly kind: 'nothing' };

export interface Place {
  readonly due: Due;
  /** What has been typed of it; starts with `"` in a string and with `${` in an interpolation. */
  readonly typed: string;
  readonly start: number;
}

/** As the grammar's terminals, and with ends that are still missing. */
const TOKEN =
  /#[^\n\r]*|"(?:[^"\\\n\r]|\\[^\n\r])*(?:"|\\?)|\$\{[^{}"\n\r]*\}?|…|\.\.\.|<[^<>{}[\]"\n\r]*>|[A-Za-z][A-Za-z0-9+.-]*:\/\/[^\s{}[\](),"<>]*|[+-]?[A-Za-z0-9_*][A-Za-z0-9_.:/%*+-]*|[^\s]/g;

type Top =
  | 'item'
  | 'version'
  | 'module name'
  | 'import'
  | 'as'
  | 'alias'
  | 'digest'
  | 'digest value'
  | 'use'
  | 'let'
  | '='
  | 'let value'
  | 'block name'
  | '{';

/** After an item's keyword, and after each of its parts. */
const NEXT: Readonly<Partial<Record<Top, Top>>> = {
  version: 'item',
  'module name': 'item',
  import: 'as',
  as: 'alias',
  alias: 'digest',
  digest: 'digest value',
  'digest value': 'item',
  use: 'item',
  let: '=',
  '=': 'let value',
  'let value': 'item',
  'block name': '{',
};

const KEYWORDS: ReadonlyMap<string, Top> = new Map<string, Top>([
  ['apiVersion', 'version'],
  ['module', 'module name'],
  ['import', 'import'],
  ['use', 'use'],
  ['let', 'let'],
  ['export', 'item'],
]);

interface Frame {
  readonly row: BodyRow | undefined;
  readonly written: string[];
  /** The attribute whose value or body is due; undefined before its name. */
  attribute: AttributeRow | undefined;
  hasName: boolean;
  hasValue: boolean;
}

class Reader {
  #top: Top = 'item';
  #kind = '';
  #frames: Frame[] = [];
  #lists = 0;

  /** `ahead` are the two tokens that follow. */
  take(token: string, ahead: readonly string[]): void {
    if (this.#startsItem(token, ahead)) {
      this.#frames = [];
      this.#lists = 0;
      this.#top = 'item';
    }
    if (token === '[' || token === '(') this.#lists++;
    else if (token === ']' || token === ')') this.#closeList(token);
    else if (this.#lists === 0) this.#takePlain(token);
  }

  /** A block or a keyword of items where a brace before it was forgotten. */
  #startsItem(token: string, [name = '', brace]: readonly string[]): boolean {
    if (this.#frames.length === 0) return false;
    return KEYWORDS.has(token) || (BLOCKS.has(token) && /^[A-Za-z_]/.test(name) && brace === '{');
  }

  /** A list is one value; the word before parentheses has been taken as one. */
  #closeList(token: string): void {
    this.#lists = Math.max(0, this.#lists - 1);
    if (this.#lists === 0 && token === ']') this.#takePlain('[]');
  }

  #takePlain(token: string): void {
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#takeTop(token);
    else this.#takeInBody(frame, token);
  }

  #takeTop(token: string): void {
    if (token === '{') this.#open(BLOCKS.get(this.#kind)?.body);
    else this.#takeWord(token);
  }

  #takeWord(token: string): void {
    const keyword = KEYWORDS.get(token);
    // The digest of an import may be missing: then the next item begins here.
    const isNext = this.#top === 'item' || (this.#top === 'digest' && token !== 'digest');
    if (keyword !== undefined) this.#top = keyword;
    else if (!isNext) this.#top = NEXT[this.#top] ?? 'item';
    else if (/^[A-Za-z_]/.test(token)) [this.#top, this.#kind] = ['block name', token];
    else this.#top = 'item';
  }

  #open(row: BodyRow | undefined): void {
    this.#top = 'item';
    this.#frames.push({ row, written: [], attribute: undefined, hasName: false, hasValue: false });
  }

  #takeInBody(frame: Frame, token: string): void {
    if (token === '}') this.#frames.pop();
    else if (token === '{') this.#openInner(frame);
    else if (frame.hasName && !frame.hasValue && frame.attribute?.type !== undefined) frame.hasValue = true;
    else this.#name(frame, token);
  }

  #openInner(frame: Frame): void {
    const { attribute } = frame;
    [frame.hasName, frame.hasValue, frame.attribute] = [false, false, undefined];
    this.#open(attribute?.body);
  }

  #name(frame: Frame, token: string): void {
    if (token === '…' || token === '...') return;
    const name = token.startsWith('"') ? token.slice(1, -1) : token;
    frame.attribute = frame.row === undefined ? undefined : attributeRow(frame.row, name);
    [frame.hasName, frame.hasValue] = [true, false];
    frame.written.push(name);
  }

  due(): Due {
    const frame = this.#frames.at(-1);
    if (frame === undefined) return this.#dueAtTop();
    const row = frame.attribute;
    if (row?.type !== undefined && frame.hasName && !frame.hasValue) {
      return { kind: 'value', type: this.#lists > 0 ? itemType(row.type) : row.type, row };
    }
    if (this.#lists > 0 || frame.row === undefined) return { kind: 'nothing' };
    return { kind: 'attribute', body: frame.row, written: frame.written };
  }

  #dueAtTop(): Due {
    switch (this.#top) {
      case 'item':
        return { kind: 'item' };
      case 'version':
        return { kind: 'version' };
      case 'import':
        return { kind: 'module' };
      case 'as':
      case 'digest':
      case '=':
        return { kind: 'word', word: this.#top };
      case 'use':
        return { kind: 'export' };
      case 'let value':
        return { kind: 'any value' };
      default:
        return { kind: 'nothing' };
    }
  }
}

function itemType(type: ExpectedType): ExpectedType {
  if (type.kind === 'list') return type.of;
  return type;
}

/** Still being typed where it ends at the cursor: words, and strings and interpolations without their end. */
function isOpen(token: string): boolean {
  if (token.startsWith('#')) return true;
  if (token.startsWith('"')) return token.length === 1 || !/[^\\](?:\\\\)*"$/.test(token);
  if (token.startsWith('${')) return !token.endsWith('}');
  return /^[A-Za-z0-9_*+-]/.test(token);
}

export function placeAt(text: string, offset: number): Place {
  const tokens = [...text.slice(0, offset).matchAll(TOKEN)];
  const last = tokens.at(-1);
  const isTyped = last !== undefined && last.index + last[0].length === offset && isOpen(last[0]);
  const typed = isTyped ? last[0] : '';
  const start = isTyped ? last.index : offset;
  if (typed.startsWith('#')) return { due: { kind: 'nothing' }, typed, start };
  const words = tokens.map((token) => token[0]).filter((token) => !token.startsWith('#'));
  const reader = new Reader();
  const count = isTyped ? words.length - 1 : words.length;
  for (let at = 0; at < count; at++) reader.take(words[at]!, words.slice(at + 1, at + 3));
  return { due: reader.due(), typed, start };
}
