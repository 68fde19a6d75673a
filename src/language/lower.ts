/**
 * From Langium's syntax tree to the written program: the only file that knows the generated types, so that the parser can be
 * replaced. After a syntax error any part of a node may be missing, whatever its type says; such a part is left out.
 */
import type { AstNode } from 'langium';
import type {
  Arguments,
  Atom,
  Attribute,
  AttributeName,
  Block,
  Body,
  Entry,
  Import,
  Item,
  Name,
  Program,
  Value,
  WordOrCall,
} from './generated/ast.ts';
import type { SourceRange, SourceText } from './source.ts';
import type {
  AtomForm,
  WrittenAtom,
  WrittenAttribute,
  WrittenBlock,
  WrittenBody,
  WrittenImport,
  WrittenItem,
  WrittenName,
  WrittenOmission,
  WrittenProgram,
  WrittenValue,
} from './written.ts';

const ADDRESS6 = /^[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]*(?:\/[0-9]{1,3})?$/;

/** The first character decides, as it does in the grammar's terminals; but for IPv6. */
function formOf(text: string): AtomForm {
  const first = text[0] ?? '';
  if (first === '"') return text.length > 1 && endsString(text) ? 'text' : 'open-text';
  if (first === '$') return 'interpolation';
  if (first === '…' || first === '<' || first === '.') return 'hole';
  if (/[0-9+-]/.test(first) || ADDRESS6.test(text)) return 'number';
  return /^[A-Za-z][A-Za-z0-9+.-]*:\/\//.test(text) ? 'uri' : 'bare-text';
}

/** A last quote that an odd number of backslashes precedes belongs to the text. */
function endsString(text: string): boolean {
  return text.endsWith('"') && (/\\*$/.exec(text.slice(0, -1))?.[0].length ?? 0) % 2 === 0;
}

class Lowering {
  readonly #source: SourceText;

  constructor(source: SourceText) {
    this.#source = source;
  }

  program(root: Program): WrittenProgram {
    return { items: root.items.map((item) => this.#item(item)).filter((item) => item !== undefined) };
  }

  #range(node: AstNode): SourceRange {
    const cst = node.$cstNode;
    const start = cst?.offset ?? 0;
    return this.#source.range(start, Math.max(start, cst?.end ?? 0));
  }

  #name(node: Name | AttributeName | undefined): WrittenName | undefined {
    if (node?.$cstNode === undefined || node.text === undefined) return undefined;
    const range = this.#range(node);
    return { text: this.#source.slice(range), range };
  }

  #atom(node: Atom | undefined): WrittenAtom | undefined {
    if (node?.$cstNode === undefined || node.text === undefined) return undefined;
    const range = this.#range(node);
    const text = this.#source.slice(range);
    return { kind: 'atom', form: formOf(text), text, range };
  }

  #value(node: Value | undefined): WrittenValue | undefined {
    if (node === undefined) return undefined;
    if (node.$type === 'Atom') return this.#atom(node);
    if (node.$type === 'WordOrCall') return this.#wordOrCall(node);
    return { kind: 'list', items: this.#values(node.items), range: this.#range(node) };
  }

  #values(nodes: Arguments['items']): readonly WrittenValue[] {
    return nodes.map((node) => this.#value(node)).filter((value) => value !== undefined);
  }

  #wordOrCall(node: WordOrCall): WrittenValue | undefined {
    const name = this.#name(node.word);
    if (name === undefined) return undefined;
    if (node.arguments === undefined) return { kind: 'atom', form: 'word', ...name };
    return { kind: 'call', name, items: this.#values(node.arguments.items), range: this.#range(node) };
  }

  #body(node: Body | undefined): WrittenBody | undefined {
    if (node === undefined) return undefined;
    const entries = node.entries.map((entry) => this.#entry(entry)).filter((entry) => entry !== undefined);
    return { entries, range: this.#range(node) };
  }

  #entry(node: Entry): WrittenAttribute | WrittenOmission | undefined {
    if (node.$type === 'Attribute') return this.#attribute(node);
    return node.text === undefined
      ? undefined
      : { kind: 'omission', text: node.text, range: this.#range(node) };
  }

  #attribute(node: Attribute): WrittenAttribute | undefined {
    const name = this.#name(node.name);
    if (name === undefined) return undefined;
    const value = this.#value(node.value);
    const body = this.#body(node.body);
    return {
      kind: 'attribute',
      name,
      ...(value === undefined ? {} : { value }),
      ...(body === undefined ? {} : { body }),
      range: this.#range(node),
    };
  }

  #item(node: Item): WrittenItem | undefined {
    const range = this.#range(node);
    switch (node.$type) {
      case 'ApiVersion': {
        const version = this.#atom(node.version);
        return version && { kind: 'apiVersion', version, range };
      }
      case 'Module': {
        const name = this.#atom(node.name);
        return name && { kind: 'module', name, range };
      }
      case 'Import':
        return this.#import(node);
      case 'Use': {
        const path = this.#name(node.path);
        return path && { kind: 'use', path, range };
      }
      case 'Let': {
        const name = this.#name(node.name);
        const value = this.#value(node.value);
        return name && value && { kind: 'let', name, value, range };
      }
      case 'Block':
        return this.#block(node);
    }
  }

  #import(node: Import): WrittenImport | undefined {
    const module = this.#atom(node.module);
    const alias = this.#name(node.alias);
    if (module === undefined || alias === undefined) return undefined;
    const digest = this.#atom(node.digest);
    return {
      kind: 'import',
      module,
      alias,
      ...(digest === undefined ? {} : { digest }),
      range: this.#range(node),
    };
  }

  #block(node: Block): WrittenBlock | undefined {
    const blockKind = this.#name(node.kind);
    const name = this.#name(node.name);
    const body = this.#body(node.body);
    if (blockKind === undefined || name === undefined || body === undefined) return undefined;
    return {
      kind: 'block',
      exported: node.exported === true,
      blockKind,
      name,
      body,
      range: this.#range(node),
    };
  }
}

export function lower(root: AstNode, source: SourceText): WrittenProgram {
  return new Lowering(source).program(root as Program);
}
