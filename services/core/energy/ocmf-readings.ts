import { Refused } from '../errors.ts';
import { readingsLimit, type Reading } from './message.ts';
import type { OcmfJson, OcmfMembers } from './ocmf-json.ts';
import { isOcmfUnit, parseOcmfTime, registerNameOf, wattHoursOf } from './ocmf-values.ts';

/** From the list `RD` of a record, in which each reading is one register, to readings at instants. */

const registersLimit = 16;

/** From best to worst; of several readings at one instant the worst holds for all. */
const statuses = ['ok', 'power-fail', 'fault', 'tamper'] as const;

/** What a reading says, with what it leaves out because the reading before it said the same. */
interface Inherited {
  readonly TM: string;
  readonly RI: string;
  readonly RU: string;
  readonly ST: string;
  readonly EF: string;
  readonly TX: string;
}

interface Instant {
  readonly registers: Map<string, number>;
  isSynced: boolean;
  /** Index in `statuses`. */
  status: number;
}

/**
 * Readings ascending in `t`, those of one second as one. Throws Refused('form') where none is left,
 * or where one register has two values in one second.
 */
export function readingsOf(list: readonly OcmfMembers[]): readonly Reading[] {
  if (list.length > readingsLimit) throw new Refused('form', `RD: above ${readingsLimit} readings`);
  const instants = new Map<number, Instant>();
  let before: Inherited | undefined;
  let hasFailed = false;
  for (const members of list) {
    const said: Inherited = inherit(members, before);
    before = said;
    // From an exception on, time or energy of this transaction are of no use (table 7, TX).
    hasFailed ||= said.TX === 'X';
    const { t, isSynced } = parseOcmfTime(said.TM);
    const instant = instants.get(t) ?? { registers: new Map(), isSynced: true, status: 0 };
    instants.set(t, instant);
    instant.isSynced &&= isSynced && !said.EF.includes('t');
    instant.status = Math.max(
      instant.status,
      hasFailed ? statuses.indexOf('fault') : statusOf(said),
    );
    addRegister(instant, members, said);
  }
  const readings = [...instants]
    .filter(([, { registers }]) => registers.size > 0)
    .sort(([a], [b]) => a - b)
    .map(([t, instant]) => asReading(t, instant));
  if (readings.length === 0) throw new Refused('form', 'RD: no energy register');
  return readings;
}

function inherit(members: OcmfMembers, before: Inherited | undefined): Inherited {
  const said = (name: keyof Inherited, first?: string): string => {
    const value = members.has(name) ? members.get(name) : (before?.[name] ?? first);
    if (typeof value !== 'string') throw new Refused('form', `${name}: missing or not a text`);
    return value;
  };
  // They form a group (1.4.1, "Readings"): a unit must not come to stand beside another's register.
  if (members.has('RI') !== members.has('RU')) {
    throw new Refused('form', 'RI, RU: one without the other');
  }
  // The first may be of an event alone, without register; `TX` is for transactions alone.
  return {
    TM: said('TM'),
    RI: said('RI', ''),
    RU: said('RU', ''),
    ST: said('ST'),
    EF: said('EF', ''),
    TX: said('TX', ''),
  };
}

/** Table 10, `EF` and `TX` of table 7. */
function statusOf({ ST, EF, TX }: Inherited): number {
  if (ST === 'M') return statuses.indexOf('tamper');
  if (ST !== 'G' || /[^t]/.test(EF)) return statuses.indexOf('fault');
  return statuses.indexOf(TX === 'P' ? 'power-fail' : 'ok');
}

/** A value is never inherited: left out, it may stand for an event that has none. */
function addRegister({ registers }: Instant, members: OcmfMembers, { RI, RU }: Inherited): void {
  const value = members.get('RV');
  if (value === undefined || !isOcmfUnit(RU)) return;
  const name = registerNameOf(RI);
  const wattHours = wattHoursOf(digitsOf(value), RU);
  if ((registers.get(name) ?? wattHours) !== wattHours) {
    throw new Refused('form', `RV: two values of ${name} in one second`);
  }
  registers.set(name, wattHours);
  if (registers.size > registersLimit) {
    throw new Refused('form', `RD: above ${registersLimit} registers`);
  }
}

/** A number; some meters write it as a text, padded at the left. */
function digitsOf(value: OcmfJson): string {
  if (typeof value === 'string') return value.replace(/^ */, '');
  if (typeof value === 'object' && value !== null && 'digits' in value) return value.digits;
  throw new Refused('form', 'RV: not a number');
}

function asReading(t: number, { registers, isSynced, status }: Instant): Reading {
  return {
    ...(!isSynced && { clock: 'unsynced' }),
    registers: Object.fromEntries(registers),
    ...(status > 0 && { status: statuses[status] ?? 'fault' }),
    t,
  };
}
