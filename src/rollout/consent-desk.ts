/**
 * Where a seed redeems consent tokens: what it is about to do comes from its own plan, never from the request.
 * In: the envelope, the name of a deploy of the plan and of the rollout. Out: the claim that lets that rollout act. Nothing may run whose image a key
 * of the policy has not released. Every outcome is in the audit log, durably, before it is answered.
 */
import type { AuditLog } from '../audit/audit-log.ts';
import { KwamError } from '../errors.ts';
import { consentNameCharactersMax } from '../limits.ts';
import type { ClientPlan, DeployPlan, Plan } from '../plan.ts';
import { fieldsOf, textOf } from '../replication/protocol.ts';
import type { JsonValue } from '../transport/transport.ts';
import { compileConsentPolicy, type OpenKey } from './consent-policy.ts';
import { refuseConsent } from './consent-refusal.ts';
import type { ConsentUse } from './consent-verify.ts';
import type { OpenImage } from './image-place.ts';
import { releasersOf } from './image-release.ts';
import type { Claim, Ledger } from './ledger.ts';
import { type Redemption, redeem, resume } from './redeem.ts';

export interface ConsentDeskParts {
  readonly plan: Plan;
  /** The SPIFFE ID of this node: it redeems what names it as audience. */
  readonly self: string;
  readonly ledger: Ledger;
  readonly openKey: OpenKey;
  readonly openImage: OpenImage;
  readonly audit: Pick<AuditLog, 'append' | 'sync'>;
}

const ROLLOUT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/;

/** What somebody asked for may be anything, and must fit into a record. */
const named = (text: string): string => text.toWellFormed().slice(0, consentNameCharactersMax);

export class ConsentDesk {
  readonly #parts: ConsentDeskParts;

  constructor(parts: ConsentDeskParts) {
    this.#parts = parts;
  }

  redeem(request: JsonValue, peer: string): Promise<Claim> {
    return this.#recorded('consent.redeem', request, peer, redeem);
  }

  resume(request: JsonValue, peer: string): Promise<Claim> {
    return this.#recorded('consent.resume', request, peer, resume);
  }

  async #recorded(method: string, request: JsonValue, peer: string, act: typeof redeem): Promise<Claim> {
    const { plan, self, audit } = this.#parts;
    const fields = fieldsOf(request, method);
    const asked = { deploy: textOf(fields, 'deploy'), rollout: textOf(fields, 'rollout') };
    const token = Buffer.from(textOf(fields, 'token'));
    const event = {
      kind: 'consent',
      method,
      peer,
      deploy: named(asked.deploy),
      rollout: named(asked.rollout),
    };
    try {
      const use = useOf(plan, { self, ...asked });
      const claim = await act(await this.#redemption(use), token, use);
      audit.append({
        ...event,
        allowed: true,
        jti: claim.jti,
        token: claim.token,
        approvedBy: claim.approvedBy.join(' '),
        releasedBy: claim.releasedBy.join(' '),
      });
      return claim;
    } catch (error) {
      audit.append({ ...event, allowed: false, rule: ruleOf(error) });
      throw error;
    } finally {
      await audit.sync();
    }
  }

  /** Keys are opened for each token: a policy that cannot be opened refuses tokens and nothing else. */
  async #redemption({ deploy }: ConsentUse): Promise<Redemption> {
    const { plan, ledger, openKey, openImage } = this.#parts;
    const policy = await compileConsentPolicy(plan.policy ?? NOBODY, openKey);
    const { client } = deployOf(plan, deploy);
    const releasers = () => releasersOf(client, policy.keys, openImage, ledger.clock.now());
    return { ledger, policy, releasers };
  }
}

const NOBODY = { grants: [], trustedKeys: [] };

function ruleOf(error: unknown): string {
  if (!(error instanceof KwamError)) return 'internal';
  return String(error.context['rule'] ?? error.code);
}

/** What the plan says that the deploy does. @throws KwamError CONSENT_REFUSED `deploy-unknown`, `rollout-name`. */
export function useOf(
  plan: Plan,
  { self, deploy, rollout }: Pick<ConsentUse, 'self' | 'deploy' | 'rollout'>,
): ConsentUse {
  const { consent, pool, client } = deployOf(plan, deploy);
  checkRollout(rollout);
  return {
    self,
    rollout,
    capabilities: ['deploy'],
    scope: consent.scope,
    program: plan.program.digest,
    image: client.image,
    deploy,
    pool,
  };
}

type DeployWithClient = Omit<DeployPlan, 'client'> & { readonly client: ClientPlan };

function deployOf({ deploys, clients }: Plan, name: string): DeployWithClient {
  const deploy = deploys.find((each) => each.name === name);
  const client = clients.find((each) => each.name === deploy?.client);
  if (deploy !== undefined && client !== undefined) return { ...deploy, client };
  return refuseConsent({
    rule: 'deploy-unknown',
    expected: `a deploy of the plan (${deploys.map((each) => each.name).join(', ') || 'none'})`,
    actual: JSON.stringify(name.slice(0, 100)),
    remedy: 'name one of them, or start this node with the program that has it',
  });
}

function checkRollout(rollout: string): void {
  if (ROLLOUT.test(rollout)) return;
  refuseConsent({
    rule: 'rollout-name',
    expected: 'a rollout named with A-Z a-z 0-9 . _ - (at most 100)',
    actual: JSON.stringify(rollout.slice(0, 120)),
    remedy: 'give it another name',
  });
}
