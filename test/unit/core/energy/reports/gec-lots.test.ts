import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { gecLots, gecValidUntil, type GecPlant } from '#core/energy/reports/gec-lots.ts';
import { isExpired } from '#core/energy/reports/claim.ts';
import type { Bundle } from '#core/energy/matching/question.ts';
import { refusing } from './claims.ts';

const utc = (text: string) => Date.parse(`${text}Z`) / 1000;
const tradable: GecPlant = { class: 'tradable', isStandAloneStorage: false };
const plants = new Map<string, GecPlant>([
  ['energy/wind', tradable],
  ['energy/hydro', { ...tradable, class: 'non-tradable' }],
  ['energy/battery', { ...tradable, isStandAloneStorage: true }],
]);

function bundle(at: string, from: number, wh: number): Bundle {
  const series = 'energy/wind';
  return { attributes: {}, from, hour: utc(at), series, to: from + wh - 1, zone: 'CN' };
}

describe('lots for Chinese green certificates', () => {
  it('are of 1,000 kWh, the remainder moving into the next month of China', () => {
    const { lots } = gecLots(
      [
        bundle('2026-01-31T15:00', 1, 2_600_000), // 23:00 on the 31st
        bundle('2026-01-31T16:00', 2_600_001, 500_000), // 00:00 on the 1st
      ],
      plants,
    );
    expect(lots).toEqual([
      {
        carriedInWh: 0,
        carriedOutWh: 600_000,
        class: 'tradable',
        gecs: 2,
        generatedWh: 2_600_000,
        month: '2026-01',
        series: 'energy/wind',
        units: [{ from: 1, to: 2_000_000 }],
        validUntil: utc('2027-12-31T16:00'),
      },
      {
        carriedInWh: 600_000,
        carriedOutWh: 100_000,
        class: 'tradable',
        gecs: 1,
        generatedWh: 500_000,
        month: '2026-02',
        series: 'energy/wind',
        units: [{ from: 2_000_001, to: 3_000_000 }],
        validUntil: utc('2028-01-31T16:00'),
      },
    ]);
  });

  it('are valid 24 calendar months, the month of production included, to the last second', () => {
    const until = gecValidUntil(utc('2024-02-29T15:00'));
    expect(until).toBe(utc('2026-01-31T16:00'));
    expect([until - 1, until].map((t) => isExpired(t, until))).toEqual([false, true]);
  });

  it('have their class, and none are for storage that stands alone', () => {
    const bundles = [
      { ...bundle('2026-01-01T00:00', 1, 1_000_000), series: 'energy/battery' },
      { ...bundle('2026-01-01T00:00', 1, 1_000_000), series: 'energy/hydro' },
    ];
    const result = gecLots(bundles, plants);
    expect(result.lots.map(({ class: of, gecs }) => [of, gecs])).toEqual([['non-tradable', 1]]);
    expect(result.excluded).toEqual([
      { reason: 'storage', series: 'energy/battery', wh: 1_000_000 },
    ]);
  });

  it('refuse what is there twice, and plants that nobody described', () => {
    const twice = [bundle('2026-01-01T00:00', 1, 9), bundle('2026-01-01T01:00', 9, 9)];
    expect(() => gecLots(twice, plants)).toThrow(refusing('overlap'));
    expect(() =>
      gecLots([{ ...bundle('2026-01-01T00:00', 1, 9), series: 'energy/x' }], plants),
    ).toThrow(refusing('plant'));
  });

  it('lose nothing: what was carried in and generated is in lots or carried out', () => {
    const drawn = fc.array(fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 3_000_000 })), {
      maxLength: 30,
    });
    fc.assert(
      fc.property(drawn, (list) => {
        let from = 1;
        const bundles = list.map(([hours, wh]) => {
          const made = { ...bundle('2025-01-01T00:00', from, wh) };
          from += wh;
          return { ...made, hour: made.hour + hours * 3600 };
        });
        const { lots } = gecLots(bundles, plants);
        let carried = 0;
        for (const lot of lots) {
          expect(lot.carriedInWh).toBe(carried);
          expect(lot.carriedInWh + lot.generatedWh).toBe(lot.gecs * 1_000_000 + lot.carriedOutWh);
          const units = lot.units.reduce((sum, { from: a, to }) => sum + to - a + 1, 0);
          expect(units).toBe(lot.gecs * 1_000_000);
          carried = lot.carriedOutWh;
        }
        expect(carried).toBeLessThan(1_000_000);
        expect(gecLots(bundles.toReversed(), plants).lots).toEqual(lots);
      }),
    );
  });
});
