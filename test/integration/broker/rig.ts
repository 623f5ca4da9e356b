import { connect as openSocket, type Socket } from 'node:net';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { buildConnect, type Connect } from '#core/energy/connect.ts';
import type { Signer } from '#core/signer.ts';
import { createBroker, type Broker, type BrokerContext } from '#broker/service.ts';
import { systemClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';

export const audience = 'test-broker';

export async function startBroker(
  context: Pick<BrokerContext, 'database' | 'intake'> & Partial<BrokerContext>,
): Promise<Broker> {
  const broker = createBroker({
    listen: { host: '127.0.0.1', port: 0 },
    audience,
    clock: systemClock,
    logger: createLogger({ name: 'test', level: 'silent' }),
    ...context,
  });
  await broker.start();
  return broker;
}

export function password(signer: Signer, meter: string, change: Partial<Connect> = {}): string {
  return buildConnect(signer, { aud: audience, iat: systemClock.nowS(), sub: meter, ...change });
}

/** What a client is told: connected, or the CONNACK's return code, or the end of the connection. */
export type Answer = { readonly client: MqttClient } | { readonly refused: number | 'closed' };

export function tryConnect(
  port: number,
  meter: string,
  options: Partial<IClientOptions>,
): Promise<Answer> {
  const client = mqtt.connect({
    host: '127.0.0.1',
    port,
    clientId: meter,
    username: meter,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    ...options,
  });
  return new Promise((resolve) => {
    client.once('connect', () => {
      resolve({ client });
    });
    client.once('error', (error) => {
      const code = 'code' in error && typeof error.code === 'number' ? error.code : 'closed';
      client.end(true);
      resolve({ refused: code });
    });
    client.once('close', () => {
      resolve({ refused: 'closed' });
    });
  });
}

export async function connected(
  port: number,
  meter: string,
  options: Partial<IClientOptions>,
): Promise<MqttClient> {
  const answer = await tryConnect(port, meter, options);
  if ('refused' in answer) throw new Error(`not connected: ${answer.refused}`);
  return answer.client;
}

export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    if (!client.connected) resolve();
    else client.once('close', () => resolve());
  });
}

/** A socket that sends bytes of its own making, and what comes back until it is closed. */
export function rawConnection(port: number, bytes: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const socket: Socket = openSocket({ host: '127.0.0.1', port });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(Buffer.concat(chunks));
    });
    socket.write(bytes);
  });
}
