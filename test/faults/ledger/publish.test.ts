import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Failed, Fatal } from '#core/errors.ts';
import { parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import type { Signer } from '#core/signer.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createLedger, type Ledger } from '#ledger/service.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { breakAt, type Breaking, type Moment, type SystemCode } from '#support/breaking.ts';
import {
  away,
  createCosigningRig,
  eager,
  policyText,
  publishedBy,
  type GatedWitness,
} from '#support/cosigning.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { removeTestFolders, scratchFolder, testStartS } from '#support/test-ledger.ts';

removeTestFolders();
const { witnesses, clear } = createCosigningRig();
afterEach(clear);

const hour = 3600;
const t0 = testStartS;
/** Every operation on a real server; on PGlite, which is slower and does the same, some. */
const strides = { postgres: 1, pglite: 9 } as const;
const triesAfterFailure = 3;
/** Then another log begins: every case is audited from the first entry on, and logs only grow. */
const casesPerLog = 12;

/** What no run may lack: else the table below would have lost a row without anybody's noticing. */
const steps = [
  'select next_index, time from log_state for update',
  'insert into log_entry',
  'update log_state set next_index',
  'recover',
  'write new batch/#',
  'select tree_size, root, edge, note, written_size',
  'insert into pending_tile',
  'insert into pending_checkpoint',
  'update checkpoint set tree_size',
  'commit',
  'write tile/#/#.p/#',
  'write tile/entries/#.p/#',
  'delete from pending_tile',
  'update checkpoint set written_size',
  'with due as (',
  'select name, key_id, signature from cosignature',
  'insert into cosignature',
  'lock',
  'read state/checkpoint',
  'write state/checkpoint',
  'write checkpoint',
  'with gone as (delete from pending_checkpoint',
  'delete from pending_checkpoint where tree_size in',
  'remove tile/entries/#.p/#',
  'settle',
];

interface World {
  readonly pool: Pool;
  readonly clock: ManualClock;
  readonly path: string;
  readonly cosigners: readonly [GatedWitness, GatedWitness];
  readonly open: (breaking?: Breaking) => Ledger;
}

/** A log key that remembers what it signed: two roots of one size would be a split log. */
function watchedSigner(): Signer {
  const signed = new Map<number, string>();
  return {
    ...people.logSigner,
    sign(text) {
      const { size, root } = parseCheckpoint(new TextDecoder().decode(text));
      const hex = Buffer.from(root).toString('hex');
      if ((signed.get(size) ?? hex) !== hex) throw new Error(`two roots for size ${size}`);
      signed.set(size, hex);
      return people.logSigner.sign(text);
    },
  };
}

async function createWorld(pool: Pool): Promise<World> {
  const root = scratchFolder();
  const path = join(root, 'log');
  const clock = manualClock(t0 * 1000);
  const signer = watchedSigner();
  const logger = createLogger({ name: 'test', level: 'silent' });
  const cosigners = await witnesses('one', 'two');
  const open = (breaking?: Breaking): Ledger => {
    const folder = openLogFolder(path);
    return createLedger({
      pool: breaking?.pool(pool) ?? pool,
      clock,
      signer,
      folder: breaking?.folder(folder) ?? folder,
      secretsFolder: join(root, 'secrets'),
      logger,
      limits: eager,
    });
  };
  const first = open();
  await first.submit([
    people.genesis(),
    people.signed('policy', { policy: policyText(2, ...cosigners) }),
    ...people.simplePlant('p1'),
  ]);
  await first.step();
  return { pool, clock, path, cosigners, open };
}

function hourMessage(i: number): string {
  const at = (t: number, exportWh: number) => ({ registers: { exportWh }, t });
  const readings = [at(t0 + i * hour, i * 1000), at(t0 + (i + 1) * hour, (i + 1) * 1000)];
  return people.message({ plant: 'p1', meter: 'p1-m', seq: i + 1, readings });
}

/**
 * What happens to a log: something is signed and superseded, a `state` is entered that an account comes
 * right behind, both before they are signed, then an hour is sealed and shown.
 */
async function work(ledger: Ledger, { clock, cosigners }: World, round: number): Promise<void> {
  const [, two] = cosigners;
  two.lie = undefined;
  // It asks what the witnesses have seen before it signs anything.
  await ledger.step();
  two.lie = away;
  for (const name of [`a${round}`, `b${round}`]) {
    await ledger.submit([people.account(name)]);
    await ledger.step();
  }
  await ledger.enterState();
  await ledger.submit([people.account(`c${round}`)]);
  await ledger.step();
  two.lie = undefined;
  await clock.advance((t0 + (round + 1) * hour + 10) * 1000);
  await ledger.step();
  // With the state published for certain, it looks whether that was led past.
  await ledger.step();
}

/** After each case the log is right, shows everything, and has issued each unit once. */
async function expectRight(ledger: Ledger, world: World, round: number): Promise<void> {
  world.cosigners[1].lie = undefined;
  await world.clock.advance((t0 + (round + 1) * hour + 10) * 1000);
  const { treeSize, publishedSize } = await ledger.step();
  expect(publishedSize).toBe(treeSize);
  const report = await auditLog(world.path);
  expect(report).toMatchObject({ findings: [], size: treeSize, hours: round + 1 });
  const published = await publishedBy(openLogFolder(world.path), world.cosigners);
  expect(published).toMatchObject({ size: treeSize, by: ['one', 'two'] });
  await expectStateShown(world);
  const issued = await world.pool.rows(
    `select sum(upper(range) - lower(range))::bigint as units from bundle`,
  );
  expect(issued).toEqual([{ units: (round + 1) * 1000 }]);
}

/** Whatever came behind it, and whatever failed: the newest state ends a published tree. */
async function expectStateShown({ pool, path }: World): Promise<void> {
  const [state] = await pool.rows<{ size: number }>(
    `select max(index) + 1 as size from log_entry where kind = 'state'`,
  );
  const note = await openLogFolder(path).read('state/checkpoint');
  const shown = note && parseCheckpoint(parseNote(note).text).size;
  expect(shown).toBe(state?.size ?? undefined);
}

/** Goes on as the ledger's own loop does: after what may pass in the same process, else in another. */
async function goOn(ledger: Ledger, world: World, round: number): Promise<Ledger> {
  let running = ledger;
  for (let tries = 0; tries < triesAfterFailure; tries++) {
    try {
      await work(running, world, round);
      return running;
    } catch (error) {
      if (error instanceof Fatal && error.code === 'commit-unknown') running = world.open();
      else if (!(error instanceof Failed)) throw error;
    }
  }
  throw new Error(`still failing after ${triesAfterFailure} tries`);
}

/** The names of all operations of one round that nothing goes wrong in. */
async function operationsOf(world: World): Promise<string[]> {
  const names = new Set<string>();
  const recording = breakAt(-1, 'before', { onOperation: (name) => names.add(name) });
  await insertMessages(world.pool, [{ jws: hourMessage(0) }]);
  await work(world.open(recording), world, 0);
  await expectRight(world.open(), world, 0);
  const isThere = (step: string): boolean => [...names].some((name) => name.startsWith(step));
  expect(steps.filter((step) => !isThere(step))).toEqual([]);
  return [...names];
}

/** Calls `tryOne` for each name, with the next round of a log that has seen none, or a few, before. */
async function eachInTurn(
  names: readonly string[],
  create: () => Promise<World>,
  tryOne: (name: string, world: World, round: number) => Promise<void>,
): Promise<void> {
  for (let first = 0; first < names.length; first += casesPerLog) {
    const world = await create();
    for (const [round, name] of names.slice(first, first + casesPerLog).entries()) {
      await insertMessages(world.pool, [{ jws: hourMessage(round) }]);
      await tryOne(name, world, round);
    }
  }
}

onEachEngine('sequencing and publishing', (start, engine) => {
  const create = async (): Promise<World> => createWorld((await start()).pool);
  let names: Promise<string[]> | undefined;
  const findNames = async (): Promise<string[]> =>
    (await operationsOf(await create())).filter((_, i) => i % strides[engine] === 0);
  const namesOnce = (): Promise<string[]> => (names ??= findNames());

  test.each<Moment>(['before', 'after'])(
    'go on after the process died at any of their steps, %s it happened',
    async (moment) => {
      await eachInTurn(await namesOnce(), create, async (name, world, round) => {
        const breaking = breakAt(name, moment);
        await work(world.open(breaking), world, round).catch((error: unknown) => {
          if (!breaking.isBroken()) throw error;
        });
        expect(breaking.where()).toBe(`${moment} ${name}`);
        await expectRight(world.open(), world, round).catch((cause: unknown) => {
          throw new Error(`died ${breaking.where()}`, { cause });
        });
      });
    },
    600_000,
  );

  test.each<[Moment, SystemCode]>([
    ['before', 'ENOSPC'],
    ['before', 'EACCES'],
    ['after', 'EIO'],
  ])(
    'go on in the same process when any of their steps failed, %s it happened (%s)',
    async (moment, code) => {
      const all = await namesOnce();
      // What is no file fails in one way only, however often it is asked.
      const failing =
        code === 'EACCES' ? all.filter((name) => /^(read|write|remove|lock)/.test(name)) : all;
      await eachInTurn(failing, create, async (name, world, round) => {
        const breaking = breakAt(name, moment, { lives: true, code });
        const survivor = await goOn(world.open(breaking), world, round).catch((cause: unknown) => {
          throw new Error(`failed ${breaking.where()}`, { cause });
        });
        expect(breaking.where()).toBe(`${moment} ${name}`);
        await expectRight(survivor, world, round).catch((cause: unknown) => {
          throw new Error(`failed ${breaking.where()}`, { cause });
        });
      });
    },
    600_000,
  );
});
