import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { Failed } from '#core/errors.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Promised } from '../../integration/ingestion/gateways.ts';

/** What ingestion may hold at most, as services/ingestion/BROKERS.md says. */
const ingestionRssMiB = 400;
const databaseUpLimitMs = 60_000;

const messagesSql = `select seq, jws, code from message where key_id = $1 order by seq`;
const progressSql = `
  select p.through_seq, p.chain,
         (select count(*) from reading r join meter m using (meter_id) where m.meter = $2) as readings
    from key_progress p where p.key_id = $1`;

interface Progress {
  readonly through_seq: number;
  readonly chain: Uint8Array;
  readonly readings: number;
}

/** What was promised is kept, in the midst of it: a receipt speaks of what is in the database. */
export async function checkPromises(pool: Pool, promised: readonly Promised[]): Promise<void> {
  for (const { device, signed, promised: read } of promised) {
    const { throughSeq, faults } = read();
    expect(faults, device.of.meter).toEqual([]);
    const rows = await storedOf(pool, device.keyId);
    for (let seq = 1; seq <= throughSeq; seq++) {
      expect(rows.get(seq), `${device.of.meter} ${seq}`).toBe(toHex(signed.get(seq) ?? nothing));
    }
  }
}

/** Once all is settled: every message that was signed is stored, byte by byte, and counts once. */
export async function checkAll(pool: Pool, promised: readonly Promised[]): Promise<void> {
  await checkPromises(pool, promised);
  for (const { device, signed } of promised) {
    const { meter } = device.of;
    const rows = await storedOf(pool, device.keyId);
    const ours = [...signed].map(([seq, jws]) => [seq, toHex(jws)] as const);
    expect([...rows], meter).toEqual(ours);
    const { chain, readings, through_seq } = await pool.row<Progress>(progressSql, [
      device.keyId,
      meter,
    ]);
    let expected: Uint8Array = new Uint8Array(32);
    for (const jws of signed.values()) expected = extendChain(expected, parseMessage(jws).hash);
    expect({ meter, chain: toHex(chain), readings, through_seq }).toEqual({
      meter,
      chain: toHex(expected),
      readings: signed.size,
      through_seq: signed.size,
    });
  }
  expect(await pool.rows('select 1 from fork')).toEqual([]);
  expect(await pool.rows('select code from quarantine')).toEqual([]);
}

export function checkMemory(peakRssMiB: number): void {
  expect(peakRssMiB).toBeLessThan(ingestionRssMiB);
}

const nothing = new Uint8Array();

/** Waits for a database that is on its way up. */
export async function databaseUp(pool: Pool): Promise<void> {
  const limit = AbortSignal.timeout(databaseUpLimitMs);
  for (;;) {
    try {
      await pool.rows('select 1');
      return;
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      await sleep(100, undefined, { signal: limit });
    }
  }
}

async function storedOf(pool: Pool, keyId: number): Promise<Map<number, string>> {
  const rows = await pool.rows<{ seq: number; jws: Uint8Array; code: string | null }>(messagesSql, [
    keyId,
  ]);
  expect(rows.filter(({ code }) => code !== null)).toEqual([]);
  return new Map(rows.map(({ seq, jws }) => [seq, toHex(jws)]));
}
