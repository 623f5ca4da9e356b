import { Refused } from '../../errors.ts';
import { divideDown, divideUp, toNumber } from '../exact.ts';

/** What a storage plant took in an hour, and for how much of it certificates were cancelled. */
export interface Charge {
  readonly certifiedWh: number;
  readonly hour: number;
  readonly meteredWh: number;
}

export interface Discharge {
  readonly hour: number;
  readonly meteredWh: number;
}

export interface StorageQuestion {
  readonly charges: readonly Charge[];
  readonly discharges: readonly Discharge[];
  /** What was in the store before, first in first: `closing` of the question before. */
  readonly opening: readonly Charge[];
  /**
   * Metered totals over `rules.window` (D4.4), which say what a charged watt-hour gives back. More out
   * than in counts as no loss: what was in the store before is nobody's certificate.
   */
  readonly window: { readonly inWh: number; readonly outWh: number };
}

export interface StorageIssue {
  readonly dischargedWh: number;
  readonly hour: number;
  /** What may be issued for the discharge; whole Wh. */
  readonly issuedWh: number;
}

export interface StorageAnswer {
  readonly closing: readonly Charge[];
  /** By hour. */
  readonly issues: readonly StorageIssue[];
}

/**
 * What a storage plant may issue: only on discharge, min(metered discharge, floor(certified charge *
 * metered out / metered in)), first in, first out (D4.4). A discharge of d Wh takes d * in / out from
 * the front of the store; of an hour's charge that is certified in part each watt-hour is certified to
 * that part. What was charged in an hour may be discharged in it; what never was charged, as far as this
 * knows, issues nothing. The sum since the beginning is exact and is rounded down, so it is never more
 * than was certified, nor than certified * out / in, and of no hour more than was discharged in it.
 *
 * Refused: `certified` (more than was metered), `double` (two records of one hour), `window` (something
 * was discharged, and its window says that nothing came out), `overflow`.
 */
export function storageIssues(question: StorageQuestion): StorageAnswer {
  const { opening, window } = question;
  const store = [...opening, ...sorted(question.charges)];
  for (const { certifiedWh, hour, meteredWh } of store) {
    if (certifiedWh > meteredWh) {
      throw new Refused('certified', `${hour}: ${certifiedWh} Wh certified of ${meteredWh}`);
    }
  }
  const discharges = sorted(question.discharges);
  if (window.outWh === 0 && discharges.some(({ meteredWh }) => meteredWh > 0)) {
    throw new Refused('window', 'something was discharged in a window in which nothing came out');
  }
  // What is taken from the store is counted in parts of 1/outWh Wh, so that nothing need be rounded.
  const scale = BigInt(Math.max(1, window.outWh));
  const inWh = BigInt(Math.max(1, window.inWh, window.outWh));
  const front = frontOf(store, scale);
  let [taken, charged] = [0n, 0n];
  let [arrived, issued] = [0, 0];
  const issues = discharges.map(({ hour, meteredWh }) => {
    for (let next = store[arrived]; next !== undefined; next = store[arrived]) {
      if (arrived >= opening.length && next.hour > hour) break;
      charged += BigInt(next.meteredWh) * scale;
      arrived++;
    }
    const wanted = taken + BigInt(meteredWh) * inWh;
    taken = wanted < charged ? wanted : charged;
    const due = front.moveTo(taken, inWh);
    const issuedWh = due - issued;
    issued = due;
    return { dischargedWh: meteredWh, hour, issuedWh };
  });
  return { closing: front.rest(), issues };
}

/** By hour, each once. */
function sorted<T extends { readonly hour: number }>(records: readonly T[]): readonly T[] {
  const byHour = records.toSorted((a, b) => a.hour - b.hour);
  const double = byHour.find(({ hour }, i) => hour === byHour[i - 1]?.hour);
  if (double !== undefined) throw new Refused('double', `two records of the hour ${double.hour}`);
  return byHour;
}

/** The front of the store, which moves back through it as energy is taken; energy in 1/scale Wh. */
function frontOf(
  store: readonly Charge[],
  scale: bigint,
): {
  /** floor(certified energy among the first `taken` / inWh); `taken` never falls. */
  readonly moveTo: (taken: bigint, inWh: bigint) => number;
  readonly rest: () => readonly Charge[];
} {
  // How many charges are gone whole, what they held, and what is gone of the next.
  let [at, metered, certified, part] = [0, 0n, 0n, 0n];
  return {
    moveTo(taken, inWh) {
      for (let charge = store[at]; charge !== undefined; charge = store[at]) {
        const energy = BigInt(charge.meteredWh) * scale;
        if (metered + energy > taken) break;
        metered += energy;
        certified += BigInt(charge.certifiedWh) * scale;
        at++;
      }
      part = taken - metered;
      const next = store[at];
      if (next === undefined) return toNumber(divideDown(certified, inWh));
      const meteredWh = BigInt(next.meteredWh);
      const all = certified * meteredWh + BigInt(next.certifiedWh) * part;
      return toNumber(divideDown(all, meteredWh * inWh));
    },
    /** Of a charge that is gone in part: metered rounded up, certified down. */
    rest() {
      const [first, ...others] = store.slice(at);
      if (first === undefined) return [];
      if (part === 0n) return [first, ...others];
      const meteredWh = BigInt(first.meteredWh);
      const gone = divideUp(BigInt(first.certifiedWh) * part, meteredWh * scale);
      const left = {
        certifiedWh: first.certifiedWh - toNumber(gone),
        hour: first.hour,
        meteredWh: first.meteredWh - toNumber(divideDown(part, scale)),
      };
      return [left, ...others];
    },
  };
}
