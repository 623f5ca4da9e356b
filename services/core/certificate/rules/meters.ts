import { hourSeconds, hourStartOf } from '../../energy/hours.ts';
import { Refused } from '../../errors.ts';
import type { SpecOf } from '../kinds.ts';
import type { MeterState } from '../state/state.ts';
import { foldCase, issuers, meterOf, plantAccount, plantOf, requireLiving } from './rule.ts';
import type { Effect, Place, Rule } from './rule.ts';

/** The rules of meters: how they begin, change, are exchanged and end (D3.3). */

/** A device is at one meter at a time (D3.3); a meter may get back one that it had. */
function requireFreeSerial(
  { state }: Place,
  { serial, meter: name }: { readonly serial: string; readonly meter: string },
): void {
  const holder = state.serials.get(foldCase(serial));
  if (holder !== undefined && holder !== name) {
    throw new Refused('serial', `the serial ${serial} is at another meter`);
  }
}

function namesAllRegisters(
  { spec }: MeterState,
  values: Readonly<Record<string, number>>,
): boolean {
  return Object.keys(values).sort().join() === Object.keys(spec.registers).sort().join();
}

export const meter: Rule<'meter'> = {
  signers: (spec, place) => [issuers, plantAccount(place, spec.plant)],
  plan(spec, place) {
    const { state, ref, time } = place;
    const { meters } = plantOf(place, spec.plant);
    if (state.meters.has(spec.meter)) throw new Refused('meter', `the meter ${spec.meter} exists`);
    requireFreeSerial(place, spec);
    return () => {
      state.meters.set(spec.meter, {
        spec,
        index: ref.index,
        sinceS: time,
        exchanges: [],
        end: undefined,
        breaks: [],
        kids: [],
        frozen: false,
      });
      state.serials.set(foldCase(spec.serial), spec.meter);
      meters.push(spec.meter);
    };
  },
};

export const exchange: Rule<'exchange'> = {
  signers: (spec, place) => [issuers, plantAccount(place, meterOf(place, spec.meter).spec.plant)],
  plan(spec, place) {
    const found = meterOf(place, spec.meter);
    requireLiving(found);
    for (const side of [spec.closing, spec.opening]) {
      if (!namesAllRegisters(found, side)) {
        throw new Refused('exchange', 'an exchange names every register of the meter');
      }
    }
    requireFreeSerial(place, spec);
    if (found.exchanges.some((other) => other.spec.t >= spec.t)) {
      throw new Refused('exchange', 'exchanges of a meter are entered in order of time');
    }
    return () => {
      found.exchanges.push({ spec, ref: place.ref });
      place.state.serials.set(foldCase(spec.serial), spec.meter);
    };
  },
};

type EndSpec = Extract<SpecOf<'meter-change'>, { endsAt: number }>;

export const meterChange: Rule<'meter-change'> = {
  signers: (spec, place) => [issuers, plantAccount(place, meterOf(place, spec.meter).spec.plant)],
  plan(spec, place) {
    const found = meterOf(place, spec.meter);
    requireLiving(found);
    if ('endsAt' in spec) return planEnd(spec, found, place);
    const { nonce: _nonce, notAfter: _notAfter, ...changes } = spec;
    return () => {
      found.spec = { ...found.spec, ...changes };
    };
  },
};

function planEnd(spec: EndSpec, found: MeterState, place: Place): Effect {
  const { endsAt, closing } = spec;
  if (!namesAllRegisters(found, closing)) {
    throw new Refused('end', 'an end names every register of the meter');
  }
  if (endsAt > place.time) throw new Refused('end', 'closing values that nobody can have read yet');
  const lastExchangeT = found.exchanges.at(-1)?.spec.t ?? -1;
  if (endsAt < found.sinceS || endsAt <= lastExchangeT) {
    throw new Refused('end', 'before the meter was entered, or exchanged');
  }
  requireUnsealed(found, endsAt, place);
  return () => {
    found.end = { spec, ref: place.ref };
    const { serials } = place.state;
    for (const { serial } of [found.spec, ...found.exchanges.map((exchange) => exchange.spec)]) {
      serials.delete(foldCase(serial));
    }
  };
}

/**
 * What was certified with a meter is not to be certified again without it: an end that comes too late
 * for a sealed hour is put after it, where the closing values bound what the meter counted until then.
 */
function requireUnsealed({ spec }: MeterState, endsAt: number, place: Place): void {
  // Who holds a part of the log cannot know every sealed hour.
  if (place.state.partial) return;
  const { hours, sealFrom } = plantOf(place, spec.plant);
  const first = Math.max(sealFrom, hourStartOf(endsAt));
  for (let start = first; start + hourSeconds <= place.time; start += hourSeconds) {
    if (!hours.has(start)) continue;
    throw new Refused('sealed', `the hour from ${start} is sealed: the meter can end after it`);
  }
}
