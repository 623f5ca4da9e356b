import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { run } from '#cli/run.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import type { FindingCode } from '#core/energy/validation/findings.ts';
import type { Fault } from '#devices/faults.ts';
import { createFleet } from '#devices/fleet.ts';
import { readVerdicts } from '#ingestion/validation/verdict-store.ts';
import type { Pool } from '#platform/postgres.ts';
import { styleOf } from '#platform/terminal.ts';
import { fleetStartS as t0, startFleetNetwork, type FleetNetwork } from '#support/fleet-network.ts';
import { onEachEngine } from '#support/postgres.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';
import { until } from './rig.ts';

removeTestFolders();

/** Each fault that the simulated fleet knows, in the second hour, on a meter of its own. */
const hour = t0 + hourSeconds;
const atS = hour + 1800;
const faults: Fault[] = [
  { kind: 'tamper', meter: 'SOLAR-1', atS },
  { kind: 'replay', meter: 'WIND-1', atS, other: { plant: 'solar-gonghe', meter: 'SOLAR-1' } },
  { kind: 'fork', meter: 'CHARGE-1', atS },
  { kind: 'register-reset', meter: 'COAL-1', atS },
  { kind: 'clock-drift', meter: 'WORKS-1', atS, untilS: hour + hourSeconds, driftS: 300 },
  { kind: 'offline', meter: 'HYDRO-1', atS, untilS: hour + 5 * hourSeconds },
];
const deadlineS = 2 * hourSeconds;
/** What is incomplete has been sealed at its deadline by then. */
const sealedS = hour + hourSeconds + deadlineS + 60;
const meters = createFleet(1).flatMap((plant) => plant.meters).length;
const lastS = hour + 8 * hourSeconds;

async function whenJudged(pool: Pool): Promise<void> {
  await until(async () => {
    const { open } = await pool.row<{ open: number }>(
      `select ((select count(*) from validation_due) + (select count(*) from hour_value where
        entry_index > (select through_index from validation_progress)))::integer as open`,
    );
    return open === 0;
  });
}

async function codes(pool: Pool, meter: string, start = hour): Promise<readonly FindingCode[]> {
  const all = await readVerdicts(pool, { meter, sinceS: start, clean: true });
  const found = all.find((one) => one.start === start);
  if (found === undefined) throw new Error(`${meter} was not judged`);
  return found.findings.map(({ code }) => code);
}

async function hourseal(...args: string[]): Promise<{ code: number; stdout: string }> {
  let stdout = '';
  const command = ['meter', 'verdicts', ...args, '--since', '9999d', '--data', '/nowhere'];
  const code = await run(command, {
    out: (text) => (stdout += text),
    err: () => undefined,
    style: styleOf({}, {}),
  });
  return { code, stdout };
}

interface ChartRow {
  readonly start: number;
  readonly value: number;
  readonly method: string;
}

const chart = (pool: Pool, meter: string, register: string): Promise<ChartRow[]> =>
  pool.rows<ChartRow>(
    `select start, value, method from chart_hour join meter using (meter_id)
      where meter = $1 and register = $2 order by start`,
    [meter, register],
  );

onEachEngine('validation of the simulated fleet', (start, engine) => {
  let pool: Pool;
  let url: string;
  let fleet: FleetNetwork;
  beforeAll(async () => {
    ({ pool, connectionString: url } = await start());
    fleet = await startFleetNetwork(pool, {
      plants: createFleet(1),
      faults,
      root: scratchFolder(),
      deadlineS,
    });
    // A clock that runs ahead shows only where time passes as it does.
    await fleet.runTo(hour + hourSeconds, 900);
    await fleet.runTo(sealedS);
    await whenJudged(pool);
  }, 600_000);
  afterAll(async () => {
    await fleet.stop();
  });

  test('finds each fault under its code, and only there', async () => {
    // What was altered on the way, or sent again, never became a reading.
    expect(await codes(pool, 'SOLAR-1')).toEqual([]);
    expect(await codes(pool, 'WIND-1')).toEqual([]);
    expect(await codes(pool, 'CHARGE-1')).toEqual(['frozen']);
    expect(await codes(pool, 'COAL-1')).toEqual(expect.arrayContaining(['monotonic', 'reset']));
    expect(await codes(pool, 'WORKS-1')).toEqual(['clock', 'gap']);
    expect(await codes(pool, 'HYDRO-1')).toEqual(expect.arrayContaining(['gap', 'unbounded']));
    expect(await codes(pool, 'HYDRO-1-AUX')).toEqual([]);
    // The hour before the faults is clean for everybody.
    const first = await readVerdicts(pool, { meter: undefined, sinceS: t0, clean: true });
    const clean = first.filter((one) => one.start === t0);
    expect(clean.map(({ findings }) => findings)).toEqual(Array.from({ length: meters }, () => []));
    const offline = await chart(pool, 'HYDRO-1', 'exportWh');
    expect(offline.map(({ method }) => method)).toEqual(['measured']);
  });

  test('judges again what comes late, and keeps what it said before', async () => {
    await fleet.runTo(lastS);
    await whenJudged(pool);
    expect(await codes(pool, 'HYDRO-1')).toEqual([]);
    const versions = await pool.rows<{ version: number; codes: string; entry_index: number }>(
      `select version, entry_index, (select string_agg(f ->> 'code', ',') from
          jsonb_array_elements(findings) f) as codes
         from hour_verdict join meter using (meter_id)
        where meter = 'HYDRO-1' and start = $1 order by version`,
      [hour],
    );
    expect(versions.map(({ version, codes: said }) => [version, said])).toEqual([
      [1, expect.stringContaining('gap')],
      [2, null],
    ]);
    expect(versions[1]?.entry_index).toBeGreaterThan(versions[0]?.entry_index ?? Infinity);
    const series = await chart(pool, 'HYDRO-1', 'exportWh');
    expect(new Set(series.map(({ method }) => method))).toEqual(new Set(['measured']));
    expect(series.length).toBe(9);
  });

  // The command needs a second session, which the embedded engine has not.
  if (engine === 'postgres') {
    test('shows them by `hourseal meter verdicts`, and ends with 4 where something was found', async () => {
      vi.stubEnv('DATABASE_URL', url);
      const shown = await hourseal('COAL-1');
      expect(shown.code).toBe(4);
      const head = '2025-06-21T01:00:00Z  coal-lingwu/COAL-1\n';
      expect(shown.stdout).toContain(head);
      expect(shown.stdout).toMatch(/^ {2}reset {6}a register shrinks/m);
      const lines = (await hourseal('WORKS-1', '--json', '--clean')).stdout.trim().split('\n');
      const all = lines.map((line) => JSON.parse(line) as { start: number; findings: unknown });
      expect(all.length).toBeGreaterThan(3);
      expect(all[0]).toMatchObject({ start: t0, version: 1, rules: 1, findings: [] });
      expect(all[1]).toMatchObject({
        start: hour,
        findings: [
          { code: 'clock', inRecord: false, limit: 0 },
          { code: 'gap', inRecord: false, limit: 900 },
        ],
      });
      expect(await hourseal('WIND-1')).toEqual({ code: 0, stdout: '' });
      expect(await hourseal('nobody')).toMatchObject({ code: 3 });
    });
  }

  test('stores verdicts that nobody can change, each version once', async () => {
    await expect(pool.run(`update hour_verdict set findings = '[]'`)).rejects.toThrow(
      'append-only',
    );
    await expect(pool.run(`delete from hour_verdict`)).rejects.toThrow('append-only');
    const row = `insert into hour_verdict select meter_id, start, $1, entry_index, $2, 0, $3::jsonb
      from hour_verdict order by meter_id, start limit 1`;
    await expect(pool.run(row, [1, 1, '[]'])).rejects.toMatchObject({ code: '23505' });
    await expect(pool.run(row, [9, 0, '[]'])).rejects.toMatchObject({ code: '23514' });
    await expect(pool.run(row, [9, 1, '{}'])).rejects.toMatchObject({ code: '23514' });
  });
});
