/**
 * Pages of the codes KW60xx: hardware, hooks, signals, metrics.
 */
import { type CodePages, program } from './code-page.ts';

const profile = (attributes: string): string => program(`profile p { … ${attributes} }`);
const signals = (hooks: string, health: string, hardware = 'h100'): string =>
  program(
    `profile p { hardware "${hardware}" interconnect "ethernet" health [${hooks}] fanout 8x cache_size 512mb }\nclient c { … health [${health}] }`,
  );
const metric = (attributes: string): string => program(`metric m { ${attributes} window 30d }`);

export const TELEMETRY_CODES: CodePages = {
  KW6001: {
    title: 'Hardware that std/hardware does not know',
    why: 'The table says where each hardware reports its health. Without a row there is nothing to read.',
    failing: profile('hardware "h10"'),
    passing: profile('hardware "h100"'),
  },
  KW6002: {
    title: 'An interconnect that std/interconnects does not know',
    why: 'Latencies and bandwidths of the table enter restore times and placement; an unknown name has none.',
    failing: profile('interconnect "nvlink"'),
    passing: profile('interconnect "nvlink+ib"'),
  },
  KW6003: {
    title: 'An interconnect of other hardware (warning)',
    why: 'A program stays correct when only its hardware changes, but its latency model is then that of other machines.',
    failing: profile('hardware "tpu" interconnect "nvlink+ib"'),
    passing: profile('hardware "tpu" interconnect "ici+dcn"'),
  },
  KW6004: {
    title: 'A health hook that does not exist',
    why: 'Hooks are those whose signals std/hardware maps. Another one would never answer.',
    failing: profile('health [dcgm, nvlm]'),
    passing: profile('health [dcgm, nvml]'),
  },
  KW6005: {
    title: 'A signal whose hook the profile does not list',
    why: 'The device would not be asked, and silence looks like health. Signals of the collective library (nccl) come from the job and need no hook.',
    failing: signals('dcgm', 'nvml.xid_errors'),
    passing: signals('dcgm, nvml', 'nvml.xid_errors, nccl.comm_status'),
  },
  KW6006: {
    title: 'A health signal that does not exist',
    why: 'Signals are portable names that std/hardware maps to what each hardware reports.',
    failing: signals('dcgm', 'dcgm.gpu_heath'),
    passing: signals('dcgm', 'dcgm.gpu_health'),
  },
  KW6007: {
    title: 'A signal that this hardware does not report (warning)',
    why: 'The program stays correct, but the signal stays unknown on these machines, and unknown passes no gate.',
    failing: signals('dcgm', 'dcgm.remap', 'tpu'),
    passing: signals('dcgm', 'dcgm.gpu_health', 'tpu'),
  },
  KW6008: {
    title: 'A metric that nothing emits',
    why: 'A counter that does not exist stays silent, and its alert with it. Each one that does is exported from the start, at 0.',
    failing: metric('observe silent_corruption target 0'),
    passing: metric('observe silent_corruption_count target 1'),
  },
  KW6009: {
    title: 'A target of zero (note)',
    why: 'There is no budget that could burn, so there is no burn rate: any event is an alert.',
    failing: metric('observe silent_corruption_count target 0'),
    passing: metric('observe silent_corruption_count target 1'),
  },
  KW6010: {
    title: 'A share of a counter that is a share of nothing',
    why: 'A target in percent needs two counters of one unit: of so many verified chunks, so many were corrupt. Restarts and packs are only counted.',
    failing: metric('observe worker_restarts target 1percent'),
    passing: metric('observe corruption_detected_count target 1percent'),
  },
};
