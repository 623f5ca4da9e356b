import type { Reading } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { newDevice, type Device } from '../../integration/ingestion/rig.ts';

/**
 * What meters sent over some days, and in which order it arrived: out of order, long after, twice, and
 * under a second key of the same meter with other values for the same instants.
 */
export interface Arrived {
  readonly meter: string;
  readonly device: Device;
  readonly bytes: string;
  readonly readings: readonly Reading[];
  readonly receivedAt: number;
}

/** Numbers below `limit` that are the same in every run (xorshift32). */
export function randoms(seed: number): (limit: number) => number {
  let state = seed * 2_654_435_761 + 1;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

const registerNames = ['exportWh', 'importWh', 'co2G', 'operatingS', 'validS', 'gasM3'];
const meters = 3;
const hours = 7;

/** Hours are days apart, so that they lie in chunks of which some are compressed and some are not. */
export async function makeStory(
  pool: Pool,
  { seed, fromS, stepS }: { readonly seed: number; readonly fromS: number; readonly stepS: number },
): Promise<Arrived[]> {
  const random = randoms(seed);
  const arrived: Arrived[] = [];
  for (let m = 1; m <= meters; m++) {
    const meter = `M-${seed}-${m}`;
    for (const key of ['one', 'two']) {
      const device = await newDevice(pool, meter, { key: `${meter} ${key}` });
      let seq = 0;
      for (let hour = 0; hour < hours; hour++) {
        const start = fromS + hour * stepS;
        // The first key's readings are at multiples of 300 s; the second's fall on some of them.
        const every = key === 'one' ? 300 : 100 * (1 + random(6));
        const readings = hourOfReadings(start, every, random);
        seq++;
        const bytes = device.message(seq, start, { readings });
        // After 45 days a message is stored as late, and its readings are rows like others.
        const receivedAt = start + 3600 + (random(4) === 0 ? 46 * 86_400 : random(86_400));
        arrived.push({ meter, device, bytes, readings, receivedAt });
        if (random(3) === 0) arrived.push({ meter, device, bytes, readings, receivedAt });
      }
    }
  }
  for (let i = arrived.length - 1; i > 0; i--) {
    const j = random(i + 1);
    const [a, b] = [arrived[i], arrived[j]];
    if (a !== undefined && b !== undefined) [arrived[i], arrived[j]] = [b, a];
  }
  return arrived;
}

function hourOfReadings(
  start: number,
  every: number,
  random: (limit: number) => number,
): Reading[] {
  const readings: Reading[] = [];
  for (let t = start; t <= start + 3600; t += every) {
    if (random(5) === 0 && t !== start) continue;
    const registers: Record<string, number> = { exportWh: random(1_000_000) };
    // Registers come and go, and in charts nothing forbids that they fall.
    for (const name of registerNames) if (random(2) === 0) registers[name] = random(1_000_000);
    if (random(2) === 0 && Object.keys(registers).length > 1) delete registers.exportWh;
    readings.push({ t, registers });
  }
  return readings;
}
