import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { Failed } from '#core/errors.ts';
import { decodeFile } from '#core/record-file.ts';
import { formatNote, parseNote, withSignatures } from '#core/tlog/note.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { addCheckpoint, readMonitored } from '#platform/witness-client.ts';
import { failingDisk, type FailingDisk, type Fault, type Kept } from '#support/failing-disk.ts';
import { parseRecord } from '#witness/records.ts';
import { createWitness, type Witness } from '#witness/service.ts';
import {
  history,
  logKey,
  origin,
  silent,
  witnessName,
  witnessSigner,
  type History,
} from '../../integration/witness/rig.ts';
import { whatIsSaid, type Said } from './said.ts';

/**
 * A witness on a disk that fails once, at each operation in turn, and loses its power afterwards. A
 * failed fsync is the worst of them: what it should have written stays readable and is gone after a
 * power cut, and asking again does not bring it to the disk.
 */

const a = remembered(history('a'));
const b = remembered(history('b'));
const patience = { timeoutMs: 10_000 };
const startMs = 1_700_000_000_000;
const movesInALife = 3;
const faults: readonly Fault[] = ['before', 'half', 'after'];
const cuts: readonly Kept[] = [false, true].flatMap((names) =>
  [false, true].map((contents) => ({ names, contents })),
);
/** Of operations that are called the same, in one start or in one move of the head. */
const casesPerName = 1;
/** What can be half done. */
const writes = /^(?:write|append)/;

/** The same few requests are made thousands of times: signed once, they are. */
function remembered({ root: rootAt, note, request }: History): History {
  const notes = new Map<number, Uint8Array>();
  const requests = new Map<string, ReturnType<typeof request>>();
  return {
    root: rootAt,
    note(size) {
      const made = notes.get(size) ?? note(size);
      notes.set(size, made);
      return made;
    },
    request(from, to) {
      const made = requests.get(`${from} ${to}`) ?? request(from, to);
      requests.set(`${from} ${to}`, made);
      return made;
    },
  };
}

/** Copies of the disk that were found right, each with what had been said by then. */
const seen = new Set<string>();
let root: string;
let disk: FailingDisk;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hourseal-witness-disk-'));
});
afterEach(() => {
  disk.letGo();
  rmSync(root, { recursive: true, force: true });
});

interface World {
  /** What the disk is; the witness's own folder lies two levels below it. */
  readonly root: string;
  readonly clock: ManualClock;
  readonly said: Said;
  /** Whether anybody was told that the log contradicted itself. */
  contradicted: boolean;
}

function createWorld(): World {
  const disks = mkdtempSync(join(root, 'disk-'));
  const clock = manualClock(startMs);
  return { root: disks, clock, said: whatIsSaid(), contradicted: false };
}

async function start(folder: string, clock: ManualClock): Promise<Witness> {
  const witness = createWitness({
    name: witnessName,
    signer: witnessSigner,
    folder: join(folder, 'witness', 'store'),
    logs: [{ key: logKey }],
    clock,
    listen: { host: '127.0.0.1', port: 0 },
    logger: silent,
    // So small that the store is written anew every few moves.
    limits: { storeBytes: 1_000 },
  });
  await witness.start();
  return witness;
}

/** Asks for a move of the head; whether it is cosigned. Whatever is cosigned is on the disk by then. */
async function ask(witness: Witness, world: World, move: readonly [number, number]): Promise<void> {
  const [from, to] = move;
  const answer = await addCheckpoint(witness.url(), await a.request(from, to), patience);
  if (answer.result !== 'cosigned') return;
  world.said.take(formatNote(withSignatures(parseNote(a.note(to)), answer.signatures)));
  expect(sizeOnDisk(world)).toBeGreaterThanOrEqual(to);
}

/** Of the head that the worst power cut would leave; -1 for none. */
function sizeOnDisk(world: World): number {
  const copy = mkdtempSync(join(root, 'now-'));
  disk.powerCut(copy, { names: false, contents: false });
  const bytes = readFileSync(join(copy, 'witness', 'store', 'witness'));
  rmSync(copy, { recursive: true });
  const heads = decodeFile(bytes)
    .records.map(parseRecord)
    .filter(({ record }) => record === 'head');
  expect(world.said.largest()).toBeGreaterThan(-1);
  return heads.at(-1)?.checkpoint.size ?? -1;
}

/** Of the newest checkpoint that it shows with its cosignature; -1 for none. */
async function sizeShown(witness: Witness, said: Said): Promise<number> {
  const shown = await readMonitored(witness.url(), origin, patience);
  if (shown === undefined) return -1;
  said.take(shown);
  return Number(decodeUtf8(shown).split('\n')[1]);
}

/** A log that lies tries every way in; true when one of them brought a contradiction to light. */
async function contradict(witness: Witness, size: number): Promise<boolean> {
  let found = false;
  for (const [from, to] of [
    [size, size],
    [size, size + 1],
    [0, size + 1],
  ] as const) {
    const answer = await addCheckpoint(witness.url(), await b.request(from, to), patience);
    expect(answer.result).not.toBe('cosigned');
    found ||= answer.result === 'refused' && to === size;
  }
  return found;
}

/** From a start to a stop: moves, a second history, a cosignature renewed; or to the failure. */
async function live(world: World): Promise<void> {
  const witness = await start(world.root, world.clock).catch(expectFailedDisk);
  if (witness === undefined) return;
  try {
    const size = Math.max(0, await sizeShown(witness, world.said));
    for (let at = size; at < size + movesInALife; at++) await ask(witness, world, [at, at + 1]);
    const now = size + movesInALife;
    if (await contradict(witness, now)) world.contradicted = true;
    await world.clock.advance(world.clock.nowMs() + 1_000);
    await ask(witness, world, [now, now]);
    await ask(witness, world, [now, now + 2]);
  } catch (error) {
    expectNoDecision(error);
    expectFailedDisk(error);
    // Whoever runs the process hears that it must end.
    const death = await Promise.race([witness.died, setImmediate(undefined)]);
    expect(death).toMatchObject({ name: 'Fatal', code: 'append-log' });
    await askTheDying(witness, world);
  } finally {
    await witness.stop().catch(expectFailedDisk);
  }
}

/** Nothing else is a reason for a witness to stop. */
function expectFailedDisk(error: unknown): undefined {
  if (!disk.hasFailed()) throw error;
}

/** Until it has ended it can still be asked, and must say nothing that it could forget. */
async function askTheDying(witness: Witness, world: World): Promise<void> {
  const shown = Math.max(0, await sizeShown(witness, world.said));
  if (shown > 0) expect(sizeOnDisk(world)).toBeGreaterThanOrEqual(shown);
  for (const to of [shown, shown + 1, shown + 2]) {
    await ask(witness, world, [shown, to]).catch(expectNoDecision);
    const lie = await b.request(shown, to);
    const answer = addCheckpoint(witness.url(), lie, patience).catch(expectNoDecision);
    expect(await answer).not.toMatchObject({ result: 'cosigned' });
  }
}

/** What a client is told that gets no answer to go by. */
function expectNoDecision(error: unknown): void {
  if (!(error instanceof Failed)) throw error;
}

/** A witness on this folder knows all that was ever said, refuses another history, and goes on. */
async function expectFaithful(folder: string, world: World): Promise<void> {
  const witness = await start(folder, manualClock(world.clock.nowMs()));
  try {
    // What this one says is said in a world in which the power went; the other one goes on.
    const size = await sizeShown(witness, whatIsSaid());
    expect(size).toBeGreaterThanOrEqual(world.said.largest());
    const page = `monitor/${toHex(sha256(utf8(origin)))}/contradiction`;
    if (world.contradicted) {
      expect((await fetch(`${witness.url()}/${page}`)).status).toBe(200);
    }
    if (size > 0) await contradict(witness, size);
    const next = await a.request(Math.max(0, size), Math.max(0, size) + 1);
    expect(await addCheckpoint(witness.url(), next, patience)).toMatchObject({
      result: 'cosigned',
    });
  } finally {
    await witness.stop();
  }
}

/** Each way in which the power could go now. */
async function expectFaithfulAfterPowerCut(world: World): Promise<void> {
  for (const kept of cuts) {
    const copy = mkdtempSync(join(root, 'cut-'));
    disk.powerCut(copy, kept);
    const key = `${world.clock.nowMs()} ${world.said.largest()} ${world.contradicted} ${contentsOf(copy)}`;
    if (!seen.has(key)) {
      await expectFaithful(copy, world).catch((cause: unknown) => {
        throw new Error(`after a power cut that keeps ${JSON.stringify(kept)}`, { cause });
      });
    }
    seen.add(key);
    rmSync(copy, { recursive: true });
  }
}

function contentsOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  return files
    .filter((entry) => entry.isFile() && entry.name === 'witness')
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'base64'))
    .join();
}

/** The operations of two lives in which nothing goes wrong: the first few of each name in each. */
async function operationsOnce(
  isWanted: (name: string) => boolean,
): Promise<{ readonly names: readonly string[]; readonly operations: readonly number[] }> {
  const world = createWorld();
  disk = failingDisk(world.root);
  const lives: number[] = [];
  for (let life = 0; life < 2; life++) {
    await live(world);
    lives.push(disk.operations().length);
  }
  const names = disk.operations();
  disk.letGo();
  const [first = 0] = lives;
  const isEarly = (name: string, i: number): boolean => {
    const from = i < first ? 0 : first;
    return names.slice(from, i).filter((other) => other === name).length < casesPerName;
  };
  const operations = names.flatMap((name, i) => (isWanted(name) && isEarly(name, i) ? [i] : []));
  return { names, operations };
}

test.each(faults)(
  'a disk that fails once, %s it did what it was asked, is not signed upon',
  async (fault) => {
    const { names, operations } = await operationsOnce(
      (name) => fault !== 'half' || writes.test(name),
    );
    const tried = new Set<string>();
    for (const operation of operations) {
      const world = createWorld();
      disk = failingDisk(world.root);
      disk.failAt(operation, fault);
      const name = names[operation] ?? '';
      tried.add(name);
      try {
        for (let life = 0; life < 2 && !disk.hasFailed(); life++) await live(world);
        expect(disk.hasFailed()).toBe(true);
        await expectFaithfulAfterPowerCut(world);
        disk.failAt(-1, fault);
        // The process that comes next reads what the last one left in the cache.
        await live(world);
        await expectFaithfulAfterPowerCut(world);
      } catch (cause) {
        throw new Error(`failed ${fault} ${operation}: ${name}`, { cause });
      }
      disk.letGo();
    }
    expect([...tried]).toEqual(
      expect.arrayContaining(steps.filter((step) => fault !== 'half' || writes.test(step))),
    );
  },
  600_000,
);

/** What no run may lack: else the table would have lost a row without anybody's noticing. */
const steps = [
  'mkdir witness/store',
  'sync .',
  'sync witness',
  'read witness/store/witness',
  'open wx witness/store/.witness.#.tmp',
  'writeFile witness/store/.witness.#.tmp',
  'sync witness/store/.witness.#.tmp',
  'rename witness/store/.witness.#.tmp',
  'sync witness/store',
  'open a witness/store/witness',
  'appendFile witness/store/witness',
  'datasync witness/store/witness',
];
