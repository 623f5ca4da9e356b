import { spawnSync } from 'node:child_process';
import { openStateStore } from '#platform/state-store.ts';
import { keepsIn, memoryOf, setRows } from './kept-rows.ts';

/**
 * A process that has a store open. `keep` keeps again and again until it is killed, and says each time
 * how often it has. `hold` keeps once and waits. `full` runs out of room, says what came of it, and ends.
 */
const [folder = '', mode] = process.argv.slice(2);
const store = await openStateStore(folder);
const say = (what: unknown): boolean => process.stdout.write(`${JSON.stringify(what)}\n`);

async function keep(count: number, memoryBytes = 0): Promise<void> {
  setRows(store.tables, count);
  await store.keep(memoryOf(count, memoryBytes));
}

/** Of each file that this process writes from here on. */
function limitFiles(bytes: number | 'unlimited'): void {
  const args = ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`];
  const { status, stderr } = spawnSync('prlimit', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}

async function outcome(work: () => Promise<void>): Promise<string> {
  try {
    await work();
    return 'kept';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${error.name} ${String(error.code)}` : '?';
  }
}

if (mode === 'keep') {
  const memoryBytes = 300_000;
  for (let count = keepsIn(store) + 1; ; count++) {
    await keep(count, memoryBytes * Math.random());
    say(count);
  }
} else if (mode === 'hold') {
  await keep(keepsIn(store) + 1);
  say('held');
  setInterval(() => undefined, 1000);
} else if (mode === 'full') {
  const much = 400_000;
  await keep(1);
  limitFiles(much / 2);
  const first = await outcome(() => keep(2, much));
  const before = { keeps: keepsIn(store), waits: store.tables.nonces.has('kid 40') };
  // And as often as somebody tries.
  const again = await outcome(() => store.keep(memoryOf(2, much)));
  limitFiles('unlimited');
  if (store.isLost()) await store.reset();
  const between = { isLost: store.isLost(), keeps: keepsIn(store) };
  const later = await outcome(() => keep(2, much));
  const last = await outcome(() => keep(3));
  say({ first, before, again, between, later, last });
  await store.close();
}
