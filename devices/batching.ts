import { hourSeconds, hourStartOf } from '#core/energy/hours.ts';
import { readingsLimit, type Reading } from '#core/energy/message.ts';

/**
 * Cuts readings, ascending in `t`, into messages: each within one closed hour (D3.1), the reading at
 * the turn of the hour with what came before it, and none longer than `mostReadings`.
 */
export function splitReadings(
  readings: readonly Reading[],
  mostReadings = readingsLimit,
): readonly (readonly Reading[])[] {
  const parts: Reading[][] = [];
  let part: Reading[] = [];
  let endS = 0;
  for (const reading of readings) {
    if (part.length === 0 || reading.t > endS || part.length >= mostReadings) {
      part = [];
      parts.push(part);
      endS = hourStartOf(reading.t) + hourSeconds;
    }
    part.push(reading);
  }
  return parts;
}
