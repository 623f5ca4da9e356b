import { equalBytes, fromHex, toHex } from '../../bytes.ts';
import { parseBatchFile, parseMessageLeaf } from '../../energy/batch.ts';
import { evidencePath } from '../../energy/evidence-file.ts';
import { parseMeterRecord } from '../../energy/meter-record.ts';
import type { Receipt } from '../../energy/receipt.ts';
import { Refused } from '../../errors.ts';
import { parseMeterJwk, type PublicKey } from '../../keys.ts';
import { parseCheckpoint } from '../../tlog/checkpoint.ts';
import { parseNote } from '../../tlog/note.ts';
import { tileWidth } from '../../tlog/tile.ts';
import { leafHash, treeRoot } from '../../tlog/tree.ts';
import { batchPathOf, openForkFile } from '../audit/audit-evidence.ts';
import { readLogFiles, type LogFiles, type LogRead } from '../audit/audit-files.ts';
import { openingPath, parseOpening } from '../commitment.ts';
import { parseEntry, type Entry } from '../entry.ts';
import type { HourSpec } from '../audit/evidence.ts';
import { applyJudgement, judgeNext } from '../fold.ts';
import { specOf } from '../kinds.ts';
import { emptyState, type LogState } from '../state/state.ts';

/** What a log's files say of the receipt chain of one meter key. */

interface LeafData {
  readonly index: number;
  readonly data: Uint8Array;
}

/** A meter record of the entry `index` that states the key. */
export interface RecordStatement extends LeafData {
  readonly spec: HourSpec;
  /** Of the record among those of the entry. */
  readonly place: number;
  readonly throughSeq: number;
  /** Lowercase hex. */
  readonly chain: string;
}

export interface StatedOfKey {
  readonly receipt: Receipt;
  readonly checkpoint: Uint8Array;
  readonly size: number;
  /** Genesis and what must be folded to know the key under the receipt. */
  readonly keyEntries: readonly LeafData[];
  readonly statements: readonly RecordStatement[];
  /** Hours and corrections of the key's plant. */
  readonly hours: readonly HourSpec[];
  /** Of the key: SHA-256 of each evidence file. */
  readonly forks: readonly string[];
  /** Entries that a later correction or `void` takes back. */
  readonly mended: ReadonlySet<number>;
  readonly withheld: number;
  readonly recordsOf: (hour: { index: number; spec: HourSpec }) => Promise<readonly Uint8Array[]>;
}

/** More messages of one key than this are not looked through. */
const messagesLimit = 4_000_000;

const keyKinds: ReadonlySet<string> = new Set(['genesis', 'rules', 'issuer-key', 'ingestion-key']);

interface Scan {
  readonly state: LogState;
  readonly keys: LeafData[];
  /** By thumbprint: the plants that a `key` entry names. */
  readonly plants: Map<string, Set<string>>;
  readonly hours: (LeafData & { readonly spec: HourSpec })[];
  readonly forks: { readonly kid: string; readonly evidence: string }[];
  readonly takenBack: Map<number, { readonly by: number; readonly isVoid: boolean }>;
}

/**
 * Reads all entries, then the records of the plant whose key the receipt is about; `open` opens the
 * receipt by the key with the thumbprint `signer`. Entries that have no form are passed over: they
 * state nothing. Refused('key') where the log names no such ingestion or meter key; as `open`.
 */
export async function findStatements(
  read: LogRead,
  { signer, open }: { signer: string; open: (ingestionKey: PublicKey) => Receipt },
): Promise<StatedOfKey> {
  const files = readLogFiles(read);
  const checkpoint = await files.checkpoint();
  const { size } = parseCheckpoint(parseNote(checkpoint).text);
  const scan = await scanLog(files, size);
  const held = scan.state.genesis?.ingestionKeys.find(({ key }) => key.kid === signer);
  if (held === undefined) throw new Refused('key', 'not signed by an ingestion key of this log');
  const receipt = open(held.key);
  const plants = scan.plants.get(receipt.kid);
  if (plants === undefined) throw new Refused('key', `the log names no meter key ${receipt.kid}`);
  const recordsOf = recordReader({ read, files, size });
  const hours = scan.hours.filter(({ spec }) => plants.has(spec.plant));
  const statements: RecordStatement[] = [];
  let withheld = 0;
  for (const hour of hours) {
    const records = await recordsOf(hour);
    if (records.length === 0 && 'commitment' in hour.spec) withheld += 1;
    statements.push(...statementsIn(hour, records, receipt.kid));
  }
  return {
    receipt,
    checkpoint,
    size,
    keyEntries: scan.keys.filter(({ index }) => index <= held.index),
    statements,
    hours: hours.map(({ spec }) => spec),
    forks: scan.forks.filter(({ kid }) => kid === receipt.kid).map(({ evidence }) => evidence),
    mended: mendedIn(scan),
    withheld,
    recordsOf,
  };
}

async function scanLog(files: LogFiles, size: number): Promise<Scan> {
  const state = emptyState({ partial: true });
  const scan: Scan = {
    state,
    keys: [],
    plants: new Map(),
    hours: [],
    forks: [],
    takenBack: new Map(),
  };
  for (let bundle = 0; bundle * tileWidth < size; bundle++) {
    const entries = await files.entries(bundle, size);
    entries.forEach((data, i) => {
      const leaf = { index: bundle * tileWidth + i, data };
      try {
        note(scan, leaf, parseEntry(data));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
    });
  }
  return scan;
}

function note(scan: Scan, leaf: LeafData, { kind, spec }: Entry): void {
  if (keyKinds.has(kind)) {
    const pending = judgeNext(scan.state, leaf.data, { index: leaf.index });
    if (pending.violation !== undefined) return;
    applyJudgement(scan.state, pending);
    scan.keys.push(leaf);
  } else if (kind === 'key') {
    const { jwk, plant } = specOf.key.parse(spec);
    const { kid } = parseMeterJwk(jwk);
    scan.plants.set(kid, (scan.plants.get(kid) ?? new Set()).add(plant));
  } else if (kind === 'hour') {
    scan.hours.push({ ...leaf, spec: specOf.hour.parse(spec) });
  } else if (kind === 'hour-correction') {
    const correction = specOf[kind].parse(spec);
    scan.hours.push({ ...leaf, spec: correction });
    takeBack(scan, correction.amends.index, { by: leaf.index, isVoid: false });
  } else if (kind === 'fork') {
    scan.forks.push(specOf.fork.parse(spec));
  } else if (kind === 'void') {
    takeBack(scan, specOf.void.parse(spec).index, { by: leaf.index, isVoid: true });
  }
}

function takeBack(
  { takenBack }: Scan,
  index: number,
  how: { readonly by: number; readonly isVoid: boolean },
): void {
  if (index < how.by && takenBack.get(index)?.isVoid !== true) takenBack.set(index, how);
}

/** What a void correction corrects is as it was. */
function mendedIn({ takenBack }: Scan): ReadonlySet<number> {
  const isVoid = (index: number): boolean => takenBack.get(index)?.isVoid === true;
  const mended = [...takenBack].filter(([, { by, isVoid: byVoid }]) => byVoid || !isVoid(by));
  return new Set(mended.map(([index]) => index));
}

/** The records that an entry names; none where the files do not have them. */
function recordReader({
  read,
  files,
  size,
}: {
  read: LogRead;
  files: LogFiles;
  size: number;
}): StatedOfKey['recordsOf'] {
  let last: { bundle: number; records: readonly (readonly Uint8Array[])[] } | undefined;
  const served = async (index: number, spec: HourSpec): Promise<readonly Uint8Array[]> => {
    if ('commitment' in spec) {
      const bytes = await read(openingPath(spec.commitment));
      return bytes === undefined ? [] : parseOpening(bytes).records;
    }
    const bundle = Math.floor(index / tileWidth);
    if (last?.bundle !== bundle) last = { bundle, records: await files.records(bundle, size) };
    return last.records[index % tileWidth] ?? [];
  };
  return async ({ index, spec }) => {
    const records = await served(index, spec);
    const areNamed = equalBytes(treeRoot(records.map(leafHash)), fromHex(spec.metersRoot));
    return areNamed ? records : [];
  };
}

function statementsIn(
  hour: LeafData & { readonly spec: HourSpec },
  records: readonly Uint8Array[],
  kid: string,
): RecordStatement[] {
  return records.flatMap((bytes, place) => {
    const stated = recordIn(bytes)?.keys.find((key) => key.kid === kid);
    if (stated === undefined) return [];
    const { throughSeq, chain } = stated;
    return [{ ...hour, place, throughSeq, chain }];
  });
}

function recordIn(bytes: Uint8Array): ReturnType<typeof parseMeterRecord> | undefined {
  try {
    return parseMeterRecord(bytes);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return undefined;
  }
}

/**
 * Hashes of the key's messages by `seq`, in lowercase hex, as the batch files of these hours show them;
 * of a fork, the one that came first. They need not be signed: a chain leads to what was stated, or not.
 */
export async function messagesOfHours(
  read: LogRead,
  kid: string,
  { hours, forks }: Pick<StatedOfKey, 'hours' | 'forks'>,
): Promise<ReadonlyMap<number, string>> {
  const seen = new Map<number, string>();
  const see = (seq: number, hash: string): void => {
    if (!seen.has(seq)) seen.set(seq, hash);
    if (seen.size > messagesLimit) {
      throw new Refused('size', `more than ${messagesLimit} messages of one key`);
    }
  };
  for (const sha256 of new Set(forks)) {
    const bytes = await read(evidencePath(sha256));
    const opened = bytes && openForkFile(bytes, sha256);
    const [first] = opened !== undefined && 'value' in opened ? opened.value : [];
    if (first !== undefined) see(first.message.seq, toHex(first.hash));
  }
  for (const path of new Set(hours.map(batchPathOf))) {
    const bytes = await read(path);
    if (bytes !== undefined) seeBatch(bytes, kid, see);
  }
  return seen;
}

function seeBatch(bytes: Uint8Array, kid: string, see: (seq: number, hash: string) => void): void {
  try {
    const { leaves, quarantined } = parseBatchFile(bytes);
    for (const leaf of leaves) {
      const { jws, message, hash } = parseMessageLeaf(leaf).parsed;
      if (jws.header.kid === kid) see(message.seq, toHex(hash));
    }
    for (const one of quarantined) if (one.kid === kid) see(one.seq, one.hash);
  } catch (error) {
    if (!(error instanceof Refused) || error.code === 'size') throw error;
  }
}
