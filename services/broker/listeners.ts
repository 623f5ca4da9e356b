import { createServer, type Server, type Socket } from 'node:net';
import { addressOf, listenOn, type ListenAddress } from '#platform/listen.ts';
import type { BrokerLimits } from './config.ts';
import type { Doorway } from './doorway.ts';
import type { Say } from './sparing-log.ts';
import { createTlsServer, type BrokerTls } from './tls.ts';

/** Where the broker takes connections: over TCP, and over TLS where it is configured. */
export interface Listeners {
  /** Failed('listen') when one of them cannot: then none does. */
  readonly start: () => Promise<void>;
  /** Takes no more connections, and resolves once the last is closed. */
  readonly close: () => Promise<void>;
  readonly port: () => number;
  readonly tlsPort: () => number | undefined;
  /** Resolves when one of them fails by itself. */
  readonly died: Promise<Error>;
}

export interface ListenersContext {
  readonly listen: ListenAddress;
  readonly tls?: BrokerTls | undefined;
  readonly limits: Pick<BrokerLimits, 'connectMs'>;
  /** One for both: TCP connections are counted, also those whose handshake is under way. */
  readonly doorway: Doorway;
  readonly say: Say;
  /** Speaks MQTT on a connection: TCP, or TLS after its handshake. */
  readonly serve: (socket: Socket) => void;
}

export function createListeners({
  listen,
  tls,
  limits,
  doorway,
  say,
  serve,
}: ListenersContext): Listeners {
  const plain = createServer({ noDelay: true }, (socket) => {
    serve(socket);
    doorway.enter(socket);
  });
  const secure = tls && createTlsServer(tls, limits.connectMs);
  const underTls = new Map<string, Socket>();
  secure?.on('connection', (socket: Socket) => {
    const from = placeOf(socket);
    underTls.set(from, socket);
    socket.once('close', () => underTls.delete(from));
    doorway.enter(socket);
  });
  secure?.on('secureConnection', (socket) => {
    const under = underTls.get(placeOf(socket));
    if (under !== undefined) doorway.carries(under, socket);
    serve(socket);
  });
  secure?.on('tlsClientError', (error: Error, socket) => {
    say({ why: error.message }, 'no TLS connection');
    socket.destroy();
  });
  let failed: (error: Error) => void = () => undefined;
  const died = new Promise<Error>((resolve) => {
    failed = resolve;
  });
  const servers: readonly Server[] = secure === undefined ? [plain] : [plain, secure];
  const close = async (): Promise<void> => {
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  };
  return {
    died,
    async start() {
      await listenOn(plain, listen);
      try {
        if (secure !== undefined && tls !== undefined) await listenOn(secure, tls.listen);
      } catch (error) {
        await close();
        throw error;
      }
      for (const server of servers) server.on('error', failed);
    },
    close,
    port: () => addressOf(plain).port,
    tlsPort: () => secure && addressOf(secure).port,
  };
}

/** Node does not say which TCP connection TLS runs on; of one listener no two are from one place. */
function placeOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
