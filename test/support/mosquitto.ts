import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { program, type Need } from './needs.ts';

/** Debian's mosquitto; its package puts it where only root's PATH looks. */
export const mosquitto: Need = findMosquitto();

function findMosquitto(): Need {
  const onPath = program('mosquitto', 'mosquitto');
  const path = '/usr/sbin/mosquitto';
  return onPath.path === undefined && existsSync(path) ? { ...onPath, path } : onPath;
}

/** A mosquitto with sessions on disk, on a port of 127.0.0.1 that stays the same. */
export interface Mosquitto {
  readonly url: string;
  readonly port: number;
  /** Ends it, gracefully unless told otherwise, and starts it again with what it kept. */
  readonly restart: (signal?: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly halt: (signal?: 'SIGTERM' | 'SIGKILL') => Promise<void>;
  readonly resume: () => Promise<void>;
  /** The last of what it logged. */
  readonly log: () => string;
  readonly stop: () => Promise<void>;
}

const startLimitMs = 20_000;
const logCharacters = 1_000_000;

export interface MosquittoOptions {
  /** More lines of mosquitto.conf. */
  readonly settings?: readonly string[];
  /** Of the listener: TLS, for one. */
  readonly listener?: readonly string[];
}

export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const folder = await mkdtemp(join(tmpdir(), 'hourseal-mosquitto-'));
  const port = await freePort();
  const config = join(folder, 'mosquitto.conf');
  const lines = [
    'user root',
    'allow_anonymous true',
    'persistence true',
    `persistence_location ${folder}/`,
    'log_type all',
    'max_queued_messages 0',
    ...(options.settings ?? []),
    `listener ${port} 127.0.0.1`,
    ...(options.listener ?? []),
  ];
  await writeFile(config, `${lines.join('\n')}\n`);
  let child: ChildProcess | undefined;
  let log = '';
  const resume = async (): Promise<void> => {
    const started = spawn(mosquitto.path ?? '', ['-c', config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        log = (log + chunk.toString('utf8')).slice(-logCharacters);
      });
    }
    await untilItListens(port, started, () => log);
  };
  const halt = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> => {
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  await resume();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    halt,
    resume,
    restart: async (signal) => {
      await halt(signal);
      await resume();
    },
    log: () => log,
    stop: async () => {
      await halt();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilItListens(port: number, child: ChildProcess, log: () => string): Promise<void> {
  for (let waitedMs = 0; waitedMs < startLimitMs && child.exitCode === null; waitedMs += 10) {
    const socket = connect(port, '127.0.0.1');
    const answered = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false);
    socket.destroy();
    if (answered) return;
    await setTimeout(10);
  }
  throw new Error(`mosquitto did not start: ${log()}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
