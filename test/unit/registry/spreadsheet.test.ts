import { execFileSync } from 'node:child_process';
import { strFromU8, unzipSync } from 'fflate';
import { expect, test, vi } from 'vitest';
import { sheetRowsLimit, spreadsheetOf } from '#registry/spreadsheet.ts';

const table = {
  names: ['what', 'wh'],
  rows: [
    ['=1+1', 5],
    ['@SUM(A1)', 9_007_199_254_740_991],
    ['<&"風', undefined],
  ],
} as const;

const partOf = (bytes: Uint8Array, name: string): string =>
  strFromU8(unzipSync(bytes)[name] ?? new Uint8Array());

test('the same table gives the same bytes, whenever and wherever it is written', async () => {
  const first = await spreadsheetOf(table, { sheet: 'hours' });
  vi.useFakeTimers({ now: new Date('2031-05-05T05:05:05Z'), toFake: ['Date'] });
  try {
    expect(Buffer.compare(await spreadsheetOf(table, { sheet: 'hours' }), first)).toBe(0);
  } finally {
    vi.useRealTimers();
  }
  const elsewhere = execFileSync(
    process.execPath,
    [
      ...['--import', 'tsx', '--input-type=module', '-e'],
      `import { spreadsheetOf } from '#registry/spreadsheet.ts';
       const table = ${JSON.stringify(table)};
       // JSON knows no undefined.
       table.rows = table.rows.map((row) => row.map((cell) => cell ?? undefined));
       process.stdout.write(await spreadsheetOf(table, { sheet: 'hours' }));`,
    ],
    { env: { ...process.env, TZ: 'Asia/Shanghai' } },
  );
  expect(elsewhere.length).toBe(first.length);
  expect(Buffer.compare(elsewhere, first)).toBe(0);
});

test('no text is a formula, and no number is shown as another', async () => {
  const bytes = await spreadsheetOf(table, { sheet: 'hours' });
  const sheet = partOf(bytes, 'xl/worksheets/sheet1.xml');
  const texts = partOf(bytes, 'xl/sharedStrings.xml');
  expect(sheet).not.toContain('<f');
  expect(sheet).toContain('<v>5</v>');
  expect(texts).toContain('<t>=1+1</t>');
  expect(texts).toContain('<t>@SUM(A1)</t>');
  expect(texts).toContain('<t>9007199254740991</t>');
  expect(texts).toContain('&lt;&amp;"風');
});

test('what no sheet holds is refused', async () => {
  const rows = Array.from({ length: sheetRowsLimit }, () => []);
  await expect(spreadsheetOf({ names: [], rows }, { sheet: 'x' })).rejects.toThrow(RangeError);
  await expect(
    spreadsheetOf({ names: ['a'], rows: [['x'.repeat(40_000)]] }, { sheet: 'x' }),
  ).rejects.toThrow(RangeError);
  await expect(spreadsheetOf({ names: ['a'], rows: [[0.5]] }, { sheet: 'x' })).rejects.toThrow(
    RangeError,
  );
});
