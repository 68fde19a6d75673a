/**
 * The vocabulary's form: what a row of schema.ts can say about an attribute.
 */
import type { Dimension } from './quantity.ts';

export type BlockKind =
  | 'profile'
  | 'policy'
  | 'server'
  | 'discovery'
  | 'client'
  | 'replicate'
  | 'guard'
  | 'metric'
  | 'pool'
  | 'deploy'
  | 'domains'
  | 'hardware'
  | 'interconnects'
  | 'sandboxes';

/** Words whose list is not the schema's: a table in a module or in a rule file knows it. */
export type Vocabulary =
  | 'hardware'
  | 'interconnect'
  | 'health hook'
  | 'health signal'
  | 'sandbox'
  | 'capability'
  | 'counter'
  | 'fallback'
  | 'domain';

export type ExpectedType =
  | { readonly kind: 'text'; readonly noun: string; readonly example: string }
  | {
      readonly kind: 'number';
      readonly noun: string;
      readonly min: number;
      readonly max: number;
      readonly whole: boolean;
    }
  | { readonly kind: 'boolean' }
  | {
      readonly kind: 'quantity';
      readonly dimension: Dimension;
      /** Bounds in the base unit, inclusive; more than zero unless `min` is given. */
      readonly min?: number;
      readonly max?: number;
    }
  | { readonly kind: 'choice'; readonly words: readonly string[] }
  | {
      readonly kind: 'word';
      readonly vocabulary: Vocabulary;
      readonly quoted: boolean;
      readonly example: string;
    }
  | { readonly kind: 'reference'; readonly to: BlockKind }
  | { readonly kind: 'secret' }
  | {
      readonly kind: 'uri';
      readonly noun: string;
      readonly schemes: readonly string[];
      readonly example: string;
    }
  | { readonly kind: 'scope' }
  | { readonly kind: 'cidr' }
  | { readonly kind: 'host' }
  | { readonly kind: 'digest' }
  | { readonly kind: 'erasure' }
  | { readonly kind: 'date' }
  | { readonly kind: 'list'; readonly of: ExpectedType; readonly itemsMin: number }
  | { readonly kind: 'either'; readonly of: readonly ExpectedType[] };

export interface AttributeRow {
  readonly name: string;
  readonly required: boolean;
  /** Absent for attributes that are only a body. */
  readonly type?: ExpectedType;
  readonly body?: BodyRow;
  /** One sentence, for hover, completion and the reference page. */
  readonly doc: string;
  /** What holds when the attribute is not written, in words. */
  readonly default?: string;
  /** A value for a new program, where the type's own example would not do. */
  readonly example?: string;
}

/** Fixed attributes, or a map whose keys the author chooses. */
export type BodyRow =
  | { readonly kind: 'record'; readonly attributes: readonly AttributeRow[] }
  | {
      readonly kind: 'map';
      readonly key: 'word' | 'text' | 'either';
      readonly keyNoun: string;
      /** Keys that can be offered: the words of a vocabulary, and those beside them. */
      readonly known?: { readonly vocabulary: Vocabulary; readonly beside: readonly string[] };
      readonly entry: AttributeRow;
    };

export interface BlockRow {
  readonly kind: BlockKind;
  readonly doc: string;
  readonly body: BodyRow;
  /** Only modules may export it. */
  readonly moduleOnly: boolean;
}
