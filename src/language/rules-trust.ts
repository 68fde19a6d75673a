/**
 * Rules of trust: sandboxes, images, identities and grants; those of the negotiator join here.
 * In: a resolved program. Out: what it would let through. Secrets in texts and in places that take none are refused while values are
 *   brought to their types (normalize.ts, fit.ts): no secret reaches these rules as anything but a secret.
 * Source: LANGUAGE.md "What the checker refuses".
 */
import { attributeOf, blocksOf, bodyOf, isComplete, itemsOf, referencedBlock, valueIn } from './access.ts';
import { CAPABILITIES, DESTRUCTIVE_CAPABILITIES, isCapability } from './capability.ts';
import type { CheckContext, Rule } from './check-context.ts';
import { canonicalCidr } from './cidr.ts';
import { type Diagnostic, diagnostic } from './diagnostic.ts';
import type { AttributeIr, BlockIr, ProgramIr, UriIr, WordIr } from './ir.ts';
import { NEGOTIATOR_RULES } from './rules-negotiator.ts';
import { SIGNER_RULES } from './rules-signers.ts';
import { isSpiffePattern, parseSpiffePattern, spiffeIdProblem } from './spiffe-pattern.ts';
import { addTo, at, didYouMean, listed, writeInstead } from './suggestions.ts';

const checkSandboxWords: Rule = (program, { tables: { sandboxes } }) =>
  sandboxWords(program).flatMap((written) => {
    const known = [...sandboxes.keys()].filter((name) => sandboxes.get(name)! > 0);
    if (!sandboxes.has(written.word)) {
      const message = `expected a sandbox of std/sandbox, got \`${written.word}\``;
      const suggestion = didYouMean(written.word, known, written.range);
      return diagnostic('KW3010', message, at(program, written), {
        note: `There are ${listed(known)}.`,
        suggestion,
      });
    }
    if (sandboxes.get(written.word)! > 0) return [];
    const floor = strongestFloor(blocksOf(program, 'policy'), sandboxes)?.word ?? 'gvisor';
    return diagnostic(
      'KW3011',
      `expected a sandbox, got \`${written.word}\`: code never runs bare`,
      at(program, written),
      {
        note: `There are ${listed(known)}, from the weakest.`,
        suggestion: writeInstead(written.range, floor),
      },
    );
  });

function sandboxWords(program: ProgramIr): readonly WordIr[] {
  return program.blocks.flatMap(({ kind, body }) => {
    const name = kind === 'policy' ? 'sandbox_floor' : kind === 'client' ? 'sandbox' : undefined;
    return (name && valueIn(body, name, 'word')) ?? [];
  });
}

const checkSandboxFloor: Rule = (program, { tables: { sandboxes } }) => {
  const ofAll = strongestFloor(blocksOf(program, 'policy'), sandboxes);
  const rollouts = Map.groupBy(
    blocksOf(program, 'deploy'),
    ({ body }) => valueIn(body, 'client', 'reference')?.name,
  );
  return blocksOf(program, 'client').flatMap((client) => {
    const asked = valueIn(client.body, 'sandbox', 'word');
    const policies = policiesOver(program, rollouts.get(client.name) ?? []);
    const floor = policies.length === 0 ? ofAll : strongestFloor(policies, sandboxes);
    const strength = sandboxes.get(asked?.word ?? '') ?? 0;
    if (asked === undefined || floor === undefined || strength === 0 || strength >= floor.strength) return [];
    const message = `expected \`${floor.word}\` or stronger, the floor of policy \`${floor.policy}\`, got \`${asked.word}\``;
    const enough = [...sandboxes.keys()].filter((name) => sandboxes.get(name)! >= floor.strength);
    return diagnostic('KW3012', message, at(program, asked), {
      note: `At or above the floor: ${listed(enough)}.`,
      suggestion: writeInstead(asked.range, floor.word),
    });
  });
};

interface Floor {
  readonly word: string;
  readonly policy: string;
  readonly strength: number;
}

function strongestFloor(
  policies: readonly BlockIr[],
  sandboxes: ReadonlyMap<string, number>,
): Floor | undefined {
  return policies
    .flatMap(({ name, body }) => {
      const word = valueIn(body, 'sandbox_floor', 'word')?.word;
      const strength = sandboxes.get(word ?? '') ?? 0;
      return word !== undefined && strength > 0 ? { word, policy: name, strength } : [];
    })
    .reduce<Floor | undefined>(
      (best, each) => (best === undefined || each.strength > best.strength ? each : best),
      undefined,
    );
}

/** Those of the servers that roll a client out; before there is a rollout, every policy of the program holds. */
function policiesOver(program: ProgramIr, rollouts: readonly BlockIr[]): readonly BlockIr[] {
  return rollouts.flatMap(({ body }) => {
    const server = referencedBlock(program, body, 'server');
    return (server && referencedBlock(program, server.body, 'trust')) ?? [];
  });
}

const checkImages: Rule = (program) =>
  blocksOf(program, 'client').flatMap(({ body }) => {
    const image = valueIn(body, 'image', 'digest');
    if (image === undefined || /^sha256:[0-9a-f]{64}$/.test(image.digest)) return [];
    const shown = image.digest.slice(0, 100);
    const hex = /^sha256:([0-9a-fA-F]*)$/.exec(image.digest)?.[1];
    if (hex === undefined) return imageByName(program, image, shown);
    const where = at(program, image);
    if (hex.length !== 64) {
      const message = `expected "sha256:" and 64 hexadecimal digits, got ${hex.length} digits`;
      return diagnostic('KW3014', message, where, { note: 'Copy the whole digest that the registry shows.' });
    }
    return diagnostic('KW3014', 'expected the digest in small letters, got capitals', where, {
      suggestion: writeInstead(image.range, `"sha256:${hex.toLowerCase()}"`),
    });
  });

function imageByName(
  program: ProgramIr,
  image: { readonly range: BlockIr['range'] },
  shown: string,
): Diagnostic {
  const pinned = /@(sha256:[0-9a-f]{64})$/.exec(shown)?.[1];
  const message = `expected an image by its digest, "sha256:" and 64 hexadecimal digits, got the name "${shown}"`;
  return diagnostic('KW3013', message, at(program, image), {
    note: 'A tag can be moved to other code after it was approved. Where it is fetched from goes into `registry`.',
    suggestion: pinned === undefined ? undefined : writeInstead(image.range, `"${pinned}"`),
  });
}

const checkServerTrust: Rule = (program) =>
  blocksOf(program, 'deploy').flatMap(({ name, body }) => {
    const server = referencedBlock(program, body, 'server');
    if (server === undefined || server.body.open || attributeOf(server.body, 'trust') !== undefined)
      return [];
    const [policy] = blocksOf(program, 'policy');
    const message = `deploy \`${name}\` expects a server with \`trust\`, got \`${server.name}\`, which names no policy`;
    return diagnostic('KW3015', message, at(program, attributeOf(body, 'server')!.value!), {
      note: 'Without a policy nobody could be refused.',
      suggestion: policy && addTo(server.body, `trust ${policy.name}`),
    });
  });

const checkIdentities: Rule = (program) =>
  blocksOf(program, 'server').flatMap(({ body }) => {
    const identity = valueIn(body, 'identity', 'uri');
    if (identity === undefined) return [];
    const where = at(program, identity);
    if (isSpiffePattern(identity.uri)) {
      const message = `expected the SPIFFE ID of one server, got the pattern \`${identity.uri.slice(0, 120)}\``;
      return diagnostic('KW3017', message, where, {
        note: 'A certificate proves one identity: write every segment out.',
      });
    }
    const problem = spiffeIdProblem(identity.uri);
    if (problem === undefined) return [];
    return diagnostic(
      'KW3016',
      `expected a SPIFFE ID, got \`${identity.uri.slice(0, 120)}\`: ${problem}`,
      where,
      {
        note: 'spiffe://<trust domain>/<path>, as in spiffe://kwam/acme/cl-7/az1/pod0/n0000/seed.',
      },
    );
  });

const checkGrantPatterns: Rule = (program) =>
  grantsOf(program).flatMap((grant) => {
    const where = { file: program.file, range: grant.nameRange };
    const shown = grant.name.slice(0, 120);
    const pattern = parseSpiffePattern(grant.name);
    if (typeof pattern === 'string') {
      return diagnostic('KW3019', `expected a SPIFFE pattern, got "${shown}": ${pattern}`, where, {
        note: '`*` is one segment of the path or a run inside one, `**` any number of segments.',
      });
    }
    if (isSpiffePattern(grant.name)) return [];
    const suggestion = writeInstead(grant.nameRange, `"${severalOf(grant.name)}"`);
    return diagnostic('KW3018', `expected a SPIFFE pattern, got the ID "${shown}" of one machine`, where, {
      note: 'A grant to one machine dies with it. Write `*` for the segments that vary.',
      suggestion,
    });
  });

const checkPoolPatterns: Rule = (program) =>
  blocksOf(program, 'pool').flatMap(({ body }) => {
    const select = valueIn(body, 'select', 'uri');
    const pattern = select && parseSpiffePattern(select.uri);
    if (select === undefined || pattern === undefined) return [];
    if (typeof pattern !== 'string') return isSpiffePattern(select.uri) ? [] : selectsOne(program, select);
    return diagnostic(
      'KW3019',
      `expected a SPIFFE pattern, got \`${select.uri.slice(0, 120)}\`: ${pattern}`,
      at(program, select),
    );
  });

function selectsOne(program: ProgramIr, select: UriIr): Diagnostic[] {
  const shown = select.uri.slice(0, 120);
  const message = `expected a SPIFFE pattern, got the ID \`${shown}\` of one machine`;
  return [
    diagnostic('KW3018', message, at(program, select), {
      note: 'A pool of one machine is lost with it. Write `*` for the segments that vary.',
      suggestion: writeInstead(select.range, severalOf(select.uri)),
    }),
  ];
}

/** The same path with its last segment but one open, or its only one. The trust domain is never open. */
function severalOf(id: string): string {
  const [scheme, empty, domain, ...path] = id.split('/');
  return [scheme, empty, domain, ...path.with(Math.max(0, path.length - 2), '*')].join('/');
}

function grantsOf(program: ProgramIr): readonly AttributeIr[] {
  return blocksOf(program, 'policy').flatMap(({ body }) => bodyOf(body, 'grants')?.attributes ?? []);
}

const checkCapabilities: Rule = (program) =>
  grantsOf(program).flatMap(({ body }) =>
    (body === undefined ? [] : itemsOf(body, 'caps', 'word'))
      .filter(({ word }) => !isCapability(word))
      .map((written) =>
        diagnostic('KW3020', `expected a capability, got \`${written.word}\``, at(program, written), {
          note: `There are ${listed(CAPABILITIES)}.`,
          suggestion: didYouMean(written.word, CAPABILITIES, written.range),
        }),
      ),
  );

const checkDiscoverScope: Rule = (program) =>
  grantsOf(program).flatMap(({ body }) => {
    const discover = body && itemsOf(body, 'caps', 'word').find(({ word }) => word === 'discover');
    if (body === undefined || discover === undefined || body.open || attributeOf(body, 'discover_scope'))
      return [];
    const message = '`discover` expects a `discover_scope`, got none: nobody may look around everywhere';
    return diagnostic('KW3021', message, at(program, discover), {
      note: 'Name the networks that it may look at, such as discover_scope [10.40.0.0/16].',
      suggestion: addTo(body, 'discover_scope […]'),
    });
  });

const checkDualControl: Rule = (program) =>
  grantsOf(program).flatMap(({ body }) => {
    const destructive =
      body && itemsOf(body, 'caps', 'word').find(({ word }) => DESTRUCTIVE_CAPABILITIES.includes(word));
    if (body === undefined || destructive === undefined || body.open) return [];
    const written = attributeOf(body, 'dual_control');
    const value = valueIn(body, 'dual_control', 'boolean');
    if (value?.value === true || (written !== undefined && !isComplete(written.value))) return [];
    const got = value === undefined ? 'none' : '`dual_control false`';
    const message = `\`${destructive.word}\` expects \`dual_control true\`, got ${got}: what destroys takes two people`;
    return diagnostic('KW3022', message, at(program, value ?? destructive), {
      note: `Destructive are ${listed(DESTRUCTIVE_CAPABILITIES)}.`,
      suggestion: value === undefined ? addTo(body, 'dual_control true') : writeInstead(value.range, 'true'),
    });
  });

const checkNetworks: Rule = (program) =>
  grantsOf(program).flatMap(({ body }) =>
    (body === undefined ? [] : itemsOf(body, 'discover_scope', 'cidr')).flatMap((network) => {
      const written = `${network.address}/${network.prefixLength}`;
      const { canonical, problem } = canonicalCidr(network.address, network.prefixLength);
      if (canonical === written) return [];
      if (canonical === undefined) {
        return diagnostic(
          'KW3023',
          `expected a network, got \`${written}\`: ${problem}`,
          at(program, network),
        );
      }
      const message = `expected the network \`${canonical}\` in its canonical form, got \`${written}\``;
      return diagnostic('KW3023', message, at(program, network), {
        note: 'Two spellings of one network, or an address that looks like one, are how scopes grow unseen.',
        suggestion: writeInstead(network.range, canonical),
      });
    }),
  );

const TRUST_RULES: readonly Rule[] = [
  checkSandboxWords,
  checkSandboxFloor,
  checkImages,
  checkServerTrust,
  checkIdentities,
  checkGrantPatterns,
  checkPoolPatterns,
  checkCapabilities,
  checkDiscoverScope,
  checkDualControl,
  checkNetworks,
  ...SIGNER_RULES,
  ...NEGOTIATOR_RULES,
];

export function checkTrust(program: ProgramIr, context: CheckContext): readonly Diagnostic[] {
  return TRUST_RULES.flatMap((rule) => rule(program, context));
}
