/**
 * The attributes of a block against its rows in the schema.
 * In: a written body, its row, the path for holes. Out: a typed body; diagnostics for unknown, repeated and missing attributes and
 * for values and bodies that are due or not. A hole where a body is due stands for all of it.
 */
import { describeAttribute, describeType } from './describe.ts';
import { type DiagnosticCode, type DiagnosticExtras, diagnostic, type Suggestion } from './diagnostic.ts';
import type { Fitter } from './fit.ts';
import type { AttributeIr, BodyIr } from './ir.ts';
import { literalOf, plainText } from './literals.ts';
import { nearestName } from './nearest-name.ts';
import type { Normalizer, Report } from './normalize.ts';
import { omissionIn } from './omissions.ts';
import type { Comment } from './parser.ts';
import { attributeRow } from './schema.ts';
import type { AttributeRow, BodyRow } from './schema-types.ts';
import type { SourceRange, SourceText } from './source.ts';
import type { WrittenAttribute, WrittenBody, WrittenName, WrittenValue } from './written.ts';

export interface BodyTools {
  readonly source: SourceText;
  readonly normalizer: Normalizer;
  readonly fitter: Fitter;
  readonly report: Report;
  readonly omissions: readonly Comment[];
  /** Offsets of syntax errors. */
  readonly damage: readonly number[];
}

interface Owner {
  /** "server `seed`", for messages. */
  readonly title: string;
  readonly nameRange: SourceRange;
  /** `server.seed`, for holes. */
  readonly path: string;
}

export class BodyResolver {
  readonly #tools: BodyTools;

  constructor(tools: BodyTools) {
    this.#tools = tools;
  }

  resolve(body: WrittenBody, row: BodyRow, owner: Owner): BodyIr {
    const seen = new Map<string, WrittenAttribute>();
    const attributes: AttributeIr[] = [];
    let open = false;
    for (const entry of body.entries) {
      if (entry.kind === 'omission') {
        open = true;
        this.#tools.fitter.hole(entry.range, owner.path, `the omitted attributes of ${owner.title}`);
        continue;
      }
      const attribute = this.#attribute(entry, row, owner, seen);
      if (attribute !== undefined) attributes.push(attribute);
    }
    open ||= this.#isDamaged(body.range);
    if (!open) open = this.#requireAll(body, row, owner, seen);
    return { range: body.range, attributes, open };
  }

  /** Where the parser had to skip something, nothing is called missing. */
  #isDamaged({ start, end }: SourceRange): boolean {
    return this.#tools.damage.some((at) => at >= start.offset && at <= end.offset);
  }

  #error(code: DiagnosticCode, message: string, range: SourceRange, extras: DiagnosticExtras = {}): void {
    this.#tools.report(diagnostic(code, message, { file: this.#tools.source.file, range }, extras));
  }

  #attribute(
    written: WrittenAttribute,
    row: BodyRow,
    owner: Owner,
    seen: Map<string, WrittenAttribute>,
  ): AttributeIr | undefined {
    const name = this.#key(written.name, row, owner);
    if (name === undefined) return undefined;
    const found = attributeRow(row, name);
    if (found === undefined) return this.#unknown(written.name, row, owner);
    const earlier = seen.get(name);
    if (earlier !== undefined) return this.#repeated(written, earlier);
    seen.set(name, written);
    const inner: Owner = {
      title: `\`${name}\``,
      nameRange: written.name.range,
      path: `${owner.path}.${name}`,
    };
    return this.#typed(written, name, found, inner);
  }

  #typed(written: WrittenAttribute, name: string, row: AttributeRow, owner: Owner): AttributeIr {
    const isHole = written.value !== undefined && this.#isHole(written.value);
    const value = this.#value(written, row, owner, isHole);
    const body = isHole && written.body === undefined ? undefined : this.#body(written, row, owner);
    return {
      name,
      nameRange: written.name.range,
      range: written.range,
      ...(value === undefined ? {} : { value }),
      ...(body === undefined ? {} : { body }),
      row,
    };
  }

  #isHole(value: WrittenValue): boolean {
    return value.kind === 'atom' && value.form === 'hole';
  }

  #value(written: WrittenAttribute, row: AttributeRow, owner: Owner, isHole: boolean) {
    const { fitter, normalizer } = this.#tools;
    if (written.value === undefined) {
      if (row.type === undefined) return undefined;
      this.#error(
        'KW2014',
        `${owner.title} needs a value: expected ${describeType(row.type)}`,
        written.name.range,
      );
      return { kind: 'wrong' as const, range: written.name.range };
    }
    if (row.type !== undefined) return fitter.fit(normalizer.value(written.value), row.type, owner.path);
    if (isHole) return fitter.hole(written.value.range, owner.path, describeAttribute(row));
    this.#error(
      'KW2014',
      `${owner.title} has no value of its own: expected \`{\` and its attributes`,
      written.value.range,
    );
    return undefined;
  }

  #body(written: WrittenAttribute, row: AttributeRow, owner: Owner): BodyIr | undefined {
    if (row.body !== undefined) return this.#bodyOrEmpty(written, row, row.body, owner);
    if (written.body === undefined) return undefined;
    const expected = row.type === undefined ? 'nothing' : describeType(row.type);
    this.#error(
      'KW2014',
      `${owner.title} has no attributes of its own: expected ${expected}`,
      written.body.range,
    );
    return undefined;
  }

  /** A body that is not written is an empty one, which lacks what is required; optional parts stay absent. */
  #bodyOrEmpty(
    written: WrittenAttribute,
    row: AttributeRow,
    body: BodyRow,
    owner: Owner,
  ): BodyIr | undefined {
    if (written.body !== undefined) return this.resolve(written.body, body, owner);
    if (row.type === undefined) return undefined;
    const end = written.range.end.offset;
    const empty = { entries: [], range: this.#tools.source.range(end, end) };
    return this.resolve(empty, body, owner);
  }

  /** The name that a key means, or undefined with a diagnostic. */
  #key(name: WrittenName, row: BodyRow, owner: Owner): string | undefined {
    const quoted = name.text.startsWith('"');
    if (row.kind === 'map') return this.#mapKey(name, row, quoted, owner);
    if (!quoted) return name.text;
    const inner = name.text.slice(1, -1);
    const known = attributeRow(row, inner) !== undefined;
    this.#error(
      'KW2008',
      `expected an attribute of ${owner.title}, got a string`,
      name.range,
      known ? { suggestion: replace(name.range, inner) } : {},
    );
    return undefined;
  }

  #mapKey(name: WrittenName, row: Extract<BodyRow, { kind: 'map' }>, quoted: boolean, owner: Owner) {
    if (row.key !== 'either' && quoted !== (row.key === 'text')) {
      const instead = quoted ? name.text.slice(1, -1) : `"${name.text}"`;
      this.#error(
        'KW2006',
        `${owner.title} expects ${row.keyNoun}, got ${name.text.slice(0, 60)}`,
        name.range,
        {
          suggestion: replace(name.range, instead),
        },
      );
      return undefined;
    }
    if (!quoted) return name.text;
    const atom = { kind: 'atom', form: 'text', ...name } as const;
    const text = plainText(atom);
    if (text !== undefined) return text;
    const literal = literalOf(atom);
    const why = literal.kind === 'problem' ? literal.message : 'expected a name without interpolation';
    this.#error(literal.kind === 'problem' ? literal.code : 'KW2006', why, name.range);
    return undefined;
  }

  #unknown(name: WrittenName, row: BodyRow, owner: Owner): undefined {
    const known = row.kind === 'record' ? row.attributes.map((each) => each.name) : [];
    const nearest = nearestName(name.text, known);
    this.#error('KW2008', `${owner.title} has no attribute \`${name.text.slice(0, 60)}\``, name.range, {
      note: `It has ${known.map((each) => `\`${each}\``).join(', ')}.`,
      suggestion: nearest === undefined ? undefined : replace(name.range, nearest),
    });
    return undefined;
  }

  #repeated(written: WrittenAttribute, earlier: WrittenAttribute): undefined {
    this.#error('KW2009', `${shown(written.name)} is written twice: expected it once`, written.name.range, {
      note: `The first one is in line ${earlier.name.range.start.line}.`,
    });
    return undefined;
  }

  /** True where an omission comment made holes of what is missing: then the body is still open. */
  #requireAll(body: WrittenBody, row: BodyRow, owner: Owner, seen: ReadonlyMap<string, unknown>): boolean {
    if (row.kind === 'map') return false;
    const missing = row.attributes.filter((each) => each.required && !seen.has(each.name));
    if (missing.length === 0) return false;
    const omission = omissionIn(body, this.#tools.omissions);
    for (const each of missing) {
      if (omission === undefined) this.#missing(body, each, owner);
      else this.#omitted(omission, each, owner);
    }
    return omission !== undefined;
  }

  #omitted({ startOffset, text }: Comment, row: AttributeRow, owner: Owner): void {
    const range = this.#tools.source.range(startOffset, startOffset + text.length);
    this.#tools.fitter.hole(range, `${owner.path}.${row.name}`, describeAttribute(row));
  }

  #missing(body: WrittenBody, row: AttributeRow, owner: Owner): void {
    const message = `${owner.title} needs \`${row.name}\`: expected ${describeAttribute(row)}`;
    this.#error('KW2010', message, owner.nameRange, {
      note: row.doc,
      suggestion: this.#insertion(body, row),
    });
  }

  /** The missing attribute with a hole, before the closing brace. */
  #insertion(body: WrittenBody, row: AttributeRow): Suggestion {
    const { start, end } = body.range;
    const isWritten = end.offset > start.offset;
    const offset = isWritten ? end.offset - 1 : end.offset;
    const range = this.#tools.source.range(offset, offset);
    const attribute = row.type === undefined ? `${row.name} { … }` : `${row.name} …`;
    const text = isWritten ? `${attribute}\n` : ` { ${attribute} … }`;
    return { title: `add \`${row.name}\` with a hole`, replacement: { range, text } };
  }
}

function shown(name: WrittenName): string {
  return `\`${name.text.slice(0, 60)}\``;
}

function replace(range: SourceRange, text: string): Suggestion {
  return { title: `did you mean \`${text}\`?`, replacement: { range, text } };
}
