import type { Entry } from './entry.ts';
import { isKnownKind, specAs } from './kinds.ts';
import type { AccountState, LogState, PlantState } from './state/state.ts';

/**
 * Whose entry it is: the plant or account that a verifier must have it for (D3.5, "every entry that
 * the rules consult"). Hours and what happens to certificates are found by their ranges instead.
 */
export function concernedBy(
  state: LogState,
  { kind, spec }: Entry,
): PlantState | AccountState | undefined {
  if (!isKnownKind(kind)) return undefined;
  switch (kind) {
    case 'account':
    case 'account-key':
      return state.accounts.get(specAs(kind, spec).account);
    case 'plant':
    case 'plant-change':
    case 'meter':
    case 'key':
      return state.plants.get(specAs(kind, spec).plant);
    case 'exchange':
    case 'meter-change':
      return plantOfMeter(state, specAs(kind, spec).meter);
    case 'key-end':
    case 'fork':
      return plantOfKey(state, specAs(kind, spec).kid);
    case 'decision': {
      const decision = specAs(kind, spec);
      if ('kid' in decision) return plantOfKey(state, decision.kid);
      return plantOfMeter(state, decision.meter);
    }
    case 'freeze':
    case 'unfreeze': {
      const { what, id } = specAs(kind, spec);
      if (what === 'account') return state.accounts.get(id);
      if (what === 'plant') return state.plants.get(id);
      return what === 'meter' ? plantOfMeter(state, id) : plantOfKey(state, id);
    }
    case 'genesis':
    case 'ingestion-key':
    case 'issuer-key':
    case 'log-close':
    case 'log-key':
    case 'policy':
    case 'rules':
    case 'state':
    case 'hour':
    case 'hour-correction':
    case 'emission':
    case 'emission-correction':
    case 'factors':
    case 'cancel':
    case 'offer':
    case 'accept':
    case 'refuse':
    case 'settle':
    case 'lock':
    case 'unlock':
    case 'withdraw':
    case 'void':
      return undefined;
  }
}

function plantOfKey({ keys, plants }: LogState, kid: string): PlantState | undefined {
  return plants.get(keys.get(kid)?.spec.plant ?? '');
}

function plantOfMeter({ meters, plants }: LogState, meter: string): PlantState | undefined {
  return plants.get(meters.get(meter)?.spec.plant ?? '');
}
