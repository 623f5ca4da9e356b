import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { rssPeakMiB } from '#support/rss.ts';

const main = fileURLToPath(new URL('../../../services/ingestion/main.ts', import.meta.url));
const project = fileURLToPath(new URL('../../..', import.meta.url));
const saidCharacters = 16_000;

/** One ingestion process, the product's own `main.ts`, that is killed and started again. */
export interface Instance {
  /** Resolves once it takes messages. */
  readonly start: () => Promise<void>;
  /** Starts it and waits for nothing. */
  readonly launch: () => void;
  readonly kill: () => Promise<void>;
  /** Asks it to end, and expects that it does so with 0. */
  readonly finish: () => Promise<void>;
  /** Throws where it has ended by itself, with what it said. */
  readonly requireAlive: () => void;
  /** The most memory that it, or one before it, has held (VmHWM); 0 where the system does not tell. */
  readonly peakRssMiB: () => number;
  /** The last of its log. */
  readonly said: () => string;
}

export function createInstance(environment: Readonly<Record<string, string>>): Instance {
  let child: ChildProcess | undefined;
  let said = '';
  let peak = 0;
  const measure = (): number => {
    peak = Math.max(peak, child?.pid === undefined ? 0 : rssPeakMiB(child.pid));
    return peak;
  };
  const requireAlive = (): void => {
    if (child?.exitCode === null && child.signalCode === null) return;
    throw new Error(`ended: ${said}`);
  };
  const end = async (signal: NodeJS.Signals): Promise<unknown> => {
    if (child === undefined) return undefined;
    requireAlive();
    measure();
    const ended = once(child, 'exit');
    child.kill(signal);
    const [code] = (await ended) as [number | null];
    return code;
  };
  const launch = (): ChildProcess => {
    said = '';
    const started = spawn(process.execPath, ['--import', 'tsx', main], {
      cwd: project,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    started.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-saidCharacters);
    });
    child = started;
    return started;
  };
  return {
    start: async () => {
      const started = launch();
      await new Promise<void>((resolve, reject) => {
        started.stderr?.on('data', () => {
          if (said.includes('"subscribed"')) resolve();
        });
        started.once('exit', () => {
          reject(new Error(`ended: ${said}`));
        });
      });
    },
    launch,
    kill: async () => {
      await end('SIGKILL');
      child = undefined;
    },
    finish: async () => {
      const code = await end('SIGTERM');
      child = undefined;
      if (code !== 0) throw new Error(`ended with ${String(code)}: ${said}`);
    },
    requireAlive,
    peakRssMiB: measure,
    said: () => said,
  };
}
