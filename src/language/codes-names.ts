/**
 * Pages of the codes KW20xx that are about names, blocks and attributes.
 */
import { type CodePages, program } from './code-page.ts';

const replicate = 'replicate data { factor 3 anti_affinity [] }';

export const NAME_CODES: CodePages = {
  KW2001: {
    title: 'A name that is declared twice',
    why: 'Values, blocks and modules share one space of names, so that a name means one thing wherever it stands.',
    failing: program('let data = 3\nreplicate data { factor 3 anti_affinity [] }'),
    passing: program('let copies = 3\nreplicate data { factor 3 anti_affinity [] }'),
  },
  KW2002: {
    title: 'A name that nothing declares',
    why: 'References are checked before anything runs. A pool alone may be left to the inventory.',
    failing: program('let fanout = 8x\nlet wide = ${fanuot}'),
    passing: program('let fanout = 8x\nlet wide = ${fanout}'),
  },
  KW2005: {
    title: 'A name of the wrong kind of block',
    why: 'An attribute that wants a server cannot mean a client, whatever it is called.',
    failing: program('metric m { … }\nserver seed { … trust m }'),
    passing: program('policy p { … }\nserver seed { … trust p }'),
  },
  KW2007: {
    title: 'A block that does not exist',
    why: 'An unknown block is a slip of the pen, never an extension that is ignored.',
    failing: program('metrik integrity { observe silent_corruption_count target 0 window 30d }'),
    passing: program('metric integrity { observe silent_corruption_count target 0 window 30d }'),
  },
  KW2008: {
    title: 'An attribute that the block does not have',
    why: 'A misspelt promise that is ignored is a promise that is not kept.',
    failing: program('replicate data { factor 3 anti_afinity [] anti_affinity [] }'),
    passing: program(replicate),
  },
  KW2009: {
    title: 'An attribute that is written twice',
    why: 'Which of the two holds would depend on the reader.',
    failing: program('replicate data { factor 3 factor 2 anti_affinity [] }'),
    passing: program(replicate),
  },
  KW2010: {
    title: 'A required attribute is missing',
    why: 'What a block must say has no default: it is a decision that somebody has to take, or a hole that says that nobody has yet.',
    failing: program('replicate data { anti_affinity [] }'),
    passing: program(replicate),
  },
  KW2012: {
    title: 'Values that wait for each other',
    why: 'A `let` stands for what is written behind it. In a circle nothing is written anywhere, so there is no value to use.',
    failing: program('let a = ${b}\nlet b = ${a}'),
    passing: program('let a = ${b}\nlet b = 8x'),
  },
  KW2014: {
    title: 'A value or braces where the other is due',
    why: 'Some attributes have a value, some have attributes of their own, a few have both. The page of the block says which.',
    failing: program('replicate data { factor 3 anti_affinity [] repair 10m }'),
    passing: program('replicate data { factor 3 anti_affinity [] repair { delay 10m } }'),
  },
  KW2016: {
    title: 'An export that the module does not have',
    why: '`use MODULE.EXPORT` brings one export of an imported module into scope; the module must have it.',
    failing: program('import "std/faultdomains" as fd digest "sha256:DIGEST"\nuse fd.h1000'),
    passing: program('import "std/faultdomains" as fd digest "sha256:DIGEST"\nuse fd.h100'),
  },
  KW2017: {
    title: 'Something that belongs to a module',
    why: '`export` and `domains` stand in files that begin with `module "NAME"`; programs import them by digest.',
    failing: program('domains mine { rack { } }'),
    passing: program('module "acme/domains"\nexport domains mine { rack { } }'),
  },
};
