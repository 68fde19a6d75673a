/** The digest of canonical JSON under a domain, for modules, programs and plans: SHA-256(domain ‖ 0 ‖ RFC 8785 text) as `sha256:<64 hex>`. */
import { createHash } from 'node:crypto';
import type { DigestOf } from '../language/modules.ts';
import { canonicalBytes } from '../manifest/canonical-json.ts';

export const digestOf: DigestOf = (domain, value) =>
  `sha256:${createHash('sha256').update(`${domain}\0`).update(canonicalBytes(value)).digest('hex')}`;
