/**
 * Rules of telemetry: hardware, hooks, health signals and metrics.
 * In: a resolved program and the standard tables. Out: signals that nothing would answer, and metrics that nothing emits.
 * Signals are portable: a program names `dcgm.gpu_health` on every hardware, and the table says where that hardware reports it. So changing
 *   `hardware` alone leaves a correct program correct; an interconnect of other hardware and a signal without a source are warnings.
 * Source: LANGUAGE.md "What the checker refuses".
 */
import { blocksOf, itemsOf, valueIn } from './access.ts';
import type { CheckContext, Rule, StandardTables } from './check-context.ts';
import { COUNTERS, TOTALS } from './counters.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { ProgramIr, WordIr } from './ir.ts';
import { appendTo, at, didYouMean, listed, writeInstead } from './suggestions.ts';

/** Signals of the collective library come from the training job itself, not from a device. */
const HOOKLESS = 'nccl';

const checkHardware: Rule = (program, { tables: { hardware } }) =>
  profileWords(program, 'hardware').flatMap((written) => {
    if (hardware.has(written.word)) return [];
    return diagnostic(
      'KW6001',
      `expected a hardware of std/hardware, got "${written.word.slice(0, 60)}"`,
      at(program, written),
      {
        note: `There are ${listed(hardware.keys())}.`,
        suggestion: didYouMean(written.word, hardware.keys(), written.range, true),
      },
    );
  });

const checkInterconnect: Rule = (program, { tables: { interconnects } }) =>
  profileWords(program, 'interconnect').flatMap((written) => {
    if (interconnects.has(written.word)) return [];
    const message = `expected an interconnect of std/interconnects, got "${written.word.slice(0, 60)}"`;
    return diagnostic('KW6002', message, at(program, written), {
      note: `There are ${listed(interconnects.keys())}.`,
      suggestion: didYouMean(written.word, interconnects.keys(), written.range, true),
    });
  });

function profileWords(program: ProgramIr, name: string): readonly WordIr[] {
  return blocksOf(program, 'profile').flatMap(({ body }) => valueIn(body, name, 'word') ?? []);
}

const checkFit: Rule = (program, { tables }) =>
  blocksOf(program, 'profile').flatMap(({ body }) => {
    const hardware = tables.hardware.get(valueIn(body, 'hardware', 'word')?.word ?? '');
    const written = valueIn(body, 'interconnect', 'word');
    if (hardware === undefined || written === undefined || !tables.interconnects.has(written.word)) return [];
    if (hardware.interconnects.includes(written.word)) return [];
    const [usual] = hardware.interconnects;
    const message = `expected an interconnect of "${hardware.name}" hardware, got "${written.word}"`;
    return diagnostic('KW6003', message, at(program, written), {
      severity: 'warning',
      note: `Such machines are built with ${listed(hardware.interconnects)}; latencies and bandwidths would be another's.`,
      ...(usual === undefined ? {} : { suggestion: writeInstead(written.range, `"${usual}"`) }),
    });
  });

const checkHooks: Rule = (program, { tables }) => {
  const known = hooksOf(tables);
  return blocksOf(program, 'profile')
    .flatMap(({ body }) => itemsOf(body, 'health', 'word'))
    .filter(({ word }) => !known.has(word))
    .map((written) =>
      diagnostic('KW6004', `expected a health hook, got \`${written.word}\``, at(program, written), {
        note: `There are ${listed(known)}.`,
        suggestion: didYouMean(written.word, known, written.range),
      }),
    );
};

export function signalsOf({ hardware }: StandardTables): ReadonlySet<string> {
  return new Set([...hardware.values()].flatMap((each) => [...each.signals.keys()]).sort());
}

/** The part before the first dot names who answers. */
function hookOf(signal: string): string {
  return signal.split('.', 1)[0]!;
}

export function hooksOf(tables: StandardTables): ReadonlySet<string> {
  return new Set([...signalsOf(tables)].map(hookOf));
}

const checkSignals: Rule = (program, { tables }) => {
  const known = signalsOf(tables);
  return clientSignals(program)
    .filter(({ word }) => !known.has(word))
    .map((written) =>
      diagnostic('KW6006', `expected a health signal, got \`${written.word}\``, at(program, written), {
        note: `There are ${listed(known)}.`,
        suggestion: didYouMean(written.word, known, written.range),
      }),
    );
};

const checkSignalHooks: Rule = (program, { tables }) => {
  const known = signalsOf(tables);
  const lists = blocksOf(program, 'profile').flatMap(({ body }) => valueIn(body, 'health', 'list') ?? []);
  const isOpen = lists.some(({ items }) => items.some(({ kind }) => kind !== 'word'));
  // A program without a profile, or with one that is not finished, lists nothing yet.
  if (lists.length === 0 || isOpen) return [];
  const offered = new Set(
    lists.flatMap(({ items }) => items.flatMap((item) => (item.kind === 'word' ? item.word : []))),
  );
  return clientSignals(program).flatMap((written) => {
    const hook = hookOf(written.word);
    if (!known.has(written.word) || hook === HOOKLESS || offered.has(hook)) return [];
    const message = `\`${written.word}\` expects the hook \`${hook}\`, got a profile with ${listed(offered)}`;
    return diagnostic('KW6005', message, at(program, written), {
      note: 'A signal that no device answers would look like health.',
      suggestion: appendTo(lists[0]!, hook),
    });
  });
};

const checkSources: Rule = (program, { tables }) => {
  const known = signalsOf(tables);
  return blocksOf(program, 'profile').flatMap(({ body }) => {
    const hardware = tables.hardware.get(valueIn(body, 'hardware', 'word')?.word ?? '');
    if (hardware === undefined) return [];
    return clientSignals(program)
      .filter(({ word }) => known.has(word) && !hardware.signals.has(word))
      .map((written) => {
        const message = `expected a signal that "${hardware.name}" reports, got \`${written.word}\`, which has no source there`;
        return diagnostic('KW6007', message, at(program, written), {
          severity: 'warning',
          note: `It stays unknown there, and unknown passes no gate. Reported are ${listed(hardware.signals.keys())}.`,
        });
      });
  });
};

function clientSignals(program: ProgramIr): readonly WordIr[] {
  return blocksOf(program, 'client').flatMap(({ body }) => itemsOf(body, 'health', 'word'));
}

const checkCounters: Rule = (program) =>
  blocksOf(program, 'metric').flatMap(({ body }) => {
    const observed = valueIn(body, 'observe', 'word');
    if (observed === undefined || COUNTERS.has(observed.word)) return [];
    return diagnostic(
      'KW6008',
      `expected a counter that nodes emit, got \`${observed.word}\``,
      at(program, observed),
      {
        note: `There are ${listed(COUNTERS.keys())}. A counter that nothing emits stays silent for ever.`,
        suggestion: didYouMean(observed.word, COUNTERS.keys(), observed.range),
      },
    );
  });

const noteZeroTargets: Rule = (program) =>
  blocksOf(program, 'metric').flatMap(({ name, body }) => {
    const target = valueIn(body, 'target', 'number') ?? valueIn(body, 'target', 'quantity');
    if (target === undefined || target.amount !== 0) return [];
    return diagnostic(
      'KW6009',
      `metric \`${name}\`: a target of 0 alerts on any event`,
      at(program, target),
      {
        severity: 'note',
        note: 'No burn rate is made of it: there is no budget that could burn.',
      },
    );
  });

const checkShares: Rule = (program) =>
  blocksOf(program, 'metric').flatMap(({ name, body }) => {
    const observed = valueIn(body, 'observe', 'word');
    const target = valueIn(body, 'target', 'quantity');
    if (observed === undefined || target === undefined || target.amount === 0) return [];
    if (!COUNTERS.has(observed.word) || TOTALS.has(observed.word)) return [];
    return diagnostic(
      'KW6010',
      `metric \`${name}\`: expected a number of events for \`${observed.word}\`, got the share ${target.written}`,
      at(program, target),
      { note: `A share is known of ${listed(TOTALS.keys())}.` },
    );
  });

const TELEMETRY_RULES: readonly Rule[] = [
  checkHardware,
  checkInterconnect,
  checkFit,
  checkHooks,
  checkSignals,
  checkSignalHooks,
  checkSources,
  checkCounters,
  checkShares,
  noteZeroTargets,
];

export function checkTelemetry(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return TELEMETRY_RULES.flatMap((rule) => rule(program, context));
}
