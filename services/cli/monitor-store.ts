import { fromBase64, toBase64, toHex } from '#core/bytes.ts';
import { Refused, within } from '#core/errors.ts';
import { canonicalBytes, parseCanonical } from '#core/jcs.ts';
import { array, instant, integer, object, oneOf, optional, pattern, record } from '#core/shape.ts';
import type { Shape } from '#core/shape.ts';
import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import type { SignedState } from '#core/tlog/equivocation.ts';
import { emptyMemory, memoryLimits, type Memory } from '#core/tlog/monitored-states.ts';
import { openAppendLog } from '#platform/append-log.ts';
import type { FolderLock } from '#platform/folder-lock.ts';

/** What a monitor keeps (D6). Each record is JCS; a state is named by its size and root. */
const note = pattern('[A-Za-z0-9+/]+={0,2}');
const stateName = pattern('(?:0|[1-9][0-9]{0,15})-[0-9a-f]{64}');
const fileName = pattern('[a-z0-9-]{1,100}[.]hourseal-evidence[.]json');
const witnessName = pattern('[^\\u0000-\\u0020]{1,1024}');

/** A state that somebody showed, written before anything is concluded from it. */
const stateRecord = object({ note, record: oneOf('state') });
const memoryRecord = object({
  head: optional(stateName),
  /** When the head was first seen. Unix seconds. */
  headSince: optional(instant),
  open: array(stateName, { min: 0, max: memoryLimits.open }),
  past: array(stateName, { min: 0, max: memoryLimits.past }),
  record: oneOf('memory'),
  witnesses: record(witnessName, integer(0), { min: 0, max: 1_000 }),
});
const evidenceRecord = object({ file: fileName, record: oneOf('evidence') });

const logName = 'monitor';
/** Above this, what is no longer remembered is dropped from the file. */
const compactAboveBytes = 4 * 1024 * 1024;

export interface MonitorStore {
  readonly memory: () => Memory;
  /** Unix seconds; undefined as long as there is no head. */
  readonly headSinceS: () => number | undefined;
  /** Names of the evidence files in the folder, the oldest first. */
  readonly evidence: () => readonly string[];
  /** Resolves when they are durable. Until `remember` says otherwise they count as open. */
  readonly keepStates: (states: readonly SignedState[]) => Promise<void>;
  readonly keepEvidence: (file: string) => Promise<void>;
  readonly remember: (memory: Memory, nowS: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

interface Kept {
  readonly states: Map<string, SignedState>;
  memory: Memory;
  headSinceS: number | undefined;
  readonly evidence: string[];
}

/**
 * Opens a store in a locked folder. `open` verifies a note by the monitor's own policy. Refused when
 * the file is damaged, or is of another log or of keys that the policy does not name any more.
 */
export async function openMonitorStore(
  lock: FolderLock,
  open: (note: Uint8Array) => SignedState,
): Promise<MonitorStore> {
  const kept: Kept = {
    states: new Map(),
    memory: emptyMemory,
    headSinceS: undefined,
    evidence: [],
  };
  const log = await openAppendLog({
    lock,
    name: logName,
    onRecord: (bytes) => {
      within(`${lock.folder}/${logName}`, () => {
        takeRecord(kept, parseCanonical(bytes), open);
      });
    },
  });
  // Every start drops what is no longer remembered.
  const compact = (): Promise<void> => log.compact(() => snapshotOf(kept));
  try {
    await compact();
  } catch (error) {
    await log.close();
    throw error;
  }
  let compactedBytes = log.sizeBytes();
  return {
    memory: () => kept.memory,
    headSinceS: () => kept.headSinceS,
    evidence: () => kept.evidence,
    async keepStates(states) {
      for (const state of states) kept.states.set(nameOf(state), state);
      kept.memory = withOpen(kept.memory, states);
      await Promise.all(states.map((state) => log.append(encodeState(state))));
    },
    async keepEvidence(file) {
      if (kept.evidence.includes(file)) return;
      kept.evidence.push(file);
      await log.append(canonicalBytes({ file, record: 'evidence' }));
    },
    async remember(memory, nowS) {
      const before = encodeMemory(kept);
      const hasMoved = nameOfHead(memory) !== nameOfHead(kept.memory);
      if (hasMoved && memory.head !== undefined) kept.headSinceS = nowS;
      kept.memory = memory;
      const bytes = encodeMemory(kept);
      if (Buffer.compare(before, bytes) !== 0) await log.append(bytes);
      if (log.sizeBytes() <= compactAboveBytes + compactedBytes) return;
      await compact();
      compactedBytes = log.sizeBytes();
    },
    close: () => log.close(),
  };
}

function nameOf({ size, root }: Checkpoint): string {
  return `${size}-${toHex(root)}`;
}

function nameOfHead({ head }: Memory): string | undefined {
  return head && nameOf(head);
}

function withOpen(memory: Memory, states: readonly SignedState[]): Memory {
  const known = new Set(statesOf(memory).map(nameOf));
  const open = [...memory.open, ...states.filter((state) => !known.has(nameOf(state)))];
  return { ...memory, open: open.slice(0, memoryLimits.open) };
}

function statesOf({ head, past, open }: Memory): SignedState[] {
  return [...(head === undefined ? [] : [head]), ...past, ...open];
}

function encodeState({ note: bytes }: SignedState): Uint8Array {
  return canonicalBytes({ note: toBase64(bytes), record: 'state' });
}

function encodeMemory({ memory, headSinceS }: Kept): Uint8Array {
  const { head, past, open, witnesses } = memory;
  return canonicalBytes({
    ...(head !== undefined && { head: nameOf(head), headSince: headSinceS ?? 0 }),
    open: open.map(nameOf),
    past: past.map(nameOf),
    record: 'memory',
    witnesses,
  });
}

/** All that is still remembered; states that are not go. */
function snapshotOf(kept: Kept): Uint8Array[] {
  const states = statesOf(kept.memory);
  kept.states.clear();
  for (const state of states) kept.states.set(nameOf(state), state);
  return [
    ...states.map(encodeState),
    encodeMemory(kept),
    ...kept.evidence.map((file) => canonicalBytes({ file, record: 'evidence' })),
  ];
}

function takeRecord(kept: Kept, value: unknown, open: (note: Uint8Array) => SignedState): void {
  const kind = typeof value === 'object' && value !== null && 'record' in value && value.record;
  if (kind === 'evidence') {
    kept.evidence.push(parseAs(evidenceRecord, value).file);
  } else if (kind === 'memory') {
    const { head, headSince, past, open: names, witnesses } = parseAs(memoryRecord, value);
    const found = (name: string): SignedState => {
      const state = kept.states.get(name);
      if (state === undefined) throw new Refused('monitor-store', `the state ${name} is missing`);
      return state;
    };
    kept.memory = {
      head: head === undefined ? undefined : found(head),
      past: past.map(found),
      open: names.map(found),
      witnesses,
    };
    kept.headSinceS = headSince;
  } else {
    const state = open(fromBase64(parseAs(stateRecord, value).note));
    kept.states.set(nameOf(state), state);
    kept.memory = withOpen(kept.memory, [state]);
  }
}

function parseAs<T>(shape: Shape<T>, value: unknown): T {
  return shape.parse(value, 'record');
}
