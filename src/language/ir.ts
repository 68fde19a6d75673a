/**
 * The intermediate representation: a resolved program as plain readonly values with source ranges. Rules, plan and language
 * server read this and nothing of the parser.
 * Every attribute's value has been brought to the type that schema.ts gives it. Where that failed, a diagnostic says so and the
 * value is `{ kind: 'wrong' }`; where the program leaves it open, it is a hole. Read values with access.ts, which gives
 * undefined for both, so that a rule never repeats an error or judges what is not there.
 */
import type { Dimension, Rational } from './quantity.ts';
import type { AttributeRow, BlockKind } from './schema-types.ts';
import type { SecretReference } from './secret.ts';
import type { SourceRange } from './source.ts';

interface Placed {
  /** Where the value is written; for an interpolated `let`, where it is used. */
  readonly range: SourceRange;
}

export interface TextIr extends Placed {
  readonly kind: 'text';
  readonly text: string;
}
/** A plain number: `factor 3`. `amount` is the nearest double. */
export interface NumberIr extends Placed {
  readonly kind: 'number';
  readonly amount: number;
  readonly exact: Rational;
}
export interface BooleanIr extends Placed {
  readonly kind: 'boolean';
  readonly value: boolean;
}
/** `amount` and `exact` in bytes, milliseconds, bits per second, fraction of one, nines or times. */
export interface QuantityIr extends Placed {
  readonly kind: 'quantity';
  readonly dimension: Dimension;
  readonly amount: number;
  readonly exact: Rational;
  readonly written: string;
}
/** A word of a vocabulary: `quic`, `gvisor`, `rack`, `dcgm.gpu_health`, `silent_corruption_count`. */
export interface WordIr extends Placed {
  readonly kind: 'word';
  readonly word: string;
}
/** A block of this program, or, for a pool, a name that the inventory has to declare (`declared: false`). */
export interface ReferenceIr extends Placed {
  readonly kind: 'reference';
  readonly to: BlockKind;
  readonly name: string;
  readonly declared: boolean;
}
export interface SecretIr extends Placed {
  readonly kind: 'secret';
  readonly secret: SecretReference;
}
/** A URI other than secret://, as written; `spiffe://` may be an ID or a pattern, which the schema's type tells. */
export interface UriIr extends Placed {
  readonly kind: 'uri';
  readonly scheme: string;
  readonly uri: string;
}
/** `10.40.0.0/16` as written; whether it is canonical is a rule's question. */
export interface CidrIr extends Placed {
  readonly kind: 'cidr';
  readonly address: string;
  readonly prefixLength: number;
}
export interface HostIr extends Placed {
  readonly kind: 'host';
  readonly host: string;
  readonly port?: number;
}
/** `rs(6, 3)`; or `lrc(12, 2, 2)`, whose 2 groups have one of the 4 parity shards each. */
export interface ErasureIr extends Placed {
  readonly kind: 'erasure';
  readonly dataShards: number;
  readonly parityShards: number;
  readonly localGroups?: number;
}
/** A digest string as written, `sha256:<64 hex>`; rules judge its form and length. */
export interface DigestIr extends Placed {
  readonly kind: 'digest';
  readonly digest: string;
}
export interface ListIr extends Placed {
  readonly kind: 'list';
  readonly items: readonly ValueIr[];
}
export interface HoleIr extends Placed {
  readonly kind: 'hole';
  readonly expected: string;
}
export interface WrongIr extends Placed {
  readonly kind: 'wrong';
}

export type ValueIr =
  | TextIr
  | NumberIr
  | BooleanIr
  | QuantityIr
  | WordIr
  | ReferenceIr
  | SecretIr
  | UriIr
  | CidrIr
  | HostIr
  | ErasureIr
  | DigestIr
  | ListIr
  | HoleIr
  | WrongIr;

export interface AttributeIr {
  readonly name: string;
  readonly nameRange: SourceRange;
  readonly range: SourceRange;
  /** Absent for attributes that are only a body, such as `ports { … }`. */
  readonly value?: ValueIr;
  readonly body?: BodyIr;
  /** The row of the schema, for hover and completion. */
  readonly row: AttributeRow;
}

/** The attributes between two braces, known ones only, in the order of the text, each name once. */
export interface BodyIr {
  readonly range: SourceRange;
  readonly attributes: readonly AttributeIr[];
  /** A bare `…` stands for attributes that are still to be written: nothing is missing here until it is gone. */
  readonly open: boolean;
}

export interface BlockIr {
  readonly kind: BlockKind;
  readonly name: string;
  readonly file: string;
  readonly nameRange: SourceRange;
  readonly range: SourceRange;
  readonly exported: boolean;
  readonly body: BodyIr;
}

export interface ImportIr {
  /** `std/faultdomains` */
  readonly module: string;
  readonly moduleRange: SourceRange;
  readonly alias: string;
  readonly aliasRange: SourceRange;
  readonly range: SourceRange;
  /** As written; undefined when it is missing or a hole. */
  readonly digest?: string;
  readonly digestRange?: SourceRange;
  readonly digestIsHole: boolean;
  /** What the resolver brought; undefined when it could not (then a diagnostic says why). */
  readonly loaded?: LoadedModule;
}

/** A module's meaning, as a ModuleResolver returns it. */
export interface LoadedModule {
  readonly program: ProgramIr;
  /** `sha256:<64 hex>` of its resolved exports. */
  readonly digest: string;
}

export interface UseIr {
  readonly alias: string;
  readonly name: string;
  readonly range: SourceRange;
  /** The exported block, when the module could be loaded and has it. */
  readonly block?: BlockIr;
}

export interface LetIr {
  readonly name: string;
  readonly nameRange: SourceRange;
  readonly range: SourceRange;
}

/** One use of a declared name, for definition, references and rename. */
export interface NameUse {
  readonly range: SourceRange;
  readonly target: { readonly file: string; readonly nameRange: SourceRange; readonly name: string };
}

export interface Hole {
  /** `server.seed.ports.control`, `import.fd.digest` */
  readonly path: string;
  readonly expected: string;
  readonly file: string;
  readonly range: SourceRange;
}

export interface ProgramIr {
  readonly file: string;
  /** The very beginning, for what is missing as a whole. */
  readonly start: SourceRange;
  readonly apiVersion?: { readonly version: string; readonly range: SourceRange };
  /** Set for a module file. */
  readonly module?: { readonly name: string; readonly range: SourceRange };
  readonly imports: readonly ImportIr[];
  readonly uses: readonly UseIr[];
  readonly lets: readonly LetIr[];
  readonly blocks: readonly BlockIr[];
  readonly holes: readonly Hole[];
  readonly nameUses: readonly NameUse[];
}
