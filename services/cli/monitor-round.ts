import { Failed, Refused, within } from '#core/errors.ts';
import type { LogRead } from '#core/certificate/audit/audit-files.ts';
import type { SignedState } from '#core/tlog/equivocation.ts';
import { pairsToCompare, relate } from '#core/tlog/monitored-states.ts';
import type { Memory, RelatedPair, Seen } from '#core/tlog/monitored-states.ts';
import type { Witness } from '#core/tlog/policy.ts';
import { tileHashReader, type TileSource } from '#core/tlog/tile.ts';
import { readContradiction, readMonitored } from '#platform/witness-client.ts';

/** One look at a log and its witnesses: all that is read in a round. Nothing is decided here. */
export interface Sources {
  readonly origin: string;
  /** Reads the log's static files, each within its own time. */
  readonly read: LogRead;
  readonly witnesses: readonly Witness[];
  /** For one witness's answer. */
  readonly witnessTimeoutMs: number;
  /** Verifies a note by the monitor's policy. Throws Refused. */
  readonly open: (note: Uint8Array) => SignedState;
}

export interface Look extends Seen {
  /** Whoever did not answer, or with something that cannot be believed. */
  readonly alarms: readonly string[];
  readonly isSilent: boolean;
}

/**
 * What the log and its witnesses show now. The witnesses are asked first: what they cosign is published
 * a moment later, and would else look withheld.
 */
export async function look(sources: Sources): Promise<Look> {
  const { witnesses } = sources;
  const answers = await Promise.all(witnesses.map((witness) => askWitness(witness, sources)));
  const { value: shown, error } = await heard(() => shownBy(sources));
  return {
    shown,
    cosigned: answers.flatMap(({ witness, state }) =>
      state === undefined ? [] : [{ witness, state }],
    ),
    told: answers.flatMap(({ told }) => told),
    alarms: [
      ...answers.flatMap(({ alarms }) => alarms),
      ...(error === undefined ? [] : [`the log: ${error.message}`]),
    ],
    isSilent: shown === undefined,
  };
}

interface Heard<T> {
  readonly value?: T;
  /** Why there is no value: no answer, or one that cannot be believed. */
  readonly error?: Failed | Refused;
}

async function heard<T>(ask: () => Promise<T>): Promise<Heard<T>> {
  try {
    return { value: await ask() };
  } catch (error) {
    if (error instanceof Failed || error instanceof Refused) return { error };
    throw error;
  }
}

async function shownBy({ read, open }: Sources): Promise<SignedState> {
  const note = await read('checkpoint');
  if (note === undefined) throw new Failed('log-file', 'it shows no checkpoint');
  return open(note);
}

interface WitnessAnswer {
  readonly witness: string;
  readonly state: SignedState | undefined;
  readonly told: readonly SignedState[];
  readonly alarms: readonly string[];
}

async function askWitness(witness: Witness, sources: Sources): Promise<WitnessAnswer> {
  const { name } = witness;
  const { value: state, error } = await heard(() => cosignedBy(witness, sources));
  // Whoever does not answer is not waited for twice in a round.
  if (error instanceof Failed) {
    return { witness: name, state, told: [], alarms: [`witness ${name}: ${error.message}`] };
  }
  const { value: told = [], error: untold } = await heard(() => toldBy(witness, sources));
  const alarms = [error, untold].flatMap((one) =>
    one === undefined ? [] : [`witness ${name}: ${one.message}`],
  );
  return { witness: name, state, told, alarms };
}

async function cosignedBy(
  { url, key }: Witness,
  { origin, witnessTimeoutMs, open }: Sources,
): Promise<SignedState | undefined> {
  if (url === undefined) return undefined;
  const note = await readMonitored(url, origin, { timeoutMs: witnessTimeoutMs });
  const state = note && open(note);
  if (state !== undefined && !state.signers.includes(key)) {
    throw new Refused('checkpoint-unsigned', 'it shows a checkpoint that it has not cosigned');
  }
  return state;
}

/** Two states of the log that the witness says contradict each other. They are compared like all others. */
async function toldBy(
  { url }: Witness,
  { origin, witnessTimeoutMs, open }: Sources,
): Promise<readonly SignedState[]> {
  if (url === undefined) return [];
  const notes = await readContradiction(url, origin, { timeoutMs: witnessTimeoutMs });
  return within('its contradiction', () => (notes ?? []).map((note) => open(note)));
}

/** Compares what must be compared, by the tiles that the log shows. */
export async function compare(
  memory: Memory,
  seen: Seen,
  read: LogRead,
): Promise<readonly RelatedPair[]> {
  const tiles = readOnce(read);
  const related: RelatedPair[] = [];
  for (const pair of pairsToCompare(memory, seen)) {
    const relation = await relate(pair, (size) => tileHashReader(tiles, size));
    related.push({ ...pair, relation });
  }
  return related;
}

/** At most this many tiles of 8 KiB are held for one round. */
const tilesHeld = 1_024;

/**
 * A round asks for the same few tiles over and over. After one that could not be read no more is asked,
 * or a log that stalls could make a round last as long as there are pairs.
 */
function readOnce(read: LogRead): TileSource {
  const held = new Map<string, Uint8Array | undefined>();
  let failure: Failed | undefined;
  return async (path) => {
    if (held.has(path)) return held.get(path);
    if (failure !== undefined) throw failure;
    try {
      const bytes = await read(path);
      if (held.size < tilesHeld) held.set(path, bytes);
      return bytes;
    } catch (error) {
      if (error instanceof Failed) failure = error;
      throw error;
    }
  };
}
