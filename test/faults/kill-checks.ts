import { expect } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { parseEntry } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { openCorrectionSpec, openHourSpec } from '#core/certificate/specs/hours.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { leafHash } from '#core/tlog/tree.ts';
import type { Sql } from '#platform/postgres.ts';
import { auditLog } from '#support/audit-log.ts';
import { rowsInMemory } from '#support/rows-in-memory.ts';
import type { Promises } from './kill-load.ts';
import { worldPlants } from './kill-world.ts';

const messagesSql = `
  select seq, jws, hash, code from message join meter_key using (key_id) where kid = $1 order by seq`;
const forksSql = `select jws from fork join meter_key using (key_id) where kid = $1`;
const progressSql = `
  select through_seq, chain from key_progress join meter_key using (key_id) where kid = $1`;

interface MessageRow {
  readonly seq: number;
  readonly jws: Uint8Array;
  readonly hash: Uint8Array;
  readonly code: string | null;
}

/** What was acknowledged or receipted is in the database, byte by byte, and the chains are right. */
export async function checkMessages(sql: Sql, promises: readonly Promises[]): Promise<void> {
  const faults: string[] = [];
  for (const { of, kid, signed, acknowledged, throughSeq, ...rest } of promises) {
    const say = (fault: string): unknown => faults.push(`${of.meter}: ${fault}`);
    rest.faults.forEach(say);
    const rows = await sql.rows<MessageRow>(messagesSql, [kid]);
    const stored = new Map(rows.map((row) => [row.seq, row]));
    const promised = new Set(acknowledged);
    for (let seq = 1; seq <= throughSeq; seq++) promised.add(seq);
    for (const seq of promised) {
      const row = stored.get(seq);
      if (row === undefined) say(`acknowledged message ${seq} is lost`);
    }
    for (const { seq, jws, code } of rows) {
      const ours = signed.get(seq);
      if (ours === undefined || toHex(ours) !== toHex(jws)) say(`message ${seq} has other bytes`);
      if (code !== null) say(`message ${seq} is ${code}`);
    }
    const [progress] = await sql.rows<{ through_seq: number; chain: Uint8Array }>(progressSql, [
      kid,
    ]);
    let chain: Uint8Array = emptyChain;
    for (let seq = 1; seq <= (progress?.through_seq ?? 0); seq++) {
      const row = stored.get(seq);
      if (row === undefined) say(`there is a gap at ${seq}`);
      else chain = extendChain(chain, row.hash);
    }
    if (toHex(chain) !== toHex(progress?.chain ?? emptyChain)) say('the receipt chain is wrong');
    if ((progress?.through_seq ?? 0) < throughSeq) say('a receipt said more than is there');
  }
  expect(faults).toEqual([]);
}

/** A fork that was sent and acknowledged is evidence for ever. */
export async function checkForks(sql: Sql, promises: readonly Promises[]): Promise<void> {
  for (const { kid, forked } of promises) {
    if (forked === undefined) continue;
    const kept = await sql.rows<{ jws: Uint8Array }>(forksSql, [kid]);
    expect(kept.map(({ jws }) => toHex(jws))).toEqual([toHex(forked)]);
  }
}

const entriesSql = `
  select index, leaf_hash, data from log_entry where index >= $1 order by index limit 2000`;

interface EntryRow {
  readonly index: number;
  readonly leaf_hash: Uint8Array;
  readonly data: Uint8Array;
}

export interface ReplayedLog {
  readonly state: LogState;
  readonly leafHashes: readonly Uint8Array[];
  readonly entries: readonly Uint8Array[];
}

/** Folds every entry, signatures and all: contiguous, none broke a rule, the balance holds. */
export async function replayLog(sql: Sql): Promise<ReplayedLog> {
  const state = emptyState();
  const leafHashes: Uint8Array[] = [];
  const entries: Uint8Array[] = [];
  for (;;) {
    const rows = await sql.rows<EntryRow>(entriesSql, [leafHashes.length]);
    if (rows.length === 0) break;
    for (const { index, leaf_hash, data } of rows) {
      expect(index).toBe(leafHashes.length);
      expect(toHex(leafHash(data))).toBe(toHex(leaf_hash));
      leafHashes.push(leaf_hash);
      entries.push(data);
      advance(state, data);
    }
  }
  expect([...state.violations]).toEqual([]);
  for (const plant of state.plants.values()) {
    expect(plant.issuedWh - plant.withdrawnWh - plant.deficitWh).toBe(plant.certifiedWh);
  }
  return { state, leafHashes, entries };
}

/** Counts what was issued from the entries alone, without the fold: each hour, each unit once. */
export function checkNothingTwice(entries: readonly Uint8Array[]): void {
  const hours = new Set<string>();
  const units = new Map<string, number>();
  for (const data of entries) {
    const { kind, spec } = parseEntry(data);
    if (kind !== 'hour' && kind !== 'hour-correction') continue;
    const { plant, interval } = spec as { plant: string; interval: { start: number } };
    if (kind === 'hour') {
      expect(hours).not.toContain(`${plant} ${interval.start}`);
      hours.add(`${plant} ${interval.start}`);
    } else expect(hours).toContain(`${plant} ${interval.start}`);
    if ('commitment' in spec) continue;
    const { certificates } = (kind === 'hour' ? openHourSpec : openCorrectionSpec).parse(spec);
    if (certificates.issued === undefined) continue;
    expect(certificates.issued.from).toBe((units.get(plant) ?? 0) + 1);
    units.set(plant, certificates.issued.to);
  }
  expect(hours.size).toBeGreaterThan(0);
}

const bundlesSql = `
  select count(*)::int as overlaps from bundle a join bundle b
      on a.series = b.series and a.ctid < b.ctid and a.range && b.range`;
const issuedSql = `
  select series, sum(upper(range) - lower(range))::bigint as wh from bundle group by series`;
const hoursSql = `
  select distinct on (plant_id, start) plant, start, certified_wh, quality, complete
    from hour_value join plant using (plant_id) order by plant_id, start, version desc`;

interface HourRow {
  readonly plant: string;
  readonly start: number;
  readonly certified_wh: number;
  readonly quality: string;
  readonly complete: boolean;
}

/** The tables that services read say what the entries say. */
export async function checkProjections(sql: Sql, { state }: ReplayedLog): Promise<void> {
  expect(await sql.row(bundlesSql)).toEqual({ overlaps: 0 });
  const bundles = await sql.rows<{ series: string; wh: number }>(issuedSql);
  const issued = new Map(bundles.map(({ series, wh }) => [series, wh]));
  const hours = await sql.rows<HourRow>(hoursSql);
  for (const [name, plant] of state.plants) {
    expect(issued.get(`energy/${name}`) ?? 0).toBe(plant.issuedWh);
    const own = hours.filter((hour) => hour.plant === name);
    const sealed = [...rowsInMemory(plant.hours).keys()];
    expect(own.map(({ start }) => start)).toEqual(sealed.sort((a, b) => a - b));
    if (plant.spec.type !== 'production') continue;
    const certified = own.reduce((sum, { certified_wh }) => sum + certified_wh, 0);
    expect(certified).toBe(plant.certifiedWh);
  }
}

/**
 * After everything has arrived: every hour that the meters have left behind is complete, and worth
 * exactly what the registers say, however often the process died in it.
 */
export async function checkEnergy(
  sql: Sql,
  { state }: ReplayedLog,
  promises: readonly Promises[],
): Promise<void> {
  const rows = await sql.rows<HourRow>(hoursSql);
  const faults: string[] = [];
  let checked = 0;
  for (const { plant, hourWh } of worldPlants) {
    const { sealFrom = 0 } = state.plants.get(plant) ?? {};
    const lastT = Math.min(
      ...promises.filter(({ of }) => of.plant === plant).map((promise) => promise.lastT),
    );
    for (let start = sealFrom; start + hourSeconds <= lastT; start += hourSeconds) {
      const hour = rows.find((row) => row.plant === plant && row.start === start);
      if (hour === undefined) faults.push(`${plant}: hour ${start} is not sealed`);
      else if (hourWh === undefined) continue;
      else if (!hour.complete || hour.quality !== 'measured' || hour.certified_wh !== hourWh) {
        faults.push(`${plant}: wanted ${hourWh}, found ${JSON.stringify(hour)}`);
      }
      checked++;
    }
  }
  expect(faults).toEqual([]);
  expect(checked).toBeGreaterThan(0);
}

/** Every root, rule, message and energy again, from the published files alone. */
export async function checkAudit(logFolder: string): Promise<void> {
  const { findings, hours, voided, withheld } = await auditLog(logFolder);
  expect({ findings, voided, withheld }).toEqual({ findings: [], voided: 0, withheld: 0 });
  expect(hours).toBeGreaterThan(0);
}
