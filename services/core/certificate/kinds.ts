import type { Infer } from '../shape.ts';
import { emissionCorrectionSpec, emissionSpec, factorsSpec } from './specs/emissions.ts';
import { hourCorrectionSpec, hourSpec } from './specs/hours.ts';
import { cancelSpec } from './specs/life.ts';
import {
  genesisSpec,
  ingestionKeySpec,
  issuerKeySpec,
  logCloseSpec,
  logKeySpec,
  policySpec,
  rulesSpec,
} from './specs/log.ts';
import { decisionSpec, forkSpec, freezeSpec, unfreezeSpec, voidSpec } from './specs/oversight.ts';
import {
  accountKeySpec,
  accountSpec,
  exchangeSpec,
  keyEndSpec,
  keySpec,
  meterChangeSpec,
  meterSpec,
  plantChangeSpec,
  plantSpec,
} from './specs/register.ts';
import { stateSpec } from './specs/state.ts';
import {
  acceptSpec,
  lockSpec,
  offerSpec,
  refuseSpec,
  settleSpec,
  unlockSpec,
  withdrawSpec,
} from './specs/trade.ts';

/** Every kind that this version of the program can judge. */
export const specOf = {
  accept: acceptSpec,
  account: accountSpec,
  'account-key': accountKeySpec,
  cancel: cancelSpec,
  decision: decisionSpec,
  emission: emissionSpec,
  'emission-correction': emissionCorrectionSpec,
  exchange: exchangeSpec,
  factors: factorsSpec,
  fork: forkSpec,
  freeze: freezeSpec,
  genesis: genesisSpec,
  hour: hourSpec,
  'hour-correction': hourCorrectionSpec,
  'ingestion-key': ingestionKeySpec,
  'issuer-key': issuerKeySpec,
  key: keySpec,
  'key-end': keyEndSpec,
  lock: lockSpec,
  'log-close': logCloseSpec,
  'log-key': logKeySpec,
  meter: meterSpec,
  'meter-change': meterChangeSpec,
  offer: offerSpec,
  plant: plantSpec,
  'plant-change': plantChangeSpec,
  policy: policySpec,
  refuse: refuseSpec,
  rules: rulesSpec,
  settle: settleSpec,
  state: stateSpec,
  unfreeze: unfreezeSpec,
  unlock: unlockSpec,
  void: voidSpec,
  withdraw: withdrawSpec,
} as const;

export type Kind = keyof typeof specOf;
export type SpecOf<K extends Kind> = Infer<(typeof specOf)[K]>;

/** The spec of an entry that broke no rule: the rule of its kind has parsed it (fold.ts). */
export function specAs<K extends Kind>(_kind: K, spec: object): SpecOf<K> {
  return spec as SpecOf<K>;
}

export function isKnownKind(kind: string): kind is Kind {
  return Object.hasOwn(specOf, kind);
}

/** Kinds that are a function of what is known: nobody signs them, so they carry no `nonce`. */
export const unsignedKinds: ReadonlySet<Kind> = new Set([
  'emission',
  'emission-correction',
  'fork',
  'hour',
  'hour-correction',
  'state',
  'void',
]);
