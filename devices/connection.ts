import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { Failed } from '#core/errors.ts';

/** One packet for the broker. */
export interface Publication {
  readonly topic: string;
  readonly jws: string;
}

export interface ConnectionOptions {
  /** `mqtt://host:1883` or `mqtts://host:8883`. */
  readonly url: string;
  /** Client id and user name. */
  readonly meter: string;
  readonly password: string;
  /** Where receipts arrive; subscribed before the connection counts as open. */
  readonly receiptsTopic: string;
  readonly onReceipt: (bytes: Uint8Array) => void;
  readonly connectTimeoutMs: number;
  readonly keepaliveS: number;
  /** PEM of the authority that signed the broker's certificate, for `mqtts` with one's own. */
  readonly caPem?: string;
}

/** One MQTT connection, never mended: when it is lost, another one is opened with a new password. */
export interface Connection {
  /** Resolves on the broker's acknowledgement (QoS 1); rejects when the connection ends before. */
  readonly publish: (publication: Publication) => Promise<void>;
  /** Resolves once the connection is over, with the reason in words. */
  readonly closed: Promise<string>;
  /** Ends it from this side. */
  readonly end: (reason: string) => Promise<void>;
}

/**
 * Connects and subscribes. The session is clean: what must survive is in the device's store and in
 * the database, and a broker that remembered more could only remember it differently.
 * Failed('connect') when the broker cannot be reached, refuses, or does not answer in time.
 */
export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const client = connect(options.url, clientOptions(options));
  let reason = 'the broker closed the connection';
  const closed = new Promise<string>((resolve) => {
    client.on('error', (error) => {
      reason = error.message;
    });
    client.on('close', () => {
      resolve(reason);
      // Whoever waits for an acknowledgement is told that none will come.
      client.end(true);
    });
  });
  client.on('message', (topic, payload) => {
    if (topic === options.receiptsTopic) options.onReceipt(payload);
  });
  const end = (why: string): Promise<void> => {
    reason = why;
    return client.endAsync(true);
  };
  const late = AbortSignal.timeout(options.connectTimeoutMs);
  try {
    await Promise.race([opened(client, options.receiptsTopic), failed(closed, late)]);
  } catch (cause) {
    await end('not opened');
    const text = cause instanceof Error ? cause.message : 'no connection';
    throw new Failed('connect', text, { cause });
  }
  return { publish: (publication) => publish(client, publication), closed, end };
}

function clientOptions(options: ConnectionOptions): IClientOptions {
  const { caPem, connectTimeoutMs, keepaliveS, meter, password } = options;
  return {
    clientId: meter,
    username: meter,
    password,
    protocolVersion: 4,
    clean: true,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    connectTimeout: connectTimeoutMs,
    keepalive: keepaliveS,
    ...(caPem === undefined ? {} : { ca: caPem }),
  };
}

async function opened(client: MqttClient, receiptsTopic: string): Promise<void> {
  await new Promise<void>((resolve) => {
    client.once('connect', () => {
      resolve();
    });
  });
  const granted = await client.subscribeAsync(receiptsTopic, { qos: 1 });
  if (granted.some(({ qos }) => qos === 128)) {
    throw new Error('the broker refuses the subscription to receipts');
  }
}

async function failed(closed: Promise<string>, late: AbortSignal): Promise<never> {
  const timeout = new Promise<string>((resolve) => {
    late.addEventListener('abort', () => {
      resolve('the broker does not answer');
    });
  });
  throw new Error(await Promise.race([closed, timeout]));
}

function publish(client: MqttClient, { topic, jws }: Publication): Promise<void> {
  return new Promise((resolve, reject) => {
    client.publish(topic, jws, { qos: 1, retain: false }, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
