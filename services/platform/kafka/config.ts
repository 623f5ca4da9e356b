import { readFile } from 'node:fs/promises';
import { Refused } from '#core/errors.ts';
import { integer, oneOf, optional, path, readConfig, text, type Variables } from '../config.ts';

/** Where a Kafka cluster is, and how to get in. */
export interface KafkaConnection {
  /** `host:port`; the others of the cluster are learnt from whichever answers. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Absent: plain TCP. PEM texts; without `ca` the system's own authorities are believed. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
}

export interface KafkaLimits {
  readonly connectTimeoutMs: number;
  /** How long one request may take; a broker that stopped answering is noticed after this. */
  readonly requestTimeoutMs: number;
  /** Attempts after the first that kafkajs makes by itself. */
  readonly retries: number;
  readonly firstRetryMs: number;
  readonly longestRetryMs: number;
  /** How long `close` waits for an orderly end. */
  readonly closeMs: number;
  /** Of a consumer: a member that the group has not heard of for so long has lost its partitions. */
  readonly sessionMs: number;
  readonly heartbeatMs: number;
  /** How long the members of a group have to finish what they do when partitions move. */
  readonly rebalanceMs: number;
  /** A consumer of which nothing was heard for so long is given up. */
  readonly silenceMs: number;
  /** What one fetch may bring into memory, from each broker; a larger single record comes all the same. */
  readonly fetchBytes: number;
  readonly partitionFetchBytes: number;
  readonly fetchWaitMs: number;
  readonly partitionsAtOnce: number;
}

export const defaultKafkaLimits: KafkaLimits = {
  connectTimeoutMs: 5_000,
  requestTimeoutMs: 20_000,
  retries: 3,
  firstRetryMs: 200,
  longestRetryMs: 2_000,
  closeMs: 10_000,
  sessionMs: 15_000,
  heartbeatMs: 3_000,
  rebalanceMs: 30_000,
  silenceMs: 90_000,
  fetchBytes: 8 * 1024 * 1024,
  partitionFetchBytes: 1024 * 1024,
  fetchWaitMs: 500,
  partitionsAtOnce: 8,
};

/** What a process needs to know of Kafka. */
export interface KafkaConfig {
  readonly connection: KafkaConnection;
  /** Before every topic's name. */
  readonly topicPrefix: string;
  /** Consumer group of the ingestion processes that share the work. */
  readonly group: string;
  /** Raw messages are read from the topic `messages.in` too. */
  readonly messagesIn: boolean;
  readonly inFlightMessages: number;
}

const brokerPattern = '(?:[A-Za-z0-9._-]+|\\[[0-9A-Fa-f:]+\\]):[0-9]{1,5}';
/** Characters that a topic, a group and a client id may have in Kafka. */
const namePattern = /^[A-Za-z0-9._-]{1,100}$/;

export const kafkaVariables = {
  brokers: text('KAFKA_BROKERS', {
    about: 'Kafka to use, as `host:port`, several with commas between; empty: none',
    default: '',
    pattern: new RegExp(`^${brokerPattern}(?:,${brokerPattern})*$`),
  }),
  clientId: text('KAFKA_CLIENT_ID', {
    about: "How this process calls itself in Kafka's logs and quotas",
    default: 'hourseal',
    pattern: namePattern,
  }),
  topicPrefix: text('KAFKA_TOPIC_PREFIX', {
    about: 'What every topic name begins with',
    default: 'hourseal.',
    pattern: namePattern,
  }),
  group: text('KAFKA_GROUP', {
    about: 'Consumer group of the ingestion processes that share `messages.in`',
    default: 'hourseal-ingestion',
    pattern: namePattern,
  }),
  messagesIn: oneOf('KAFKA_MESSAGES_IN', {
    about: "Whether meters' messages are read from the topic `messages.in` too",
    values: ['yes', 'no'],
    default: 'no',
  }),
  inFlightMessages: integer('KAFKA_IN_FLIGHT', {
    about: 'Messages from Kafka that wait for their commit at one time',
    unit: 'messages',
    min: 1,
    max: 10_000,
    default: 1_000,
  }),
  tls: oneOf('KAFKA_TLS', {
    about: 'Whether Kafka is reached over TLS',
    values: ['yes', 'no'],
    default: 'no',
  }),
  tlsCaFile: optional(
    path('KAFKA_TLS_CA_FILE', { about: "Authorities that sign the brokers' certificates, PEM" }),
  ),
  tlsCertFile: optional(
    path('KAFKA_TLS_CERT_FILE', { about: 'Certificate of this client, PEM, with its key below' }),
  ),
  tlsKeyFile: optional(path('KAFKA_TLS_KEY_FILE', { about: "That certificate's key, PEM" })),
  saslMechanism: optional(
    oneOf('KAFKA_SASL_MECHANISM', {
      about: 'How this client logs in: `plain`, `scram-sha-256` or `scram-sha-512`',
      values: ['plain', 'scram-sha-256', 'scram-sha-512'],
    }),
  ),
  saslUsername: optional(text('KAFKA_SASL_USERNAME', { about: 'The user that it logs in as' })),
  saslPassword: optional(
    text('KAFKA_SASL_PASSWORD', { about: "That user's password", secret: true }),
  ),
} satisfies Variables;

/**
 * Undefined where no broker is named. Refused('config') with everything that is wrong, also where a
 * part of a login or a file is missing.
 */
export async function readKafkaConfig(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<KafkaConfig | undefined> {
  const read = readConfig(kafkaVariables, environment);
  if (read.brokers === '') return undefined;
  const tls = await readTls(read);
  const sasl = readSasl(read);
  return {
    connection: {
      brokers: read.brokers.split(','),
      clientId: read.clientId,
      ...(tls !== undefined && { tls }),
      ...(sasl !== undefined && { sasl }),
    },
    topicPrefix: read.topicPrefix,
    group: read.group,
    messagesIn: read.messagesIn === 'yes',
    inFlightMessages: read.inFlightMessages,
  };
}

async function readTls(read: {
  readonly tls: 'yes' | 'no';
  readonly tlsCaFile: string | undefined;
  readonly tlsCertFile: string | undefined;
  readonly tlsKeyFile: string | undefined;
}): Promise<KafkaConnection['tls']> {
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = read;
  if (read.tls === 'no') {
    if ((tlsCaFile ?? tlsCertFile ?? tlsKeyFile) === undefined) return undefined;
    throw new Refused(
      'config',
      'configuration: KAFKA_TLS must be yes for the files of KAFKA_TLS_*',
    );
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    throw new Refused(
      'config',
      'configuration: KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together',
    );
  }
  const [ca, cert, key] = await Promise.all([
    readPem('KAFKA_TLS_CA_FILE', tlsCaFile),
    readPem('KAFKA_TLS_CERT_FILE', tlsCertFile),
    readPem('KAFKA_TLS_KEY_FILE', tlsKeyFile),
  ]);
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  };
}

async function readPem(name: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new Refused('config', `configuration: ${name}: ${file} cannot be read`, { cause });
  }
}

function readSasl({
  saslMechanism: mechanism,
  saslUsername: username,
  saslPassword: password,
}: {
  readonly saslMechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512' | undefined;
  readonly saslUsername: string | undefined;
  readonly saslPassword: string | undefined;
}): KafkaConnection['sasl'] {
  if (mechanism === undefined && username === undefined && password === undefined) return undefined;
  if (mechanism === undefined || username === undefined || password === undefined) {
    throw new Refused(
      'config',
      'configuration: KAFKA_SASL_MECHANISM, KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD belong together',
    );
  }
  return { mechanism, username, password };
}
