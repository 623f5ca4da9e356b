import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../../services/cli/hourseal.mjs', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The command `hourseal` as a process of its own, as users start it. */
export interface RunningCli {
  readonly child: ChildProcess;
  /** Resolves when what it has printed so far, on both outputs, matches; rejects when it ends before. */
  readonly said: (what: RegExp) => Promise<RegExpExecArray>;
  readonly ended: Promise<Ended>;
}

export interface CliOptions {
  readonly cwd?: string;
  /** Beside PATH, which is all that it gets otherwise. */
  readonly env?: Readonly<Record<string, string>>;
}

export function startCli(args: readonly string[], options: CliOptions = {}): RunningCli {
  const child = spawn(process.execPath, [command, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const text = { stdout: '', stderr: '' };
  const listeners = new Set<() => void>();
  const hear = (name: 'stdout' | 'stderr'): void => {
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      for (const listener of listeners) listener();
    });
  };
  hear('stdout');
  hear('stderr');
  const ended = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    ...text,
  }));
  const said = (what: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const found = what.exec(text.stdout + text.stderr);
        if (found === null) return;
        listeners.delete(look);
        resolve(found);
      };
      listeners.add(look);
      look();
      void ended.then((end) => {
        reject(new Error(`it ended without saying ${what.source}: ${JSON.stringify(end)}`));
      });
    });
  return { child, said, ended };
}

export function runCli(args: readonly string[], options?: CliOptions): Promise<Ended> {
  return startCli(args, options).ended;
}
