import { expect, it } from 'vitest';
import { formatEtcdUrl, parseEtcdUrl } from '../../src/control/etcd-url.ts';

it.each([
  ['etcd://a', { endpoints: ['a:2379'], cluster: 'default' }],
  [
    'etcd://10.0.0.1:1,[::1]:2,c.example/prod',
    { endpoints: ['10.0.0.1:1', '[::1]:2', 'c.example:2379'], cluster: 'prod' },
  ],
  ['etcds://a/', { endpoints: ['a:2379'], cluster: 'default', tls: {} }],
  [
    'etcds://a:1/x?cacert=/p/ca.pem&cert=/p/a%20b.pem&key=/p/k.pem',
    { endpoints: ['a:1'], cluster: 'x', tls: { ca: '/p/ca.pem', cert: '/p/a b.pem', key: '/p/k.pem' } },
  ],
])('reads %s, and again what it writes of it', (url, place) => {
  expect(parseEtcdUrl(url)).toEqual(place);
  expect(parseEtcdUrl(formatEtcdUrl(parseEtcdUrl(url)))).toEqual(place);
});

it('takes files from the working directory', () => {
  expect(parseEtcdUrl('etcds://a?cacert=ca.pem').tls?.ca).toBe(`${process.cwd()}/ca.pem`);
});

it.each([
  ['', 'etcd://HOST:PORT'],
  ['etcd:', 'etcd://HOST:PORT'],
  ['etcd://', 'etcd://HOST:PORT'],
  ['http://a:2379', 'etcd://HOST:PORT'],
  ['etcd://a/b/c', 'etcd://HOST:PORT'],
  ['etcd://a,', 'each member'],
  ['etcd://a:0', 'port from 1'],
  ['etcd://a:65536', 'port from 1'],
  ['etcd://a:b', 'each member'],
  ['etcd://::1', 'each member'],
  ['etcd://a/..', 'name of a cluster'],
  ['etcd://a/b%2Fc', 'name of a cluster'],
  [`etcd://a/${'b'.repeat(65)}`, 'name of a cluster'],
  ['etcd://a?cacert=x', 'write etcds://'],
  ['etcds://a?cafile=x', 'cafile='],
  ['etcds://a?cert=x', 'together'],
  ['etcds://a?key=x', 'together'],
])('refuses %s', (url, said) => {
  expect(() => parseEtcdUrl(url)).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.stringContaining(said) }),
  );
});

it('does not repeat a password', () => {
  expect(() => parseEtcdUrl('etcd://root:hunter2@a?x#')).toThrow(
    expect.objectContaining({ code: 'USAGE', message: expect.not.stringContaining('hunter2') }),
  );
});
