/**
 * Rules of the negotiator: the small model may re-rank candidates and nothing else.
 * In: a resolved program. Out: another task, a model without fallback or limits, a server that names a discovery without a negotiator.
 * Source: LANGUAGE.md "What the checker refuses".
 */
import { attributeOf, blocksOf, bodyOf, referencedBlock, valueIn } from './access.ts';
import type { Rule } from './check-context.ts';
import { diagnostic } from './diagnostic.ts';
import type { BodyIr, ProgramIr } from './ir.ts';
import { addTo, at, writeInstead } from './suggestions.ts';

export const NEGOTIATOR_TASK = 'next-hop-path';
export const NEGOTIATOR_FALLBACK = 'deterministic';

const checkNegotiatorTask: Rule = (program) =>
  negotiatorsOf(program).flatMap(({ body }) => {
    const task = valueIn(body, 'task', 'text');
    if (task === undefined || task.text === NEGOTIATOR_TASK) return [];
    const message = `expected the task "${NEGOTIATOR_TASK}", got "${task.text.slice(0, 60)}"`;
    return diagnostic('KW3024', message, at(program, task), {
      note: 'The model re-ranks paths that were enumerated without it; it has no other task.',
      suggestion: writeInstead(task.range, `"${NEGOTIATOR_TASK}"`),
    });
  });

const checkNegotiatorFallback: Rule = (program) =>
  negotiatorsOf(program).flatMap(({ body }) => {
    const fallback = valueIn(body, 'fallback', 'word');
    if (fallback === undefined || fallback.word === NEGOTIATOR_FALLBACK) return [];
    const message = `expected the fallback \`${NEGOTIATOR_FALLBACK}\`, got \`${fallback.word.slice(0, 60)}\``;
    return diagnostic('KW3025', message, at(program, fallback), {
      note: 'The deterministic path is the primary one; the model is never on the critical path.',
      suggestion: writeInstead(fallback.range, NEGOTIATOR_FALLBACK),
    });
  });

const MODEL_LIMITS = { output_schema: '"kwam.ranking/v1"', max_tokens: '64', timeout: '50ms' } as const;

const checkModelLimits: Rule = (program) =>
  negotiatorsOf(program).flatMap(({ body }) => {
    const model = attributeOf(body, 'model') ?? attributeOf(body, 'endpoint');
    if (model === undefined || body.open) return [];
    const missing = Object.keys(MODEL_LIMITS).filter((name) => attributeOf(body, name) === undefined);
    if (missing.length === 0) return [];
    const message = `\`${model.name}\` expects limits, got no ${missing.map((name) => `\`${name}\``).join(', no ')}`;
    const lines = Object.entries(MODEL_LIMITS).filter(([name]) => missing.includes(name));
    return diagnostic(
      'KW3026',
      message,
      { file: program.file, range: model.nameRange },
      {
        note: 'An answer of any form, any length or at any time would be a way in.',
        suggestion: addTo(body, lines.map(([name, value]) => `${name} ${value}`).join('\n')),
      },
    );
  });

function negotiatorsOf(program: ProgramIr): readonly { readonly body: BodyIr }[] {
  return blocksOf(program, 'discovery').flatMap(({ body }) => {
    const negotiator = bodyOf(body, 'negotiator');
    return negotiator === undefined ? [] : { body: negotiator };
  });
}

const checkLlm: Rule = (program) =>
  blocksOf(program, 'server').flatMap(({ body }) => {
    const llm = valueIn(body, 'llm', 'reference');
    const discovery = referencedBlock(program, body, 'llm');
    if (llm === undefined || discovery === undefined || discovery.body.open) return [];
    if (attributeOf(discovery.body, 'negotiator') !== undefined) return [];
    const message = `\`llm\` expects a discovery with a negotiator, got \`${llm.name}\`, which has none`;
    return diagnostic('KW3027', message, at(program, llm), {
      note: 'Give it one, or leave `llm` out: paths need no model.',
    });
  });

export const NEGOTIATOR_RULES: readonly Rule[] = [
  checkNegotiatorTask,
  checkNegotiatorFallback,
  checkModelLimits,
  checkLlm,
];
