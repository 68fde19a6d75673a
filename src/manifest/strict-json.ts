/**
 * JSON that others wrote, read so that every reader sees the same document.
 * In: bytes. Out: the value. Source: RFC 8259, narrowed by I-JSON (RFC 7493): UTF-8, no member twice in one object.
 * Members that the caller does not know are kept: documents of other tools grow. For our own formats see JsonCursor.
 */
import { type ErrorCode, KwamError } from '../errors.ts';
import { jsonNestingMax } from '../limits.ts';

const QUOTE = '"';

/** `what`, `code` and `rule` name the document in the error. */
export interface JsonDocument {
  readonly what: string;
  readonly code: ErrorCode;
  readonly rule: string;
}

export function parseStrictJson(bytes: Uint8Array, document: JsonDocument): unknown {
  const text = decoded(bytes) ?? refuse(document, 'bytes that are no UTF-8');
  const value = parsed(text) ?? refuse(document, 'text that does not parse');
  checkNesting(text, document);
  const twice = repeatedMember(text);
  if (twice !== undefined) refuse(document, `the member ${twice} twice in one object`);
  return value.value;
}

function refuse({ what, code, rule }: JsonDocument, actual: string): never {
  throw new KwamError(code, `${what}: expected JSON with each member once, got ${actual}; do not use it`, {
    context: { rule, actual },
  });
}

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    if (cause instanceof TypeError) return undefined;
    throw cause;
  }
}

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch (cause) {
    if (cause instanceof SyntaxError) return undefined;
    throw cause;
  }
}

/** Strings, brackets and colons of a text that is known to be JSON, in order. */
function* tokens(text: string): Generator<string> {
  for (let i = 0; i < text.length; i++) {
    const character = text[i]!;
    if (character === QUOTE) {
      const start = i++;
      while (text[i] !== QUOTE) i += text[i] === '\\' ? 2 : 1;
      yield text.slice(start, i + 1);
    } else if ('{}[]:'.includes(character)) yield character;
  }
}

function checkNesting(text: string, document: JsonDocument): void {
  let depth = 0;
  for (const token of tokens(text)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    if (depth > jsonNestingMax) refuse(document, `more than ${jsonNestingMax} levels`);
  }
}

/** The first name that an object has twice, as it is written: a string before a colon is a name. */
function repeatedMember(text: string): string | undefined {
  const open: Set<string>[] = [];
  let last = '';
  for (const token of tokens(text)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (token === ':' && last.startsWith(QUOTE)) {
      const names = open.at(-1)!;
      const name = JSON.parse(last) as string;
      if (names.has(name)) return last;
      names.add(name);
    }
    last = token;
  }
  return undefined;
}
