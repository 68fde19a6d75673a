/**
 * Where an etcd is, as users write it: etcd://HOST[:PORT][,HOST[:PORT]…][/CLUSTER], or etcds:// with TLS.
 * In: text. Out: the members' addresses, the cluster's name and the TLS files. One string holds all, as in the connection URIs of
 * PostgreSQL (libpq, "Connection URIs": several hosts, files as parameters); the parameters are named like etcdctl's options.
 * Paths of files count from the working directory. Does not connect, and does not read the files.
 */
import { resolve } from 'node:path';
import { KwamError } from '../errors.ts';
import type { EtcdTls } from './etcd-member.ts';

export interface EtcdPlace {
  /** HOST:PORT. */
  readonly endpoints: readonly string[];
  /** Which of the clusters in this etcd. */
  readonly cluster: string;
  readonly tls?: EtcdTls;
}

/** IANA's port of etcd's clients. */
const portDefault = 2379;
const clusterDefault = 'default';
const clusterPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const shape = /^(etcds?):\/\/([^/?#]*)(?:\/([^/?#]*))?(?:\?([^#]*))?$/;
const endpointShape = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?$/;
const files = ['cacert', 'cert', 'key'];

export function parseEtcdUrl(url: string): EtcdPlace {
  if (url.includes('@')) {
    throw new KwamError(
      'USAGE',
      'expected no user or password in the address of etcd; kwam-dp shows a certificate instead: etcds://…?cert=FILE&key=FILE',
    );
  }
  const [, scheme, hosts = '', cluster, query = ''] = shape.exec(url) ?? [];
  if (scheme === undefined || hosts === '') throw wrong(url);
  const place = { endpoints: hosts.split(',').map(endpointOf), cluster: clusterOf(cluster) };
  const given = [...new URLSearchParams(query)];
  const unknown = given.find(([name]) => !files.includes(name))?.[0];
  if (unknown !== undefined) throw wrong(`${url}, where ${unknown}= means nothing`);
  if (scheme === 'etcds') return { ...place, tls: tlsOf(Object.fromEntries(given)) };
  if (given.length === 0) return place;
  throw wrong(`${url}, which has certificates but no TLS; write etcds://`);
}

function wrong(found: string): KwamError {
  return new KwamError(
    'USAGE',
    'expected the control store as etcd://HOST:PORT[,HOST:PORT…][/CLUSTER], as etcds://…?cacert=FILE&cert=FILE&key=FILE, ' +
      `or as sqlite, got ${found}`,
  );
}

function endpointOf(text: string): string {
  const [, host, port] = endpointShape.exec(text) ?? [];
  const number = Number(port ?? portDefault);
  if (host !== undefined && number >= 1 && number <= 65535) return `${host}:${number}`;
  throw new KwamError(
    'USAGE',
    `expected each member of etcd as HOST:PORT with a port from 1 to 65535, got ${JSON.stringify(text)}`,
  );
}

function clusterOf(text: string | undefined): string {
  if (text === undefined || text === '') return clusterDefault;
  if (clusterPattern.test(text)) return text;
  throw new KwamError(
    'USAGE',
    `expected the name of a cluster after etcd's addresses, 1 to 64 letters, digits and inner ".", "_" and "-", got ${JSON.stringify(text)}`,
  );
}

function tlsOf({ cacert, cert, key }: Partial<Record<string, string>>): EtcdTls {
  if ((cert === undefined) !== (key === undefined)) {
    throw new KwamError(
      'USAGE',
      `expected cert= and key= together, got only ${cert === undefined ? 'key' : 'cert'}=`,
    );
  }
  return {
    ...(cacert && { ca: resolve(cacert) }),
    ...(cert && key && { cert: resolve(cert), key: resolve(key) }),
  };
}

/** The same place for whoever reads it in another working directory. */
export function formatEtcdUrl({ endpoints, cluster, tls }: EtcdPlace): string {
  const url = `${tls === undefined ? 'etcd' : 'etcds'}://${endpoints.join(',')}/${cluster}`;
  const { ca, ...pair } = tls ?? {};
  const query = new URLSearchParams({ ...(ca && { cacert: ca }), ...pair }).toString();
  return query === '' ? url : `${url}?${query}`;
}
