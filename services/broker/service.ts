import type { Socket } from 'node:net';
import { Aedes, type Client, type ConnectPacket, type PublishPacket } from 'aedes';
import { Failed, Refused } from '#core/errors.ts';
import type { Clock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import type { ListenAddress } from '#platform/listen.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { checkPublication, maySubscribe, type Access } from './access.ts';
import { defaultBrokerLimits, type BrokerLimits } from './config.ts';
import { createDoorway, type Doorway } from './doorway.ts';
import { createLine, type Line } from './line.ts';
import { createListeners } from './listeners.ts';
import { authenticateMeter, readCredentials } from './meters.ts';
import { createPacketGuard } from './packet-guard.ts';
import { sparingLog, type Say } from './sparing-log.ts';
import { certificateOf, type BrokerTls } from './tls.ts';

export interface BrokerContext {
  readonly listen: ListenAddress;
  /** This broker's name, which every password must carry as `aud`. */
  readonly audience: string;
  readonly clock: Clock;
  readonly database: Pool;
  readonly intake: Intake;
  readonly logger: Logger;
  readonly limits?: Partial<BrokerLimits>;
  /** Where it listens for TLS as well. */
  readonly tls?: BrokerTls | undefined;
}

export interface Broker extends Service {
  /**
   * Sends to whoever is connected and has subscribed (QoS 1), and waits for nobody: one that does not
   * read what it was sent before gets nothing more.
   */
  readonly publish: (topic: string, bytes: Uint8Array) => Promise<void>;
  /** The TCP port, once started, and that of TLS. */
  readonly port: () => number;
  readonly tlsPort: () => number | undefined;
  readonly connections: () => number;
}

/**
 * The embedded MQTT 3.1.1 broker. It has no `main.ts`: its whole point is to hold an acknowledgement
 * until the `intake` in the same process has committed; a broker of its own is what Mosquitto, EMQX
 * and HiveMQ are for (D6).
 *
 * aedes acknowledges right after `authorizePublish` calls back, reads a socket's next chunk only
 * when all of the last one is answered (which is the back-pressure), and closes the connection when
 * the callback brings an error. So what was not stored is not acknowledged, and the device, which
 * must resend after a reconnection anyway, does.
 */
export function createBroker(context: BrokerContext): Broker {
  const limits = { ...defaultBrokerLimits, ...context.limits };
  const meters = new WeakMap<Client, Access>();
  const linesPerSecond = limits.logLinesPerSecond;
  const say = sparingLog(context.logger, { linesPerSecond, nowMs: () => performance.now() });
  const doorway = createDoorway(limits);
  const aedes = createAedes(context, { limits, meters, doorway, say, line: createLine(limits) });
  routeNothingFromClients(aedes);
  const listeners = createListeners({
    ...context,
    limits,
    doorway,
    say,
    serve: (socket) => {
      guard(socket, limits);
      aedes.handle(socket);
    },
  });
  aedes.on('clientError', (client, error) => {
    say({ meter: client.id, why: error.message }, 'connection closed');
  });
  aedes.on('connectionError', (_client, error) => {
    say({ why: error.message }, 'connection refused');
  });
  return {
    died: listeners.died,
    start: async () => {
      await aedes.listen();
      await listeners.start();
    },
    stop: async () => {
      const closed = listeners.close();
      await new Promise<void>((resolve) => {
        aedes.close(resolve);
      });
      for (const socket of doorway.sockets()) socket.destroy();
      await closed;
    },
    publish: (topic, payload) => {
      if (aedes.closed) return Promise.reject(new Failed('broker', 'the broker has stopped'));
      aedes.publish({ cmd: 'publish', topic, payload: Buffer.from(payload), ...once }, ignore);
      return Promise.resolve();
    },
    port: listeners.port,
    tlsPort: listeners.tlsPort,
    connections: () => aedes.connectedClients,
  };
}

const once = { qos: 1, retain: false, dup: false } as const;

/** What the parts of one broker share. */
interface Shared {
  readonly limits: BrokerLimits;
  readonly meters: WeakMap<Client, Access>;
  readonly doorway: Doorway;
  readonly line: Line;
  readonly say: Say;
}

function createAedes(context: BrokerContext, shared: Shared): Aedes {
  const { limits, meters, say } = shared;
  const wills = new WeakSet<Client>();
  const denied = new WeakSet<Client>();
  return new Aedes({
    // Of what is being sent; what bounds it is one packet for each connection, see `readsOn`.
    concurrency: 0,
    connectTimeout: limits.connectMs,
    drainTimeout: limits.drainMs,
    keepaliveLimit: limits.keepaliveS,
    queueLimit: limits.queuedPackets,
    maxInflightInbound: 1,
    maxClientsIdLength: 64,
    maxTopicLevels: 5,
    preConnect: (client, packet, done) => {
      noteConnect(client, packet, wills);
      done(null, true);
    },
    authenticate: authenticator(context, shared, wills),
    authorizePublish: (client, packet, done) => {
      const access = client === null ? undefined : meters.get(client);
      takeIn(access, packet, context).then(
        () => {
          done(null);
        },
        (error: unknown) => {
          done(error instanceof Error ? error : new Error(String(error)));
        },
      );
    },
    authorizeSubscribe: (client, subscription, done) => {
      const access = meters.get(client);
      const may = access !== undefined && maySubscribe(access, subscription.topic);
      if (!may && !denied.has(client)) {
        denied.add(client);
        say({ meter: client.id, topic: subscription.topic.slice(0, 200) }, 'may not subscribe');
      }
      // Without a subscription aedes answers with 0x80, failure (MQTT 3.1.1, section 3.9.3).
      done(null, may ? subscription : null);
    },
    authorizeForward: (client, packet) => (readsOn(client) ? packet : null),
  });
}

/**
 * Whether it takes what it is sent. aedes waits for one that does not, and a receipt that waits would
 * hold up those of all other meters; the next one says it all again. So at most one packet waits.
 */
function readsOn({ conn }: Client): boolean {
  return !conn.writableNeedDrain;
}

function ignore(): void {
  // Who does not read, or has gone, is told by its next receipt.
}

/**
 * Nobody may subscribe to a messages topic, so what a client publishes ends with its intake: looking
 * for subscribers would cost more than the acknowledgement. aedes calls its own `publish` with the
 * client in between.
 */
function routeNothingFromClients(aedes: Aedes): void {
  const route = aedes.publish.bind(aedes);
  aedes.publish = (packet, ...rest: readonly unknown[]) => {
    const [client, done] = rest;
    const ofClient = typeof client === 'object' && client !== null && typeof done === 'function';
    if (ofClient) Reflect.apply(done, undefined, []);
    else Reflect.apply(route, aedes, [packet, ...rest]);
  };
}

type Authenticate = Aedes['authenticate'];

function authenticator(
  { database, audience, clock, tls }: BrokerContext,
  { doorway, line, meters, say }: Shared,
  wills: WeakSet<Client>,
): Authenticate {
  const authenticate = async (
    client: Client,
    userName: string | undefined,
    password: Uint8Array | undefined,
  ): Promise<void> => {
    if (wills.has(client)) throw new Refused('will', 'a meter leaves no will');
    const certificate = password === undefined ? certificateOf(client.conn, tls?.ca) : undefined;
    const shown = { certificate, clientId: client.id, userName, password };
    const credentials = readCredentials(shown);
    const access = await line.inTurn(
      () => authenticateMeter(database, credentials, { audience, nowS: clock.nowS() }),
      () => client.closed,
    );
    meters.set(client, access);
    doorway.letIn(client.conn);
  };
  return (...[client, userName, password, done]) => {
    authenticate(client, userName, password).then(
      () => {
        done(null, true);
      },
      (error: unknown) => {
        say({ meter: client.id, why: reasonOf(error) }, 'may not connect');
        done(
          Object.assign(new Error('not authorized'), { returnCode: returnCodeOf(error) }),
          false,
        );
      },
    );
  };
}

/**
 * Nothing outlives a connection here: a receipt says the whole state of its key, so that none needs
 * to be kept for a device that is away. A device that asks for a persistent session gets a new one.
 */
function noteConnect(client: Client, packet: ConnectPacket, wills: WeakSet<Client>): void {
  packet.clean = true;
  if (packet.will !== undefined) wills.add(client);
}

async function takeIn(
  access: Access | undefined,
  packet: PublishPacket,
  { intake, clock }: Pick<BrokerContext, 'intake' | 'clock'>,
): Promise<void> {
  if (access === undefined) throw new Refused('topic', 'not connected as a meter');
  const { topic, qos, retain, payload } = packet;
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  checkPublication(access, { topic, qos, retain, bytes: bytes.length });
  await intake({ sender: access.meter, topic, bytes, receivedAt: clock.nowS() });
}

/** 3 says that the server is to blame, and that trying again is worth it; 5 that it is not. */
function returnCodeOf(error: unknown): 3 | 5 {
  return error instanceof Refused ? 5 : 3;
}

function reasonOf(error: unknown): string {
  if (error instanceof Refused || error instanceof Failed) return `${error.code}: ${error.message}`;
  return String(error);
}

/** aedes reads the socket by `read`: what it would get is looked at first. */
function guard(socket: Socket, limits: BrokerLimits): void {
  const { refuses } = createPacketGuard(limits);
  const read = socket.read.bind(socket);
  socket.read = (size?: number): unknown => {
    const chunk: unknown = read(size);
    const why = chunk instanceof Uint8Array ? refuses(chunk) : undefined;
    if (why === undefined) return chunk;
    socket.destroy(new Error(why));
    return null;
  };
}
