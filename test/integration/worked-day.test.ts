import { readFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { openingPath, parseOpening } from '#core/certificate/commitment.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { specOf, type SpecOf } from '#core/certificate/kinds.ts';
import type { Quality } from '#core/certificate/specs/hours.ts';
import type { Range } from '#core/certificate/specs/parts.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import type { Pool } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { fences, formatsPage, replaceChapter } from '#support/formats-page.ts';
import { onEachEngine } from '#support/postgres.ts';
import { replayLog } from '#support/replay-log.ts';
import { rowsInMemory } from '#support/rows-in-memory.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { runWorkedDay, type WorkedDay } from '#support/worked-day.ts';
import { dayChapter, dayEntry, dayExamples, daySpec } from '#support/worked-day-page.ts';
import { dayVector, provedBundle } from '#support/worked-day-page.ts';

removeTestFolders();

interface Paper {
  readonly entry: string;
  /** Register differences: what the plant fed in, inside the hour, and what it took, widened. Wh. */
  readonly fed: number;
  readonly taken: number;
  readonly quality?: Quality;
  readonly issued?: readonly [number, number];
  readonly withdrawn?: readonly [number, number];
  readonly netted?: number;
  /** Of the plant, after the entry. */
  readonly deficit?: number;
}

/**
 * The figures of the solar plant's day, worked out on paper from what its meters show, so that the
 * golden entries are right and not only unchanged:
 *
 *     SOLAR-1, fed in                                     SOLAR-2, taken
 *     10:00 1000   10:30 1600   11:00 3000 (set aside)    10:00 500, and 100 more every hour;
 *     11:15 3400   11:30 3800   11:45 4200   12:00 4600   that of 20:00 comes too late
 *     12:10 4800   12:20 5000 (outage)
 *     12:40 5500   13:00 6000   13:30 6400   14:00 6800   14:30 7300   15:00 7800
 *     15:30 8200   16:00 8600   16:20 8900   16:30 9100 -> 0 (exchange)   17:00 800
 *     17:30 2100 or 1300 (fork)   18:00 1700   18:30 2200 -> 18:40 40 (reset)   19:00 540
 *     20:00 940   21:00 1240
 */
const paper: readonly Paper[] = [
  { entry: 'hour', fed: 3000 - 1000, taken: 600 - 500, issued: [1, 1900] },
  { entry: 'hour-rotated', fed: 4600 - 3000, taken: 700 - 600, issued: [1901, 3400] },
  // Nothing after 12:20 has arrived: 400 - 100 = 300.
  {
    entry: 'hour-partial',
    fed: 5000 - 4600,
    taken: 800 - 700,
    quality: 'partial',
    issued: [3401, 3700],
  },
  // 1400 - 100 = 1300, of which 300 are issued.
  { entry: 'hour-correction-more', fed: 6000 - 4600, taken: 800 - 700, issued: [3701, 4700] },
  { entry: 'hour-13', fed: 6800 - 6000, taken: 900 - 800, issued: [4701, 5400] },
  { entry: 'hour-14', fed: 7800 - 6800, taken: 1000 - 900, issued: [5401, 6300] },
  // 600 - 100 = 500 where 1900 were certified: of 1400, only 1501 to 1900 are left to withdraw.
  {
    entry: 'hour-correction-less',
    fed: 1600 - 1000,
    taken: 600 - 500,
    quality: 'partial',
    withdrawn: [1501, 1900],
    deficit: 1000,
  },
  // 1200 - 100 = 1100 where 1500 were: 400 fewer, the highest of 1901 to 3400.
  {
    entry: 'hour-correction-less-rotated',
    fed: 4600 - 3400,
    taken: 700 - 600,
    quality: 'partial',
    withdrawn: [3001, 3400],
    deficit: 1000,
  },
  // 800 - 100 = 700, all of it owed; then 300 are.
  { entry: 'hour-netted', fed: 8600 - 7800, taken: 1100 - 1000, netted: 700, deficit: 300 },
  // 500 + 800 - 100 = 1200, less 300.
  {
    entry: 'hour-exchange',
    fed: 9100 - 8600 + (800 - 0),
    taken: 1200 - 1100,
    netted: 300,
    issued: [6301, 7200],
  },
  { entry: 'hour-disputed', fed: 0, taken: 0, quality: 'disputed' },
  { entry: 'hour-correction-decided', fed: 1700 - 800, taken: 1300 - 1200, issued: [7201, 8000] },
  { entry: 'hour-reset', fed: 0, taken: 0, quality: 'disputed' },
  {
    entry: 'hour-correction-break',
    fed: 2200 - 1700 + (540 - 40),
    taken: 1400 - 1300,
    quality: 'partial',
    issued: [8001, 8900],
  },
  // Without the reading of 20:00, 200 are taken from either of the last two hours.
  {
    entry: 'hour-19',
    fed: 940 - 540,
    taken: 1600 - 1400,
    quality: 'partial',
    issued: [8901, 9100],
  },
  {
    entry: 'hour-20',
    fed: 1240 - 940,
    taken: 1600 - 1400,
    quality: 'partial',
    issued: [9101, 9200],
  },
  { entry: 'hour-correction-19-seen', fed: 940 - 540, taken: 1600 - 1400, quality: 'partial' },
  { entry: 'hour-correction-20-seen', fed: 1240 - 940, taken: 1600 - 1400, quality: 'partial' },
  { entry: 'hour-correction-19', fed: 940 - 540, taken: 1500 - 1400, issued: [9201, 9300] },
  { entry: 'hour-correction-20', fed: 1240 - 940, taken: 1600 - 1500, issued: [9301, 9400] },
];

/** What the mill's commitments hide: Wh between the readings that count inside the hour. */
const millPaper = [
  { entry: 'hour-committed', consumption: 50_700 - 50_000, messages: 1, quality: 'measured' },
  // Of 11:00 there is one reading and then none before 12:30, whose message brackets the hour.
  { entry: 'hour-committed-partial', consumption: 0, messages: 2, quality: 'partial' },
  {
    entry: 'hour-correction-committed',
    consumption: 51_300 - 50_700,
    messages: 2,
    quality: 'measured',
  },
  { entry: 'hour-committed-last', consumption: 52_000 - 51_300, messages: 2, quality: 'measured' },
] as const;

/** Every hour's units and what became of them. */
const bundles: readonly (readonly [number, number, 'active' | 'cancelled' | 'withdrawn'])[] = [
  [1, 1500, 'cancelled'],
  [1501, 1900, 'withdrawn'],
  [1901, 3000, 'active'],
  [3001, 3400, 'withdrawn'],
  [3401, 3700, 'active'],
  [3701, 4700, 'active'],
  [4701, 5400, 'active'],
  [5401, 6300, 'active'],
  [6301, 7200, 'active'],
  [7201, 8000, 'active'],
  [8001, 8900, 'active'],
  [8901, 9100, 'active'],
  [9101, 9200, 'active'],
  [9201, 9300, 'active'],
  [9301, 9400, 'active'],
];

const range = (ends: readonly [number, number] | undefined): Range[] =>
  ends === undefined ? [] : [{ from: ends[0], to: ends[1] }];

function openHour(
  entries: WorkedDay['entries'],
  name: string,
): Extract<SpecOf<'hour' | 'hour-correction'>, { generation: number }> {
  const { kind, spec } = parseEntry(utf8(dayEntry(entries, name).jcs));
  const parsed = kind === 'hour' ? specOf.hour.parse(spec) : specOf['hour-correction'].parse(spec);
  if ('commitment' in parsed) throw new Error(`${name} is committed`);
  return parsed;
}

const vector = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../vectors/${name}`, import.meta.url)));

onEachEngine('the worked day', (start) => {
  let pool: Pool;
  let day: WorkedDay;
  beforeAll(async () => {
    ({ pool } = await start());
    day = await runWorkedDay(pool, scratchFolder());
  });

  test('is written by the ledger byte for byte as in the vectors and on the page', async () => {
    expect(dayVector(day.entries)).toBe(decodeUtf8(vector('worked-day.json')));
    const page = readFileSync(formatsPage, 'utf8');
    expect(replaceChapter(page, 'A worked day', dayChapter(day.entries))).toBe(page);
    const shown = fences((info) => info.includes('example='));
    for (const [name, text] of await dayExamples(pool, day)) {
      expect(shown.get(`text example=${name}`)).toBe(`${text}\n`);
    }
  });

  test('has the figures that its registers give on paper', () => {
    const hours = day.entries.filter(
      ({ jcs }) => jcs.includes('"kind":"hour') && jcs.includes('"generation"'),
    );
    // All that state figures, but for the one that is void.
    expect(paper.map(({ entry }) => dayEntry(day.entries, entry))).toEqual(
      hours.filter(({ jcs }) => jcs !== dayEntry(day.entries, 'broken-hour').jcs),
    );
    for (const { entry, fed, taken, quality = 'measured', ...moved } of paper) {
      const spec = openHour(day.entries, entry);
      const {
        issued,
        withdrawn = [],
        netted,
        deficit,
      } = {
        withdrawn: undefined,
        ...spec.certificates,
      };
      expect({
        entry,
        generation: spec.generation,
        quality: spec.quality,
        issued: issued === undefined ? [] : [issued],
        withdrawn,
        netted,
        deficit,
      }).toEqual({
        entry,
        generation: fed - taken,
        quality,
        issued: range(moved.issued),
        withdrawn: range(moved.withdrawn),
        netted: moved.netted ?? 0,
        deficit: moved.deficit ?? 0,
      });
    }
  });

  test('hides the figures that the mill has on paper', async () => {
    const folder = openLogFolder(day.folder);
    for (const { entry, ...figures } of millPaper) {
      const { spec } = parseEntry(utf8(dayEntry(day.entries, entry).jcs));
      expect(spec).not.toHaveProperty('consumption');
      const { commitment } = spec as { commitment: string };
      const opening = parseOpening((await folder.read(openingPath(commitment))) ?? utf8(''));
      expect({ entry, ...opening.opening }).toEqual({ entry, ...figures });
    }
  });

  test('leads to the balance of its hours when it is folded again', () => {
    const { state } = replayLog(day.entries.map(({ jcs }) => utf8(jcs)));
    const { issuedWh, withdrawnWh, deficitWh, certifiedWh, hours } =
      state.plants.get('solar') ?? expect.fail('no plant');
    expect({ issuedWh, withdrawnWh, deficitWh, certifiedWh }).toEqual({
      issuedWh: 9400,
      withdrawnWh: 400 + 400,
      deficitWh: 0,
      certifiedWh: 500 + 1100 + 1300 + 700 + 900 + 700 + 1200 + 800 + 900 + 300 + 200,
    });
    expect(issuedWh - withdrawnWh - deficitWh).toBe(certifiedWh);
    expect(rowsInMemory(hours).size).toBe(11);
    expect([...state.violations].map(([index, { code, voided }]) => [index, code, voided])).toEqual(
      [
        [dayEntry(day.entries, 'broken-cancel').index, 'frozen', true],
        [dayEntry(day.entries, 'broken-hour').index, 'batch', true],
      ],
    );
    const { prev } = daySpec(day.entries, 'hour-19', 'hour');
    const { index, leafHash } = dayEntry(day.entries, 'broken-hour');
    expect(prev).toEqual({ index, leafHash });
  });

  test('leaves the bundles of its hours in the database', async () => {
    const rows = await pool.rows<{ from: number; to: number; state: string }>(
      `select lower(range) as "from", upper(range) - 1 as "to", state from bundle order by 1`,
    );
    expect(rows.map(({ from, to, state }) => [from, to, state])).toEqual(bundles);
  });

  test('proves every bundle in a file of which no step fails', async () => {
    const proofs = await day.ledger.proofs();
    for (const [from, to, state] of bundles) {
      const bundle = { series: 'energy/solar', from, to };
      const file = encodeProof(await proofs.collect(bundle));
      const { steps, result } = verifyProof(file);
      const failed = steps.filter((step) => step.result === 'fail');
      expect({ bundle, state, failed }).toEqual({ bundle, state, failed: [] });
      expect(result).toBe('undecided');
    }
    const shown = encodeProof(await proofs.collect(provedBundle));
    expect(shown).toEqual(vector('proof-example.hourseal.json'));
  });

  test('passes an audit of its files', async () => {
    const report = await auditLog(day.folder);
    expect(report.findings).toEqual([]);
    expect(report).toMatchObject({ size: day.entries.length, voided: 2 });
  });
});
