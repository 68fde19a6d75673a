/**
 * What a static rule is and what it may ask for beside the program.
 * The tables are the std/ modules' meaning as plain data; inventory and consent tokens are there only when the caller has them. A rule that
 * needs something that is absent says nothing, or says what it assumes.
 * A rule is pure: the same program and context give the same diagnostics.
 */
import type { Tier } from '../plan.ts';
import type { Diagnostic } from './diagnostic.ts';
import type { Inventory } from './inventory.ts';
import type { ProgramIr } from './ir.ts';

export interface Link {
  readonly bitsPerSecond: number;
  readonly latencyMs: number;
}

/** Bandwidth and latency between two nodes, by the narrowest thing that both are in. */
export interface Interconnect {
  readonly name: string;
  readonly links: Readonly<Record<Tier, Link>>;
}

export interface Hardware {
  readonly name: string;
  /** The interconnects that such machines are built with, the usual one first. */
  readonly interconnects: readonly string[];
  /** Portable signal (`dcgm.gpu_health`) → where this hardware reports it. A signal that is absent has no source here. */
  readonly signals: ReadonlyMap<string, string>;
}

/** The meaning of std/hardware, std/interconnects and std/sandbox. */
export interface StandardTables {
  readonly hardware: ReadonlyMap<string, Hardware>;
  readonly interconnects: ReadonlyMap<string, Interconnect>;
  /** Strength of each sandbox, higher is stronger; `none` is 0. An organisation may only move entries up. */
  readonly sandboxes: ReadonlyMap<string, number>;
}

export interface CheckContext {
  readonly tables: StandardTables;
  readonly inventory?: Inventory;
  /** The resource glob of the token that this deploy names, when the caller has read it. A seed verifies it again. */
  readonly consentResource?: (deploy: string) => string | undefined;
}

export type Rule = (program: ProgramIr, context: CheckContext) => readonly Diagnostic[];
