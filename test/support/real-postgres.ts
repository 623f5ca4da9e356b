import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** A private PostgreSQL server, fsync on, in a temporary folder, on a Unix socket only. */
export interface PostgresCluster {
  readonly socketFolder: string;
  readonly port: number;
  readonly user: string;
  readonly stop: () => Promise<void>;
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

export async function startPostgresCluster(binaries: string): Promise<PostgresCluster> {
  const as = unprivileged();
  const folder = mkdtempSync(join(reachableFolder(as), 'hourseal-pg-'));
  if (as.uid !== undefined && as.gid !== undefined) chownSync(folder, as.uid, as.gid);
  const data = join(folder, 'data');
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8', HOME: folder };
  const user = 'hourseal';
  const made = spawnSync(
    join(binaries, 'initdb'),
    ['-D', data, '-U', user, '-A', 'trust', '-E', 'UTF8', '--no-sync', '--locale=C.UTF-8'],
    { ...as, env, cwd: folder, encoding: 'utf8' },
  );
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`);
  const server = startServer(join(binaries, 'postgres'), data, { ...as, env, cwd: folder });
  const stop = async (): Promise<void> => {
    server.child.stdin?.end();
    await server.ended;
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await untilItAnswers(binaries, folder, server);
  } catch (error) {
    await stop();
    throw error;
  }
  return { socketFolder: folder, port, user, stop };
}

interface Server {
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  readonly output: () => string;
}

/**
 * The shell between us and the server waits for its standard input to close, which happens however
 * the tests end, `kill -9` included, and then stops the server: none is ever left behind.
 */
const keeper = '"$@" </dev/null & read -r _; kill -INT $!; wait $!';

function startServer(
  postgres: string,
  data: string,
  options: { uid?: number; gid?: number; env: NodeJS.ProcessEnv; cwd: string },
): Server {
  const settings = [
    `unix_socket_directories=${options.cwd}`,
    'listen_addresses=',
    `port=${port}`,
    'fsync=on',
    'synchronous_commit=on',
    'max_connections=200',
    'shared_buffers=128MB',
    'timezone=UTC',
  ];
  const words = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  const child = spawn('/bin/sh', ['-c', keeper, 'sh', postgres, ...words], {
    ...options,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let output = '';
  const gather = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-4000);
  };
  child.stdout.on('data', gather);
  child.stderr.on('data', gather);
  const ended = new Promise<void>((resolve) =>
    child.once('close', () => {
      resolve();
    }),
  );
  return { child, ended, output: () => output };
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
