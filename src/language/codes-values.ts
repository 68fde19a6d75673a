/**
 * Pages of the codes KW20xx that are about values, units and types, and KW3001–3009: secrets.
 */
import { type CodePages, program } from './code-page.ts';

const replicate = (line: string) => program(`replicate data { anti_affinity [] ${line} }`);
const metric = (window: string) =>
  program(`metric integrity { observe silent_corruption_count target 0 window ${window} }`);

export const VALUE_CODES: CodePages = {
  KW2003: {
    title: 'A unit that does not exist',
    why: 'Units are b kb mb gb tb, kib mib gib tib, ms s m h d y, x, nines, percent and gbps, in lower case and without a space.',
    failing: metric('30days'),
    passing: metric('30d'),
  },
  KW2004: {
    title: 'A quantity of the wrong dimension',
    why: 'Every quantity has a dimension. `m` is minutes and `mb` is bytes: the compiler never converts one into the other.',
    failing: metric('10mb'),
    passing: metric('10m'),
  },
  KW2006: {
    title: 'A value of the wrong type',
    why: 'The attribute says what it takes; nothing is converted silently.',
    failing: metric('[30d]'),
    passing: metric('30d'),
  },
  KW2011: {
    title: 'A value out of range',
    why: 'The bounds are those that the data plane can keep.',
    failing: replicate('factor 17'),
    passing: replicate('factor 16'),
  },
  KW2013: {
    title: 'Something that cannot stand in a string',
    why: 'Texts are made of texts, numbers and words. A list or a block has no one way to be read.',
    failing: program('let racks = [a, b]\nlet title = "racks ${racks}"'),
    passing: program('let racks = "a and b"\nlet title = "racks ${racks}"'),
  },
  KW2015: {
    title: 'A word that is not one of the choices',
    why: 'The attribute has a closed list of words, and each of them is implemented.',
    failing: program('discovery d { strategy gosip fanout 3x }'),
    passing: program('discovery d { strategy gossip fanout 3x }'),
  },
  KW3001: {
    title: 'A secret in a string',
    why: 'A text can be printed, hashed and stored. A secret is resolved where it is used and never becomes part of anything that can be read.',
    failing: program('let ca = secret://vault/kwam/mtls-ca\nlet label = "ca is ${ca}"'),
    passing: program('let ca = "keys/ca.pem"\nlet label = "ca is ${ca}"'),
  },
  KW3002: {
    title: 'A secret where something readable is due',
    why: 'The attribute goes into the plan, which people read and sign. A secret may only stand where secrets are taken.',
    failing: program(
      'let image = secret://vault/kwam/image\nreplicate data { factor ${image} anti_affinity [] }',
    ),
    passing: program('let copies = 3\nreplicate data { factor ${copies} anti_affinity [] }'),
  },
};
