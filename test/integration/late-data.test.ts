import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseEntry } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { emptyState } from '#core/certificate/state/state.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import type { Step } from '#core/certificate/proof/ladder.ts';
import { verifyProof } from '#core/certificate/proof/verify.ts';
import type { Fault } from '#devices/faults.ts';
import { createFleet, type FleetMeter } from '#devices/fleet.ts';
import { createCounters, demoSchedule } from '#devices/schedule.ts';
import type { Pool } from '#platform/postgres.ts';
import { createProofFiles } from '#standalone/proof-files.ts';
import { auditLog } from '#support/audit-log.ts';
import { fleetStartS, startFleetNetwork, type FleetNetwork } from '#support/fleet-network.ts';
import { onEachEngine } from '#support/postgres.ts';
import { removeTestFolders, scratchFolder } from '#support/test-ledger.ts';

removeTestFolders();

/**
 * HYDRO-1 is offline for three days and comes back, over MQTT. Its plant's other meter is not, and the
 * second plant never is: nothing of it is ever corrected.
 */
const [plant, meter, other] = ['hydro-bapan', 'HYDRO-1', 'solar-gonghe'];
const dayS = 24 * hourSeconds;
const deadlineS = dayS;
const offlineS = fleetStartS + hourSeconds + 1800;
const backS = offlineS + 3 * dayS;
/** The hour in which the line fails, and the first one of which its meter can say nothing. */
const failingHour = fleetStartS + hourSeconds;
const firstSilentHour = failingHour + hourSeconds;
/** Just before the meter is back; hours from this one on are younger than the deadline. */
const lastLookS = backS - 1800;
const firstWaitingHour = lastLookS - deadlineS;
/** A meter that counted what it takes as well would issue nothing while it is silent. */
const plants = createFleet(1)
  .filter(({ id }) => id === plant || id === other)
  .map((of) => (of.id === plant ? { ...of, meters: of.meters.map(exportOnly) } : of));
const faults: Fault[] = [{ kind: 'offline', meter, atS: offlineS, untilS: backS }];

function exportOnly(of: FleetMeter): FleetMeter {
  if (of.id !== meter) return of;
  return { ...of, registers: of.registers.filter(({ direction }) => direction === 'export') };
}

interface HourRow {
  readonly start: number;
  readonly version: number;
  readonly generation: number;
  readonly certified: number;
  readonly quality: string;
  readonly complete: boolean;
}

const latestHours = (pool: Pool, of: string): Promise<HourRow[]> =>
  pool.rows<HourRow>(
    `select distinct on (start) start, version, generation_wh as generation,
            certified_wh as certified, quality, complete
       from hour_value join plant using (plant_id) where plant = $1 order by start, version desc`,
    [of],
  );

interface BundleRow {
  readonly from: number;
  readonly to: number;
  readonly state: string;
}

const bundles = (pool: Pool, of: string, hourStart: number): Promise<BundleRow[]> =>
  pool.rows<BundleRow>(
    `select lower(range) as "from", upper(range) - 1 as "to", state from bundle
      where series = $1 and hour_start = $2 order by 1`,
    [`energy/${of}`, hourStart],
  );

/** Wh of an hour by the plant's own counters, which no message had to carry. */
function trueEnergy(of: string): (start: number) => number {
  const meters = plants.find(({ id }) => id === of)?.meters ?? [];
  const grown = meters.flatMap(({ registers }) => {
    const values = createCounters(registers, { startS: fleetStartS, ...demoSchedule });
    const seen = new Map<number, Readonly<Record<string, number>>>();
    return registers.map(({ name, direction }) => ({
      sign: direction === 'export' ? 1 : -1,
      at: (t: number): number => {
        for (let next = fleetStartS; next <= t; next += hourSeconds) {
          if (!seen.has(next)) seen.set(next, values(next));
        }
        return seen.get(t)?.[name] ?? Number.NaN;
      },
    }));
  });
  return (start) => {
    const net = grown.map(({ sign, at }) => sign * (at(start + hourSeconds) - at(start)));
    return Math.max(
      0,
      net.reduce((sum, wh) => sum + wh, 0),
    );
  };
}

interface Balance {
  readonly issuedWh: number;
  readonly withdrawnWh: number;
  readonly deficitWh: number;
  readonly certifiedWh: number;
}

/** Folds the log anew and holds the equation of D4.3 after every entry; the balances at the end. */
async function requireBalance(pool: Pool): Promise<Map<string, Balance>> {
  const rows = await pool.rows<{ data: Uint8Array }>(`select data from log_entry order by index`);
  const state = emptyState();
  const balances = new Map<string, Balance>();
  for (const { data } of rows) {
    expect(advance(state, data).violation).toBeUndefined();
    for (const [id, at] of state.plants) {
      expect(at.issuedWh - at.withdrawnWh - at.deficitWh, id).toBe(at.certifiedWh);
      balances.set(id, at);
    }
  }
  return balances;
}

const isUndecidedLife = ({ name, result }: Step): boolean =>
  name === 'life' && result === 'unknown';

async function proofFiles(folder: string): Promise<Map<string, Buffer>> {
  const names = await readdir(folder, { recursive: true });
  const files = names.filter((name) => name.endsWith('.hourseal.json')).sort();
  const all = files.map(async (name) => [name, await readFile(join(folder, name))] as const);
  return new Map(await Promise.all(all));
}

onEachEngine('a device that was offline for three days', (start) => {
  let pool: Pool;
  let fleet: FleetNetwork;
  let before: Map<string, Buffer>;
  beforeAll(async () => {
    ({ pool } = await start());
    const root = scratchFolder();
    fleet = await startFleetNetwork(pool, { plants, faults, root });
    await fleet.runTo(lastLookS);
    before = await proofFiles(fleet.folder.proofs);
  }, 600_000);
  afterAll(async () => {
    await fleet.stop();
  });

  test('leaves hours that are sealed at the deadline with what was proved, and others that wait', async () => {
    const hours = await latestHours(pool, plant);
    expect(hours.map(({ start: at }) => at)).toEqual(
      hoursFrom(fleetStartS, firstWaitingHour - hourSeconds),
    );
    expect(hours[0]).toMatchObject({ quality: 'measured', complete: true, version: 1 });
    const [failing, ...silent] = hours.slice(1);
    // Half of the hour is proved: inside, less what the plant took itself in all of it.
    const whole = trueEnergy(plant)(failingHour);
    expect(failing).toMatchObject({ quality: 'partial', complete: false, version: 1 });
    expect(failing?.generation).toBeGreaterThan(0);
    expect(failing?.generation).toBeLessThan(whole);
    for (const hour of silent) {
      expect(hour).toMatchObject({
        generation: 0,
        quality: 'partial',
        complete: false,
        version: 1,
      });
    }
    expect([...before.keys()].filter((name) => name.startsWith(plant))).toHaveLength(2);
  });

  test('has them corrected once it is back, to what its registers say, and supplementary bundles issued', async () => {
    await fleet.enter('cancel', await mostOf(pool, fleetStartS), { account: plant });
    await fleet.runTo(backS + hourSeconds / 2);
    const hours = await latestHours(pool, plant);
    expect(hours.map(({ start: at }) => at)).toEqual(hoursFrom(fleetStartS, backS - 1800));
    const truth = trueEnergy(plant);
    for (const hour of hours) {
      const isCorrected = hour.start >= failingHour && hour.start < firstWaitingHour;
      expect(hour).toMatchObject({
        generation: truth(hour.start),
        certified: truth(hour.start),
        quality: 'measured',
        complete: true,
        version: isCorrected ? 2 : 1,
      });
      const of = await bundles(pool, plant, hour.start);
      const units = of.reduce((sum, { from, to }) => sum + to - from + 1, 0);
      expect(units).toBe(truth(hour.start));
    }
    // What the first version issued stays as it was; the rest came by the second.
    expect(await bundles(pool, plant, failingHour)).toHaveLength(2);
    expect(await bundles(pool, plant, firstSilentHour)).toHaveLength(1);
    const balance = (await requireBalance(pool)).get(plant);
    expect(balance).toMatchObject({ withdrawnWh: 0, deficitWh: 0 });
    expect((await latestHours(pool, other)).every(({ version }) => version === 1)).toBe(true);
  });

  test('loses certificates to a decision about what it sent, and owes those that are cancelled', async () => {
    // The message that ends at the turn of the first hour: of either hour 45 minutes stay proved.
    const { kid, seq } = await pool.row<{ kid: string; seq: number }>(
      `select kid, seq from message join meter_key using (key_id) join meter using (meter_id)
        where meter = $1 and t_last = $2`,
      [meter, failingHour],
    );
    const decision = { effect: 'set-aside', evidence: [], from: seq, kid, reason: 'test', to: seq };
    await fleet.enter('decision', decision, {});
    await fleet.network.ledger.step();
    const truth = trueEnergy(plant);
    const [first, failing] = await latestHours(pool, plant);
    expect([first, failing]).toMatchObject([
      { version: 2, quality: 'partial' },
      { version: 3, quality: 'partial' },
    ]);
    const fewer = truth(fleetStartS) - (first?.generation ?? 0);
    const fewerFailing = truth(failingHour) - (failing?.generation ?? 0);
    expect(Math.min(fewer, fewerFailing)).toBeGreaterThan(ownUnits);
    expect((await requireBalance(pool)).get(plant)).toMatchObject({
      withdrawnWh: ownUnits + fewerFailing,
      deficitWh: fewer - ownUnits,
    });
    await fleet.runTo(backS + 5 * hourSeconds);
    const netted = (await requireBalance(pool)).get(plant);
    expect(netted).toMatchObject({ deficitWh: 0, withdrawnWh: ownUnits + fewerFailing });
    const latest = await latestHours(pool, plant);
    expect(netted?.certifiedWh).toBe(latest.reduce((sum, { certified }) => sum + certified, 0));
  });

  test('has proof files that all verify, those from before and those from after', async () => {
    const after = await proofFiles(fleet.folder.proofs);
    expect(before.size).toBeGreaterThan(0);
    expect(after.size).toBeGreaterThan(before.size + 3 * 24);
    for (const [name, bytes] of before) expect(after.get(name), name).toEqual(bytes);
    for (const [name, bytes] of after) {
      const { steps } = verifyProof(bytes, { policy: fleet.policy });
      // A file that is older than the first `state` cannot say whose its units are; all else it proves.
      const open = steps.filter(({ result }) => result !== 'pass');
      const isOld = before.has(name) && open.every(isUndecidedLife);
      expect(isOld ? [] : open, name).toEqual([]);
    }
  });

  test('has a whole proof of every bundle when it is made anew', async () => {
    const { ledger } = fleet.network;
    await ledger.enterState();
    await ledger.step();
    const folder = join(scratchFolder(), 'proofs');
    await createProofFiles({ ledger, pool, folder }).write();
    const anew = await proofFiles(folder);
    expect([...anew.keys()]).toEqual([...(await proofFiles(fleet.folder.proofs)).keys()]);
    for (const [name, bytes] of anew) {
      const { steps, result } = verifyProof(bytes, { policy: fleet.policy });
      const open = steps.filter((step) => step.result !== 'pass');
      expect({ name, result, open }).toEqual({ name, result: 'verified', open: [] });
    }
  });

  test('leaves a log that passes an audit of its files', async () => {
    const report = await auditLog(fleet.folder.log, { policy: fleet.policy });
    expect(report.findings).toEqual([]);
    const rows = await pool.rows<{ data: Uint8Array }>(`select data from log_entry`);
    const kinds = rows.map(({ data }) => parseEntry(data).kind);
    expect(report).toMatchObject({ size: rows.length, voided: 0 });
    expect(kinds.filter((kind) => kind === 'hour-correction').length).toBeGreaterThan(2 * 24 - 2);
  });
});

/** Units of the first hour that its owner keeps active. */
const ownUnits = 100;

async function mostOf(pool: Pool, hourStart: number): Promise<object> {
  const [issued] = await bundles(pool, plant, hourStart);
  if (issued === undefined) throw new Error('nothing was issued');
  return {
    account: plant,
    beneficiary: plant,
    items: [{ from: issued.from, series: `energy/${plant}`, to: issued.to - ownUnits }],
    period: { from: hourStart, to: hourStart + hourSeconds },
    purpose: 'test',
  };
}

function hoursFrom(first: number, last: number): number[] {
  return Array.from(
    { length: (last - first) / hourSeconds + 1 },
    (_, i) => first + i * hourSeconds,
  );
}
