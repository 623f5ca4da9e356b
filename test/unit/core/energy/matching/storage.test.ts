import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storageIssues, type Charge, type Discharge } from '#core/energy/matching/storage.ts';

const charge = (hour: number, meteredWh: number, certifiedWh = meteredWh): Charge => {
  return { certifiedWh, hour: hour * 3600, meteredWh };
};
const discharge = (hour: number, meteredWh: number): Discharge => ({
  hour: hour * 3600,
  meteredWh,
});

function issues(charges: readonly Charge[], discharges: readonly Discharge[]) {
  return storageIssues({ charges, discharges, opening: [], window: windowOf(charges, discharges) });
}
function windowOf(charges: readonly Charge[], discharges: readonly Discharge[]) {
  return {
    inWh: charges.reduce((sum, { meteredWh }) => sum + meteredWh, 0),
    outWh: discharges.reduce((sum, { meteredWh }) => sum + meteredWh, 0),
  };
}
const issued = (answer: ReturnType<typeof issues>) => answer.issues.map(({ issuedWh }) => issuedWh);
const sum = (parts: readonly number[]) => parts.reduce((a, b) => a + b, 0);
const refusing = (code: string) => expect.objectContaining({ code }) as unknown;

describe('storage', () => {
  it('issues on discharge what was certified, less its losses', () => {
    expect(issued(issues([charge(0, 100)], [discharge(1, 50), discharge(2, 40)]))).toEqual([
      50, 40,
    ]);
    expect(issued(issues([charge(0, 100, 0)], [discharge(1, 90)]))).toEqual([0]);
    expect(issued(issues([charge(0, 100)], []))).toEqual([]);
  });

  it('dilutes what is certified in part, and gives out first what came first', () => {
    expect(issued(issues([charge(0, 100, 50)], [discharge(1, 90)]))).toEqual([45]);
    const twice = [charge(0, 100, 100), charge(1, 100, 0)];
    expect(issued(issues(twice, [discharge(2, 90), discharge(3, 90)]))).toEqual([90, 0]);
  });

  it('gives out nothing that was charged later, or never', () => {
    expect(issued(issues([charge(5, 100)], [discharge(1, 90)]))).toEqual([0]);
    // More out than in: the rest was in the store before.
    expect(issued(issues([charge(0, 100)], [discharge(1, 150)]))).toEqual([100]);
    expect(issued(issues([charge(1, 100)], [discharge(1, 100)]))).toEqual([100]);
  });

  it('goes on with what is left in the store', () => {
    const window = { inWh: 100, outWh: 90 };
    const first = storageIssues({
      charges: [charge(0, 100, 50)],
      discharges: [discharge(1, 45)],
      opening: [],
      window,
    });
    expect(first.closing).toEqual([charge(0, 50, 25)]);
    const second = { charges: [], discharges: [discharge(2, 90)], opening: first.closing, window };
    expect(issued(first)).toEqual([22]);
    expect(issued(storageIssues(second))).toEqual([22]);
  });

  it('refuses a window in which nothing came out, where something did', () => {
    const question = { charges: [], discharges: [discharge(0, 1)], opening: [] };
    const window = { inWh: 9, outWh: 0 };
    expect(() => storageIssues({ ...question, window })).toThrow(refusing('window'));
    const idle = { ...question, discharges: [discharge(0, 0)], window };
    expect(issued(storageIssues(idle))).toEqual([0]);
  });

  it('refuses more certified than metered, and two records of one hour', () => {
    expect(() => issues([charge(0, 1, 2)], [])).toThrow(refusing('certified'));
    expect(() => issues([charge(0, 1), charge(0, 1)], [])).toThrow(refusing('double'));
    expect(() => issues([], [discharge(0, 1), discharge(0, 1)])).toThrow(refusing('double'));
  });

  const charges = fc
    .uniqueArray(fc.tuple(fc.nat(9), fc.nat(500), fc.nat(100)), { selector: ([h]) => h })
    .map((list) => list.map(([h, wh, percent]) => charge(h, wh, Math.floor((wh * percent) / 100))));
  const discharges = fc
    .uniqueArray(fc.tuple(fc.nat(9), fc.nat(500)), { selector: ([h]) => h })
    .map((list) => list.map(([h, wh]) => discharge(h, wh)));

  it('never issues more than was certified, discharged, or is left of it by its losses', () => {
    let seen = 0;
    fc.assert(
      fc.property(charges, discharges, charges, (into, out, opening) => {
        const window = windowOf(into, out);
        const answer = storageIssues({ charges: into, discharges: out, opening, window });
        const certified = sum([...opening, ...into].map(({ certifiedWh }) => certifiedWh));
        const all = sum(issued(answer));
        seen += all;
        expect(all + sum(answer.closing.map(({ certifiedWh }) => certifiedWh))).toBeLessThanOrEqual(
          certified,
        );
        expect(all * window.inWh).toBeLessThanOrEqual(
          certified * Math.max(window.inWh, window.outWh),
        );
        if (window.outWh <= window.inWh) {
          expect(all * window.inWh).toBeLessThanOrEqual(certified * window.outWh);
        }
        for (const { issuedWh, dischargedWh } of answer.issues) {
          expect(issuedWh >= 0 && issuedWh <= dischargedWh).toBe(true);
        }
        for (const { certifiedWh, meteredWh } of answer.closing) {
          expect(certifiedWh >= 0 && certifiedWh <= meteredWh).toBe(true);
        }
        const reversed = {
          charges: into.toReversed(),
          discharges: out.toReversed(),
          opening,
          window,
        };
        expect(storageIssues(reversed)).toEqual(answer);
      }),
      { numRuns: 500 },
    );
    expect(seen).toBeGreaterThan(0);
  });

  it('issues exactly what the design says once all charging comes before all discharging', () => {
    fc.assert(
      fc.property(charges, discharges, (into, out) => {
        const later = out.map((each) => ({ ...each, hour: each.hour + 20 * 3600 }));
        const { inWh, outWh } = windowOf(into, out);
        const certified = sum(into.map(({ certifiedWh }) => certifiedWh));
        const due = Math.min(certified, inWh === 0 ? 0 : Math.floor((certified * outWh) / inWh));
        const all = sum(issued(issues(into, later)));
        expect(all).toBe(due);
      }),
      { numRuns: 500 },
    );
  });
});
