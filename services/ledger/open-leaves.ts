import { encodeMessageLeaf } from '#core/energy/batch.ts';
import {
  encodeOpenLeaves,
  openCursorLimitCharacters,
  openLeavesLimit,
  openLeavesLimitBytes,
  type OpenQuery,
} from '#core/energy/open-leaves.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { Sql } from '#platform/postgres.ts';
import {
  readFollowing,
  readJws,
  readOpenPlant,
  readOpenPositions,
  type OpenMessage,
  type Position,
} from './open-store.ts';

/**
 * Answers what of a plant's messages has arrived since `after` and is in no sealed hour (D3.2);
 * undefined where there is no such plant, or not with this disclosure. Refused('cursor') for what is
 * no cursor, Failed('busy') when too many ask, and Failed of the database.
 */
export type AnswerOpen = (query: OpenQuery) => Promise<Uint8Array | undefined>;

export interface AnswerOpenLimits {
  /** Answers being read at a time: whoever asks shares the database with what seals and ingests. */
  readonly concurrentAnswers: number;
  readonly waitingAnswers: number;
}

const defaultLimits: AnswerOpenLimits = { concurrentAnswers: 2, waitingAnswers: 32 };

/** Keys of one plant that are told of; of further ones an auditor reads later, in the batch files. */
const keysLimit = 256;
/** What stands beside the JWS in a leaf and its frame, at most. */
const leafOverheadBytes = 64;
/** Messages of one key that are looked at, at least, for one answer. */
const leastOfKey = 4;

export function createAnswerOpen(sql: Sql, limits: Partial<AnswerOpenLimits> = {}): AnswerOpen {
  const { concurrentAnswers, waitingAnswers } = { ...defaultLimits, ...limits };
  let underWay = 0;
  const waiting: (() => void)[] = [];
  return async (query) => {
    const positions = parseCursor(query.after);
    if (underWay >= concurrentAnswers) {
      if (waiting.length >= waitingAnswers) throw new Failed('busy', 'too many ask at a time');
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else underWay += 1;
    try {
      return await answer(sql, query, positions);
    } finally {
      // Whoever waits takes this place over.
      const next = waiting.shift();
      if (next === undefined) underWay -= 1;
      else next();
    }
  };
}

async function answer(
  sql: Sql,
  { plant, isPrivate }: OpenQuery,
  known: ReadonlyMap<number, number>,
): Promise<Uint8Array | undefined> {
  const found = await readOpenPlant(sql, plant);
  if (found?.isPrivate !== isPrivate) return undefined;
  const open = await readOpenPositions(sql, found, keysLimit);
  const from = open.map(({ keyId, seq }) => ({
    keyId,
    seq: Math.max(seq, known.get(keyId) ?? 0),
  }));
  const ofKey = Math.max(leastOfKey, Math.ceil(openLeavesLimit / Math.max(1, from.length)));
  const page = planPage(from, await readFollowing(sql, from, ofKey), ofKey);
  const bytes = await readJws(sql, page.leaves);
  const leaves = page.leaves.flatMap(({ receivedAt }, i) => {
    const jws = bytes[i];
    return jws === undefined ? [] : [encodeMessageLeaf({ receivedAt, bytes: jws })];
  });
  return encodeOpenLeaves({ leaves, next: formatCursor(page.positions), more: page.more });
}

export interface OpenPage {
  readonly leaves: readonly OpenMessage[];
  /** Behind what the page tells of, or passes over. */
  readonly positions: readonly Position[];
  readonly more: boolean;
}

/**
 * As many messages as one answer holds, in their order of arrival, by key in that of `seq`. `following`
 * are the first `ofKey` after each position in `from`, by key and `seq`.
 */
export function planPage(
  from: readonly Position[],
  following: readonly OpenMessage[],
  ofKey: number,
): OpenPage {
  const at = new Map(from.map(({ keyId, seq }) => [keyId, seq]));
  const counts = new Map<number, number>();
  const leaves: OpenMessage[] = [];
  let leftBytes = openLeavesLimitBytes;
  let more = false;
  for (const message of inOrderOfArrival(following)) {
    const { keyId, seq, isAccepted, sizeBytes } = message;
    if (isAccepted) {
      // Nothing of any key follows what did not fit, so that no key is passed over.
      leftBytes -= sizeBytes + leafOverheadBytes;
      more = leaves.length === openLeavesLimit || leftBytes < 0;
      if (more) break;
      leaves.push(message);
    }
    at.set(keyId, seq);
    const count = (counts.get(keyId) ?? 0) + 1;
    counts.set(keyId, count);
  }
  const positions = [...at].map(([keyId, seq]) => ({ keyId, seq }));
  return { leaves, positions, more: more || [...counts.values()].some((n) => n === ofKey) };
}

/** The order of `seq` within a key wins over the time of a message that was sent again. */
function inOrderOfArrival(following: readonly OpenMessage[]): OpenMessage[] {
  const latest = new Map<number, number>();
  const timed = following.map((message) => {
    const time = Math.max(message.receivedAt, latest.get(message.keyId) ?? 0);
    latest.set(message.keyId, time);
    return { message, time };
  });
  return timed.sort((a, b) => a.time - b.time).map(({ message }) => message);
}

const pair = '[1-9][0-9]{0,9}-[1-9][0-9]{0,15}';
const cursorPattern = new RegExp(`^(?:${pair}(?:\\.${pair})*)?$`);

function parseCursor(cursor: string): ReadonlyMap<number, number> {
  if (cursor.length > openCursorLimitCharacters || !cursorPattern.test(cursor)) {
    throw new Refused('cursor', 'not a cursor of this log');
  }
  return new Map(
    cursor.split('.').map((position) => {
      const [keyId = 0, seq = 0] = position.split('-').map(Number);
      if (!Number.isSafeInteger(seq)) throw new Refused('cursor', 'beyond every message');
      return [keyId, seq];
    }),
  );
}

/** Keys with their positions, as long as there is one: short for a plant however old it is. */
function formatCursor(positions: readonly Position[]): string {
  return positions
    .filter(({ seq }) => seq > 0)
    .map(({ keyId, seq }) => `${keyId}-${seq}`)
    .join('.');
}
