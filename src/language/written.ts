/**
 * A program as it is written: its shape with ranges, before names, types and units are known. lower.ts makes it, resolve.ts and
 * format.ts read it. Parts that a syntax error destroyed are absent.
 */
import type { SourceRange } from './source.ts';

export interface WrittenName {
  readonly text: string;
  readonly range: SourceRange;
}

/** What the token is; its meaning is literals.ts' business. `text` is the source's, quotes and all. */
export type AtomForm =
  | 'text'
  | 'open-text'
  | 'bare-text'
  | 'number'
  | 'uri'
  | 'interpolation'
  | 'hole'
  | 'word';

export interface WrittenAtom {
  readonly kind: 'atom';
  readonly form: AtomForm;
  readonly text: string;
  readonly range: SourceRange;
}
export interface WrittenList {
  readonly kind: 'list';
  readonly items: readonly WrittenValue[];
  readonly range: SourceRange;
}
/** `rs(6, 3)` */
export interface WrittenCall {
  readonly kind: 'call';
  readonly name: WrittenName;
  readonly items: readonly WrittenValue[];
  readonly range: SourceRange;
}
export type WrittenValue = WrittenAtom | WrittenList | WrittenCall;

export interface WrittenAttribute {
  readonly kind: 'attribute';
  /** As written: `"spiffe://…"` keeps its quotes. */
  readonly name: WrittenName;
  readonly value?: WrittenValue;
  readonly body?: WrittenBody;
  readonly range: SourceRange;
}
/** A bare hole between attributes. */
export interface WrittenOmission {
  readonly kind: 'omission';
  readonly text: string;
  readonly range: SourceRange;
}
export interface WrittenBody {
  readonly entries: readonly (WrittenAttribute | WrittenOmission)[];
  readonly range: SourceRange;
}

export interface WrittenVersion {
  readonly kind: 'apiVersion';
  readonly version: WrittenAtom;
  readonly range: SourceRange;
}
export interface WrittenModule {
  readonly kind: 'module';
  readonly name: WrittenAtom;
  readonly range: SourceRange;
}
export interface WrittenImport {
  readonly kind: 'import';
  readonly module: WrittenAtom;
  readonly alias: WrittenName;
  readonly digest?: WrittenAtom;
  readonly range: SourceRange;
}
export interface WrittenUse {
  readonly kind: 'use';
  readonly path: WrittenName;
  readonly range: SourceRange;
}
export interface WrittenLet {
  readonly kind: 'let';
  readonly name: WrittenName;
  readonly value: WrittenValue;
  readonly range: SourceRange;
}
export interface WrittenBlock {
  readonly kind: 'block';
  readonly exported: boolean;
  readonly blockKind: WrittenName;
  readonly name: WrittenName;
  readonly body: WrittenBody;
  readonly range: SourceRange;
}
export type WrittenItem =
  | WrittenVersion
  | WrittenModule
  | WrittenImport
  | WrittenUse
  | WrittenLet
  | WrittenBlock;

export interface WrittenProgram {
  readonly items: readonly WrittenItem[];
}
