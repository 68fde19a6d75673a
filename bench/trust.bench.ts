/**
 * What trust costs a node.
 *   consent-redeem      ms from a token's envelope to a claim that is durable, as `consent.redeem` does it: keys read and parsed, signatures of
 *                       the token and of the image (in an OCI layout) verified, claimed in the embedded control store, recorded in the audit log; beside the last two alone, which are
 *                       the disk's part. It is to stay below 10 ms.
 *   authorise-h100      µs a decision under the policy of examples/h100.kwam, and
 *   authorise-200       under one of 200 grants, mixed of what is allowed and what is refused by each rule; beside Node's RegExp and
 *                       net.BlockList on the same grants, which must decide the same. They are to stay below 50 µs.
 *   authorise-recorded  µs a call of the gate: such a decision with its record in the audit log; beside writing those bytes.
 * Both sides take turns; value: median of the rounds; spread: interquartile range divided by the median. Digest: of claims and decisions.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { BlockList, isIPv6 } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditLog } from '../src/audit/audit-log.ts';
import { readInventory } from '../src/cli/inventory-file.ts';
import { planOf, readProgram } from '../src/cli/program-plan.ts';
import { type Clock, systemClock } from '../src/clock.ts';
import { Access } from '../src/cluster/access.ts';
import { EmbeddedControlStore } from '../src/control/embedded.ts';
import { assert } from '../src/errors.ts';
import { type AccessRequest, compileGrants, decide } from '../src/identity/grants.ts';
import { canonicalBytes } from '../src/manifest/canonical-json.ts';
import type { GrantPlan, Plan } from '../src/plan.ts';
import { systemRandom } from '../src/random.ts';
import { ConsentDesk } from '../src/rollout/consent-desk.ts';
import { openImagesIn } from '../src/rollout/image-place.ts';
import type { Claim } from '../src/rollout/ledger.ts';
import { openKeysIn } from '../src/rollout/public-keys.ts';
import { usedTokensIn } from '../src/rollout/used-tokens.ts';
import { ada, envelopeOf, GRANT, keyOf, NOW, reto, SEED, USE } from '../test/rollout/consents.ts';
import { releasedImage } from '../test/rollout/released-image.ts';
import type { Figure } from './figure.ts';
import { quantile } from './quantile.ts';

const SCALE = {
  smoke: { redemptions: 3, rounds: 3, decisions: 20 },
  real: { redemptions: 200, rounds: 51, decisions: 2000 },
} as const;
type Scale = (typeof SCALE)['smoke' | 'real'];

const here = (path: string): string => new URL(path, import.meta.url).pathname;

async function examplePlan(): Promise<Plan> {
  const shell = { environment: process.env } as Parameters<typeof readProgram>[0];
  const read = await readProgram(shell, here('../examples/h100.kwam'));
  const { plan } = planOf(read, readInventory(here('../examples/inventory.json')));
  assert(plan !== undefined, 'the example is right');
  return plan;
}

interface Times {
  readonly ours: readonly number[];
  readonly theirs: readonly number[];
}

function figureOf(name: string, unit: string, { ours, theirs }: Times, peer: string, digest: string): Figure {
  const value = quantile(ours, 0.5);
  const spread = (quantile(ours, 0.75) - quantile(ours, 0.25)) / value;
  const other = quantile(theirs, 0.5);
  return { name, value, unit, spread, peer: { name: peer, value: other }, ratio: value / other, digest };
}

/** The example with the clients that the test's token names, and its keys as files. */
function redeemingPlan(plan: Plan, directory: string, image: string): Plan {
  for (const { name, pem } of [ada, reto]) fs.writeFileSync(join(directory, `${name}.pem`), pem);
  const trustedKeys = [ada, reto].map((each) => keyOf(each, { key: { pem: `${each.name}.pem` } }));
  const [deploy, client] = [plan.deploys[0]!, plan.clients[0]!];
  return {
    ...plan,
    program: { ...plan.program, digest: USE.program },
    clients: [{ ...client, image }],
    deploys: [
      { ...deploy, name: USE.deploy, pool: USE.pool, consent: { ...deploy.consent, scope: USE.scope } },
    ],
    policy: { ...plan.policy!, grants: [...plan.policy!.grants, GRANT], trustedKeys },
  };
}

const jtiOf = (count: number): string => count.toString(16).padStart(32, '0');

async function redeeming(plan: Plan, directory: string, { redemptions }: Scale): Promise<Figure> {
  const clock: Clock = { ...systemClock, now: () => NOW };
  const control = EmbeddedControlStore.open({ directory: join(directory, 'control'), clock });
  const audit = AuditLog.open({ directory: join(directory, 'audit'), clock });
  const openKey = openKeysIn(directory, { environment: process.env });
  const used = usedTokensIn(join(directory, 'redeemed'));
  const ledger = { control, clock, random: systemRandom, used };
  const { content, image } = releasedImage();
  const redeemed = redeemingPlan(plan, directory, image);
  content.write(join(directory, redeemed.clients[0]!.name));
  const openImage = openImagesIn(directory, {});
  const desk = new ConsentDesk({ plan: redeemed, self: SEED, ledger, openKey, openImage, audit });
  const times = { ours: [] as number[], theirs: [] as number[] };
  const hash = createHash('sha256');
  for (let count = 0; count <= redemptions; count++) {
    const token = Buffer.from(await envelopeOf({ jti: jtiOf(count), image })).toString('utf8');
    const request = { token, deploy: USE.deploy, rollout: `rollout-${count}` };
    const started = performance.now();
    const claim = await desk.redeem(request, SEED);
    const between = performance.now();
    await claimAlone(control, audit, claim);
    // The first call compiles.
    if (count > 0) times.theirs.push(performance.now() - between);
    if (count > 0) times.ours.push(between - started);
    hash.update(`${claim.jti} ${claim.rollout} ${claim.approvedBy.join(' ')}\n`);
  }
  await Promise.all([control.close(), audit.close()]);
  return figureOf('consent-redeem', 'ms', times, 'claim and record alone', hash.digest('hex'));
}

/** The same claim under another name, and a record as long. */
async function claimAlone(control: EmbeddedControlStore, audit: AuditLog, claim: Claim): Promise<void> {
  const key = `alone/${claim.jti}`;
  const value = canonicalBytes({ ...claim });
  const { committed } = await control.transact([{ key, modRevision: 0 }], [{ kind: 'put', key, value }]);
  assert(committed, 'each claim is new');
  const { jti, token, rollout } = claim;
  audit.append({ kind: 'consent', method: 'consent.redeem', peer: SEED, rollout, allowed: true, jti, token });
  await audit.sync();
}

const CAPS = ['discover', 'replicate', 'deploy'];

/** A fleet of 200 clusters: two in three rows are of seeds or nodes, every third covers a tenant as a whole. */
function manyGrants(): readonly GrantPlan[] {
  const form = (at: number) => [`cl-${at}/*/*/*/seed`, `cl-${at}/*/pod*/*/node`, `cl-${at}/**`][at % 3];
  return Array.from({ length: 200 }, (_, at) => ({
    ...GRANT,
    pattern: `spiffe://kwam/acme/${form(at)}`,
    caps: CAPS,
    discoverScope: [`10.${at}.0.0/16`, 'fd00:40::/32'],
  }));
}

/** Callers of every kind: allowed, outside their networks, without the capability, strangers. */
function requestsOf(grants: readonly GrantPlan[]): readonly AccessRequest[] {
  return grants.flatMap(({ pattern, discoverScope }): AccessRequest[] => {
    const peer = pattern.replace('/**', '/az1/pod0/n0000/node').replaceAll('*', '7');
    const inside = discoverScope[0]?.replace(/\.0\/\d+$/, '.9');
    return [
      { peer, address: inside, capability: 'replicate' },
      { peer, address: inside, capability: 'discover' },
      { peer, address: '192.0.2.1', capability: 'discover' },
      { peer, address: inside, capability: 'override_budget' },
      { peer: peer.replace('kwam', 'kwam.example'), address: inside, capability: 'replicate' },
    ];
  });
}

/** Grants read with other people's code. */
function peerOf(grants: readonly GrantPlan[]): (request: AccessRequest) => boolean {
  const compiled = grants.map(({ pattern, caps, discoverScope }) => {
    const networks = new BlockList();
    for (const network of discoverScope) {
      const [address, bits] = network.split('/') as [string, string];
      networks.addSubnet(address, Number(bits), isIPv6(address) ? 'ipv6' : 'ipv4');
    }
    return { regExp: regExpOf(pattern), caps: new Set<string>(caps), networks };
  });
  return ({ peer, address, capability }) =>
    compiled.some(({ regExp, caps, networks }) => {
      if (!regExp.test(peer) || !caps.has(capability)) return false;
      return capability !== 'discover' || (address !== undefined && networks.check(address));
    });
}

function regExpOf(pattern: string): RegExp {
  const escaped = pattern.replace(/[.+?^$()[\]{}|\\]/g, '\\$&');
  const source = escaped.replaceAll('/**', '(?:/[^/]+)%').replaceAll('*', '[^/]*').replaceAll('%', '*');
  return new RegExp(`^${source}$`);
}

/** Microseconds a decision, round by round in turns. */
function turns(
  { rounds, decisions }: Scale,
  ours: (count: number) => void,
  theirs: (count: number) => void,
): Times {
  const times = { ours: [] as number[], theirs: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    times.ours.push(microsecondsOf(ours, decisions));
    times.theirs.push(microsecondsOf(theirs, decisions));
  }
  return times;
}

function microsecondsOf(act: (count: number) => void, count: number): number {
  const started = performance.now();
  for (let at = 0; at < count; at++) act(at);
  return ((performance.now() - started) * 1000) / count;
}

function authorising(name: string, plans: readonly GrantPlan[], scale: Scale): Figure {
  const [grants, peer, requests] = [compileGrants(plans), peerOf(plans), requestsOf(plans)];
  const hash = createHash('sha256');
  let allowed = 0;
  for (const request of requests) {
    const decision = decide(grants, request);
    assert(decision.allowed === peer(request), `both decide the same about ${JSON.stringify(request)}`);
    if (decision.allowed) allowed++;
    hash.update(`${decision.allowed ? decision.grant : decision.rule}\n`);
  }
  assert(allowed > 0 && allowed < requests.length, 'some are allowed and some are not');
  const times = turns(
    scale,
    (at) => decide(grants, requests[at % requests.length]!),
    (at) => peer(requests[at % requests.length]!),
  );
  return figureOf(name, 'µs', times, 'RegExp, net.BlockList', hash.digest('hex'));
}

async function recorded(plans: readonly GrantPlan[], directory: string, scale: Scale): Promise<Figure> {
  const audit = AuditLog.open({
    directory: join(directory, 'gate'),
    clock: { ...systemClock, now: () => NOW },
  });
  const access = new Access({ grants: compileGrants(plans), audit });
  const line = Buffer.alloc(400, 0x61);
  const file = fs.openSync(join(directory, 'lines'), 'a');
  const caller = { peer: requestsOf(plans)[0]!.peer, address: '10.40.0.1' };
  const times = turns(
    scale,
    () => access.admit('pack.have', caller),
    () => fs.writeSync(file, line),
  );
  fs.closeSync(file);
  await audit.close();
  return figureOf('authorise-recorded', 'µs', times, 'writing 400 bytes', audit.head.hash);
}

export async function bench(options: { smoke: boolean }): Promise<Figure[]> {
  const scale = options.smoke ? SCALE.smoke : SCALE.real;
  const directory = fs.mkdtempSync(join(tmpdir(), 'kwam-bench-'));
  try {
    const plan = await examplePlan();
    const { grants } = plan.policy!;
    return [
      await redeeming(plan, directory, scale),
      authorising('authorise-h100', grants, scale),
      authorising('authorise-200', manyGrants(), scale),
      await recorded(grants, directory, scale),
    ];
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
