import mqtt, { type MqttClient } from 'mqtt';
import { createExternalBroker, type ExternalBroker } from '#ingestion/external-broker.ts';
import type { ExternalBrokerLimits } from '#ingestion/external-broker.ts';
import type { IngestionLimits } from '#ingestion/config.ts';
import { createIngestion, type Ingestion } from '#ingestion/service.ts';
import { systemClock } from '#platform/clock.ts';
import type { Intake } from '#platform/intake.ts';
import type { Pool } from '#platform/postgres.ts';
import { ingestionSigner } from '#support/register.ts';
import { quiet, until } from './rig.ts';

export const anybody = {
  userName: undefined,
  password: undefined,
  ca: undefined,
  certificate: undefined,
  privateKey: undefined,
};

/** A subscriber of `url` in front of any intake, connected. */
export async function startSubscriber(
  url: string,
  intake: Intake,
  options: { readonly clientId?: string; readonly limits?: Partial<ExternalBrokerLimits> } = {},
): Promise<ExternalBroker> {
  const broker = createExternalBroker({
    access: { ...anybody, url, clientId: options.clientId ?? 'one' },
    group: 'hourseal',
    intake,
    clock: systemClock,
    random: () => 0.5,
    logger: quiet,
    limits: { backoffFirstMs: 20, backoffMostMs: 200, retryFirstMs: 10, ...options.limits },
  });
  await broker.start();
  await until(() => broker.isConnected());
  return broker;
}

export interface Station {
  readonly ingestion: Ingestion;
  readonly broker: ExternalBroker;
  readonly stop: () => Promise<void>;
}

/** Ingestion behind an external broker, connected. */
export async function startStation(
  url: string,
  pool: Pool,
  options: {
    readonly clientId?: string;
    readonly limits?: Partial<ExternalBrokerLimits>;
    readonly ingestion?: Partial<IngestionLimits>;
  } = {},
): Promise<Station> {
  const ingestion = createIngestion({
    pool,
    clock: systemClock,
    signer: ingestionSigner,
    sendReceipt: (topic, bytes) => broker.sendReceipt(topic, bytes),
    overQuota: 'put-off',
    logger: quiet,
    limits: { receiptEveryMs: 10, drainEveryMs: 20, ...options.ingestion },
  });
  await ingestion.start();
  const broker: ExternalBroker = await startSubscriber(url, ingestion.accept, options);
  const stop = async (): Promise<void> => {
    await broker.stop();
    await ingestion.stop();
  };
  return { ingestion, broker, stop };
}

/** As a device speaks: MQTT 3.1.1, clean session. */
export function connectDevice(url: string, clientId: string): Promise<MqttClient> {
  return mqtt.connectAsync(url, { clientId, protocolVersion: 4 });
}
