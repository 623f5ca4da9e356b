import { hourSeconds } from '#core/energy/hours.ts';
import type { LogState, PlantState } from '#core/certificate/state/state.ts';
import type { DirtyHour } from './dirty-store.ts';
import type { DueHour } from './due-store.ts';
import type { HourRun } from './hour-inputs.ts';

/** Chooses the hours to look at, purely, from what was touched, what is due and what is open. */
export interface Candidates {
  readonly runs: readonly HourRun[];
  /** Those that are answered by looking at `runs`, to be cleared. */
  readonly dirty: readonly DirtyHour[];
  readonly hours: number;
}

export interface CandidateQuestion {
  readonly state: LogState;
  readonly nowS: number;
  readonly dirty: readonly DirtyHour[];
  readonly due: readonly (DueHour & { readonly plant: string })[];
  /** Hours without all that they need, past the deadline: `overdueHours`. */
  readonly overdue: readonly (DueHour & { readonly plant: string })[];
  /** Sealed, but not complete. */
  readonly incomplete: readonly DueHour[];
  readonly limitHours: number;
}

/**
 * How many sealed but incomplete hours beside a touched one are looked at with it. A message far away
 * from them can complete them all the same; the daily look finds that.
 */
const besideHours = 26;

/**
 * A message may complete hours that it does not touch: all those between the last message before it
 * and the first after it. Those are open, and lie next to a touched hour in one unbroken run.
 */
export function chooseCandidates(question: CandidateQuestion): Candidates {
  const { state, dirty, limitHours } = question;
  const incomplete = new Set(question.incomplete.map(keyOf));
  const touched = new Set(dirty.map(keyOf));
  const chosen = new Map<number, { plant: string; starts: Set<number> }>();
  let hours = 0;
  const choose = ({ plantId, plant, start }: DueHour & { plant: string }): void => {
    const of = chosen.get(plantId) ?? { plant, starts: new Set() };
    chosen.set(plantId, of);
    if (of.starts.has(start)) return;
    of.starts.add(start);
    hours++;
  };
  for (const hour of [...question.overdue, ...question.due]) if (hours < limitHours) choose(hour);
  const answered: DirtyHour[] = [];
  for (const hour of dirty) {
    if (hours >= limitHours) break;
    answered.push(hour);
    choose(hour);
    const plant = state.plants.get(hour.plant);
    if (plant === undefined) continue;
    for (const step of [-hourSeconds, hourSeconds]) {
      let sealed = 0;
      for (let start = hour.start + step; sealed < besideHours; start += step) {
        const beside = { ...hour, start };
        if (touched.has(keyOf(beside)) || !hasEnded(plant, start, question.nowS)) break;
        if (plant.hours.has(start)) {
          if (!incomplete.has(keyOf(beside))) break;
          sealed++;
        }
        choose(beside);
      }
    }
  }
  const runs = [...chosen].map(([plantId, { plant, starts }]) => ({
    plantId,
    plant,
    starts: [...starts],
  }));
  return { runs, dirty: answered, hours };
}

function keyOf({ plantId, start }: DueHour): string {
  return `${plantId} ${start}`;
}

/** An hour of the plant's life that is over. */
function hasEnded(plant: PlantState, start: number, nowS: number): boolean {
  const endsAt = plant.spec.endsAt ?? Infinity;
  return start >= plant.sealFrom && start < endsAt && start + hourSeconds <= nowS;
}

/**
 * Finds hours that are not sealed although their deadline has passed. Remembers for each plant where
 * its first open hour is, so that sealed ones are not walked through again.
 */
export function createOverdueFinder(): (
  state: LogState,
  question: {
    readonly nowS: number;
    readonly limitHours: number;
    readonly busy: ReadonlySet<string>;
  },
) => { readonly plant: string; readonly start: number }[] {
  const firstOpen = new Map<string, number>();
  return (state, { nowS, limitHours, busy }) => {
    const deadlineS = state.genesis?.rules.deadlineS ?? 0;
    const found: { plant: string; start: number }[] = [];
    for (const [name, plant] of state.plants) {
      // Its hours may be in the state and never come into the log.
      if (busy.has(name)) continue;
      let start = firstOpen.get(name) ?? plant.sealFrom;
      while (plant.hours.has(start)) start += hourSeconds;
      firstOpen.set(name, start);
      for (; hasEnded(plant, start, nowS - deadlineS); start += hourSeconds) {
        if (found.length >= limitHours) return found;
        if (!plant.hours.has(start)) found.push({ plant: name, start });
      }
    }
    return found;
  };
}
