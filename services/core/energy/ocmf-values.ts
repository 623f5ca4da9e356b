import { Refused } from '../errors.ts';
import { hourSeconds } from './hours.ts';

/** The values of OCMF that must not pass through a double: times with their state, and energies. */

const timePattern =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2}),([0-9]{3})([+-])([0-9]{2})([0-9]{2}) ([UISR])$/;

/** Offsets from UTC reach from -12:00 to +14:00; more is a mistake. */
const offsetLimitMinutes = 14 * 60;

export interface OcmfTime {
  /** Unix seconds. */
  readonly t: number;
  /** True for `S` alone: `I` and `R` rest on a clock that nobody vouches for, `U` on none. */
  readonly isSynced: boolean;
}

/**
 * `TM`, such as `2018-07-24T13:22:04,000+0200 S` (OCMF table 7, states table 19). Milliseconds are
 * dropped, except in the first second of an hour: there a reading after the turn must not pass for
 * one at the turn, which the hour before could count to its end. Throws Refused('form').
 */
export function parseOcmfTime(text: string): OcmfTime {
  const found = timePattern.exec(text);
  if (found === null) throw new Refused('form', 'TM: not a time with milliseconds and state');
  const [year = 0, month = 0, day, hour, minute, second, ms] = found.slice(1, 8).map(Number);
  const [sign, offsetHours, offsetMinutes, state] = found.slice(8);
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  // A date that rolls over, such as 30 February or 24:00, is written otherwise than it was read.
  if (new Date(local).toISOString().slice(0, 19) !== text.slice(0, 19)) {
    throw new Refused('form', 'TM: no such date');
  }
  const offset = Number(offsetHours) * 60 + Number(offsetMinutes);
  if (Number(offsetMinutes) >= 60 || offset > offsetLimitMinutes) {
    throw new Refused('form', 'TM: no such time zone');
  }
  const floored = local / 1000 - (sign === '-' ? -60 : 60) * offset;
  if (floored < 0) throw new Refused('form', 'TM: before 1970');
  const isAfterTurn = floored % hourSeconds === 0 && ms !== 0;
  return { t: isAfterTurn ? floored + 1 : floored, isSynced: state === 'S' };
}

/** Decimal shift of each unit of energy (table 20) to watt-hours. */
const shifts = { kWh: 3, Wh: 0 } as const;
export type OcmfUnit = keyof typeof shifts;

export function isOcmfUnit(text: string): text is OcmfUnit {
  return Object.hasOwn(shifts, text);
}

/** Digits of a value, before and after the point together. */
const digitsLimit = 32;
const decimalPattern = /^(0|[1-9][0-9]*)(?:\.([0-9]+))?$/;

/**
 * A register value in whole watt-hours, floored, by its digits alone. Refused('form') for a sign, an
 * exponent, and what is beyond 2^53-1.
 */
export function wattHoursOf(decimal: string, unit: OcmfUnit): number {
  const [, whole, fraction = ''] = decimalPattern.exec(decimal) ?? [];
  if (whole === undefined || whole.length + fraction.length > digitsLimit) {
    throw new Refused('form', 'RV: not a decimal number of zero or more');
  }
  const shift = shifts[unit];
  const value = BigInt(whole + fraction.slice(0, shift).padEnd(shift, '0'));
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refused('form', 'RV: above 2^53-1 Wh');
  return Number(value);
}

/**
 * A-B:C.D.E*F with A 1, B 0, C 1 or 2, D 8, E 0, and F absent or 255. In the field numbers are padded,
 * the letters that stand for B and E in tables are left standing, and a dot takes the star's place.
 */
const totalPattern = /^0?1-(?:00?|0?[Bb]):0?([12])\.0?8\.(?:00?|e)(?:[*.](?:255|[Ff]{2}))?$/;
/** It begins with a digit, as no name of ours does, so that none passes for one of ours. */
const namePattern = /^[0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * The name that a register of OCMF has among a meter's registers: `importWh` and `exportWh` for the
 * two that OBIS calls 1.8.0 and 2.8.0 of the whole meter, however they are spelled; any other is
 * called as its `RI` is, with `_` for what no name may hold. Refused('form') where that is no name.
 */
export function registerNameOf(obis: string): string {
  const [, direction] = totalPattern.exec(obis) ?? [];
  if (direction !== undefined) return direction === '1' ? 'importWh' : 'exportWh';
  const name = obis.replace(/[^A-Za-z0-9._-]/g, '_');
  if (!namePattern.test(name)) throw new Refused('form', 'RI: not an OBIS code');
  return name;
}
