import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalText } from '#core/jcs.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { createKeyFile } from '#platform/keys.ts';
import { createPool, type Pool } from '#platform/postgres.ts';
import { startKafka, type TestKafka, type TestKafkaOptions } from '#support/kafka.ts';
import { startMosquitto, type Mosquitto } from '#support/mosquitto.ts';
import { startBreakablePostgres, type BreakablePostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { startTcpProxy, type Target, type TcpProxy } from '#support/tcp-proxy.ts';
import { newDevice } from '../../integration/ingestion/rig.ts';
import { newSpace } from '../../integration/kafka/rig.ts';
import { checkMemory, createChecks, databaseUp } from './checks.ts';
import { startLoad, type Load } from './load.ts';
import { createInstance, type Instance } from './process.ts';

/** Every cable of an installation, each between two of its programs. */
export type Cable =
  'gateways-broker' | 'broker-ingestion' | 'ingestion-postgres' | 'ingestion-kafka';
export const cables: readonly Cable[] = [
  'gateways-broker',
  'broker-ingestion',
  'ingestion-postgres',
  'ingestion-kafka',
];

/**
 * An installation behind an external broker, each part a process of its own: gateways publish to
 * mosquitto, a plain publisher to Kafka, one ingestion process reads both.
 */
export interface World {
  readonly ingestion: Instance;
  readonly postgres: BreakablePostgres;
  readonly broker: Mosquitto;
  readonly kafka: TestKafka;
  readonly cable: (name: Cable) => TcpProxy;
  readonly load: Load;
  /** Straight to the database, whatever becomes of the cables. */
  readonly pool: Pool;
  /** In the midst of it: what was promised so far is kept. */
  readonly checkNow: () => Promise<void>;
  /** Messages of which gateways hold a receipt. */
  readonly receipted: () => number;
  /** Resolves when gateways have something to say and for a while no more of it is receipted. */
  readonly stuck: () => Promise<void>;
  /** Stops the load, waits until it has all arrived by itself, and looks at everything. */
  readonly settleAndCheck: () => Promise<void>;
  /** Once all is settled: everything from the first message on, also what earlier looks have seen. */
  readonly checkAgain: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface WorldOptions {
  readonly gateways?: number;
  readonly publishers?: number;
  /** Between two messages of one meter. */
  readonly readingEveryMs?: number;
  /** How long a gateway waits for an acknowledgement before it takes a connection for dead. */
  readonly answerTimeoutMs?: number;
  /** Where the database is, instead of a temporary folder. */
  readonly postgresFolder?: string;
  /** One that others use too, instead of its own: then no cable leads to it. */
  readonly kafka?: TestKafka;
  /** Of ingestion, beside or instead of our own. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Much longer than the time between two receipts. */
const stuckMs = 3_000;

export async function startWorld(options: WorldOptions = {}): Promise<World> {
  const folder = await mkdtemp(join(tmpdir(), 'hourseal-world-'));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const undoAll = async (): Promise<void> => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
  };
  const kept = <Part extends { readonly stop: () => Promise<void> }>(part: Part): Part => {
    undo.push(part.stop);
    return part;
  };
  try {
    const postgres = kept(
      await startBreakablePostgres(
        options.postgresFolder === undefined ? {} : { folder: options.postgresFolder },
      ),
    );
    const broker = kept(await startMosquitto({ settings: ['autosave_interval 1'] }));
    let kafkaPort = 0;
    const { cable, cut } = await layCables({
      'gateways-broker': () => broker.port,
      'broker-ingestion': () => broker.port,
      'ingestion-postgres': () => postgres.socket,
      'ingestion-kafka': () => kafkaPort,
    });
    undo.push(cut);
    const cabled = `127.0.0.1:${cable('ingestion-kafka').port}`;
    const kafka =
      options.kafka ?? kept(await startKafka({ settings: behind(cable('ingestion-kafka')) }));
    kafkaPort = kafka.ports.other;
    const pool = createPool(postgres.connectionString);
    undo.push(pool.close);
    const keyFile = join(folder, 'ingestion.pem');
    const { jwk } = await createKeyFile(keyFile, 'Ed25519');
    await insertLogSetting(pool);
    await pool.run('update log_setting set ingestion_keys = $1', [canonicalText([{ jwk }])]);
    const space = newSpace(kafka.brokers);
    await space.create();
    const devicesOf = (name: string, count: number) =>
      Promise.all(Array.from({ length: count }, (_, i) => newDevice(pool, `${name}-${i}`)));
    const gateways = await devicesOf('gate', options.gateways ?? 6);
    const publishers = await devicesOf('kafka', options.publishers ?? 4);
    const ingestion = createInstance({
      DATABASE_URL: postgres.through(cable('ingestion-postgres').port),
      INGESTION_KEY_FILE: keyFile,
      INGESTION_RECEIPT_EVERY_MS: '50',
      MQTT_URL: `mqtt://127.0.0.1:${cable('broker-ingestion').port}`,
      MQTT_CLIENT_ID: 'one',
      MQTT_RECEIVE_MAXIMUM: '200',
      KAFKA_BROKERS: options.kafka === undefined ? cabled : kafka.brokers.join(','),
      KAFKA_TOPIC_PREFIX: space.prefix,
      KAFKA_GROUP: `${space.prefix}ingestion`,
      KAFKA_MESSAGES_IN: 'yes',
      ...options.environment,
    });
    undo.push(() => ingestion.kill().catch(() => undefined));
    await ingestion.start();
    const load = await startLoad({
      gateways,
      publishers,
      url: `mqtt://127.0.0.1:${cable('gateways-broker').port}`,
      receipts: parsePublicJwk(jwk),
      pool,
      space,
      readingEveryMs: options.readingEveryMs ?? 20,
      ...(options.answerTimeoutMs !== undefined && { answerTimeoutMs: options.answerTimeoutMs }),
    });
    undo.push(load.stop);
    const checks = createChecks(pool, load.promised);
    const receipted = (): number =>
      load.promised.reduce((sum, { promised }) => sum + promised().throughSeq, 0);
    return {
      ingestion,
      postgres,
      broker,
      kafka,
      cable,
      load,
      pool,
      checkNow: async () => {
        await databaseUp(pool);
        await checks.promises();
      },
      receipted,
      stuck: async () => {
        for (let before = -1; before !== receipted();) {
          before = receipted();
          await sleep(stuckMs);
        }
      },
      settleAndCheck: async () => {
        await load.settled().catch((cause: unknown) => {
          throw new Error(`not settled: ${ingestion.said()}`, { cause });
        });
        ingestion.requireAlive();
        await checks.all();
        checkMemory(ingestion.peakRssMiB());
      },
      checkAgain: checks.allAgain,
      stop: undoAll,
    };
  } catch (error) {
    await undoAll();
    throw error;
  }
}

/** By its second listener it is reached by the cable, and tells its clients so. */
function behind({ port }: TcpProxy): NonNullable<TestKafkaOptions['settings']> {
  return ({ plain, controller, other }) => ({
    listeners: `PLAINTEXT://127.0.0.1:${plain},CONTROLLER://127.0.0.1:${controller},CABLE://127.0.0.1:${other}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${plain},CABLE://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CABLE:PLAINTEXT',
  });
}

async function layCables(
  targets: Readonly<Record<Cable, () => Target>>,
): Promise<{ readonly cable: World['cable']; readonly cut: () => Promise<unknown> }> {
  const laid = new Map<Cable, TcpProxy>();
  for (const name of cables) laid.set(name, await startTcpProxy(targets[name]));
  return {
    cable: (name) => {
      const proxy = laid.get(name);
      if (proxy === undefined) throw new RangeError(`no cable ${name}`);
      return proxy;
    },
    cut: () => Promise.all([...laid.values()].map((proxy) => proxy.close())),
  };
}
