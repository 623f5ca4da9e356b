import { Refused } from '../../errors.ts';
import { hourSeconds } from '../../energy/hours.ts';
import { parsePublicJwk, type PublicKey } from '../../keys.ts';
import { accountOf, issuers, keyOf, meterOf, plantAccount, plantOf } from './rule.ts';
import type { Place, Rule } from './rule.ts';

/** The rules of those who take part: accounts, plants, meters and their keys (D3.3). */

/** One key serves one purpose (D2), and a thumbprint is used once in a log (D3.3). */
function requireUnusedKey({ state }: Place, { kid }: PublicKey): void {
  if (state.usedKeys.has(kid)) {
    throw new Refused('key-used', `the key ${kid} is already used in this log`);
  }
}

/** Serials and official ids are compared without regard to case, which nobody reads as a difference. */
function foldCase(code: string): string {
  return code.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

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

export const account: Rule<'account'> = {
  signers: (spec) => [issuers, { key: parsePublicJwk(spec.jwk) }],
  plan(spec, place) {
    if (place.state.accounts.has(spec.account)) {
      throw new Refused('account', `the account ${spec.account} exists`);
    }
    const key = parsePublicJwk(spec.jwk);
    requireUnusedKey(place, key);
    return () => {
      place.state.accounts.set(spec.account, { spec, entries: [], key, frozen: false });
      place.state.usedKeys.add(key.kid);
    };
  },
};

export const plant: Rule<'plant'> = {
  signers: (spec, place) => [issuers, { key: accountOf(place, spec.account).key }],
  plan(spec, place) {
    const { state, ref, time } = place;
    if (state.plants.has(spec.plant)) throw new Refused('plant', `the plant ${spec.plant} exists`);
    if (spec.type !== 'consumption' && spec.disclosure !== 'public') {
      throw new Refused('disclosure', 'production is always public');
    }
    const officialIds = Object.entries(spec.official ?? {}).map(
      ([kind, id]) => `${foldCase(kind)} ${foldCase(id)}`,
    );
    for (const id of officialIds) {
      if (state.officialIds.has(id)) throw new Refused('official-id', `${id} is at another plant`);
    }
    const sealFrom = Math.ceil(Math.max(spec.commissionedAt, time) / hourSeconds) * hourSeconds;
    return () => {
      state.plants.set(spec.plant, {
        spec,
        entries: [],
        index: ref.index,
        sealFrom,
        latest: undefined,
        hours: new Map(),
        meters: [],
        frozen: false,
        issuedWh: 0,
        withdrawnWh: 0,
        deficitWh: 0,
        certifiedWh: 0,
      });
      for (const id of officialIds) state.officialIds.set(id, spec.plant);
    };
  },
};

export const plantChange: Rule<'plant-change'> = {
  signers: (spec, place) => [issuers, plantAccount(place, spec.plant)],
  plan(spec, place) {
    const found = plantOf(place, spec.plant);
    if (spec.endsAt !== undefined && spec.endsAt <= found.spec.commissionedAt) {
      throw new Refused('plant', 'it would end before it began');
    }
    const { nonce: _nonce, notAfter: _notAfter, ...changes } = spec;
    return () => {
      found.spec = { ...found.spec, ...changes };
    };
  },
};

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
    const names = Object.keys(found.spec.registers).sort().join();
    for (const side of [spec.closing, spec.opening]) {
      if (Object.keys(side).sort().join() !== names) {
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

export const key: Rule<'key'> = {
  signers: (spec, place) => [
    issuers,
    plantAccount(place, spec.plant),
    { key: parsePublicJwk(spec.jwk) },
  ],
  plan(spec, place) {
    const found = meterOf(place, spec.meter);
    if (found.spec.plant !== spec.plant) {
      throw new Refused('plant', `the meter ${spec.meter} is not at the plant ${spec.plant}`);
    }
    const parsed = parsePublicJwk(spec.jwk);
    requireUnusedKey(place, parsed);
    return () => {
      place.state.keys.set(parsed.kid, {
        spec,
        key: parsed,
        end: undefined,
        frozen: false,
        forks: new Map(),
        acceptedLate: [],
        setAside: [],
      });
      found.kids.push(parsed.kid);
      place.state.usedKeys.add(parsed.kid);
    };
  },
};

export const keyEnd: Rule<'key-end'> = {
  signers: (spec, place) => [issuers, plantAccount(place, keyOf(place, spec.kid).spec.plant)],
  plan(spec, place) {
    const found = keyOf(place, spec.kid);
    if (found.end !== undefined) throw new Refused('key', 'that key has ended already');
    return () => {
      found.end = { lastSeq: spec.lastSeq, lastT: spec.lastT };
    };
  },
};
