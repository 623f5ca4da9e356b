import { Refused } from '../../errors.ts';
import type { PublicKey } from '../../keys.ts';
import type { EntryRef } from '../entry.ts';
import type { Kind, SpecOf } from '../kinds.ts';
import type { Range } from '../specs/parts.ts';
import { accountKeyAt } from '../state/state.ts';
import type {
  AccountState,
  Genesis,
  KeyState,
  LogState,
  MeterState,
  PlantState,
} from '../state/state.ts';

/** Where an entry stands, and the state of the log before it. */
export interface Place {
  readonly state: LogState;
  readonly ref: EntryRef;
  readonly time: number;
}

/** Who must have signed an entry: the issuing body with its threshold, a single key, or one of several. */
export type Requirement =
  | { readonly issuers: true }
  | { readonly key: PublicKey }
  | { readonly anyOf: readonly PublicKey[] };

/** Units of one series that an entry issued, or gave another owner or state. */
export interface Moved {
  readonly series: string;
  readonly ranges: readonly Range[];
  readonly isIssue: boolean;
}

/**
 * Carries out what an entry says, and tells which units that moves. It cannot fail: all that could was
 * checked while planning.
 */
export type Effect = (tell: (moved: Moved) => void) => void;

/**
 * The rule of one kind (D3.3, D4). `plan` throws Refused with the violation's code, or returns the
 * effect; it changes nothing itself.
 */
export interface Rule<K extends Kind> {
  readonly signers: (spec: SpecOf<K>, place: Place) => readonly Requirement[];
  readonly plan: (spec: SpecOf<K>, place: Place) => Effect;
}

export function sameRef(a: EntryRef | undefined, b: EntryRef | undefined): boolean {
  return a?.index === b?.index && a?.leafHash === b?.leafHash;
}

export const issuers: Requirement = { issuers: true };

export function genesisOf({ state }: Pick<Place, 'state'>): Genesis {
  if (state.genesis === undefined) throw new Refused('genesis', 'there is no genesis before it');
  return state.genesis;
}

export function accountOf({ state }: Place, account: string): AccountState {
  const found = state.accounts.get(account);
  if (found === undefined) throw new Refused('account', `no account ${account}`);
  return found;
}

export function plantOf({ state }: Place, plant: string): PlantState {
  const found = state.plants.get(plant);
  if (found === undefined) throw new Refused('plant', `no plant ${plant}`);
  return found;
}

export function meterOf({ state }: Place, meter: string): MeterState {
  const found = state.meters.get(meter);
  if (found === undefined) throw new Refused('meter', `no meter ${meter}`);
  return found;
}

export function keyOf({ state }: Place, kid: string): KeyState {
  const found = state.keys.get(kid);
  if (found === undefined) throw new Refused('key', `no meter key ${kid}`);
  return found;
}

/** The signature of an account by the key that acts for it at that time. */
export function accountSigns(place: Place, account: string): { readonly key: PublicKey } {
  return { key: accountKeyAt(accountOf(place, account), place.time) };
}

/** The signature of the account that owns a plant. */
export function plantAccount(place: Place, plant: string): Requirement {
  return accountSigns(place, plantOf(place, plant).spec.account);
}

/** One key serves one purpose (D2), and a thumbprint is used once in a log (D3.3). */
export function requireUnusedKey({ state }: Place, { kid }: PublicKey): void {
  const isWitness = state.genesis?.policies.some(({ witnessKids }) => witnessKids.has(kid));
  if (state.usedKeys.has(kid) || isWitness === true) {
    throw new Refused('key-used', `the key ${kid} is already used in this log`);
  }
}

/** What ended stays ended, and nothing more is entered for it. */
export function requireLiving({ spec, end }: MeterState): void {
  if (end !== undefined) throw new Refused('ended', `the meter ${spec.meter} has ended`);
}

/** Serials and official ids are compared without regard to case, which nobody reads as a difference. */
export function foldCase(code: string): string {
  return code.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
