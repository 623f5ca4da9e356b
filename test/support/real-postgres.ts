import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/**
 * A private PostgreSQL server in a temporary folder, on a Unix socket only. It holds no process up, ends
 * with the one that started it, and takes its folder along.
 */
export interface PostgresCluster {
  readonly socketFolder: string;
  readonly port: number;
  readonly user: string;
}

/** One that a test kills. */
export interface BreakableCluster extends PostgresCluster {
  /** What lies in it is the server's. */
  readonly folder: string;
  /** SIGKILL to the server and to all that it started. */
  readonly kill: () => Promise<void>;
  /** SIGKILL to one process that serves a client: the server then ends the others and recovers. */
  readonly killBackend: (pid: number) => void;
  /** Starts it again on what is there, unless it runs. Rejects with what it said when it cannot. */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface ClusterOptions {
  /** Where it is made, instead of a new temporary folder; its content goes with the server. */
  readonly folder?: string;
  /** Where `saveCluster` left one to begin with, instead of an empty one. */
  readonly savedAt?: string;
  /** Whether it forces what is committed to the disk. */
  readonly fsync?: boolean;
}

const port = 5432;
const startLimitMs = 60_000;
const pollMs = 50;

/** The folder with `postgres` and `initdb`: on PATH, or where Debian or a build from source put it. */
export function findPostgresBinaries(): string | undefined {
  const debian = '/usr/lib/postgresql';
  const versions = existsSync(debian) ? readdirSync(debian).map(Number) : [];
  const newestFirst = versions.filter(Number.isFinite).sort((a, b) => b - a);
  const folders = [
    ...newestFirst.map((version) => join(debian, String(version), 'bin')),
    ...(process.env.PATH ?? '').split(delimiter),
    '/usr/local/bin',
    '/usr/local/pgsql/bin',
  ];
  return folders.find(
    (folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')),
  );
}

/** Where a server of another user can get to: root's own temporary folder may be closed to it. */
function reachableFolder(as: { uid?: number }): string {
  if (as.uid === undefined) return tmpdir();
  const isReachable = (folder: string): boolean =>
    existsSync(folder) &&
    (statSync(folder).mode & 0o001) !== 0 &&
    (dirname(folder) === folder || isReachable(dirname(folder)));
  return [tmpdir(), '/tmp', '/var/tmp'].find(isReachable) ?? tmpdir();
}

/** PostgreSQL refuses to run as root: root becomes `postgres` or else `nobody`, others stay. */
function unprivileged(): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('running as root, and there is no user postgres or nobody to become');
}

export async function startPostgresCluster(
  binaries: string,
  options: ClusterOptions = {},
): Promise<PostgresCluster> {
  const { folder, server } = await startCluster(binaries, options);
  server.letGo();
  return { socketFolder: folder, port, user };
}

export async function startBreakableCluster(
  binaries: string,
  options: ClusterOptions = {},
): Promise<BreakableCluster> {
  const { folder, server: first, again } = await startCluster(binaries, options, loneKeeper);
  const data = join(folder, 'data');
  const janitor = spawn('/bin/sh', ['-c', 'read -r _; rm -rf "$1"/*', 'sh', folder], {
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  let server = first;
  return {
    folder,
    socketFolder: folder,
    port,
    user,
    kill: async () => {
      const postmaster = postmasterOf(data);
      if (postmaster === undefined) return;
      const closed = once(server.child, 'close');
      for (const pid of [...childrenOf(postmaster), postmaster]) endNow(pid);
      await closed;
    },
    killBackend: endNow,
    restart: async () => {
      if (postmasterOf(data) !== undefined) return;
      server = again();
      await untilItAnswers(binaries, folder, server);
    },
    stop: async () => {
      if (postmasterOf(data) !== undefined) await server.stop();
      const swept = once(janitor, 'close');
      janitor.stdin.end();
      await swept;
      if (options.folder === undefined) rmSync(folder, { recursive: true });
    },
  };
}

/** The server of a data folder, if it is alive. */
function postmasterOf(data: string): number | undefined {
  const file = join(data, 'postmaster.pid');
  const pid = existsSync(file) ? Number.parseInt(readFileSync(file, 'utf8'), 10) : NaN;
  return Number.isInteger(pid) && isAlive(pid) ? pid : undefined;
}

function childrenOf(pid: number): number[] {
  const listed = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return listed === '' ? [] : listed.split(' ').map(Number);
}

/** A process that ended and was not waited for yet is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false; // There is no such process.
  }
}

/** It may have ended by itself by then: a server ends all its processes once one of them is killed. */
function endNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

/**
 * Starts an empty cluster, has it filled and leaves it at `path`, whose parent must be there; several
 * processes may do so at once. Unless somebody else's is already there.
 */
export async function saveCluster(
  binaries: string,
  path: string,
  fill: (cluster: PostgresCluster) => Promise<void>,
): Promise<void> {
  const { folder, server } = await startCluster(binaries, {});
  await fill({ socketFolder: folder, port, user });
  const made = `${path}.${process.pid}`;
  await server.stop(() => {
    copy(join(folder, 'data'), made);
  });
  try {
    renameSync(made, path);
  } catch (error) {
    rmSync(made, { recursive: true });
    if (!existsSync(path)) throw error;
  }
}

/** Of whom a saved cluster can be used: the server's files belong to its user. */
export function serverUser(): number | undefined {
  return unprivileged().uid ?? process.getuid?.();
}

const user = 'hourseal';

/** With its owner and mode, of which a server is particular. */
function copy(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['-R', '-p', from, to], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`cp: ${stderr}`);
}

async function startCluster(
  binaries: string,
  options: ClusterOptions,
  shell = keeper,
): Promise<{ readonly folder: string; readonly server: Server; readonly again: () => Server }> {
  const { savedAt, fsync = false } = options;
  const as = unprivileged();
  const folder = options.folder ?? mkdtempSync(join(reachableFolder(as), 'hourseal-pg-'));
  if (as.uid !== undefined && as.gid !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: folder };
  if (savedAt === undefined) {
    const made = spawnSync(
      join(binaries, 'initdb'),
      ['-D', data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C.UTF-8'],
      { ...as, env, cwd: folder, encoding: 'utf8' },
    );
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  } else copy(savedAt, data);
  const how = { ...as, env, cwd: folder, fsync, shell };
  const again = (): Server => startServer(join(binaries, 'postgres'), data, how);
  const server = again();
  try {
    await untilItAnswers(binaries, folder, server);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { folder, server, again };
}

interface Server {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** From now on it is no reason for this process to go on. */
  readonly letGo: () => void;
  /** An orderly end; what is called then finds its folder complete, and is the last to. */
  readonly stop: (beforeItGoes?: () => void) => Promise<void>;
}

/**
 * The shell between us and the server waits for its standard input to close, which happens however
 * the tests end, `kill -9` included, and then ends the server and its folder: none is left behind. A
 * line before that asks for an orderly end, of which it tells.
 */
const keeper = [
  '"$@" </dev/null & if read -r _; then kill -INT $!; wait $!; echo stopped >&3; read -r _; fi',
  'kill -QUIT $! 2>/dev/null; wait $!; cd /; rm -rf "$HOME"',
].join('; ');

/**
 * Of a server that may die before us: it takes the shell's place, so that we see its end, and the folder
 * stays.
 */
const loneKeeper = [
  'exec 4<&0; { read -r _ <&4; kill -QUIT $$; } >/dev/null 2>&1 3>&- &',
  'exec "$@" </dev/null 4<&-',
].join(' ');

type FourPipes = [Socket, Socket, Socket, Socket];

function pipeOf({ stdio }: ChildProcess, i: number): Socket {
  const pipe = stdio[i];
  if (!(pipe instanceof Socket)) throw new Error(`no pipe ${i}`);
  return pipe;
}

function startServer(
  postgres: string,
  data: string,
  options: {
    readonly uid?: number;
    readonly gid?: number;
    readonly env: NodeJS.ProcessEnv;
    readonly cwd: string;
    readonly fsync: boolean;
    readonly shell: string;
  },
): Server {
  const { fsync, shell, ...place } = options;
  const settings = [
    `unix_socket_directories=${options.cwd}`,
    'listen_addresses=',
    `port=${port}`,
    `fsync=${fsync ? 'on' : 'off'}`,
    'synchronous_commit=on',
    'max_connections=200',
    'shared_buffers=128MB',
    'timezone=UTC',
  ];
  const given = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const child = spawn('/bin/sh', ['-c', shell, 'sh', postgres, ...given], {
    ...place,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const [stdin, stdout, stderr, told] = [0, 1, 2, 3].map((i) => pipeOf(child, i)) as FourPipes;
  let output = '';
  const gather = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-4000);
  };
  stdout.on('data', gather);
  stderr.on('data', gather);
  return {
    child,
    output: () => output,
    letGo() {
      child.unref();
      for (const pipe of [stdin, stdout, stderr, told]) pipe.unref();
    },
    async stop(beforeItGoes) {
      const closed = once(child, 'close');
      if (beforeItGoes !== undefined) {
        stdin.write('\n');
        await once(told, 'data');
        beforeItGoes();
      }
      stdin.end();
      await closed;
    },
  };
}

async function untilItAnswers(binaries: string, folder: string, server: Server): Promise<void> {
  const words = ['-h', folder, '-p', String(port), '-q'];
  for (let waitedMs = 0; waitedMs < startLimitMs; waitedMs += pollMs) {
    if (server.child.exitCode !== null) break;
    if (spawnSync(join(binaries, 'pg_isready'), words).status === 0) return;
    await setTimeout(pollMs);
  }
  throw new Error(`the PostgreSQL server did not start: ${server.output()}`);
}
