import { Refused } from '../../errors.ts';
import { parseMessageLeaf } from '../../energy/batch.ts';
import { tileWidth } from '../../tlog/tile.ts';
import type { Entry } from '../entry.ts';
import { readEntry, type ReadEntry } from '../read-entry.ts';
import type { EvidenceFiles } from './audit-evidence.ts';
import type { LogFiles } from './audit-files.ts';
import type { EvidenceReader } from './audit-read.ts';
import type { HourProver } from './hour-proof.ts';
import { mapBounded } from './read-ahead.ts';
import type { RegisterViews } from './register-view.ts';

/** Reads what belongs to the entries of a log before they are folded. */

export interface FetchContext {
  readonly files: LogFiles;
  readonly evidence: EvidenceReader;
  readonly registers: RegisterViews;
  /** Judges the evidence of hours ahead, elsewhere; without one that is done here, in its turn. */
  prover: HourProver | undefined;
}

/** Some entries of one bundle with what belongs to them, parsed as far as that needs no state. */
export interface FetchedEntry {
  readonly index: number;
  readonly data: Uint8Array;
  readonly entry: Entry | undefined;
  /** As `readEntry` said of the entry. */
  readonly isWhole: boolean;
  readonly records: readonly Uint8Array[];
  /** Undefined for an entry without evidence, and for an hour that somebody else judges. */
  readonly files: EvidenceFiles | undefined;
  /** Of an hour that a `HourProver` is to judge, or that is read in its turn. */
  readonly asked: AskedProof | undefined;
}

interface AskedProof {
  readonly plant: string;
  /** By which it was judged; undefined where the plant was not known yet. */
  readonly register: string | undefined;
  /** `HourProver.prove` */
  readonly shown: string | undefined;
}

/** Entries whose evidence is read at the same time; each file may be as large as `read` allows. */
export const concurrentReads = 8;
/**
 * Of the batch files of one bundle that are held until they are judged; parsed they take six times as
 * much. Beyond it each is read in its turn: else a log of a few large hours could take all memory.
 */
export const heldEvidenceLimitBytes = 16 * 1024 * 1024;
/** What was fetched of a bundle may be asked for again so often, because the register has changed. */
const asksAgain = 2;

/** Undefined for bytes that are no entry; what is wrong with them the fold says itself. */
export function entryOf(data: Uint8Array): Entry | undefined {
  return readOf(data)?.entry;
}

function readOf(data: Uint8Array): ReadEntry | undefined {
  try {
    return readEntry(data);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}

/**
 * Reads what belongs to entries of one bundle in a log of `size`; `first` is the index of the first.
 * Failed('evidence-missing') without the bundle of meter records, Refused('records') where it is none.
 */
export async function fetchEntries(
  context: FetchContext,
  entries: readonly Uint8Array[],
  { first, size }: { first: number; size: number },
): Promise<FetchedEntry[]> {
  const bundle = Math.floor(first / tileWidth);
  const records = await context.files.records(bundle, size);
  // A prover bounds by itself what it has under way.
  const limit = context.prover === undefined ? concurrentReads : tileWidth;
  let heldBytes = 0;
  return mapBounded(entries, limit, async (data, i) => {
    const index = first + i;
    const { entry, isWhole = false } = readOf(data) ?? {};
    const own = records[index - bundle * tileWidth] ?? [];
    const read = { index, data, entry, isWhole, records: own };
    const fetched = { ...read, files: undefined, asked: undefined };
    const plant = plantOf(entry);
    if (plant === undefined) return { ...fetched, files: await context.evidence.fetch(entry) };
    if (context.prover !== undefined) return ask(context, fetched, plant);
    const register = context.registers.of(plant);
    const inItsTurn = { ...fetched, asked: { plant, register, shown: undefined } };
    if (heldBytes >= heldEvidenceLimitBytes) return inItsTurn;
    const files = await context.evidence.fetch(entry);
    heldBytes += bytesOf(files);
    return heldBytes > heldEvidenceLimitBytes ? inItsTurn : { ...fetched, files };
  });
}

function bytesOf(files: EvidenceFiles | undefined): number {
  if (files?.kind !== 'hour' || !('value' in files.batch)) return 0;
  return files.batch.value.file.leaves.reduce((sum, { length }) => sum + length, 0);
}

/** Of an hour; whether its spec is one, whoever judges it asks himself. */
function plantOf(entry: Entry | undefined): string | undefined {
  if (entry?.kind !== 'hour' && entry?.kind !== 'hour-correction') return undefined;
  const { plant } = entry.spec as { plant?: unknown };
  return typeof plant === 'string' ? plant : undefined;
}

async function ask(
  { registers, prover }: FetchContext,
  fetched: FetchedEntry,
  plant: string,
): Promise<FetchedEntry> {
  const { entry, records } = fetched;
  const register = registers.of(plant);
  const shown =
    register === undefined || entry === undefined
      ? undefined
      : await prover?.prove({ plant, register, entry, records });
  return { ...fetched, asked: { plant, register, shown } };
}

/**
 * As `EvidenceReader.ahead`. Who will judge the hours should have verified the leaves: a prover, where
 * there is one, and where it can say that nothing is wrong with them.
 */
export async function verifyAhead(
  { registers, prover, evidence }: FetchContext,
  leaves: readonly Uint8Array[],
): Promise<void> {
  if (prover?.isWorth(0) === true) {
    const verified = [...byPlant(leaves)].map(async ([plant, own]) => {
      const register = registers.of(plant);
      return register !== undefined && (await prover.ahead({ plant, register, leaves: own }));
    });
    if ((await Promise.all(verified)).every(Boolean)) return;
  }
  await evidence.ahead(leaves);
}

function byPlant(leaves: readonly Uint8Array[]): ReadonlyMap<string, readonly Uint8Array[]> {
  const grouped = new Map<string, Uint8Array[]>();
  for (const leaf of leaves) {
    const { plant } = parseMessageLeaf(leaf).parsed.message;
    const own = grouped.get(plant) ?? [];
    own.push(leaf);
    grouped.set(plant, own);
  }
  return grouped;
}

/** What was fetched of a bundle, each entry brought up to the state that it is judged by. */
export interface Settling {
  /** The entry at a place; all before it are folded. Rejects as `EvidenceReader.fetch`. */
  readonly at: (place: number) => FetchedEntry | Promise<FetchedEntry>;
}

/**
 * A proof holds only where the register is what it was when the proof was asked for: else the proof is
 * asked for again, with all after it that are in the same case, and in the end the files are read here.
 */
export function settling(context: FetchContext, fetched: readonly FetchedEntry[]): Settling {
  const entries = [...fetched];
  let asksLeft = asksAgain;

  const isOutdated = ({ asked }: FetchedEntry): boolean =>
    asked !== undefined && asked.register !== context.registers.of(asked.plant);

  const askAgain = async (from: number): Promise<void> => {
    asksLeft -= 1;
    const places = entries.flatMap((one, i) => (i >= from && isOutdated(one) ? [i] : []));
    await mapBounded(places, tileWidth, async (place) => {
      const one = entries[place];
      if (one?.asked !== undefined) entries[place] = await ask(context, one, one.asked.plant);
    });
  };

  const readHere = async (one: FetchedEntry): Promise<FetchedEntry> => ({
    ...one,
    asked: undefined,
    files: await context.evidence.fetch(one.entry),
  });

  const settled = async (place: number): Promise<FetchedEntry> => {
    if (asksLeft > 0 && isOutdated(entryAt(entries, place))) await askAgain(place);
    const one = entryAt(entries, place);
    return needsFiles(one) || isOutdated(one) ? readHere(one) : one;
  };

  return {
    at(place) {
      const one = entryAt(entries, place);
      return needsFiles(one) || isOutdated(one) ? settled(place) : one;
    },
  };
}

function needsFiles({ asked }: FetchedEntry): boolean {
  return asked !== undefined && asked.shown === undefined;
}

function entryAt(entries: readonly FetchedEntry[], place: number): FetchedEntry {
  const one = entries[place];
  if (one === undefined) throw new RangeError(`settling: no entry at ${place}`);
  return one;
}
