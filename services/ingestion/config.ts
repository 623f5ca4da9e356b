import { Refused } from '#core/errors.ts';
import { integer, optional, path, readConfig, text, url } from '#platform/config.ts';
import type { Config, Variables } from '#platform/config.ts';
import { readKafkaConfig, type KafkaConfig } from '#platform/kafka/config.ts';
import type { BacklogLimits } from './backlog.ts';
import type { BatchLimits } from './batcher.ts';
import { defaultExternalBrokerLimits } from './external-broker.ts';
import type { HousekeepingLimits } from './housekeeping.ts';
import type { KeepingLimits } from './keeping.ts';
import type { PaceLimits } from './pace.ts';
import type { ReceiptLimits } from './receipts.ts';
import type { RegisterLimits } from './register.ts';
import type { StoreLimits } from './store.ts';

export interface IngestionLimits
  extends
    BatchLimits,
    BacklogLimits,
    PaceLimits,
    ReceiptLimits,
    RegisterLimits,
    HousekeepingLimits,
    KeepingLimits,
    Omit<StoreLimits, 'keepRollups' | 'horizons'> {
  /** How long `stop` waits for what was taken in. */
  readonly stopMs: number;
}

export const defaultIngestionLimits: IngestionLimits = {
  batchMessages: 1000,
  batchBytes: 8 * 1024 * 1024,
  gatherMs: 2,
  queueMessages: 50_000,
  queueBytes: 256 * 1024 * 1024,
  messagesPerSecond: 500,
  burstMessages: 5_000,
  longestWaitMs: 10_000,
  sendersLimit: 100_000,
  backlogMessages: 100_000,
  backlogBytes: 64 * 1024 * 1024,
  drainEveryMs: 200,
  drainSenders: 20,
  drainPerSender: 50,
  drainLeaseS: 10,
  drainFailures: 5,
  receiptEveryMs: 2_000,
  receiptTurnMs: 20,
  receiptsPerTurn: 20,
  refusedPerKey: 1_000,
  refreshEveryMs: 1_000,
  looksPerSecond: 5,
  cachedHeads: 100_000,
  unsignedRowsPerSender: 256,
  unsignedKeptS: 30 * 86_400,
  rollupEveryMs: 5_000,
  rollupBatches: 1_000,
  validationHours: 20,
  validationPages: 200,
  outboxKeptS: 86_400,
  outboxKeptRows: 100_000,
  sweepRows: 10_000,
  readingsKeptDays: 730,
  readingsCompressedAfterDays: 7,
  lateRows: 2_000,
  lateEveryMs: 200,
  lateTurnsPerRefresh: 50,
  lateLeaseS: 90,
  retentionRows: 10_000,
  retentionBatches: 10,
  retentionMeters: 1_000,
  stopMs: 20_000,
};

/** Environment of ingestion; everything else of `IngestionLimits` is fixed in this file. */
export const ingestionVariables = {
  batchMessages: integer('INGESTION_BATCH_MESSAGES', {
    about: 'Messages that one transaction stores at most',
    unit: 'messages',
    min: 1,
    max: 10_000,
    default: defaultIngestionLimits.batchMessages,
  }),
  gatherMs: integer('INGESTION_GATHER_MS', {
    about: 'How long the first message after a quiet time waits for others',
    unit: 'ms',
    min: 0,
    max: 1_000,
    default: defaultIngestionLimits.gatherMs,
  }),
  messagesPerSecond: integer('INGESTION_MESSAGES_PER_SECOND', {
    about: 'Quota of one sender; what is beyond it is acknowledged later',
    unit: 'messages/s',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.messagesPerSecond,
  }),
  burstMessages: integer('INGESTION_BURST_MESSAGES', {
    about: 'What one sender may send at once after a pause',
    unit: 'messages',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.burstMessages,
  }),
  backlogMessages: integer('INGESTION_BACKLOG_MESSAGES', {
    about: 'Behind an external broker: what may wait of one sender; the rest is not acknowledged',
    unit: 'messages',
    min: 1,
    max: 10_000_000,
    default: defaultIngestionLimits.backlogMessages,
  }),
  receiptEveryMs: integer('INGESTION_RECEIPT_EVERY_MS', {
    about: 'Least time between two receipts of one key',
    unit: 'ms',
    min: 0,
    max: 60_000,
    default: defaultIngestionLimits.receiptEveryMs,
  }),
  unsignedRowsPerSender: integer('INGESTION_UNSIGNED_ROWS', {
    about: 'Refused messages without a valid signature kept for each sender',
    unit: 'rows',
    min: 1,
    max: 1_000_000,
    default: defaultIngestionLimits.unsignedRowsPerSender,
  }),
  readingsKeptDays: integer('INGESTION_READINGS_KEPT_DAYS', {
    about: 'How long readings stay as rows; messages, roll-ups and certificates stay for ever',
    unit: 'days',
    min: 60,
    max: 36_500,
    default: defaultIngestionLimits.readingsKeptDays,
  }),
  readingsCompressedAfterDays: integer('INGESTION_COMPRESS_AFTER_DAYS', {
    about: 'With TimescaleDB: from which age on rows of readings are compressed',
    unit: 'days',
    min: 1,
    max: 30,
    default: defaultIngestionLimits.readingsCompressedAfterDays,
  }),
} satisfies Variables;

/** The limits for an environment. Refused('config') with everything that is wrong. */
export function readIngestionLimits(
  environment: Readonly<Record<string, string | undefined>>,
): IngestionLimits {
  return { ...defaultIngestionLimits, ...readConfig(ingestionVariables, environment) };
}

/** What ingestion reads beside that where it is a process of its own, behind an external broker. */
export const externalBrokerVariables = {
  databaseUrl: url('DATABASE_URL', {
    about: 'PostgreSQL server with the installation',
    protocols: ['postgres:', 'postgresql:'],
    secret: true,
  }),
  keyFile: path('INGESTION_KEY_FILE', {
    about: 'Private key that signs receipts, PKCS#8 PEM',
  }),
  nextKeyFile: optional(
    path('INGESTION_NEXT_KEY_FILE', {
      about: 'While that key changes: the one that takes over as soon as the log names it',
    }),
  ),
  url: optional(
    url('MQTT_URL', {
      about:
        'External MQTT 5 broker, mqtt://host:1883 or mqtts://host:8883; none where all comes by Kafka',
      protocols: ['mqtt:', 'mqtts:'],
    }),
  ),
  clientId: optional(
    text('MQTT_CLIENT_ID', {
      about: 'Name of the session at the broker, of each process its own; by default from the host',
      pattern: /^[A-Za-z0-9._-]{1,64}$/,
    }),
  ),
  group: text('MQTT_GROUP', {
    about: 'Name of the shared subscription, the same for all processes of an installation',
    default: 'hourseal',
    pattern: /^[A-Za-z0-9._-]{1,64}$/,
  }),
  userName: optional(text('MQTT_USER', { about: 'User name at the broker' })),
  password: optional(text('MQTT_PASSWORD', { about: 'Password at the broker', secret: true })),
  caFile: optional(
    path('MQTT_CA_FILE', {
      about: 'PEM of the authority that signed the certificate of the broker',
    }),
  ),
  certificateFile: optional(
    path('MQTT_CERTIFICATE_FILE', {
      about: 'PEM of our own certificate, where the broker wants one',
    }),
  ),
  privateKeyFile: optional(
    path('MQTT_PRIVATE_KEY_FILE', { about: 'PEM of the private key of that certificate' }),
  ),
  receiveMaximum: integer('MQTT_RECEIVE_MAXIMUM', {
    about: 'Messages that the broker may send before the first is acknowledged',
    unit: 'messages',
    min: 1,
    max: 65_535,
    default: defaultExternalBrokerLimits.receiveMaximum,
  }),
  sessionExpiryS: integer('MQTT_SESSION_EXPIRY_S', {
    about: 'How long the broker keeps what is ours while we are away',
    unit: 's',
    min: 0,
    max: 4_294_967_295,
    default: defaultExternalBrokerLimits.sessionExpiryS,
  }),
} satisfies Variables;

export interface IngestionConfig {
  readonly broker: Config<typeof externalBrokerVariables>;
  readonly kafka: KafkaConfig | undefined;
  readonly limits: IngestionLimits;
}

/** Of a process of its own. Refused('config') with everything that is wrong. */
export async function readIngestionConfig(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<IngestionConfig> {
  const broker = readConfig(externalBrokerVariables, environment);
  const kafka = await readKafkaConfig(environment);
  if (broker.url === undefined && kafka?.messagesIn !== true) {
    throw new Refused(
      'config',
      'configuration: where messages come from: MQTT_URL, or KAFKA_BROKERS and KAFKA_MESSAGES_IN',
    );
  }
  return { broker, kafka, limits: readIngestionLimits(environment) };
}
