import type { AddressInfo, Server } from 'node:net';
import { Failed, Refused } from '#core/errors.ts';

/** Where a server listens; port 0 takes a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const listenPattern = /^(?:[^:[\]]+|\[[0-9A-Fa-f:.]+\]):(?:0|[1-9][0-9]{0,4})$/;
const highestPort = 65_535;

/** `host:port`, an IPv6 address in brackets. Refused('listen') for anything else. */
export function parseListen(address: string): ListenAddress {
  const colon = address.lastIndexOf(':');
  const port = Number(address.slice(colon + 1));
  if (!listenPattern.test(address) || port > highestPort) {
    throw new Refused('listen', `not host:port, a port from 0 to ${highestPort}`);
  }
  return { host: address.slice(0, colon).replace(/^\[(.*)\]$/, '$1'), port };
}

/** Resolves once the server listens. Failed('listen') when it cannot: nothing of it is left then. */
export async function listenOn(server: Server, { host, port }: ListenAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const failed = (cause: Error): void => {
      reject(new Failed('listen', `cannot listen on ${host}:${port}: ${cause.message}`, { cause }));
    };
    server.once('error', failed);
    server.listen({ host, port }, () => {
      server.off('error', failed);
      resolve();
    });
  });
}

/**
 * For `createServer` of node:http: how long the head of a request and all of it may take, whatever comes
 * meanwhile. Node looks for what is late only now and then, by itself every 30 s: here at least every
 * second. A connection that is late is answered 408, where that still can be, and closed.
 */
export function requestLimits({
  headersMs,
  requestMs,
}: {
  readonly headersMs: number;
  readonly requestMs: number;
}): {
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly connectionsCheckingInterval: number;
} {
  return {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: Math.max(100, Math.min(1_000, headersMs / 4)),
  };
}

/** Where a server does listen, on TCP. An Error before it does: whoever asks then is wrong. */
export function addressOf(server: Pick<Server, 'address'> | undefined): AddressInfo {
  const address = server?.address();
  if (typeof address !== 'object' || address === null) throw new Error('not started');
  return address;
}

export function urlOf(server: Pick<Server, 'address'> | undefined): string {
  const { family, address, port } = addressOf(server);
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
