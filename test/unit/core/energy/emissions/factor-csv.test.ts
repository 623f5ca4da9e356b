import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { factorRowOf, isValidAt } from '#core/energy/emissions/factor-set.ts';
import { csvLimit, parseFactorCsv } from '#core/energy/emissions/factor-csv.ts';
import { Refused } from '#core/errors.ts';

const head = 'set,version,zone,scope,year,factor,unit,source';
const row = 'grid,2023,CN,location,2023,0.5306,kgCO2/kWh,a notice';
const csv = (...rows: readonly string[]): string => [head, ...rows].join('\n');

function refusal(text: string): string {
  try {
    parseFactorCsv(text);
  } catch (error) {
    if (error instanceof Refused) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'none';
}

describe('a table of factors', () => {
  it('becomes sets of whole milligrams', () => {
    const text = readFileSync(
      new URL('../../../../vectors/emission-factors.csv', import.meta.url),
      'utf8',
    );
    const sets = parseFactorCsv(text);
    const found = (set: string, version: string) =>
      sets.find((one) => one.set === set && one.version === version);
    expect(sets).toHaveLength(13);
    const average = found('cn-grid-average', '2023');
    expect(average?.rows).toEqual([
      {
        gas: 'CO2',
        mg: 530_600,
        per: 'kWh',
        scope: 'location',
        source: 'MEE/NBS notice on electricity CO2 emission factors (as reprinted)',
        year: 2023,
        zone: 'CN',
      },
    ]);
    expect(average?.validity).toEqual({ from: 1_672_531_200 });
    const defra = found('defra', '2020')?.rows ?? [];
    expect(defra.map(({ mg, per }) => [mg, per])).toEqual([
      [233_140, 'kWh'],
      [183_870, 'kWh'],
      [203_740, 'kWh'],
      [2_546_030, 'L'],
      [2_380_010_000, 't'],
    ]);
    expect(found('lifecycle', 'em-defaults')?.rows[0]?.mg).toBe(820_000);
  });

  it('takes quotes, a byte order mark, and the line ends of all systems', () => {
    const quoted = row.replace('a notice', '"a ""notice"", 2"');
    const text = `\ufeff${head}\r\n${quoted}\r\n\r\n`;
    expect(parseFactorCsv(text)[0]?.rows[0]?.source).toBe('a "notice", 2');
  });

  it('may say from when to when a set is valid, the last day included', () => {
    const text = `${head},validFrom,validTo\n${row},2024-01-01,2024-12-31\n`;
    const validity = parseFactorCsv(text)[0]?.validity ?? { from: 0 };
    expect(validity).toEqual({ from: 1_704_067_200, to: 1_735_689_600 });
    expect(isValidAt(validity, 1_704_067_199)).toBe(false);
    expect(isValidAt(validity, 1_735_689_599)).toBe(true);
    expect(isValidAt(validity, 1_735_689_600)).toBe(false);
    expect(isValidAt({ from: 0 }, 1_735_689_600)).toBe(true);
  });

  it.each([
    ['a number of another spelling', row.replace('0.5306', '.5306'), 'factor'],
    ['a negative number', row.replace('0.5306', '-1'), 'factor'],
    ['a zero too many', row.replace('0.5306', '00.5'), 'factor'],
    ['more than a milligram can say', row.replace('0.5306', '0.5306001'), 'factor'],
    ['a number beyond 2^53', row.replace('0.5306', '999999999999'), 'factor'],
    ['an unknown unit', row.replace('kgCO2/kWh', 'lb/MWh'), 'unit'],
    ['no year', row.replace('2023,0', '23,0'), 'form'],
    ['no set', row.replace('grid', ''), 'form'],
    ['an id that is none', row.replace('location', 'all of it'), 'form'],
    ['no source', row.replace('a notice', ''), 'form'],
    ['a cell too few', 'grid,2023', 'csv'],
    ['the same row again', row, 'double'],
    ['another year of the same version', row.replace('2023,0', '2024,0'), 'validity'],
  ])('refuses %s, and names its line', (_name, wrong, code) => {
    expect(refusal(csv(row, wrong))).toMatch(new RegExp(`^${code}: line 3: `));
  });

  it.each([
    ['an empty file', '', 'csv'],
    ['a head without rows', head, 'csv'],
    ['a column that nobody knows', `${head},note\n${row},x`, 'csv'],
    ['a column twice', `${head},set\n${row},grid`, 'csv'],
    ['a missing column', 'set,version\ngrid,1', 'csv'],
    ['a quote that does not end', csv(row.replace('a notice', '"a notice')), 'csv'],
    ['a quote within a cell', csv(row.replace('a notice', 'a "notice"')), 'csv'],
    ['too much', 'x'.repeat(csvLimit + 1), 'csv'],
  ])('refuses %s', (_name, text, code) => {
    expect(refusal(text)).toMatch(new RegExp(`^${code}: `));
  });

  it.each(['2024-02-30', '2024-1-1', 'today', '1969-12-31'])('refuses the date %s', (date) => {
    expect(refusal(`${head},validFrom\n${row},${date}`)).toMatch(/^validity: line 2/);
  });

  it('refuses an end before the beginning, and more rows than an entry holds', () => {
    const ends = `${head},validFrom,validTo\n${row},2024-01-02,2024-01-01`;
    expect(refusal(ends)).toMatch(/^validity: line 2/);
    const many = Array.from({ length: 201 }, (_, i) => row.replace('CN', `CN-${i}`));
    expect(refusal(csv(...many))).toMatch(/^csv: line 202/);
    expect(parseFactorCsv(csv(...many.slice(1)))[0]?.rows).toHaveLength(200);
  });

  it('names the line of a row behind one of several lines', () => {
    const long = row.replace('a notice', '"a\nnotice"');
    expect(refusal(csv(row, long))).toMatch(/^form: line 3/);
    expect(refusal(csv(row, row.replace('CN', '"C\nN"')))).toMatch(/^form: line 3/);
  });
});

describe('a factor', () => {
  const rows = parseFactorCsv(
    csv(
      row,
      row.replace('CN', '*').replace('0.5306', '0.4'),
      row.replace('kWh', 'L').replace('0.5306', '2'),
    ),
  ).flatMap((set) => set.rows);

  it('is that of the zone, else of all zones, else none', () => {
    const mg = (zone: string, scope = 'location') => factorRowOf(rows, { scope, zone })?.mg;
    expect([mg('CN'), mg('DE'), mg('CN', 'residual')]).toEqual([530_600, 400_000, undefined]);
    expect(factorRowOf(rows, { scope: 'location', zone: 'CN' }, 'L')?.mg).toBe(2_000_000);
  });

  it('is that of the newest year', () => {
    const years = [2021, 2023, 2022].map((year) => ({ ...rows[0], year }));
    const all = years as typeof rows;
    expect(factorRowOf(all, { scope: 'location', zone: 'CN' })?.year).toBe(2023);
  });
});
