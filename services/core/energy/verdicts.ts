/**
 * What validation says of a meter and hour (D4.2): codes for programs, sentences for people. They
 * stand in meter records, so a code never changes its meaning. Those marked as disputing make the
 * hour `disputed`; `unbounded` and `storage` keep it from issuing; the rest inform.
 */
export const verdicts = {
  break: { disputes: false, text: 'a decision, or an exchange without values, cuts the interval' },
  capacity: { disputes: true, text: 'more energy than the capacity allows in one hour' },
  clock: { disputes: false, text: 'a reading of the hour was left out: its clock is not synced' },
  dispute: { disputes: true, text: 'a dispute that began before this hour ended is still open' },
  exchange: { disputes: false, text: 'an exchange of the meter lies in the interval' },
  frozen: { disputes: true, text: 'it rests on messages of a frozen key' },
  gap: { disputes: false, text: 'a boundary of the hour has no exact reading' },
  monotonic: { disputes: true, text: 'values fall with time, or differ at one time' },
  register: { disputes: false, text: 'a reading of the hour was left out: it lacks a register' },
  reset: {
    disputes: true,
    text: 'a register shrinks, and no rollover within capacity explains it',
  },
  rollover: { disputes: false, text: 'a register turned over within capacity; the turn is booked' },
  segments: { disputes: true, text: 'more segments than a meter record may hold' },
  status: { disputes: false, text: 'a reading of the hour was left out: tamper or fault' },
  storage: { disputes: false, text: 'storage issues nothing from its meters alone' },
  turns: { disputes: false, text: 'a register to subtract may have turned over unseen' },
  unbounded: { disputes: false, text: 'a side of a widened interval is missing' },
} as const;

export type Verdict = keyof typeof verdicts;

export function disputes(verdict: Verdict): boolean {
  return verdicts[verdict].disputes;
}
