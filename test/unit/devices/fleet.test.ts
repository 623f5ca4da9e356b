import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { buildMessage, parseMessage } from '#core/energy/message.ts';
import { hourStartOf } from '#core/energy/hours.ts';
import { createFleet, type FleetMeter } from '#devices/fleet.ts';
import { createReadingSource, demoSchedule } from '#devices/schedule.ts';

const startS = Date.UTC(2026, 5, 1) / 1000;
const schedule = { startS, ...demoSchedule };
const meters = (seed: number): readonly FleetMeter[] =>
  createFleet(seed).flatMap((plant) => plant.meters);

function messagesOf(meter: FleetMeter, count: number): readonly string[] {
  const source = createReadingSource(meter.registers, schedule);
  return Array.from({ length: count }, (_, i) =>
    buildMessage(meter.signer, {
      v: 1,
      log: 'log.example/demo',
      plant: 'p',
      meter: meter.id,
      seq: i + 1,
      readings: source.take().readings,
    }),
  );
}

describe('the demo fleet', () => {
  it('signs the same bytes for the same seed, and others for another', () => {
    for (const [i, meter] of meters(42).entries()) {
      const again = meters(42)[i];
      const other = meters(43)[i];
      if (again === undefined || other === undefined) throw new Error('fleets of different size');
      expect(messagesOf(meter, 9)).toEqual(messagesOf(again, 9));
      expect(other.signer.kid).not.toBe(meter.signer.kid);
      expect(messagesOf(other, 9)).not.toEqual(messagesOf(meter, 9));
    }
  });

  it('has six sites in one zone, and every meter its own id and key', () => {
    const fleet = createFleet(1);
    expect(fleet.map(({ technology }) => technology)).toEqual([
      'solar',
      'wind',
      'hydro',
      'coal',
      'industry',
      'charging',
    ]);
    expect(new Set(fleet.map(({ zone }) => zone)).size).toBe(1);
    const ids = meters(1).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(new Set(meters(1).map(({ signer }) => signer.kid)).size).toBe(ids.length);
    expect(meters(1).map(({ role }) => role)).toContain('auxiliary');
  });

  it('stays below what its capacity allows in every hour of a week', () => {
    for (const { capacityW, meters: own } of createFleet(5)) {
      for (const { registers } of own) {
        const source = createReadingSource(registers, { ...schedule, messageEveryS: 3600 });
        let previous = source.take().readings[0]?.registers ?? {};
        for (let hour = 0; hour < 168; hour++) {
          const values = source.take().readings.at(-1)?.registers ?? {};
          for (const { name, unit } of registers) {
            const grown = (values[name] ?? 0) - (previous[name] ?? 0);
            expect(grown).toBeGreaterThanOrEqual(0);
            if (unit === 'Wh') expect(grown).toBeLessThanOrEqual(capacityW);
            if (unit === 's') expect(grown).toBeLessThanOrEqual(3600);
          }
          previous = values;
        }
      }
    }
  });
});

describe('the readings of a meter', () => {
  const registers = createFleet(1)[0]?.meters[0]?.registers ?? [];

  it('begin with a single one at the start, then fill messages that end on the turn of the hour', () => {
    const source = createReadingSource(registers, schedule);
    const batches = Array.from({ length: 9 }, () => source.take());
    expect(batches.map(({ atS }) => (atS - startS) / 900)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(batches.map(({ readings }) => readings.length)).toEqual([
      1,
      ...Array<number>(8).fill(15),
    ]);
    expect(batches[4]?.readings.at(-1)?.t).toBe(startS + 3600);
    expect(batches[5]?.readings[0]?.t).toBe(startS + 3660);
    for (const { readings } of batches) {
      const first = readings[0]?.t ?? 0;
      expect(readings.at(-1)?.t).toBeLessThanOrEqual(hourStartOf(first) + 3600);
    }
  });

  it('go on after a crash with the values they would have had anyway', () => {
    const whole = createReadingSource(registers, schedule);
    const all = Array.from({ length: 12 }, () => whole.take()).flatMap(({ readings }) => readings);
    for (const afterS of [startS - 1, startS, startS + 900, startS + 1020, startS + 3599]) {
      const source = createReadingSource(registers, schedule, afterS);
      const first = source.nextAtS();
      const rest = Array.from({ length: 4 }, () => source.take()).flatMap((b) => b.readings);
      expect(first).toBe(Math.max(startS, startS + 900 * Math.ceil((afterS + 1 - startS) / 900)));
      expect(rest).toEqual(all.filter(({ t }) => t > afterS).slice(0, rest.length));
    }
  });

  it('refuse a schedule that does not fit the hour', () => {
    const make = (wrong: Partial<typeof schedule>) => () =>
      createReadingSource(registers, { ...schedule, ...wrong });
    expect(make({ startS: startS + 60 })).toThrow('whole hour');
    expect(make({ readingEveryS: 70 } as never)).toThrow('grid');
    expect(make({ messageEveryS: 1000 } as never)).toThrow('divide');
    expect(make({ readingEveryS: 1, messageEveryS: 3600 } as never)).toThrow('1,000');
  });

  it('make messages that parse', () => {
    for (const meter of meters(1)) {
      for (const jws of messagesOf(meter, 6)) {
        expect(parseMessage(utf8(jws)).jws.header.kid).toBe(meter.signer.kid);
      }
    }
  });
});
