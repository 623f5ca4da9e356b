import { equalBytes } from '#core/bytes.ts';
import { Failed, Fatal } from '#core/errors.ts';
import { openAppendLog, type AppendLog } from '#platform/append-log.ts';
import type { FolderLock } from '#platform/folder-lock.ts';
import {
  encodeRecord,
  parseRecord,
  type Contradiction,
  type Head,
  type Refusal,
  type WitnessRecord,
} from './records.ts';

/** What a witness must never forget. Everything that it returns is durable. */
export interface WitnessStore {
  readonly head: (origin: string) => Head | undefined;
  /**
   * Moves a log's head from the one given to `to`, by compare-and-swap, and resolves once that is
   * durable. Failed('head-moved') when the head is another one by now. Fatal when a head would fall,
   * or the disk failed: whether the head has moved is then unknown, and nothing moves any more.
   */
  readonly advance: (from: Head | undefined, to: Head) => Promise<void>;
  /** The latest time of any head: no cosignature may be older. 0 when there is none. */
  readonly latestTime: () => number;
  readonly refusal: (origin: string) => Refusal | undefined;
  readonly contradiction: (origin: string) => Contradiction | undefined;
  /** Replaces the newest refusal, or does nothing when it says the same of the same checkpoint. */
  readonly keepRefusal: (refusal: Refusal) => Promise<void>;
  /** The first one that a log gave is kept; it is proof enough. */
  readonly keepContradiction: (contradiction: Contradiction) => Promise<void>;
  readonly close: () => Promise<void>;
}

const fileName = 'witness';

/** By kind and origin: of each kind the newest record counts. */
type State = Map<string, WitnessRecord>;

/** Refused('record-file' or 'witness-store') when the file is damaged; Fatal when a head fell. */
export async function openWitnessStore(
  lock: FolderLock,
  limits: { readonly storeBytes: number },
): Promise<WitnessStore> {
  /** With what was handed to the disk and may not be there yet; changed before each append. */
  const handed: State = new Map();
  const log = await openAppendLog({
    lock,
    name: fileName,
    onRecord: (bytes) => {
      const record = parseRecord(bytes);
      const before = handed.get(keyOf(record));
      if (before?.record === 'head' && record.record === 'head') requireNoFall(before, record);
      handed.set(keyOf(record), record);
    },
  });
  const snapshot = (): Uint8Array[] => [...handed.values()].map(encodeRecord);
  return storeOn(log, { handed, snapshot, storeBytes: limits.storeBytes });
}

function storeOn(
  log: AppendLog,
  parts: {
    readonly handed: State;
    readonly snapshot: () => Uint8Array[];
    readonly storeBytes: number;
  },
): WitnessStore {
  const { handed, snapshot } = parts;
  const durable: State = new Map(handed);
  /** How large it was when it was last written anew; what a start found may be older. */
  let snapshotBytes = 0;
  let compacting = false;

  const compactIfLarge = async (): Promise<void> => {
    if (compacting || log.sizeBytes() <= Math.max(parts.storeBytes, 2 * snapshotBytes)) return;
    compacting = true;
    try {
      await log.compact(snapshot);
      snapshotBytes = log.sizeBytes();
    } finally {
      compacting = false;
    }
  };

  const keep = async (record: WitnessRecord): Promise<void> => {
    const key = keyOf(record);
    const before = handed.get(key);
    handed.set(key, record);
    try {
      await log.append(encodeRecord(record));
    } catch (cause) {
      // What failed never reached the file; after anything worse the store is at its end.
      if (cause instanceof Failed && handed.get(key) === record) restore(handed, key, before);
      throw cause;
    }
    durable.set(key, record);
    await compactIfLarge();
  };

  return {
    head: (origin) => find(durable, 'head', origin),
    refusal: (origin) => find(durable, 'refusal', origin),
    contradiction: (origin) => find(durable, 'contradiction', origin),
    latestTime: () =>
      [...handed.values()].reduce(
        (latest, { record, time }) => (record === 'head' ? Math.max(latest, time) : latest),
        0,
      ),
    async advance(from, to) {
      // Nothing is awaited between this comparison and the moment when `keep` sets the new head.
      if (handed.get(keyOf(to)) !== from) {
        throw new Failed('head-moved', `${to.checkpoint.origin}: the head has moved meanwhile`);
      }
      if (from !== undefined) requireNoFall(from, to);
      await keep(to);
    },
    async keepRefusal(refusal) {
      const known = find(handed, 'refusal', refusal.checkpoint.origin);
      if (known === undefined || !sameRefusal(known, refusal)) await keep(refusal);
    },
    async keepContradiction(contradiction) {
      if (!handed.has(keyOf(contradiction))) await keep(contradiction);
    },
    close: log.close,
  };
}

function keyOf({ record, checkpoint }: WitnessRecord): string {
  return `${record} ${checkpoint.origin}`;
}

function find<Kind extends WitnessRecord['record']>(
  state: State,
  kind: Kind,
  origin: string,
): Extract<WitnessRecord, { record: Kind }> | undefined {
  const found = state.get(`${kind} ${origin}`);
  return found === undefined || !isOf(found, kind) ? undefined : found;
}

function isOf<Kind extends WitnessRecord['record']>(
  record: WitnessRecord,
  kind: Kind,
): record is Extract<WitnessRecord, { record: Kind }> {
  return record.record === kind;
}

function restore(state: State, key: string, before: WitnessRecord | undefined): void {
  if (before === undefined) state.delete(key);
  else state.set(key, before);
}

/** Whatever led here: a head that falls, or changes its root, is a second history. */
function requireNoFall(from: Head, to: Head): void {
  const { size, root } = from.checkpoint;
  const falls = to.checkpoint.size < size || to.time < from.time;
  if (falls || (to.checkpoint.size === size && !equalBytes(to.checkpoint.root, root))) {
    throw new Fatal('head', `${to.checkpoint.origin}: the head at ${size} cannot become that`);
  }
}

function sameRefusal(a: Refusal, b: Refusal): boolean {
  return (
    a.code === b.code &&
    a.reason === b.reason &&
    a.checkpoint.size === b.checkpoint.size &&
    equalBytes(a.checkpoint.root, b.checkpoint.root)
  );
}
