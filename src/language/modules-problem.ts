/**
 * Why a module is not taken: values with the codes of the catalogue, never exceptions.
 * The caller knows where the import stands and makes a diagnostic of it; the commands make an exit code of it.
 */
import type { DiagnosticCode } from './diagnostic.ts';

export const MODULE_CODES = {
  importWithoutDigest: 'KW3101',
  digestMismatch: 'KW3102',
  cacheEdited: 'KW3103',
  signatureMissing: 'KW3104',
  signatureStripped: 'KW3105',
  signatureOfAnother: 'KW3106',
  untrustedKey: 'KW3107',
  changedAfterSigning: 'KW3108',
  cycle: 'KW3109',
  readsSecret: 'KW3110',
  readsFile: 'KW3111',
  lockDisagrees: 'KW3112',
  notFound: 'KW3113',
  notAModule: 'KW3114',
  importsBeyondStd: 'KW3115',
  signatureUnreadable: 'KW3116',
  keyNotValid: 'KW3117',
  tooFewSigners: 'KW3118',
} as const satisfies Readonly<Record<string, DiagnosticCode>>;

export type ModuleFault = keyof typeof MODULE_CODES;

export interface ModuleProblem {
  readonly fault: ModuleFault;
  readonly code: DiagnosticCode;
  /** Expected, actual and remedy. */
  readonly message: string;
  /** The module that is not taken. */
  readonly module: string;
  /** The digest that the import should have, where freezing would be a remedy. */
  readonly digest?: string;
}

export type Outcome<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problem: ModuleProblem };

export function fine<T>(value: T): Outcome<T> {
  return { ok: true, value };
}

export function refused(
  fault: ModuleFault,
  module: string,
  message: string,
  digest?: string,
): { readonly ok: false; readonly problem: ModuleProblem } {
  const problem = { fault, code: MODULE_CODES[fault], message, module };
  return { ok: false, problem: digest === undefined ? problem : { ...problem, digest } };
}
