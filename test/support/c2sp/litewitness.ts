import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { fromBase64, toBase64 } from '#core/bytes.ts';
import { listenOn, urlOf } from '#platform/listen.ts';
import { askHelper, type C2spPrograms } from './programs.ts';

/** torchwood's `litewitness` as a process of its own. */
export interface Litewitness {
  readonly vkey: string;
  readonly url: string;
  /** The same key and store in a new process. */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface LitewitnessOptions {
  readonly name: string;
  /** Of its Ed25519 key. */
  readonly seed: Uint8Array;
  /** Its own, and empty. */
  readonly folder: string;
  /** By origin. */
  readonly logs: Readonly<Record<string, string>>;
}

export async function startLitewitness(
  programs: C2spPrograms,
  { name, seed, folder, logs }: LitewitnessOptions,
): Promise<Litewitness> {
  const socket = join(folder, 'agent');
  const database = join(folder, 'witness.db');
  const agent = spawn(programs.helper, { stdio: ['pipe', 'pipe', 'inherit'] });
  agent.stdin.write(JSON.stringify({ op: 'agent', with: { socket, seed: toBase64(seed) } }));
  const fingerprint = JSON.parse(await lineOf(agent, agent.stdout, '"SHA256:')) as string;
  const listen = await freeAddress();
  const flags = ['-name', name, '-db', database, '-ssh-agent', socket, '-listen', listen];
  let vkey = '';
  const open = async (): Promise<ChildProcess> => {
    const child = spawn(programs.litewitness, [...flags, '-key', fingerprint], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const line = await lineOf(child, child.stderr, 'vkey=');
    vkey = /vkey="?([^" ]+)/.exec(line)?.[1] ?? '';
    await untilAnswered(`http://${listen}/`);
    return child;
  };
  let running = await open();
  for (const [origin, key] of Object.entries(logs)) {
    await askHelper(programs, 'watch', { database, origin, vkey: key });
  }
  return {
    vkey,
    url: `http://${listen}`,
    async restart() {
      await end(running, 'SIGKILL');
      running = await open();
    },
    async stop() {
      await end(running, 'SIGINT');
      await end(agent, 'SIGKILL');
    },
  };
}

const startLimitMs = 60_000;

/** The first line that a new process writes with `mark` in it; an error when it ends without one. */
async function lineOf(child: ChildProcess, stream: Readable, mark: string): Promise<string> {
  const written: string[] = [];
  const late = setTimeout(() => child.kill('SIGKILL'), startLimitMs);
  for await (const line of createInterface({ input: stream })) {
    written.push(line);
    if (!line.includes(mark)) continue;
    clearTimeout(late);
    stream.resume();
    return line;
  }
  clearTimeout(late);
  throw new Error(`${child.spawnfile} ended: ${written.join('\n')}`);
}

async function untilAnswered(url: string): Promise<void> {
  const end = performance.now() + startLimitMs;
  for (;;) {
    try {
      await fetch(url);
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** litewitness does not say which port it was given, so it is told one that was free just now. */
async function freeAddress(): Promise<string> {
  const server = createServer();
  await listenOn(server, { host: '127.0.0.1', port: 0 });
  const { host } = new URL(urlOf(server));
  await new Promise((resolve) => server.close(resolve));
  return host;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'exit');
}

/** A seed in the form of Go's `note.NewSigner`; the key id is of the vkey. */
export function skeyOf(vkey: string, seed: Uint8Array): string {
  const [name = '', keyId = '', encoded = ''] = vkey.split('+');
  const key = Uint8Array.of(fromBase64(encoded)[0] ?? 0, ...seed);
  return `PRIVATE+KEY+${name}+${keyId}+${toBase64(key)}`;
}
