import { hourSeconds } from '#core/energy/hours.ts';
import { firstIndex } from '#core/first-index.ts';
import type { HeldMessage } from './plan.ts';

/**
 * Finds, for one hour after another, the part of a key's messages that says anything about it: from
 * the last valid reading at or before the start to the first at or after the end. What is read for a
 * run of hours would else be walked through once for each of them.
 *
 * `messages` ascend by seq. Under one key `t` never falls as `seq` grows among those that count
 * (D3.1); where a decision about a fork broke that, the whole is returned.
 */
export function slicer(
  messages: readonly HeldMessage[],
): (start: number) => readonly HeldMessage[] {
  const counted: { readonly at: number; readonly message: HeldMessage }[] = [];
  messages.forEach((message, at) => {
    if (message.counts && message.readings.length > 0) counted.push({ at, message });
  });
  const isOrdered = counted.every(
    ({ message }, i) => i === 0 || lastT(counted[i - 1]?.message) <= firstT(message),
  );
  if (!isOrdered) return () => messages;
  return (start) => {
    const end = start + hourSeconds;
    let low = firstIndex(counted.length, (i) => lastT(counted[i]?.message) >= start);
    while (low >= 0 && !hasValid(counted[low]?.message, (t) => t <= start)) low--;
    let high = firstIndex(counted.length, (i) => firstT(counted[i]?.message) > end);
    const touchedTo = high;
    high = firstIndex(counted.length, (i) => lastT(counted[i]?.message) >= end);
    while (high < counted.length && !hasValid(counted[high]?.message, (t) => t >= end)) high++;
    const to = Math.max(high, touchedTo - 1);
    return messages.slice(low < 0 ? 0 : counted[low]?.at, (counted[to]?.at ?? messages.length) + 1);
  };
}

function firstT(message: HeldMessage | undefined): number {
  return message?.readings[0]?.t ?? 0;
}

function lastT(message: HeldMessage | undefined): number {
  return message?.readings.at(-1)?.t ?? 0;
}

function hasValid(message: HeldMessage | undefined, fits: (t: number) => boolean): boolean {
  return message?.validAt.some(fits) === true;
}
