/** HOST:PORT texts, with IPv6 hosts in brackets. Does not resolve names. */
import { KwamError } from '../errors.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const FORM = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/;

export function parseAddress(text: string): Address {
  const [, v6, name, digits] = FORM.exec(text) ?? [];
  const host = v6 ?? name;
  const port = Number(digits);
  if (host === undefined || port > 65_535) {
    throw new KwamError(
      'USAGE',
      `expected an address HOST:PORT with port 0 to 65535, got ${JSON.stringify(text)}; for example 127.0.0.1:7400`,
    );
  }
  return { host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
