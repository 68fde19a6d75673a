/**
 * Pages of the codes KW50xx: ports, waves, consent. That `bake` is there and above zero are KW2010 and KW2011.
 * KW5003 needs a token; the tests and `explain` use one for `fleet.h100_*`.
 */
import { type CodePages, program } from './code-page.ts';

const waves = (list: string): string => program(`deploy d { … waves [${list}] }`);
const scope = (pattern: string): string => program(`deploy d { … consent { … scope ${pattern} } }`);
const ports = (numbers: string): string => program(`server seed { … ports { ${numbers} } }`);

export const ROLLOUT_CODES: CodePages = {
  KW5001: {
    title: 'Waves that do not grow to the whole pool',
    why: 'Each wave adds nodes to those before it, and the last one is everybody: a rollout that stops at half leaves two versions for ever.',
    failing: waves('5percent, 1percent, 100percent'),
    passing: waves('1percent, 5percent, 100percent'),
  },
  KW5003: {
    title: "A scope beyond the token's",
    why: 'The people who signed saw a resource pattern. Whether the scope lies within it is decided exactly, and something that does not is shown.',
    failing: scope('fleet.*'),
    passing: scope('fleet.h100_pool'),
  },
  KW5004: {
    title: 'A port that does not exist',
    why: 'Ports go from 1 to 65535; 0 would be another one at every start.',
    failing: ports('control 74000 data 7401 metrics 7402'),
    passing: ports('control 7400 data 7401 metrics 7402'),
  },
  KW5005: {
    title: 'Two listeners on one port',
    why: 'Whichever starts second would fail, or take the other one for itself.',
    failing: ports('control 7400 data 7400 metrics 7402'),
    passing: ports('control 7400 data 7401 metrics 7402'),
  },
  KW5006: {
    title: 'A scope that is no resource pattern',
    why: 'Segments are separated by dots; `*` is one segment or a run inside one, `**` stands alone for any number of them.',
    failing: scope('fleet.a**'),
    passing: scope('fleet.h100_*'),
  },
};
