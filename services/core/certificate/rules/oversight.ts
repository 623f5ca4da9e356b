import { Refused } from '../../errors.ts';
import type { SpecOf } from '../kinds.ts';
import { accountOf, issuers, keyOf, meterOf, plantOf, type Place, type Rule } from './rule.ts';

/** The rules of oversight: forks, freezing, decisions and voids (D3.3, D4.1, D4.2). */

export const fork: Rule<'fork'> = {
  signers: () => [],
  plan(spec, place) {
    const found = keyOf(place, spec.kid);
    if (found.forks.has(spec.seq)) throw new Refused('fork', 'that fork is on record');
    return () => {
      found.forks.set(spec.seq, { evidence: spec.evidence, keep: undefined });
      found.frozen = true;
    };
  },
};

function freezable(place: Place, { what, id }: SpecOf<'freeze'>): { frozen: boolean } {
  if (what === 'account') return accountOf(place, id);
  if (what === 'plant') return plantOf(place, id);
  if (what === 'meter') return meterOf(place, id);
  return keyOf(place, id);
}

export const freeze: Rule<'freeze'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const thing = freezable(place, spec);
    if (thing.frozen) throw new Refused('freeze', `${spec.what} ${spec.id} is frozen already`);
    return () => {
      thing.frozen = true;
    };
  },
};

export const unfreeze: Rule<'unfreeze'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const thing = freezable(place, spec);
    if (!thing.frozen) throw new Refused('freeze', `${spec.what} ${spec.id} is not frozen`);
    if (spec.what === 'key') {
      const open = [...keyOf(place, spec.id).forks.values()].some(({ keep }) => keep === undefined);
      if (open) throw new Refused('fork', 'a fork of that key waits for a decision');
    }
    return () => {
      thing.frozen = false;
    };
  },
};

export const decision: Rule<'decision'> = {
  signers: () => [issuers],
  plan(spec, place) {
    switch (spec.effect) {
      case 'break': {
        const { breaks } = meterOf(place, spec.meter);
        return () => {
          breaks.push({ t: spec.t, ref: place.ref });
        };
      }
      case 'keep-fork': {
        const found = keyOf(place, spec.kid).forks.get(spec.seq);
        if (found === undefined) throw new Refused('fork', 'no such fork is on record');
        return () => {
          found.keep = spec.hash;
        };
      }
      case 'accept-late':
      case 'set-aside': {
        if (spec.to < spec.from) throw new Refused('range', 'an empty range of messages');
        const { acceptedLate, setAside } = keyOf(place, spec.kid);
        const list = spec.effect === 'accept-late' ? acceptedLate : setAside;
        return () => {
          list.push({ from: spec.from, to: spec.to });
        };
      }
    }
  },
};

/** A void is itself a violation where nothing was broken, or where it says so a second time. */
export const voided: Rule<'void'> = {
  signers: () => [],
  plan(spec, { state }) {
    if (state.partial) return () => undefined;
    const violation = state.violations.get(spec.index);
    if (violation === undefined) throw new Refused('void', `entry ${spec.index} broke no rule`);
    if (violation.voided) throw new Refused('void', `entry ${spec.index} is void already`);
    if (violation.leafHash !== spec.leafHash || violation.code !== spec.code) {
      throw new Refused('void', `entry ${spec.index} broke another rule: ${violation.code}`);
    }
    return () => {
      violation.voided = true;
    };
  },
};
