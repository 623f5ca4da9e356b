import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** Where a proxy leads to: a port of 127.0.0.1, or the path of a Unix socket. */
export type Target = number | string;

/** A cable between two programs, on a port of 127.0.0.1, that can be cut in several ways. */
export interface TcpProxy {
  readonly port: number;
  /** Ends every connection with a RST, at both sides. New ones pass. */
  readonly reset: () => void;
  /** Nothing passes in either direction, nobody is told; new connections are taken and wait. */
  readonly stall: () => void;
  readonly flow: () => void;
  /**
   * Every connection is half open from now on and for ever: `target` has seen its end, or the client
   * has, and the other side hears nothing. New ones pass.
   */
  readonly abandon: (deaf: 'client' | 'target') => void;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
}

interface Pair {
  readonly client: Socket;
  readonly target: Socket;
}

/** `target` is asked for each connection, so that it may be known later than the port. */
export async function startTcpProxy(target: () => Target): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  const abandoned = new Set<Socket>();
  let stalled = false;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const to = target();
    const open = { allowHalfOpen: true, noDelay: true };
    const far = connect(typeof to === 'number' ? { ...open, port: to } : { ...open, path: to });
    const pair = { client, target: far };
    pairs.add(pair);
    for (const [socket, other] of [
      [client, far],
      [far, client],
    ] as const) {
      // The other one is told the same: a broken connection is broken at both ends.
      socket.on('error', () => {
        if (!abandoned.has(other)) breakOff(other);
      });
      socket.once('close', () => {
        pairs.delete(pair);
        if (!abandoned.has(other)) other.destroy();
      });
      socket.pipe(other);
    }
    if (stalled) holdUp(pair);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const holdUp = ({ client, target: far }: Pair): void => {
    client.unpipe(far).pause();
    far.unpipe(client).pause();
  };
  return {
    port: (server.address() as AddressInfo).port,
    reset: () => {
      for (const { client, target: far } of pairs) {
        breakOff(client);
        breakOff(far);
      }
    },
    stall: () => {
      stalled = true;
      for (const pair of pairs) holdUp(pair);
    },
    flow: () => {
      stalled = false;
      for (const { client, target: far } of pairs) {
        client.pipe(far);
        far.pipe(client);
      }
    },
    abandon: (deaf) => {
      for (const pair of [...pairs]) {
        holdUp(pair);
        pairs.delete(pair);
        abandoned.add(pair[deaf]);
        pair[deaf].once('close', () => abandoned.delete(pair[deaf]));
        pair[deaf === 'client' ? 'target' : 'client'].destroy();
      }
    },
    connections: () => pairs.size,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const { client, target: far } of pairs) {
        client.destroy();
        far.destroy();
      }
      for (const socket of abandoned) socket.destroy();
      await closed;
    },
  };
}

/** A Unix socket knows no RST: its end is all that can be told. */
function breakOff(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
