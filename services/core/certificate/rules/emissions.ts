import { Refused } from '../../errors.ts';
import { factorKey } from '../../energy/emissions/factor-set.ts';
import type { SpecOf } from '../kinds.ts';
import { emissionRecord, saidBy } from '../emission-record.ts';
import type { EmissionState } from '../state/tables.ts';
import { issuers, plantOf, sameRef, type Effect, type Place, type Rule } from './rule.ts';

/** The rules of emission records (D3.3, D4.6): factor sets, and what plants emitted by the day. */

export const factors: Rule<'factors'> = {
  signers: () => [issuers],
  plan(spec, { state, ref: { index } }) {
    const { rows, set, validity, version } = spec;
    const versions = state.factorSets.get(set) ?? [];
    if (versions.some((known) => known.version === version)) {
      throw new Refused('factors', `${set} has a version ${version} already`);
    }
    if (validity.to !== undefined && validity.to <= validity.from) {
      throw new Refused('validity', 'it ends before it begins');
    }
    if (new Set(rows.map(factorKey)).size !== rows.length) {
      throw new Refused('double', 'two rows of one zone, scope, unit and year');
    }
    return () => {
      state.factorSets.set(set, [...versions, { version, index, validity }]);
      state.tables.factorRows.set(index, rows);
    };
  },
};

type EmissionSpec = SpecOf<'emission'> | SpecOf<'emission-correction'>;

/**
 * A record is a function of the log before it, so whoever has the whole of it can say of every gram
 * whether it is right. A verifier with a part of the log believes what it states.
 */
function requireRight(spec: EmissionSpec, place: Place): void {
  if (place.state.partial) return;
  plantOf(place, spec.plant);
  const due = emissionRecord(place.state, { ...spec, time: place.time });
  if (saidBy(due) !== saidBy(spec)) {
    throw new Refused('grams', `${spec.totalG} g are stated, where ${due.totalG} g are known`);
  }
}

function enter(
  spec: EmissionSpec,
  { state, ref }: Place,
  before: EmissionState | undefined,
): Effect {
  const plant = state.plants.get(spec.plant);
  const versions = [...(before?.versions ?? []), ref.index];
  const row = { ref, totalG: spec.totalG, said: saidBy(spec), versions };
  return () => {
    plant?.emissions.set(spec.day, row);
  };
}

export const emission: Rule<'emission'> = {
  signers: () => [],
  plan(spec, place) {
    requireRight(spec, place);
    const before = place.state.plants.get(spec.plant)?.emissions.get(spec.day);
    if (before !== undefined) throw new Refused('recorded', 'that day has a record already');
    return enter(spec, place, undefined);
  },
};

export const emissionCorrection: Rule<'emission-correction'> = {
  signers: () => [],
  plan(spec, place) {
    requireRight(spec, place);
    const before = place.state.plants.get(spec.plant)?.emissions.get(spec.day);
    if (!place.state.partial && !sameRef(before?.ref, spec.amends)) {
      throw new Refused('amends', 'does not amend the latest version of its day');
    }
    if (before?.said === saidBy(spec)) throw new Refused('unchanged', 'it says the same again');
    return enter(spec, place, before);
  },
};
