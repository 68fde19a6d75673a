/** Images that people of consents.ts have released, and desks that redeem tokens for them. */
import { systemClock } from '../../src/clock.ts';
import { MemoryControlStore } from '../../src/control/memory.ts';
import type { ImageSource } from '../../src/images/image-source.ts';
import type { Plan, TrustedKeyPlan } from '../../src/plan.ts';
import { systemRandom } from '../../src/random.ts';
import { ConsentDesk } from '../../src/rollout/consent-desk.ts';
import type { OpenImage } from '../../src/rollout/image-place.ts';
import type { Claim } from '../../src/rollout/ledger.ts';
import { FakeClock } from '../control/fake-clock.ts';
import { smallPlan } from '../faults/small-plan.ts';
import {
  addSimpleSignatures,
  memorySource,
  OciContent,
  payloadOf,
  type SigningKey,
  signedPayload,
} from '../images/oci-content.ts';
import { ada, envelopeOf, GRANT, KEYS, NOW, SEED, USE } from './consents.ts';

export interface ReleasedImage {
  readonly content: OciContent;
  /** sha256:… */
  readonly image: string;
  readonly source: ImageSource;
}

export function releasedImage(by: readonly SigningKey[] = [ada]): ReleasedImage {
  const content = new OciContent();
  const digest = content.addImage();
  const layers = by.map((key) => signedPayload(key, payloadOf(digest)));
  if (layers.length > 0) addSimpleSignatures(content, digest, layers);
  return { content, image: `sha256:${digest}`, source: memorySource(content) };
}

export interface TestDesk {
  readonly redeem: (rollout?: string) => Promise<Claim>;
  readonly resume: (rollout?: string) => Promise<Claim>;
  /** Records of the audit log. */
  readonly told: readonly Record<string, unknown>[];
}

/** A seed whose one deploy runs `image`, and a token for it. */
export async function deskFor(
  image: string,
  openImage: OpenImage,
  keys: readonly TrustedKeyPlan[] = KEYS,
): Promise<TestDesk> {
  const told: Record<string, unknown>[] = [];
  const base = smallPlan({ nodes: 3, factor: 2 });
  const plan = {
    ...base,
    program: { ...base.program, digest: USE.program },
    clients: [{ name: 'kwam_node', image }],
    deploys: [{ name: USE.deploy, client: 'kwam_node', pool: USE.pool, consent: { scope: USE.scope } }],
    policy: { ...base.policy, grants: [GRANT], trustedKeys: keys },
  } as unknown as Plan;
  const clock = new FakeClock(NOW);
  const desk = new ConsentDesk({
    plan,
    self: SEED,
    ledger: {
      control: new MemoryControlStore({ clock: systemClock }),
      clock,
      random: systemRandom,
      used: new Set<string>(),
    },
    openKey: (reference) => ('pem' in reference ? reference.pem : reference.secret),
    openImage,
    audit: { append: (event) => void told.push(event), sync: async () => undefined },
  });
  const token = Buffer.from(await envelopeOf({ image })).toString('utf8');
  const request = (rollout = 'rollout-1') => ({ token, deploy: USE.deploy, rollout });
  return {
    redeem: (rollout) => desk.redeem(request(rollout), SEED),
    resume: (rollout) => desk.resume(request(rollout), SEED),
    told,
  };
}
