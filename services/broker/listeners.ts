import { createServer, type Server, type Socket } from 'node:net';
import { addressOf, listenOn, type ListenAddress } from '#platform/listen.ts';
import type { Logger } from '#platform/logger.ts';
import type { BrokerLimits } from './config.ts';
import { createTlsServer, type BrokerTls } from './tls.ts';

/** Where the broker takes connections: over TCP, and over TLS where it is configured. */
export interface Listeners {
  /** Failed('listen') when one of them cannot: then none does. */
  readonly start: () => Promise<void>;
  /** Takes no more connections, and resolves once the last is closed. */
  readonly close: () => Promise<void>;
  readonly destroyAll: () => void;
  readonly port: () => number;
  readonly tlsPort: () => number | undefined;
  /** Resolves when one of them fails by itself. */
  readonly died: Promise<Error>;
}

export interface ListenersContext {
  readonly listen: ListenAddress;
  readonly tls?: BrokerTls | undefined;
  readonly limits: Pick<BrokerLimits, 'connections' | 'connectMs'>;
  readonly logger: Logger;
  /** Speaks MQTT on a connection: TCP, or TLS after its handshake. */
  readonly serve: (socket: Socket) => void;
}

export function createListeners({
  listen,
  tls,
  limits,
  logger,
  serve,
}: ListenersContext): Listeners {
  /** TCP connections, also those whose handshake is under way: one limit for all. */
  const sockets = new Set<Socket>();
  const admit = (socket: Socket): void => {
    if (sockets.size >= limits.connections) {
      logger.warn('a connection beyond the limit was dropped');
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  };
  const plain = createServer({ noDelay: true }, (socket) => {
    admit(socket);
    if (!socket.destroyed) serve(socket);
  });
  const secure = tls && createTlsServer(tls, limits.connectMs);
  secure?.on('connection', admit);
  secure?.on('secureConnection', serve);
  secure?.on('tlsClientError', (error: Error, socket) => {
    logger.info({ why: error.message }, 'no TLS connection');
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
    destroyAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    port: () => addressOf(plain).port,
    tlsPort: () => secure && addressOf(secure).port,
  };
}
