import { formatVkey } from '#core/tlog/note.ts';
import { quorumMet, type Policy, type Witness } from '#core/tlog/policy.ts';
import type { Logger } from '#platform/logger.ts';

export interface WitnessLimits {
  /** How long the ledger waits for witnesses before it goes on without them. */
  readonly cosignTimeoutMs: number;
  /** How long the others may still take once there is a quorum. */
  readonly cosignGraceMs: number;
  /** How long a witness that failed is left alone; twice as long with each failure after it … */
  readonly retryWitnessAfterMs: number;
  /** … but never longer than this. */
  readonly retryWitnessWithinMs: number;
}

export const defaultWitnessLimits: WitnessLimits = {
  cosignTimeoutMs: 5_000,
  cosignGraceMs: 200,
  retryWitnessAfterMs: 1_000,
  retryWitnessWithinMs: 60_000,
};

/** A witness that a policy has a URL for. */
export interface AskedWitness extends Witness {
  readonly url: string;
}

/** What this process remembers of witnesses. All of it can be lost: it only saves questions. */
export interface WitnessBook {
  /** False while a witness that failed is left alone. */
  readonly isReady: (witness: Witness) => boolean;
  /** The size of its newest checkpoint, as far as it has told us. */
  readonly sizeSeen: (witness: Witness) => number | undefined;
  readonly saw: (witness: Witness, size: number) => void;
  readonly succeeded: (witness: Witness) => void;
  readonly failed: (witness: Witness, reason: unknown) => void;
  /** Counts what a witness said that was worth nothing: signatures by nobody, sizes without proof. */
  readonly ignored: (witness: Witness, what: string, count?: number) => void;
  readonly ignoredSoFar: () => number;
}

interface Remembered {
  size: number | undefined;
  failures: number;
  /** By `performance.now()`: networks are not the subject of an injected clock (D6). */
  restsUntilMs: number;
}

export function createWitnessBook(limits: WitnessLimits, logger: Logger): WitnessBook {
  const book = new Map<string, Remembered>();
  let ignored = 0;
  const of = ({ key, url }: Witness): Remembered => {
    const id = `${keyName({ key })} ${url ?? ''}`;
    const known = book.get(id) ?? { size: undefined, failures: 0, restsUntilMs: 0 };
    book.set(id, known);
    return known;
  };
  return {
    isReady: (witness) => of(witness).restsUntilMs <= performance.now(),
    sizeSeen: (witness) => of(witness).size,
    saw(witness, size) {
      of(witness).size = size;
    },
    succeeded(witness) {
      const known = of(witness);
      if (known.failures > 0) logger.info({ witness: witness.key.name }, 'a witness is back');
      known.failures = 0;
    },
    failed(witness, reason) {
      const known = of(witness);
      const { retryWitnessAfterMs, retryWitnessWithinMs } = limits;
      const restMs = Math.min(retryWitnessWithinMs, retryWitnessAfterMs * 2 ** known.failures);
      known.failures += 1;
      known.restsUntilMs = performance.now() + restMs;
      const context = { witness: witness.key.name, err: reason, restMs, failures: known.failures };
      // Once aloud; what goes on for hours would else bury everything beside it.
      if (known.failures === 1) logger.warn(context, 'a witness did not do what it was asked');
      else logger.debug(context, 'a witness did not do what it was asked again');
    },
    ignored(witness, what, count = 1) {
      ignored += count;
      logger.warn(
        { witness: witness.key.name, what, count, ignored },
        'ignored what a witness said',
      );
    },
    ignoredSoFar: () => ignored,
  };
}

/** A key is known by name and id together (signed-note). */
export function keyName({
  key,
}: {
  readonly key: { readonly name: string; readonly keyId: string };
}): string {
  return `${key.name}+${key.keyId}`;
}

/** Where witnesses are, by vkey: what the operator knows, over what a policy says. */
export type WitnessUrls = ReadonlyMap<string, string>;

/** Each witness of the policies once; a newer policy's URL of the same key counts. */
export function witnessesOf(policies: readonly Policy[], urls: WitnessUrls): readonly Witness[] {
  const byKey = new Map<string, Witness>();
  for (const { witnesses } of policies) {
    for (const witness of witnesses) {
      const id = keyName(witness);
      const url = urls.get(formatVkey(witness.key)) ?? witness.url ?? byKey.get(id)?.url;
      byKey.set(id, { ...witness, url });
    }
  }
  return [...byKey.values()];
}

export function canBeAsked(witness: Witness): witness is AskedWitness {
  return witness.url !== undefined;
}

/** True when the keys in `have` (as `keyName`) meet the quorum of every policy. */
export function everyQuorumMet(policies: readonly Policy[], have: ReadonlySet<string>): boolean {
  return policies.every((policy) => quorumMet(policy, (witness) => have.has(keyName(witness))));
}

/**
 * Asks all at once, and returns when all have answered, `cosignTimeoutMs` have passed, or
 * `isEnough` for `cosignGraceMs`. `ask` rejects with `signal.reason` when that aborts; what it
 * rejects with otherwise ends the waiting and is thrown.
 */
export async function askAll<Asked>(
  witnesses: readonly Asked[],
  {
    ask,
    isEnough,
    limits,
  }: {
    readonly ask: (witness: Asked, signal: AbortSignal) => Promise<void>;
    readonly isEnough: () => boolean;
    readonly limits: WitnessLimits;
  },
): Promise<void> {
  const stop = new AbortController();
  const late = setTimeout(() => {
    stop.abort(new Late(limits.cosignTimeoutMs));
  }, limits.cosignTimeoutMs);
  let grace: NodeJS.Timeout | undefined;
  const spare = (): void => {
    if (grace !== undefined || !isEnough()) return;
    grace = setTimeout(() => {
      stop.abort(new Spared());
    }, limits.cosignGraceMs);
  };
  spare();
  const results = await Promise.allSettled(
    witnesses.map(async (witness) => {
      try {
        await ask(witness, stop.signal);
      } catch (error) {
        stop.abort(new Spared());
        throw error;
      }
      spare();
    }),
  );
  clearTimeout(late);
  clearTimeout(grace);
  for (const result of results) if (result.status === 'rejected') throw result.reason;
}

/** Why a witness is not waited for any longer: it took too long … */
export class Late extends Error {
  constructor(timeoutMs: number) {
    super(`no answer within ${timeoutMs} ms`);
    this.name = 'Late';
  }
}

/** … or it is not needed any more, which is no fault of its own. */
export class Spared extends Error {
  constructor() {
    super('the answer is not needed any more');
    this.name = 'Spared';
  }
}
