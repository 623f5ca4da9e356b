import { sha256 } from '#crypto';
import { toHex } from '../bytes.ts';
import { daySeconds } from '../energy/calendar.ts';
import { emissionDay, isOpenDay } from '../energy/emissions/day.ts';
import type { CalculatedBy, DayQuestion, MeasuredBy } from '../energy/emissions/day.ts';
import { factorRowOf, isValidAt } from '../energy/emissions/factor-set.ts';
import { hourSeconds } from '../energy/hours.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes } from '../jcs.ts';
import type { SpecOf } from './kinds.ts';
import type { EmissionRule } from './specs/emissions.ts';
import type { LogState, PlantState } from './state/state.ts';

/**
 * What a plant emitted on a day, by what the log says (D4.6). The ledger writes it, everybody who has
 * the log computes the same.
 */

export type EmissionRecord = SpecOf<'emission'>;

export interface RecordPlace {
  readonly plant: string;
  /** Start of a day of UTC. */
  readonly day: number;
  /** Of the entry: a day has a record once it has ended. */
  readonly time: number;
}

/** How the emissions of a plant are known; undefined for one without records. */
export function emissionRuleOf(
  { genesis }: Pick<LogState, 'genesis'>,
  plant: string,
): EmissionRule | undefined {
  return genesis?.rules.emissions?.find((rule) => rule.plant === plant);
}

/**
 * Refused: `regime` where the rules do not name the plant, `day` for what is no day of its life that has
 * ended, `factor` where no factor is known, `hours` where an hour of the day is not, `overflow`.
 */
export function emissionRecord(state: LogState, place: RecordPlace): EmissionRecord {
  const { plant, day } = place;
  const { factor, ...question } = questionOf(state, place);
  const { hours, totalG } = emissionDay(question);
  return { day, ...(factor !== undefined && { factor }), hours, plant, totalG };
}

/** Whether hours that are not sealed yet may change a record. Refused as `emissionRecord`. */
export function isOpenRecord(state: LogState, { plant, day, ...record }: EmissionRecord): boolean {
  return isOpenDay(record, questionOf(state, { plant, day, time: day + daySeconds }));
}

interface RecordQuestion extends DayQuestion {
  readonly factor?: EmissionRecord['factor'] | undefined;
}

function questionOf(state: LogState, { plant: name, day, time }: RecordPlace): RecordQuestion {
  const plant = state.plants.get(name);
  const rule = emissionRuleOf(state, name);
  if (plant === undefined || rule === undefined) {
    throw new Refused('regime', `the rules say nothing of the emissions of ${name}`);
  }
  const span = dayOfPlant(plant, day);
  if (day % daySeconds !== 0 || span.from >= span.to || day + daySeconds > time) {
    throw new Refused('day', `${day} is not the start of a day of its life that has ended`);
  }
  return {
    ...span,
    ...howKnown(state, rule, { plant, day }),
    history: (start) => plant.hours.get(start)?.known,
    lifeFrom: plant.sealFrom,
  };
}

/** The hours of a day that are sealed of a plant: from the first to the end of the last. */
function dayOfPlant(
  { sealFrom, spec: { endsAt } }: PlantState,
  day: number,
): { readonly from: number; readonly to: number } {
  const lifeTo = endsAt === undefined ? Infinity : Math.ceil(endsAt / hourSeconds) * hourSeconds;
  return { from: Math.max(day, sealFrom), to: Math.min(day + daySeconds, lifeTo) };
}

function howKnown(
  state: LogState,
  rule: EmissionRule,
  { plant, day }: { readonly plant: PlantState; readonly day: number },
): { readonly by: MeasuredBy | CalculatedBy; readonly factor?: EmissionRecord['factor'] } {
  if (rule.method === 'measured') return { by: rule };
  const factor = factorAt(state, rule.factor, day);
  const { mgPerKwh } = factor;
  const { energy, method } = rule;
  return { by: { method, energy, mgPerKwh, capacityW: plant.spec.capacityW }, factor };
}

/** By the set's version that begins last of those valid at the start of the day; of two, the later entry's. */
function factorAt(
  { factorSets, tables }: LogState,
  { set, ...name }: Extract<EmissionRule, { method: 'calculated' }>['factor'],
  day: number,
): NonNullable<EmissionRecord['factor']> {
  const valid = (factorSets.get(set) ?? []).filter(({ validity }) => isValidAt(validity, day));
  const newest = valid.reduce<(typeof valid)[number] | undefined>(
    (best, one) => (best === undefined || one.validity.from >= best.validity.from ? one : best),
    undefined,
  );
  const row = newest && factorRowOf(tables.factorRows.get(newest.index) ?? [], name);
  if (newest === undefined || row === undefined) {
    throw new Refused('factor', `no factor for ${name.scope} of ${name.zone} in ${set}`);
  }
  return { entry: newest.index, mgPerKwh: row.mg, set, version: newest.version };
}

/** A name for what a record says, whichever version of it. */
export function saidBy({ day, factor, hours, plant, totalG }: EmissionRecord): string {
  const said = { day, ...(factor !== undefined && { factor }), hours, plant, totalG };
  return toHex(sha256(canonicalBytes(said)));
}
