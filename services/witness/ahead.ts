import type { OpenPlant } from '#core/certificate/audit/open-plants.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { ReadOpen } from './open-reader.ts';

/** For whom it is read. */
export interface AheadSource {
  /** At most `limit` plants that it knows of and whose hours go on. */
  readonly plants: (limit: number) => readonly OpenPlant[];
  /**
   * Verifies the signatures of leaves and remembers those that are good. Refused where one is no leaf, or
   * is not signed by its key; Fatal where the auditor itself is broken.
   */
  readonly ahead: (leaves: readonly Uint8Array[]) => Promise<void>;
}

/**
 * Reads what arrives at a log before its hours are sealed, so that a judgement finds the signatures
 * verified (D3.2). Nothing that it reads is believed, and nothing depends on it but how long a judgement
 * takes: whoever serves wrong leaves, or none, or does not answer, is asked less often.
 */
export interface AheadContext {
  readonly source: AheadSource;
  readonly read: ReadOpen;
  /** A judgement is under way, and goes first. */
  readonly isBusy: () => boolean;
  /** In real time: this waits for a network. */
  readonly nowMs: () => number;
  /** A number in [0, 1): spreads the plants in time. */
  readonly random: () => number;
  readonly limits?: Partial<AheadLimits>;
}

export interface AheadLimits {
  /** Until a plant that had something is asked again; doubled each time that it has nothing. */
  readonly leastWaitMs: number;
  readonly mostWaitMs: number;
  /** After a failure, until the log is asked for anything; doubled with each that follows. */
  readonly mostHoldMs: number;
  readonly concurrentRequests: number;
  /** Answers for one plant in a row. */
  readonly answersPerTurn: number;
  /** Of all cursors; beyond it all begin anew. */
  readonly cursorsLimitCharacters: number;
}

export const defaultAheadLimits: AheadLimits = {
  leastWaitMs: 10_000,
  mostWaitMs: 300_000,
  mostHoldMs: 900_000,
  concurrentRequests: 2,
  answersPerTurn: 20,
  cursorsLimitCharacters: 8 * 1024 * 1024,
};

/** Plants of one log that are read ahead. */
const plantsLimit = 10_000;

/** Where the reading of one plant stands. */
interface Place {
  after: string;
  dueMs: number;
  waitMs: number;
}

/** Asks for every plant that is due, and returns. Rejects only where the program itself is at fault. */
export type LookAhead = (signal: AbortSignal) => Promise<void>;

export function createAhead(context: AheadContext): LookAhead {
  const { isBusy, nowMs, random, source } = context;
  const limits = { ...defaultAheadLimits, ...context.limits };
  let places = new Map<string, Place>();
  let failures = 0;
  let heldUntilMs = 0;

  /** Also forgets the plants of which nothing more will come. */
  const placesNow = (): (readonly [OpenPlant, Place])[] => {
    const now = nowMs();
    const { leastWaitMs } = limits;
    const found = source.plants(plantsLimit).map((open) => {
      const place = places.get(open.plant);
      const fresh = { after: '', dueMs: now + random() * leastWaitMs, waitMs: leastWaitMs };
      return [open, place ?? fresh] as const;
    });
    places = new Map(found.map(([{ plant }, place]) => [plant, place]));
    const characters = found.reduce((sum, [, { after }]) => sum + after.length, 0);
    if (characters > limits.cursorsLimitCharacters) for (const [, place] of found) place.after = '';
    return found.filter(([, { dueMs }]) => dueMs <= now);
  };

  const hold = (error: unknown, place: Place): void => {
    if (!(error instanceof Failed || error instanceof Refused)) throw error;
    // One plant whose leaves are wrong does not keep the others from their turn.
    place.after = '';
    place.waitMs = Math.min(place.waitMs * 2, limits.mostWaitMs);
    place.dueMs = nowMs() + place.waitMs;
    const waitMs = Math.min(limits.leastWaitMs * 2 ** failures, limits.mostHoldMs);
    failures += 1;
    heldUntilMs = nowMs() + waitMs;
  };

  return async (signal) => {
    const mayGoOn = (): boolean => !signal.aborted && !isBusy() && nowMs() >= heldUntilMs;
    if (!mayGoOn()) return;
    const due = placesNow();
    const worker = async (): Promise<void> => {
      for (let next = due.pop(); next !== undefined && mayGoOn(); next = due.pop()) {
        const [open, place] = next;
        try {
          await readOn({ ...context, open, place, limits, mayGoOn, signal });
          failures = 0;
        } catch (error) {
          hold(error, place);
        }
      }
    };
    await Promise.all(Array.from({ length: limits.concurrentRequests }, worker));
  };
}

/** One plant, as far as it goes by now. */
async function readOn({
  open,
  place,
  limits,
  mayGoOn,
  signal,
  read,
  source,
  nowMs,
}: Pick<AheadContext, 'read' | 'source' | 'nowMs'> & {
  readonly open: OpenPlant;
  readonly place: Place;
  readonly limits: AheadLimits;
  readonly mayGoOn: () => boolean;
  readonly signal: AbortSignal;
}): Promise<void> {
  let isNew = false;
  let more = true;
  for (let answers = 0; more && answers < limits.answersPerTurn && mayGoOn(); answers++) {
    const answer = await read({ ...open, after: place.after }, signal);
    if (answer === undefined) break;
    const { leaves, next } = answer;
    ({ more } = answer);
    if (more && next === place.after) throw new Refused('cursor', 'an answer that leads nowhere');
    await source.ahead(leaves);
    place.after = next;
    isNew ||= leaves.length > 0;
  }
  const { leastWaitMs, mostWaitMs } = limits;
  place.waitMs = isNew ? leastWaitMs : Math.min(place.waitMs * 2, mostWaitMs);
  place.dueMs = nowMs() + place.waitMs;
}
