import type { Bucket, Line, Lot } from './bucket.ts';
import type { Filter } from './follow-rule.ts';

/** Why consumption has no certificate, in sentences for people. */
export const unmatchedReasons = {
  'no-certificates': 'there are none of this zone',
  'other-hours': 'there are some of this zone, but none of this hour',
  'used-up': 'all of this zone and hour are used',
  'rule-limit': 'there are some left, but a rule gives no more than its limit',
  'no-rule': 'there are some left, but no rule gives them to this point',
} as const;
export type UnmatchedReason = keyof typeof unmatchedReasons;

/** Why a unit is not needed. */
export const excessReasons = {
  'no-consumption': 'nothing was consumed in this zone and hour',
  'consumption-met': 'all that was consumed in this zone and hour has its certificates',
  'rule-limit': 'a rule gives no more than its limit',
  'no-rule': 'no rule gives it to a point that consumed',
} as const;
export type ExcessReason = keyof typeof excessReasons;

/**
 * Reasons for what is left of a bucket after all rules: on basis `annual` its hour is the whole period.
 * Where a rule connects two that are left, only its limit can have kept them apart.
 */
export function reasonsOf(
  { lots, lines, isSupplied }: Bucket,
  filters: readonly Filter[],
  isZoneSupplied: boolean,
): {
  readonly ofLine: (line: Line) => UnmatchedReason;
  readonly ofLot: (lot: Lot) => ExcessReason;
} {
  const openLots = lots.filter(({ left }) => left > 0);
  const openLines = lines.filter(({ left }) => left > 0);
  const givers = filters.filter(({ takes }) => openLots.some(({ bundle }) => takes(bundle)));
  const getters = filters.filter(({ serves }) => openLines.some(({ point }) => serves(point)));
  const isConsuming = lines.some(({ wh }) => wh > 0);
  return {
    ofLine({ point }) {
      if (!isSupplied) return isZoneSupplied ? 'other-hours' : 'no-certificates';
      if (openLots.length === 0) return 'used-up';
      return givers.some(({ serves }) => serves(point)) ? 'rule-limit' : 'no-rule';
    },
    ofLot({ bundle }) {
      if (!isConsuming) return 'no-consumption';
      if (openLines.length === 0) return 'consumption-met';
      return getters.some(({ takes }) => takes(bundle)) ? 'rule-limit' : 'no-rule';
    },
  };
}
