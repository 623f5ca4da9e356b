import { toHex, fromHex } from '#core/bytes.ts';
import { validAtOf, whyNotCounted } from '#core/certificate/hour-evidence.ts';
import type { KeyState, LogState, MeterState } from '#core/certificate/state/state.ts';
import { encodeMessageLeaf } from '#core/energy/batch.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { leafHash } from '#core/tlog/tree.ts';
import type { Sql } from '#platform/postgres.ts';
import type { ChainBook, ChainNeed } from './chains.ts';
import { registerMark } from './draft.ts';
import { readLatestHours } from './hour-store.ts';
import { readAfter, readBefore, readDisputes, readForkMessage } from './message-store.ts';
import { readKeyIds, readProgress, readSeenBeyond, readWithin } from './message-store.ts';
import type { MessageRow, SeqSpan, Window, WindowRow } from './message-store.ts';
import { readingsOf } from './readings.ts';
import { slicer } from './slice.ts';
import type { HeldKey, HeldMessage, HourInput } from './plan.ts';

/** A run of a plant's hours close to each other, whose messages are read together. */
export interface HourRun {
  readonly plantId: number;
  readonly plant: string;
  /** Ascending. */
  readonly starts: readonly number[];
}

/** Hours further apart than this do not share what is read for them. */
const runGapS = 3 * hourSeconds;

/** Cuts a plant's hours into runs. */
export function runsOf({ plantId, plant, starts }: HourRun): HourRun[] {
  const runs: { plantId: number; plant: string; starts: number[] }[] = [];
  for (const start of [...starts].sort((a, b) => a - b)) {
    const last = runs.at(-1);
    const previous = last?.starts.at(-1);
    if (last === undefined || previous === undefined || start - previous > runGapS) {
      runs.push({ plantId, plant, starts: [start] });
    } else last.starts.push(start);
  }
  return runs;
}

/**
 * Reads all that planning needs for many hours of many plants, in a few statements whatever their
 * number. `sql` is the inside of one repeatable read transaction, so that messages and how far the
 * keys are complete belong together.
 */
export async function readHourInputs(
  sql: Sql,
  runs: readonly HourRun[],
  { state, chains }: { state: LogState; chains: ChainBook },
): Promise<HourInput[]> {
  const marks = new Map(runs.map(({ plant }) => [plant, registerMark(state, plant)]));
  const plants = await gather(sql, runs, state);
  const keys = plants.flatMap((run) => run.keys);
  const progress = await readProgress(sql, [...new Set(keys.map(({ keyId }) => keyId))]);
  const beyond = await readSeenBeyond(sql, spansBeyond(keys, progress));
  const through = followOn(progress, beyond);
  await chains.load(sql, chainNeeds(keys, through));
  const disputes = await readDisputes(
    sql,
    runs.map(({ plantId }) => plantId),
  );
  const hours = runs.flatMap(({ plantId, starts }) => starts.map((start) => ({ plantId, start })));
  const latest = new Map(
    (await readLatestHours(sql, hours)).map((row) => [`${row.plantId} ${row.start}`, row]),
  );
  return plants.flatMap(({ run, keys: gathered }) => {
    const held = gathered.map(({ kid, keyId, messages }) => ({
      around: slicer(messages),
      kid,
      throughSeq: through.get(keyId) ?? 0,
      seenBeyond: beyond.get(keyId) ?? [],
      chainAt: (seq: number) => chains.at(keyId, seq),
    }));
    return run.starts.map((start) => ({
      plant: run.plant,
      start,
      register: marks.get(run.plant) ?? registerMark(state, run.plant),
      latest: latest.get(`${run.plantId} ${start}`),
      keys: new Map(
        held.map(({ around, ...key }): [string, HeldKey] => [
          key.kid,
          { ...key, messages: around(start) },
        ]),
      ),
      disputes,
    }));
  });
}

/** The messages of one key in one run. */
interface GatheredKey {
  readonly kid: string;
  readonly keyId: number;
  readonly meter: MeterState;
  readonly key: KeyState;
  readonly window: Window;
  /** By seq, ascending once `gather` returns. */
  messages: HeldMessage[];
}

interface GatheredRun {
  readonly run: HourRun;
  readonly keys: readonly GatheredKey[];
}

async function gather(sql: Sql, runs: readonly HourRun[], state: LogState): Promise<GatheredRun[]> {
  const ids = await readKeyIds(sql, [...new Set(runs.map(({ plantId }) => plantId))]);
  let n = 0;
  const gathered = runs.map((run) => ({
    run,
    keys: (state.plants.get(run.plant)?.meters ?? []).flatMap((name) => {
      const meter = state.meters.get(name);
      if (meter === undefined) return [];
      return meter.kids.flatMap((kid): GatheredKey[] => {
        const key = state.keys.get(kid);
        const keyId = ids.get(kid);
        if (key === undefined || keyId === undefined) return [];
        const window = windowOf(run, { n: n++, keyId });
        return [{ kid, keyId, meter, key, window, messages: [] }];
      });
    }),
  }));
  const all = gathered.flatMap(({ keys }) => keys);
  const take = async (rows: readonly WindowRow[]): Promise<void> => {
    for (const { n, message } of rows) {
      const key = all[n];
      if (key === undefined) continue;
      const standsIn = key.key.forks.has(message.seq)
        ? await readKept(sql, key, message)
        : undefined;
      key.messages.push(hold(state, key, standsIn ?? message));
    }
  };
  await take(
    await readWithin(
      sql,
      all.map(({ window }) => window),
    ),
  );
  await bracket(sql, gathered, take);
  for (const key of all) key.messages = inOrder(key.messages);
  return gathered;
}

function windowOf({ starts }: HourRun, { n, keyId }: { n: number; keyId: number }): Window {
  return { n, keyId, from: starts[0] ?? 0, to: (starts.at(-1) ?? 0) + hourSeconds };
}

/** Widened in steps: a meter whose clock was lost for days has many messages that bracket nothing. */
const bracketSteps = [4, 64, 1_024] as const;

/** Reads on both sides of a window until each meter has a valid reading there, or nothing more. */
async function bracket(
  sql: Sql,
  gathered: readonly GatheredRun[],
  take: (rows: readonly WindowRow[]) => Promise<void>,
): Promise<void> {
  for (const limit of bracketSteps) {
    const before = gathered.flatMap(({ keys }) => unbracketed(keys, 'before'));
    await take(fresh(gathered, await readBefore(sql, before, limit)));
    const after = gathered.flatMap(({ keys }) => unbracketed(keys, 'after'));
    await take(fresh(gathered, await readAfter(sql, after, limit)));
    if (before.length === 0 && after.length === 0) return;
  }
}

/** The windows of all keys of those meters that have no valid reading at or beyond that boundary. */
function unbracketed(keys: readonly GatheredKey[], side: 'before' | 'after'): Window[] {
  const bracketed = new Set<MeterState>();
  for (const { meter, window, messages } of keys) {
    const isThere = messages.some(
      ({ counts, validAt }) =>
        counts && validAt.some((t) => (side === 'before' ? t <= window.from : t >= window.to)),
    );
    if (isThere) bracketed.add(meter);
  }
  return keys.filter(({ meter }) => !bracketed.has(meter)).map(({ window }) => window);
}

/** Wider steps read again what narrower ones found. */
function fresh(gathered: readonly GatheredRun[], rows: readonly WindowRow[]): readonly WindowRow[] {
  if (rows.length === 0) return rows;
  const all = gathered.flatMap(({ keys }) => keys);
  return rows.filter(({ n, message }) => !all[n]?.messages.some(({ seq }) => seq === message.seq));
}

function inOrder(messages: readonly HeldMessage[]): HeldMessage[] {
  return [...messages].sort((a, b) => a.seq - b.seq);
}

/** Of a fork that is decided, the message that counts, where it is not the stored one. */
async function readKept(
  sql: Sql,
  { kid, key }: GatheredKey,
  row: MessageRow,
): Promise<MessageRow | undefined> {
  const keep = key.forks.get(row.seq)?.keep;
  if (keep === undefined || keep === toHex(row.hash)) return undefined;
  const other = await readForkMessage(sql, kid, fromHex(keep));
  // The receipt chain runs over the first, whose hash therefore stays.
  return other && { ...row, receivedAt: other.receivedAt, jws: other.jws };
}

/** What a stored row is for an hour. */
function hold(
  { genesis }: LogState,
  { kid, key, meter }: GatheredKey,
  { seq, receivedAt, code, hash, jws }: MessageRow,
): HeldMessage {
  const readings = readingsOf(jws);
  const isUsable = code === undefined || code === 'late';
  const rules = genesis?.rules;
  const leaf = encodeMessageLeaf({ receivedAt, bytes: jws });
  return {
    seq,
    receivedAt,
    readings,
    tFirst: readings[0]?.t ?? Infinity,
    tLast: readings.at(-1)?.t ?? Infinity,
    meter: meter.spec.meter,
    kid,
    hash,
    leaf,
    leafHash: leafHash(leaf),
    validAt: validAtOf(meter, readings),
    counts:
      isUsable &&
      rules !== undefined &&
      whyNotCounted({ key, meter }, { seq, receivedAt, readings }, rules) === undefined,
  };
}

/** Where a key has gaps before the last message at hand, which seqs beyond the first gap there are. */
function spansBeyond(
  keys: readonly GatheredKey[],
  through: ReadonlyMap<number, number>,
): SeqSpan[] {
  const spans = new Map<number, SeqSpan>();
  for (const { keyId, messages } of keys) {
    const after = through.get(keyId) ?? 0;
    const to = Math.max(messages.at(-1)?.seq ?? 0, spans.get(keyId)?.to ?? 0);
    if (to > after) spans.set(keyId, { keyId, after, to });
  }
  return [...spans.values()];
}

/**
 * Ingestion may be behind with a key's progress for a while, and after a crash until the key's next
 * message: what is stored without a gap counts, whether or not it was noted.
 */
function followOn(
  progress: ReadonlyMap<number, number>,
  beyond: ReadonlyMap<number, readonly number[]>,
): ReadonlyMap<number, number> {
  const through = new Map(progress);
  for (const [keyId, seqs] of beyond) {
    let last = progress.get(keyId) ?? 0;
    for (const seq of seqs) {
      if (seq !== last + 1) break;
      last = seq;
    }
    through.set(keyId, last);
  }
  return through;
}

/** A record names the chain at the key's last message of the hour, or before the first gap. */
function chainNeeds(
  keys: readonly GatheredKey[],
  through: ReadonlyMap<number, number>,
): ChainNeed[] {
  const needs = new Map<number, { low: number; high: number; hashes: Map<number, Uint8Array> }>();
  for (const { keyId, messages } of keys) {
    const [first, last] = [messages[0], messages.at(-1)];
    if (first === undefined || last === undefined) continue;
    const limit = through.get(keyId) ?? 0;
    const need = needs.get(keyId) ?? { low: Infinity, high: 0, hashes: new Map() };
    need.low = Math.min(need.low, first.seq, limit);
    need.high = Math.max(need.high, Math.min(last.seq, limit));
    for (const { seq, hash } of messages) need.hashes.set(seq, hash);
    needs.set(keyId, need);
  }
  return [...needs].map(([keyId, need]) => ({ keyId, ...need }));
}
