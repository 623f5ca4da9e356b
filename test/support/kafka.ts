/**
 * A real Apache Kafka for tests: one node of the pinned version, KRaft, on free ports of the loopback,
 * started for one test file and gone with it, however that ends.
 *
 * - `describeKafka(title, body)`: a suite that needs it; without Java, Maven or kcat it is skipped,
 *   saying how to get them. KAFKA_BROKERS uses another cluster instead, for the suites that break
 *   nothing.
 * - `startKafka()` in `beforeAll`; then `kill`, `restart`, `freeze`, `thaw`.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describeWith, program, type Need } from './needs.ts';

const folder = fileURLToPath(new URL('./kafka', import.meta.url));
const jars = join(folder, 'lib');
const fetchLimitMs = 600_000;
const startLimitMs = 600_000;
const answerLimitS = 20;
const pollMs = 100;

/** Pinned by test/support/kafka/pom.xml; fetched now where it is not here yet. */
function kafkaJars(): Need {
  const made = { path: jars, reason: '' };
  const ready = join(jars, 'kafka_2.13-3.9.1.jar');
  if (existsSync(ready)) return made;
  const maven = program('mvn', 'maven');
  if (maven.path === undefined) return maven;
  const { status, stdout, error } = spawnSync(
    maven.path,
    ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'],
    { cwd: folder, encoding: 'utf8', timeout: fetchLimitMs },
  );
  if (status === 0 && existsSync(ready)) return made;
  const cause = error?.message ?? stdout.trim().split('\n').at(-1) ?? '';
  return { reason: `no Kafka (mvn dependency:copy-dependencies in ${folder}): ${cause}` };
}

export function describeKafka(title: string, body: () => void): void {
  const java = program('java', 'default-jre-headless');
  const kcat = program('kcat', 'kcat');
  const needs = [java, kcat];
  if (needs.every(({ path }) => path !== undefined)) needs.push(kafkaJars());
  describeWith(needs, title, body);
}

export interface TestKafka {
  readonly brokers: readonly string[];
  readonly ports: KafkaPorts;
  /** SIGKILL: what was not flushed is in the page cache, as after a crash of the process alone. */
  readonly kill: () => Promise<void>;
  /** Starts it again, on the same data and ports; resolves when it answers. */
  readonly restart: () => Promise<void>;
  /** It stops answering, its connections stay. */
  readonly freeze: () => void;
  readonly thaw: () => void;
  readonly stop: () => Promise<void>;
}

export interface KafkaPorts {
  readonly plain: number;
  readonly controller: number;
  /** Free, for a listener of the test's. */
  readonly other: number;
}

export interface TestKafkaOptions {
  /** Lines of server.properties beside, or instead of, our own. */
  readonly settings?: (ports: KafkaPorts) => Readonly<Record<string, string>>;
  /** More words for `StorageTool format`. */
  readonly format?: readonly string[];
  /** Ready on the disk, but not running: `restart` starts it. */
  readonly stopped?: boolean;
}

export async function startKafka(options: TestKafkaOptions = {}): Promise<TestKafka> {
  const data = mkdtempSync(join(tmpdir(), 'hourseal-kafka-'));
  const ports = await freePorts();
  const properties = join(data, 'server.properties');
  writeFileSync(
    properties,
    Object.entries({ ...settingsOf(data, ports), ...options.settings?.(ports) })
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const tool = ['-cp', `${jars}/*`, 'kafka.tools.StorageTool', 'format', '-c', properties];
  const formatted = spawnSync('java', [...tool, '-t', clusterId, ...(options.format ?? [])], {
    encoding: 'utf8',
  });
  if (formatted.status !== 0) throw new Error(`Kafka: ${formatted.stdout}${formatted.stderr}`);
  const brokers = [`127.0.0.1:${ports.plain}`];
  let server: Server | undefined;
  const restart = async (): Promise<void> => {
    server = await launch(properties);
    await untilItAnswers(brokers, server);
  };
  const kill = async (): Promise<void> => {
    await server?.end();
    server = undefined;
  };
  const stop = async (): Promise<void> => {
    await kill();
    rmSync(data, { recursive: true, force: true });
  };
  if (options.stopped !== true) {
    try {
      await restart();
    } catch (error) {
      await stop();
      throw error;
    }
  }
  return {
    brokers,
    ports,
    kill,
    restart,
    freeze: () => server?.signal('SIGSTOP'),
    thaw: () => server?.signal('SIGCONT'),
    stop,
  };
}

const clusterId = 'aG91cnNlYWwtdGVzdC0wMQ';

function settingsOf(
  data: string,
  { plain: port, controller: controllerPort }: KafkaPorts,
): Readonly<Record<string, string>> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': join(data, 'log'),
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '1',
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'auto.create.topics.enable': 'false',
  };
}

interface Server {
  readonly signal: (signal: NodeJS.Signals) => void;
  readonly end: () => Promise<void>;
  readonly hasEnded: () => boolean;
  readonly output: () => string;
}

/**
 * The shell between us and the server says who the server is, and kills it once its own standard
 * input closes, which happens however the tests end: none is ever left behind.
 */
const keeper = '"$@" </dev/null >&2 & echo $!; read -r _; kill -9 $! 2>/dev/null; wait $!';

async function launch(properties: string): Promise<Server> {
  const spare = ['-Xms128m', '-Xmx384m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
  const words = ['java', ...spare, '-cp', `${jars}/*`];
  const child = spawn('/bin/sh', ['-c', keeper, 'sh', ...words, 'kafka.Kafka', properties], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-4000);
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const pid = Number(await firstLine(child));
  return {
    signal: (signal) => {
      process.kill(pid, signal);
    },
    end: async () => {
      child.stdin.end();
      await ended;
    },
    hasEnded: () => child.exitCode !== null,
    output: () => output,
  };
}

function firstLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const [line, ...rest] = text.split('\n');
      if (line !== undefined && rest.length > 0) resolve(line);
    });
  });
}

/** kcat itself waits for an answer, and asks again; meanwhile the tests go on. */
async function untilItAnswers(brokers: readonly string[], server: Server): Promise<void> {
  const words = ['-b', brokers.join(','), '-L', '-m', String(answerLimitS)];
  const untilMs = performance.now() + startLimitMs;
  while (performance.now() < untilMs && !server.hasEnded()) {
    const asking = spawn('kcat', words, { stdio: 'ignore' });
    const [status] = (await once(asking, 'close')) as [number | null];
    if (status === 0) return;
    await setTimeout(pollMs);
  }
  throw new Error(`Kafka did not start: ${server.output()}`);
}

async function freePorts(): Promise<KafkaPorts> {
  const servers = [await freePort(), await freePort(), await freePort()];
  await Promise.all(servers.map(({ close }) => close()));
  const [plain = 0, controller = 0, other = 0] = servers.map(({ port }) => port);
  return { plain, controller, other };
}

async function freePort(): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  return { port, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** What kcat, which shares no code with us, reads from the beginning to the end of a topic. */
export function kcatRead(
  brokers: readonly string[],
  topic: string,
): { readonly partition: number; readonly key: string; readonly value: string }[] {
  const format = '%p\\t%k\\t%s\\n';
  const { status, stdout, stderr } = spawnSync(
    'kcat',
    ['-b', brokers.join(','), '-C', '-t', topic, '-o', 'beginning', '-e', '-q', '-f', format],
    { encoding: 'utf8', maxBuffer: 512 * 1024 * 1024 },
  );
  if (status !== 0) throw new Error(`kcat -C: ${stderr}`);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [partition = '', key = '', value = ''] = line.split('\t');
      return { partition: Number(partition), key, value };
    });
}

/** Writes through kcat: each line of `records` is a key, a tab and a value. */
export function kcatWrite(
  brokers: readonly string[],
  topic: string,
  {
    records,
    options = [],
  }: {
    readonly records: readonly { readonly key: string; readonly value: string }[];
    readonly options?: readonly string[];
  },
): void {
  const input = records.map(({ key, value }) => `${key}\t${value}\n`).join('');
  const { status, stderr } = spawnSync(
    'kcat',
    ['-b', brokers.join(','), '-P', '-t', topic, '-K', '\t', ...options],
    { input, encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`kcat -P: ${stderr}`);
}
