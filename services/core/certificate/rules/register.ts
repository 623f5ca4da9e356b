import { Refused } from '../../errors.ts';
import { hourSeconds } from '../../energy/hours.ts';
import type { OcmfBinding } from '../../energy/ocmf.ts';
import { parseMeterJwk, parsePublicJwk } from '../../keys.ts';
import { accountKeyAt, type MeterState } from '../state/state.ts';
import { accountOf, accountSigns, issuers, keyOf, meterOf, plantAccount } from './rule.ts';
import { foldCase, plantOf, requireLiving, requireUnusedKey } from './rule.ts';
import type { Rule } from './rule.ts';

/** The rules of those who take part: accounts, plants and the keys of meters (D3.3). */

export const account: Rule<'account'> = {
  signers: (spec) => [issuers, { key: parsePublicJwk(spec.jwk) }],
  plan(spec, place) {
    if (place.state.accounts.has(spec.account)) {
      throw new Refused('account', `the account ${spec.account} exists`);
    }
    const key = parsePublicJwk(spec.jwk);
    requireUnusedKey(place, key);
    return () => {
      const found = { spec, entries: [], key, successor: undefined, frozen: false };
      place.state.accounts.set(spec.account, found);
      place.state.usedKeys.add(key.kid);
    };
  },
};

/** After a loss the old key has this long to speak up (D3.3). */
const lossDelayS = 7 * 86_400;

export const accountKey: Rule<'account-key'> = {
  signers: (spec, place) =>
    spec.cause === 'change' ? [accountSigns(place, spec.account)] : [issuers],
  plan(spec, place) {
    const found = accountOf(place, spec.account);
    const key = parsePublicJwk(spec.jwk);
    requireUnusedKey(place, key);
    return () => {
      const current = accountKeyAt(found, place.time);
      found.key = spec.cause === 'change' ? key : current;
      found.successor =
        spec.cause === 'change' ? undefined : { key, fromS: place.time + lossDelayS };
      place.state.usedKeys.add(key.kid);
    };
  },
};

export const plant: Rule<'plant'> = {
  signers: (spec, place) => [issuers, accountSigns(place, spec.account)],
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
        hours: place.state.tables.hoursOf(spec.plant),
        emissions: place.state.tables.emissionsOf(spec.plant),
        meters: [],
        frozen: false,
        issuedWh: 0,
        withdrawnWh: 0,
        deficitWh: 0,
        certifiedWh: 0,
        revokedWh: 0,
        spareWh: 0,
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

export const key: Rule<'key'> = {
  signers: (spec, place) => {
    const body = [issuers, plantAccount(place, spec.plant)];
    const parsed = parseMeterJwk(spec.jwk);
    // A meter that signs OCMF records can sign nothing else: others vouch for its key.
    return 'ocmf' in spec ? body : [...body, { key: parsed }];
  },
  plan(spec, place) {
    const found = meterOf(place, spec.meter);
    if (found.spec.plant !== spec.plant) {
      throw new Refused('plant', `the meter ${spec.meter} is not at the plant ${spec.plant}`);
    }
    requireLiving(found);
    const parsed = parseMeterJwk(spec.jwk);
    requireUnusedKey(place, parsed);
    if ('ocmf' in spec) requireOcmfMeter(found, spec.ocmf);
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

/** OCMF records name no log, so that the same one can be shown to two: nothing is issued on them. */
const ocmfRoles: ReadonlySet<string> = new Set(['consumption', 'check']);

function requireOcmfMeter({ spec, exchanges }: MeterState, { serial }: OcmfBinding): void {
  if (!ocmfRoles.has(spec.role)) {
    throw new Refused('role', `records that name no log cannot be those of a ${spec.role} meter`);
  }
  const current = exchanges.at(-1)?.spec.serial ?? spec.serial;
  if (current !== serial) throw new Refused('serial', `the meter's device is ${current}`);
}

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
