import { beforeAll } from 'vitest';
import { createAuthority, issueSvid } from '../../src/identity/authority.ts';
import { type Identity, identityFromPems } from '../../src/identity/identity.ts';
import { parseSpiffeId, parseTrustDomain } from '../../src/identity/spiffe-id.ts';
import { grpcTransport } from '../../src/transport/grpc.ts';
import { transportSuite } from '../suites/transport.suite.ts';

let server: Identity;
let client: Identity;

beforeAll(async () => {
  const nowMs = Date.now();
  const authority = await createAuthority(parseTrustDomain('kwam.test'), { nowMs });
  const identityOf = async (id: string) => {
    const { certificatePem, privateKeyPem } = await issueSvid(authority, parseSpiffeId(id), { nowMs });
    const pems = { certificateChainPem: certificatePem, privateKeyPem, bundlePem: authority.certificatePem };
    return identityFromPems(pems, nowMs);
  };
  server = await identityOf('spiffe://kwam.test/node/server');
  client = await identityOf('spiffe://kwam.test/node/client');
});

transportSuite('grpc', async (observer) => ({
  server: grpcTransport({ credentials: server, observer }),
  client: grpcTransport({ credentials: client }),
  serverId: server.spiffeId,
  clientId: client.spiffeId,
  address: '127.0.0.1:0',
}));
