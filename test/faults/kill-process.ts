import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { World } from './kill-world.ts';

const child = fileURLToPath(new URL('./kill.child.ts', import.meta.url));
const project = fileURLToPath(new URL('../..', import.meta.url));
const shownErrorBytes = 8_000;

/** The process that is to be killed. */
export interface Victim {
  /** Resolves once it serves; rejects when it ends before. */
  readonly ready: Promise<void>;
  /** Ends it with SIGKILL. Rejects when it had ended by itself, with what it said. */
  readonly kill: () => Promise<void>;
  /** Ends it in any case, after a failure. */
  readonly end: () => void;
  /** Asks it to work everything off and to end. Rejects unless it ends with 0. */
  readonly finish: () => Promise<void>;
}

export function startVictim(world: World): Victim {
  const args = ['--import', 'tsx', child, JSON.stringify(world)];
  const victim = spawn(process.execPath, args, {
    cwd: project,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  victim.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-shownErrorBytes);
  });
  const ended = once(victim, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  const failure = (end: object): Error =>
    new Error(`the process ended by itself, ${JSON.stringify(end)}:\n${errors}`);
  const ready = new Promise<void>((resolve, reject) => {
    let heard = '';
    victim.stdout.setEncoding('utf8').on('data', (text: string) => {
      heard = (heard + text).slice(-100);
      if (heard.includes('ready')) resolve();
    });
    void ended.then((end) => {
      reject(failure(end));
    });
  });
  // Somebody may kill it before it is ready, and not look.
  ready.catch(() => undefined);
  return {
    ready,
    async kill() {
      if (victim.exitCode === null) victim.kill('SIGKILL');
      const end = await ended;
      if (end.signal !== 'SIGKILL') throw failure(end);
    },
    end: () => {
      victim.kill('SIGKILL');
    },
    async finish() {
      victim.kill('SIGTERM');
      const end = await ended;
      if (end.code !== 0) throw failure(end);
    },
  };
}

/** A port that was free a moment ago, and stays the same over restarts. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
