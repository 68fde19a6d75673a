/**
 * Tables of the form and with the names that the standard modules give, for tests of rules. Numbers are of the usual order only.
 */
import type { Hardware, Interconnect, StandardTables } from '../../src/language/check-context.ts';

const SIGNALS = [
  'dcgm.gpu_health',
  'dcgm.ecc',
  'dcgm.remap',
  'dcgm.nvlink',
  'nvml.xid_errors',
  'nccl.comm_status',
];

function hardware(name: string, interconnects: readonly string[], missing: readonly string[] = []): Hardware {
  const signals = SIGNALS.filter((each) => !missing.includes(each));
  return { name, interconnects, signals: new Map(signals.map((each) => [each, `${name}: ${each}`])) };
}

function interconnect(name: string, gbps: number): Interconnect {
  const link = (share: number) => ({ bitsPerSecond: gbps * share * 1e9, latencyMs: 0.01 });
  return { name, links: { node: link(9), rack: link(1), spine: link(1), az: link(1), beyond: link(0.025) } };
}

const byName = <T extends { readonly name: string }>(...rows: readonly T[]): ReadonlyMap<string, T> =>
  new Map(rows.map((row) => [row.name, row]));

export const TABLES: StandardTables = {
  hardware: byName(
    hardware('h100', ['nvlink+ib', 'nvlink+roce', 'ethernet']),
    hardware('h200', ['nvlink+ib', 'nvlink+roce', 'ethernet']),
    hardware('tpu', ['ici+dcn', 'ethernet'], ['dcgm.ecc', 'dcgm.remap']),
    hardware('trainium', ['neuronlink+efa', 'ethernet'], ['dcgm.remap', 'dcgm.nvlink']),
    hardware('cpu', ['ethernet'], ['dcgm.remap', 'dcgm.nvlink']),
  ),
  interconnects: byName(
    interconnect('nvlink+ib', 400),
    interconnect('nvlink+roce', 400),
    interconnect('ici+dcn', 200),
    interconnect('neuronlink+efa', 50),
    interconnect('ethernet', 25),
  ),
  sandboxes: new Map([
    ['none', 0],
    ['seccomp', 1],
    ['runc', 2],
    ['gvisor', 3],
    ['kata', 4],
    ['firecracker', 4],
  ]),
};
