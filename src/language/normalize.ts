/**
 * Values without names: every `${…}` replaced by what it stands for.
 * In: written values and the program's names. Out: normal values, each knowing where it is written and, when it came through a
 * `let`, where it is used. Lets are settled once, in the order of their dependencies, so that long chains cost no recursion
 * and sharing no copies; a circle of lets is reported and all of it is wrong.
 * A secret never becomes part of a text. Does not know types: fit.ts does.
 */
import { interpolatedCharactersMax } from '../limits.ts';
import { describeLiteral } from './describe.ts';
import { type Diagnostic, type DiagnosticCode, type DiagnosticExtras, diagnostic } from './diagnostic.ts';
import { type Literal, literalOf, type Problem, type ReadLiteral, type TextPart } from './literals.ts';
import { type Declaration, describeDeclaration, type Names } from './names.ts';
import type { SourceRange, SourceText } from './source.ts';
import type { WrittenAtom, WrittenLet, WrittenName, WrittenValue } from './written.ts';

interface Origin {
  /** Where it is written. */
  readonly range: SourceRange;
  /** Where it is used, when that is elsewhere. */
  readonly used?: SourceRange;
  /** The `let` that it is written in. */
  readonly letName?: string;
}

export type Normal = Origin &
  (
    | { readonly kind: 'literal'; readonly literal: ReadLiteral }
    | { readonly kind: 'list'; readonly items: readonly Normal[] }
    | { readonly kind: 'call'; readonly name: WrittenName; readonly items: readonly Normal[] }
    | { readonly kind: 'block'; readonly declaration: Declaration }
    | { readonly kind: 'wrong' }
  );

export type Report = (made: Diagnostic) => void;

/** How a literal reads inside a text; undefined for what has no place in one. */
function textOfLiteral(literal: Literal, written: string): string | undefined {
  switch (literal.kind) {
    case 'text':
      return literal.parts.map((part) => part.text).join('');
    case 'number':
    case 'quantity':
    case 'boolean':
    case 'word':
    case 'host':
    case 'cidr':
    case 'date':
    case 'uri':
      return written;
    default:
      return undefined;
  }
}

export class Normalizer {
  readonly #source: SourceText;
  readonly #names: Names;
  readonly #report: Report;
  readonly #lets = new Map<string, Normal>();

  constructor(source: SourceText, names: Names, lets: readonly WrittenLet[], report: Report) {
    this.#source = source;
    this.#names = names;
    this.#report = report;
    this.#settleLets(lets);
  }

  /** The settled value of a let, as used at a place; undefined when the word is no let. */
  letAt(word: string, used: SourceRange): Normal | undefined {
    const declaration = this.#names.find(word);
    if (declaration?.kind !== 'let') return undefined;
    this.#names.use(used, declaration);
    return { ...(this.#lets.get(word) ?? { kind: 'wrong', range: used }), used };
  }

  settled(name: string): Normal | undefined {
    return this.#lets.get(name);
  }

  value(written: WrittenValue, letName?: string): Normal {
    const origin = { range: written.range, ...(letName === undefined ? {} : { letName }) };
    if (written.kind === 'atom') return this.#atom(written, origin);
    const items = written.items.map((item) => this.value(item, letName));
    if (written.kind === 'list') return { kind: 'list', items, ...origin };
    return { kind: 'call', name: written.name, items, ...origin };
  }

  #error(code: DiagnosticCode, message: string, range: SourceRange, extras: DiagnosticExtras = {}): void {
    this.#report(diagnostic(code, message, { file: this.#source.file, range }, extras));
  }

  #atom(written: WrittenAtom, origin: Origin): Normal {
    const literal = literalOf(written);
    if (literal.kind === 'problem') return this.#refuse(literal, written.range);
    if (literal.kind === 'unreadable') return { kind: 'wrong', range: written.range };
    if (literal.kind === 'interpolation') return this.#named(literal.path, written.range, origin);
    if (literal.kind === 'word' && origin.letName !== undefined) {
      return this.letAt(literal.word, written.range) ?? { kind: 'literal', literal, ...origin };
    }
    if (literal.kind !== 'text') return { kind: 'literal', literal, ...origin };
    const text = this.#fill(literal.parts, written);
    if (text === undefined) return { kind: 'wrong', range: written.range };
    return { kind: 'literal', literal: { kind: 'text', parts: [{ kind: 'plain', text, at: 1 }] }, ...origin };
  }

  #refuse({ code, message, note, instead, part }: Problem, range: SourceRange): Normal {
    const replacement = instead === undefined ? undefined : { range, text: instead };
    const suggestion = replacement && { title: `write \`${instead}\``, replacement };
    const start = range.start.offset + (part?.at ?? 0);
    const wrong = part === undefined ? range : this.#source.range(start, start + part.length);
    this.#error(code, message, wrong, { note, suggestion });
    return { kind: 'wrong', range };
  }

  #named(path: string, range: SourceRange, origin: Origin): Normal {
    const declaration = this.#lookUp(path, range);
    if (declaration === undefined) return { kind: 'wrong', range };
    if (declaration.kind === 'let') return this.letAt(path, range)!;
    this.#names.use(range, declaration);
    return { kind: 'block', declaration, ...origin };
  }

  #lookUp(path: string, range: SourceRange): Declaration | undefined {
    const declaration = this.#names.find(path);
    if (declaration !== undefined) return declaration;
    const nearest = this.#names.nearest(path);
    this.#error('KW2002', `expected a name of this program, got \`${path}\`, which nothing declares`, range, {
      suggestion: nearest === undefined ? undefined : this.#rename(range, path, nearest),
    });
    return undefined;
  }

  #rename(range: SourceRange, path: string, nearest: string) {
    const text = this.#source.slice(range).replace(path, nearest);
    return { title: `did you mean \`${nearest}\`?`, replacement: { range, text } };
  }

  /** The text with its names filled in; undefined when that is impossible, which has then been said. */
  #fill(parts: readonly TextPart[], written: WrittenAtom): string | undefined {
    let text = '';
    for (const part of parts) {
      const piece = part.kind === 'plain' ? part.text : this.#fillPart(part, written);
      if (piece === undefined) return undefined;
      text += piece;
      if (text.length > interpolatedCharactersMax) return this.#refuseLength(written.range);
    }
    return text;
  }

  #refuseLength(range: SourceRange): undefined {
    this.#error(
      'KW1011',
      `expected a text of at most ${interpolatedCharactersMax} characters, got more`,
      range,
    );
    return undefined;
  }

  #fillPart(part: TextPart, written: WrittenAtom): string | undefined {
    const start = written.range.start.offset + part.at;
    const range = this.#source.range(start, start + part.text.length);
    const value = this.#named(part.text, range, { range });
    if (value.kind === 'wrong') return undefined;
    if (value.kind === 'literal' && value.literal.kind === 'secret') {
      this.#error(
        'KW3001',
        `expected something that may be read, got the secret \`${part.text}\`: a secret never becomes part of a text`,
        range,
        {
          note: `Pass the secret itself, \${${part.text}} without quotes, to an attribute that takes secrets.`,
        },
      );
      return undefined;
    }
    const text =
      value.kind === 'literal' ? textOfLiteral(value.literal, this.#source.slice(value.range)) : undefined;
    if (text === undefined) this.#refuseInText(value, part.text, range);
    return text;
  }

  #refuseInText(value: Normal, name: string, range: SourceRange): void {
    const isHole = value.kind === 'literal' && value.literal.kind === 'hole';
    if (isHole) return;
    const got =
      value.kind === 'literal'
        ? describeLiteral(value.literal)
        : value.kind === 'block'
          ? describeDeclaration(value.declaration)
          : 'a list';
    this.#error(
      'KW2013',
      `expected a text, a number or a word inside a string, got ${got}: \`${name}\``,
      range,
    );
  }

  /** Kahn's order over the lets; what is left over lies on a circle or behind one. */
  #settleLets(lets: readonly WrittenLet[]): void {
    const declared = lets.filter((item) => this.#names.isFirst({ kind: 'let', name: item.name, item }));
    const waiting = new Map(declared.map((item) => [item.name.text, new Set(this.#mentioned(item.value))]));
    const users = new Map<string, WrittenLet[]>();
    for (const item of declared) {
      for (const name of waiting.get(item.name.text)!) {
        const known = users.get(name);
        if (known === undefined) users.set(name, [item]);
        else known.push(item);
      }
    }
    const ready = declared.filter((item) => waiting.get(item.name.text)!.size === 0);
    for (let item = ready.pop(); item !== undefined; item = ready.pop()) {
      const name = item.name.text;
      this.#lets.set(name, this.value(item.value, name));
      waiting.delete(name);
      for (const user of users.get(name) ?? []) {
        const left = waiting.get(user.name.text)!;
        left.delete(name);
        if (left.size === 0) ready.push(user);
      }
    }
    for (const item of declared) if (waiting.has(item.name.text)) this.#refuseCircle(item, waiting);
  }

  #refuseCircle(item: WrittenLet, waiting: ReadonlyMap<string, ReadonlySet<string>>): void {
    const path = [item.name.text];
    for (let next = this.#firstOf(waiting, path); next !== undefined; next = this.#firstOf(waiting, path)) {
      path.push(next);
    }
    this.#error(
      'KW2012',
      `expected a value, got a circle: \`${item.name.text}\` waits for \`${path.at(-1)}\``,
      item.name.range,
      {
        note: `${path.slice(0, 8).join(' → ')} → …`,
      },
    );
    this.#lets.set(item.name.text, { kind: 'wrong', range: item.range });
  }

  #firstOf(waiting: ReadonlyMap<string, ReadonlySet<string>>, path: readonly string[]): string | undefined {
    if (path.length >= 8) return undefined;
    const [next] = waiting.get(path.at(-1)!) ?? [];
    return next === undefined || path.includes(next) ? undefined : next;
  }

  /** The lets that a value names. */
  #mentioned(value: WrittenValue): readonly string[] {
    if (value.kind !== 'atom') return value.items.flatMap((item) => this.#mentioned(item));
    const literal = literalOf(value);
    const names =
      literal.kind === 'interpolation'
        ? [literal.path]
        : literal.kind === 'word'
          ? [literal.word]
          : literal.kind === 'text'
            ? literal.parts.filter((part) => part.kind === 'path').map((part) => part.text)
            : [];
    return names.filter((name) => this.#names.find(name)?.kind === 'let');
  }
}
