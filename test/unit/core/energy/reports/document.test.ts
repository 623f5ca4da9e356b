import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { calendarOf } from '#core/energy/calendar.ts';
import { parseCanonical } from '#core/jcs.ts';
import { cancellationFigures, type Cancellation } from '#core/energy/reports/cancellation.ts';
import { csvBytes, type Cell } from '#core/energy/reports/csv.ts';
import { headShape, reportBytes, reportOf, tableOfReport } from '#core/energy/reports/document.ts';
import { hourlyScore } from '#core/energy/reports/score.ts';
import { hour, nextHour, refusing } from './claims.ts';

const csv = (names: readonly string[], rows: readonly (readonly Cell[])[]): string =>
  decodeUtf8(csvBytes({ names, rows }));

describe('CSV', () => {
  it('is as RFC 4180 says, with CRLF after each line', () => {
    const rows = [
      ['a,b', 1],
      ['say "so"\n', undefined],
      ['', -5],
    ];
    expect(csv(['text', 'wh'], rows)).toBe('text,wh\r\n"a,b",1\r\n"say ""so""\n",\r\n,-5\r\n');
  });

  it.each(['=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', ' =1', '＝1', '\n=1', '-'])(
    'lets no cell start a formula: %j',
    (text) => {
      const [, cell = ''] = csv(['x'], [[text]]).split(/x\r\n/);
      expect(cell.replace(/^"/, '').startsWith("'")).toBe(true);
      expect(csv([text], [])).toBe(cell);
    },
  );

  it('never starts a cell with what starts a formula, and keeps the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const line = csv(['x'], [[text]]).slice(3, -2);
        const cell = line.startsWith('"') ? line.slice(1, -1).replaceAll('""', '"') : line;
        expect(/^[=+\-@\t\r\n]/.test(cell)).toBe(false);
        expect([text, `'${text}`]).toContain(cell);
      }),
    );
  });

  it('takes whole numbers alone, and as many cells as names', () => {
    expect(() => csv(['x'], [[0.5]])).toThrow(RangeError);
    expect(() => csv(['x'], [[1, 2]])).toThrow(RangeError);
  });
});

const head = headShape.parse({
  account: 'factory',
  log: { origin: 'log.example/hourseal/2026', root: 'ab'.repeat(32), size: 46 },
  period: { from: hour, to: hour + 7200 },
  timeZone: 'Europe/Berlin',
});

describe('a report', () => {
  const hours = [
    { consumptionWh: 100, hour, matchedWh: 100, zone: 'DE' },
    { consumptionWh: 100, hour: nextHour, matchedWh: 0, zone: 'DE' },
  ];
  const figures = { hours, months: [], total: hourlyScore(hours) };

  it('is one JCS value that says what it was computed from', () => {
    const report = reportOf('hourly-score', head, { factors: [], figures });
    const bytes = reportBytes(report);
    expect(parseCanonical(bytes)).toEqual(report);
    expect(decodeUtf8(bytes)).toBe(
      `{"account":"factory","factors":[],"figures":{"hours":[{"consumptionWh":100,"hour":${hour},"matchedWh":100,"zone":"DE"},{"consumptionWh":100,"hour":${nextHour},"matchedWh":0,"zone":"DE"}],"months":[],"total":{"consumptionWh":200,"matchedWh":100,"scorePpm":500000}},"log":{"origin":"log.example/hourseal/2026","root":"${'ab'.repeat(32)}","size":46},"period":{"from":${hour},"to":${hour + 7200}},"report":"hourly-score","timeZone":"Europe/Berlin","v":1}`,
    );
  });

  it('has its rows as CSV', () => {
    expect(decodeUtf8(csvBytes(tableOfReport['hourly-score'](figures)))).toBe(
      `zone,hour,consumptionWh,matchedWh\r\nDE,${hour},100,100\r\nDE,${nextHour},100,0\r\n`,
    );
    const scope = {
      consumptionWh: 2,
      factors: [],
      locationBasedG: 3,
      marketBasedG: 4,
      matchedWh: 1,
    };
    expect(
      decodeUtf8(
        csvBytes(tableOfReport['scope-2']({ annual: scope, hourly: { ...scope, matchedWh: 0 } })),
      ),
    ).toBe(
      'matching,consumptionWh,matchedWh,locationBasedG,marketBasedG\r\nannual,2,1,3,4\r\nhourly,2,0,3,4\r\n',
    );
  });
});

describe('the figures of a cancellation', () => {
  const item = (series: string, from: number, to: number) => ({
    attributes: { source: series === 'sun' ? 'solar' : 'wind' },
    from,
    hour,
    series: `energy/${series}`,
    to,
    zone: 'DE',
  });
  const cancellation: Cancellation = {
    account: 'trader',
    beneficiary: 'factory',
    cancelledAt: 5000,
    items: [
      { ...item('wind', 251, 1000), hour: nextHour },
      item('sun', 1, 10),
      item('wind', 1, 250),
    ],
    period: { from: hour, to: hour + 7200 },
    purpose: 'RE100',
  };
  const berlin = calendarOf('Europe/Berlin');

  it('add up, by source, technology, zone and month', () => {
    expect(cancellationFigures(cancellation, berlin)).toEqual({
      byMonth: [{ name: '2026-01', wh: 1010 }],
      bySource: [
        { name: 'solar', wh: 10 },
        { name: 'wind', wh: 1000 },
      ],
      byTechnology: [{ name: 'unknown', wh: 1010 }],
      byZone: [{ name: 'DE', wh: 1010 }],
      firstHour: hour,
      lastHour: nextHour,
      totalWh: 1010,
      units: [
        { from: 1, series: 'energy/sun', to: 10 },
        { from: 1, series: 'energy/wind', to: 1000 },
      ],
    });
  });

  it('take what is cancelled in the last second of validity, and refuse it in the next', () => {
    const at = (expiresAt: number) => {
      const items = [{ ...item('sun', 1, 10), expiresAt }];
      return () => cancellationFigures({ ...cancellation, items }, berlin).totalWh;
    };
    expect(at(5001)()).toBe(10);
    expect(at(5000)).toThrow(refusing('expired'));
  });

  it('refuse nothing at all, and a unit that is there twice', () => {
    const of = (items: Cancellation['items']) => () =>
      cancellationFigures({ ...cancellation, items }, berlin);
    expect(of([])).toThrow(refusing('items'));
    expect(of([item('sun', 1, 2), item('sun', 2, 3)])).toThrow(refusing('overlap'));
  });
});
