import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate, parser, type Packet } from 'mqtt-packet';
import { parsePublicJwk } from '#core/keys.ts';
import type { Broker } from '#broker/service.ts';
import type { BrokerLimits } from '#broker/config.ts';
import { systemClock } from '#platform/clock.ts';
import type { Pool } from '#platform/postgres.ts';
import { createLogger } from '#platform/logger.ts';
import { createIngestion } from '#ingestion/service.ts';
import { ingestionSigner, insertLogSetting } from '#support/register.ts';
import { gatewayOf, type Promised } from '../ingestion/gateways.ts';
import { newDevice, until, type Device } from '../ingestion/rig.ts';
import { password, startBroker } from './rig.ts';

/** Our broker with ingestion behind it, an honest meter that never pauses, and a hostile one's key. */
export interface Scene {
  readonly broker: Broker;
  readonly hostile: Device;
  readonly honest: Promised;
  /** Every reason that was logged so far. */
  readonly reasons: () => readonly string[];
  /** The second in which each line was logged. */
  readonly times: () => readonly string[];
  /** Resolves once the honest meter was acknowledged and receipted `messages` more. */
  readonly goesOn: (messages?: number) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export async function startScene(pool: Pool, limits: Partial<BrokerLimits> = {}): Promise<Scene> {
  await insertLogSetting(pool);
  const lines: string[] = [];
  const logger = createLogger({
    name: 'test',
    destination: { write: (line) => void lines.push(line) },
  });
  const ingestion = createIngestion({
    pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.publish(topic, bytes),
    logger,
    limits: { receiptEveryMs: 20 },
  });
  await ingestion.start();
  const broker: Broker = await startBroker({
    database: pool,
    intake: ingestion.accept,
    audience: 'any',
    logger,
    limits,
  });
  const name = `${Date.now()}`;
  const hostile = await newDevice(pool, `hostile-${name}`);
  const honest = await gatewayOf(
    await newDevice(pool, `honest-${name}`),
    `mqtt://127.0.0.1:${broker.port()}`,
    { receipts: parsePublicJwk(ingestionSigner.jwk), answerTimeoutMs: 60_000 },
  );
  honest.start();
  const going = { on: true };
  const from = systemClock.nowS() - 100_000;
  const work = (async (): Promise<void> => {
    for (let i = 1; going.on; i++) {
      await honest.record([{ t: from + i, registers: { exportWh: i } }]);
      await sleep(10);
    }
  })();
  return {
    broker,
    hostile,
    honest,
    reasons: () =>
      lines.map((line) => {
        const { why, topic, msg } = JSON.parse(line) as Record<string, string | undefined>;
        return [msg, topic, why].filter((part) => part !== undefined).join(': ');
      }),
    times: () => lines.map((line) => (JSON.parse(line) as { time: string }).time.slice(0, 19)),
    goesOn: async (messages = 10) => {
      const { acknowledged, throughSeq } = honest.promised();
      const most = acknowledged.size + messages;
      await until(() => honest.promised().acknowledged.size >= most);
      await until(() => honest.promised().throughSeq >= throughSeq + messages);
    },
    stop: async () => {
      going.on = false;
      await work;
      await honest.stop();
      await broker.stop();
      await ingestion.stop();
    },
  };
}

/** A socket that speaks MQTT 3.1.1 as badly as it is told to. */
export interface Raw {
  readonly socket: Socket;
  readonly heard: readonly Packet[];
  readonly send: (...packets: Packet[]) => void;
  readonly bytes: (bytes: Uint8Array) => void;
  /** Byte for byte, each in a segment of its own, until all are sent or the broker ends it. */
  readonly slowly: (bytes: Uint8Array, everyMs: number) => Promise<void>;
  readonly closed: Promise<void>;
}

export async function openRaw(port: number): Promise<Raw> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const heard: Packet[] = [];
  const reading = parser();
  reading.on('packet', (packet) => heard.push(packet));
  socket.on('data', (chunk: Buffer) => reading.parse(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return {
    socket,
    heard,
    send: (...packets) => {
      socket.write(Buffer.concat(packets.map((packet) => generate(packet))));
    },
    bytes: (bytes) => {
      socket.write(bytes);
    },
    slowly: async (bytes, everyMs) => {
      for (const byte of bytes) {
        if (socket.destroyed) return;
        socket.write(Uint8Array.of(byte));
        await sleep(everyMs);
      }
    },
    closed,
  };
}

export function connectPacketOf(device: Device, change: Partial<Packet> = {}): Packet {
  const { meter } = device.of;
  return {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: true,
    keepalive: 60,
    clientId: meter,
    username: meter,
    password: Buffer.from(password(device.signer, meter, { aud: 'any' })),
    ...change,
  } as Packet;
}

/** Connected with the meter's own key, and let in; rejects where the broker closes instead. */
export async function letIn(port: number, device: Device): Promise<Raw> {
  const raw = await openRaw(port);
  raw.send(connectPacketOf(device));
  await until(() => raw.heard.length > 0 || raw.socket.destroyed);
  const [connack] = raw.heard;
  if (connack?.cmd !== 'connack' || connack.returnCode !== 0) throw new Error('not let in');
  return raw;
}

export function publishPacket(
  topic: string,
  payload: string | Buffer,
  change: { qos?: 0 | 1 | 2; retain?: boolean; messageId?: number } = {},
): Packet {
  return {
    cmd: 'publish',
    topic,
    payload,
    qos: 1,
    retain: false,
    dup: false,
    messageId: 1,
    ...change,
  };
}
