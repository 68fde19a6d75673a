/**
 * Canonical networks: published spellings, and the host part of random addresses.
 */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalCidr } from '../../src/language/cidr.ts';

describe('canonical form', () => {
  // Addresses of RFC 5952 sections 1, 2 and 4, RFC 4291 section 2.2; RFC 1918 networks.
  test.each([
    ['10.40.0.0', 16, '10.40.0.0/16'],
    ['10.40.1.7', 16, '10.40.0.0/16'],
    ['010.040.0.0', 16, '10.40.0.0/16'],
    ['172.16.0.0', 12, '172.16.0.0/12'],
    ['192.168.255.255', 0, '0.0.0.0/0'],
    ['192.168.1.1', 32, '192.168.1.1/32'],
    ['2001:db8:0:0:1:0:0:1', 128, '2001:db8::1:0:0:1/128'],
    ['2001:0db8:0:0:1:0:0:1', 128, '2001:db8::1:0:0:1/128'],
    ['2001:db8::0:1:0:0:1', 128, '2001:db8::1:0:0:1/128'],
    ['2001:DB8:0:0:1::1', 128, '2001:db8::1:0:0:1/128'],
    ['2001:db8:0:1:1:1:1:1', 128, '2001:db8:0:1:1:1:1:1/128'],
    ['2001:0:0:1:0:0:0:1', 128, '2001:0:0:1::1/128'],
    ['2001:db8:aaaa:bbbb:cccc:dddd:eeee:AAAA', 128, '2001:db8:aaaa:bbbb:cccc:dddd:eeee:aaaa/128'],
    ['FF01:0:0:0:0:0:0:101', 128, 'ff01::101/128'],
    ['0:0:0:0:0:0:0:0', 0, '::/0'],
    ['2001:db8:1234::1', 48, '2001:db8:1234::/48'],
  ])('%s/%i', (address, prefixLength, canonical) => {
    expect(canonicalCidr(address, prefixLength)).toEqual({ canonical });
  });

  test.each([
    ['256.0.0.0', 8],
    ['1.2.3', 8],
    ['1.2.3.4', 33],
    ['::1', 129],
    ['1::2::3', 64],
    ['1:2:3:4:5:6:7', 64],
    ['1:2:3:4:5:6:7:8:9', 64],
    ['::12345', 64],
    [':::', 64],
    ['1:2:3:4:5:6:7::8', 64],
    ['::ffff:1.2.3.4', 64],
  ])('%s/%i is no network here', (address, prefixLength) => {
    expect(canonicalCidr(address, prefixLength).problem).toBeDefined();
  });

  test('is its own canonical form, an address to others, and free of host bits', () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(groups, fc.integer({ min: 0, max: 128 }), (numbers, prefixLength) => {
        const { canonical } = canonicalCidr(numbers.map((each) => each.toString(16)).join(':'), prefixLength);
        const [address = '', length] = canonical!.split('/');
        expect(isIP(address)).toBe(6);
        expect(length).toBe(`${prefixLength}`);
        expect(canonicalCidr(address, prefixLength)).toEqual({ canonical });
        // The URL standard serialises IPv6 as RFC 5952 does.
        expect(new URL(`http://[${address}]/`).hostname).toBe(`[${address}]`);
      }),
    );
  });
});
