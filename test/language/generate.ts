/**
 * Random programs: right in shape, with comments in every place that white space may take.
 */
import fc from 'fast-check';

const word = fc.constantFrom(
  'seed',
  'gvisor',
  'dcgm.gpu_health',
  'as',
  'digest',
  'fleet.**',
  'a',
  'x_1',
  'host-1.internal:80',
);
const atom = fc.oneof(
  word,
  fc.constantFrom(
    '8x',
    '512mb',
    '0.5percent',
    '10.0.0.0/8',
    '-3',
    '10.0.0.1:80',
    '…',
    '...',
    '<a token>',
    '${ name }',
    '${name}',
  ),
  fc.constantFrom(
    '"text"',
    '"a \\" # b"',
    '"${x} {"',
    '"sha256:…"',
    'spiffe://kwam/*/a',
    'secret://vault/x#y',
    'true',
  ),
);
const name = fc.constantFrom('alpha', 'beta', 'gamma', 'as', 'factor');
/** Between tokens: white space, at times with comments. */
const gap = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(' ', '\n', '\n\n\n', '  \t', '\r\n') },
  { weight: 1, arbitrary: fc.constantFrom(' # note\n', '\n# own line\n', ' #\n  # two\n\n') },
);

type Tokens = readonly string[];

const { value } = fc.letrec<{ value: Tokens; list: Tokens; call: Tokens }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom.map((text) => [text]),
    tie('list'),
    tie('call'),
  ),
  list: fc
    .tuple(fc.array(tie('value'), { maxLength: 12 }), fc.boolean())
    .map(([items, comma]) => [
      '[',
      ...items.flatMap((item, at) => (at === 0 ? item : [',', ...item])),
      ...(comma && items.length > 0 ? [','] : []),
      ']',
    ]),
  call: fc
    .array(tie('value'), { minLength: 1, maxLength: 2 })
    .map((items) => ['rs', '(', ...items.flatMap((item, at) => (at === 0 ? item : [',', ...item])), ')']),
}));

const { body } = fc.letrec<{ body: Tokens; attribute: Tokens }>((tie) => ({
  body: fc.array(tie('attribute'), { maxLength: 5 }).map((all) => ['{', ...all.flat(), '}']),
  attribute: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.tuple(name, value).map(([key, content]) => [key, ...content]),
    fc.constant(['…']),
    fc
      .tuple(fc.constantFrom('"quoted key"', 'nested'), tie('body'))
      .map(([key, content]) => [key, ...content]),
    fc.tuple(name, value, tie('body')).map(([key, content, inner]) => [key, ...content, ...inner]),
  ),
}));

const item = fc.oneof(
  fc.constant(['use', 'fd.h100']),
  fc.constant(['import', '"std/x"', 'as', 'fd', 'digest', '"sha256:…"']),
  fc.tuple(name, value).map(([key, content]) => ['let', key, '=', ...content]),
  fc
    .tuple(fc.boolean(), fc.constantFrom('profile', 'deploy', 'unknown'), name, body)
    .map(([exported, kind, key, content]) => [...(exported ? ['export'] : []), kind, key, ...content]),
);

function written(items: readonly Tokens[], gaps: readonly string[]): string {
  const tokens = items.flat();
  let text = gaps[0] ?? '';
  tokens.forEach((token, at) => {
    text += token + (gaps[(at + 1) % gaps.length] ?? ' ');
  });
  return text;
}

/** Programs without syntax errors. */
export const programs: fc.Arbitrary<string> = fc
  .tuple(fc.array(item, { maxLength: 6 }), fc.array(gap, { minLength: 1, maxLength: 60 }))
  .map(([items, gaps]) => written(items, gaps));
