import { expect, test } from 'vitest';
import { affectedObjects } from '../../src/repair/generations.ts';

const ALL = [
  'run/1/step-900',
  'run/1/step-1000',
  'run/1/step-1100',
  'run/2/step-950',
  'step-1000.old',
  'tree',
];
const lastGood = (lost: string[], doubtful: string[] = []) =>
  affectedObjects(lost, doubtful, ALL).map((one) => one.lastGood);

test.each([
  ['the newest earlier one, by number and not by letters', ['run/1/step-1100'], [], ['run/1/step-1000']],
  [
    'not one that lost data, too',
    ['run/1/step-1000', 'run/1/step-1100'],
    [],
    ['run/1/step-900', 'run/1/step-900'],
  ],
  ['not one that may have', ['run/1/step-1100'], ['run/1/step-1000'], ['run/1/step-900']],
  ['none before the first', ['run/1/step-900'], [], [null]],
  ['none of another run', ['run/2/step-950'], [], [null]],
  ['none of another kind of name', ['step-1000.old'], [], [null]],
  ['none for a name that counts nothing', ['tree'], [], [null]],
])('%s', (_, lost, doubtful, expected) => {
  expect(lastGood(lost as string[], doubtful as string[])).toEqual(expected);
});

test('leading zeros count as the number does', () => {
  const names = ['ck_00009', 'ck_00010'];
  expect(affectedObjects(['ck_00010'], [], names)).toEqual([{ object: 'ck_00010', lastGood: 'ck_00009' }]);
});
