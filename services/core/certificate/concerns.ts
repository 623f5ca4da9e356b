import type { Entry } from './entry.ts';
import { isKnownKind, type Kind, type SpecOf } from './kinds.ts';
import type { AccountState, LogState, PlantState } from './state.ts';

/**
 * Whose entry it is: the plant or account that a verifier must have it for (D3.5, "every entry that
 * the rules consult"). Hours and what happens to certificates are found by their ranges instead.
 */
export function concernedBy(
  state: LogState,
  { kind, spec }: Entry,
): PlantState | AccountState | undefined {
  if (!isKnownKind(kind)) return undefined;
  const plantOfKey = (kid: string): PlantState | undefined =>
    state.plants.get(state.keys.get(kid)?.spec.plant ?? '');
  const plantOfMeter = (meter: string): PlantState | undefined =>
    state.plants.get(state.meters.get(meter)?.spec.plant ?? '');
  const as = <K extends Kind>(_kind: K): SpecOf<K> => spec as SpecOf<K>;
  switch (kind) {
    case 'account':
      return state.accounts.get(as(kind).account);
    case 'plant':
    case 'plant-change':
    case 'meter':
    case 'key':
      return state.plants.get(as(kind).plant);
    case 'exchange':
      return plantOfMeter(as(kind).meter);
    case 'key-end':
    case 'fork':
      return plantOfKey(as(kind).kid);
    case 'decision': {
      const decision = as(kind);
      return 'kid' in decision ? plantOfKey(decision.kid) : plantOfMeter(decision.meter);
    }
    case 'freeze':
    case 'unfreeze': {
      const { what, id } = as(kind);
      if (what === 'account') return state.accounts.get(id);
      if (what === 'plant') return state.plants.get(id);
      return what === 'meter' ? plantOfMeter(id) : plantOfKey(id);
    }
    case 'genesis':
    case 'rules':
    case 'hour':
    case 'hour-correction':
    case 'cancel':
    case 'void':
      return undefined;
  }
}
