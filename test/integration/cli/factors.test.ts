import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { run } from '#cli/run.ts';
import { createKeyFile } from '#platform/keys.ts';
import { styleOf } from '#platform/terminal.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';

/** Emission factors out of a table, by commands alone. */

const folder = mkdtempSync(join(tmpdir(), 'hourseal-factors-'));
const data = join(folder, 'data');
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});
const at = (file: string): string => join(folder, file);
const table = fileURLToPath(new URL('../../vectors/emission-factors.csv', import.meta.url));

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function hourseal(...args: readonly string[]): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const code = await run([...args, '--data', data], {
    out: (text) => (said.stdout += text),
    err: (text) => (said.stderr += text),
    style: styleOf({}, {}),
  });
  return { code, ...said };
}

async function ends(...args: readonly string[]): Promise<string> {
  const ended = await hourseal(...args);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 0, stderr: '' });
  return ended.stdout;
}

async function requireRefusal(args: readonly string[], why: RegExp): Promise<void> {
  const ended = await hourseal(...args);
  expect(ended, JSON.stringify(ended)).toMatchObject({ code: 3, stdout: '' });
  expect(ended.stderr).toMatch(why);
}

onPostgres('emission factors, by commands', (start) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
  });
  afterAll(() => database.stop());
  beforeEach(() => {
    vi.stubEnv('DATABASE_URL', database.connectionString);
  });

  test('a wrong row names its line, and nothing is loaded', async () => {
    await ends('init', '--origin', 'log.example/factors');
    const text = await readFile(table, 'utf8');
    await writeFile(at('wrong.csv'), text.replace('0.5306', '0,5306'));
    await requireRefusal(['factors', 'load', at('wrong.csv')], /wrong\.csv: line 4: /);
    expect(await ends('factors', 'list')).toBe('');
    await requireRefusal(['factors', 'load', at('none.csv')], /there is no such file/);
  });

  test('a table is loaded once, and listed', async () => {
    const entered = await ends('factors', 'load', table);
    expect(entered.match(/^entry \d+: factors$/gm)).toHaveLength(13);
    expect(await ends('factors', 'load', table)).not.toContain('entry');
    const listed = (await ends('factors', 'list')).trimEnd().split('\n');
    expect(listed).toHaveLength(13);
    expect(listed[2]).toMatch(
      /^cn-grid-average 2023: 1 factor, from 2023-01-01T00:00:00Z, entry \d+$/,
    );
    const [first] = (await ends('factors', 'list', '--json')).split('\n');
    expect(JSON.parse(first ?? '')).toMatchObject({
      rows: [{ mg: 556_800, per: 'kWh', zone: 'CN' }],
      set: 'cn-grid-average',
      version: '2021',
    });
  });

  test('what is in the log is never changed', async () => {
    const text = await readFile(table, 'utf8');
    await writeFile(at('changed.csv'), text.replace('0.5306', '0.5307'));
    await requireRefusal(
      ['factors', 'load', at('changed.csv')],
      /cn-grid-average 2023 is in the log/,
    );
    const next = text.replace('cn-grid-average,2023', 'cn-grid-average,2023b');
    await writeFile(at('next.csv'), next);
    const said = await ends('factors', 'load', at('next.csv'));
    expect(said.match(/^entry \d+: factors$/gm)).toHaveLength(1);
  });

  test('a plant is named in the rules, and then reported', async () => {
    const owner = { custody: 'operator', identity: 'Coal AG', role: 'plant' };
    const plant = {
      account: 'coal',
      capacityW: 1000,
      commissionedAt: 0,
      disclosure: 'public',
      latitude: 0,
      longitude: 0,
      plant: 'coal-1',
      source: 'coal',
      technology: 'steam',
      type: 'production',
      zone: 'CN-North',
    };
    await createKeyFile(join(data, 'keys/accounts/coal.pem'), 'Ed25519');
    await writeFile(at('plant.json'), JSON.stringify({ owner, plant }));
    await ends('plant', 'add', at('plant.json'));
    const rule = { maxGramsPerHour: 1, method: 'measured', plant: 'coal-1' };
    await writeFile(at('rules.json'), JSON.stringify([{ ...rule, regime: 'none' }]));
    await requireRefusal(['emissions', 'set', at('rules.json')], /rules\.json: /);
    const rules = [{ ...rule, regime: '40-cfr-75' }];
    await writeFile(at('rules.json'), JSON.stringify([...rules, ...rules]));
    await requireRefusal(['emissions', 'set', at('rules.json')], /in two ways/);
    await writeFile(at('rules.json'), JSON.stringify(rules));
    expect(await ends('emissions', 'set', at('rules.json'))).toMatch(/^entry \d+: rules$/m);
    const asked = ['report', 'emissions', '--plant', 'coal-1', '--period', '2026-02'];
    const report: unknown = JSON.parse(await ends(...asked, '--time-zone', 'Asia/Shanghai'));
    expect(report).toMatchObject({
      account: 'coal',
      figures: { hours: [], plant: 'coal-1', totalG: 0 },
      period: { from: 1_769_875_200, to: 1_772_294_400 },
    });
    expect(await ends(...asked, '--format', 'csv')).toMatch(/^start,grams,[A-Za-z,]+\r\n$/);
    await ends(...asked, '--out', at('report.json'));
    await requireRefusal([...asked, '--out', at('report.json')], /is there already/);
    await requireRefusal([...asked, '--format', 'xml'], /not json or csv/);
    await writeFile(at('rules.json'), '[]');
    expect(await ends('emissions', 'set', at('rules.json'))).toMatch(/^entry \d+: rules$/m);
  });

  test.each([
    ['2026-02-30', 'UTC', /no year, month or day/],
    ['26', 'UTC', /no year, month or day/],
    ['1969', 'UTC', /no year, month or day/],
    ['2026', 'Nowhere/At', /no time zone/],
    ['2026', 'UTC', /no plant coal is in the log/],
  ])('a report of %s in %s is refused: there is no such thing', async (period, zone, why) => {
    const asked = ['report', 'emissions', '--plant', 'coal', '--period', period];
    await requireRefusal([...asked, '--time-zone', zone], why);
  });
});
