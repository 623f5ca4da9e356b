import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { equalBytes, toHex } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { Failed } from '#core/errors.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Promised } from '../../integration/ingestion/gateways.ts';

/** What ingestion may hold at most, as services/ingestion/BROKERS.md says. */
const ingestionRssMiB = 400;
const databaseUpLimitMs = 60_000;

const messagesSql = `
  select seq, jws, code from message where key_id = $1 and seq > $2 order by seq`;
const progressSql = `
  select p.through_seq, p.chain,
         (select count(*) from message m where m.key_id = $1) as messages,
         (select count(*) from reading r join meter m using (meter_id) where m.meter = $2) as readings
    from key_progress p where p.key_id = $1`;

interface Message {
  readonly seq: number;
  readonly jws: Uint8Array;
  readonly code: string | null;
}

interface Progress {
  readonly through_seq: number;
  readonly chain: Uint8Array;
  readonly messages: number;
  readonly readings: number;
}

/** Looks into the database at what became of a load. */
export interface Checks {
  /** In the midst of it: a receipt speaks of what is in the database. */
  readonly promises: () => Promise<void>;
  /**
   * Once all is settled: every message that was signed is stored, byte by byte, and counts once. Byte
   * by byte those since the last look; that the others are all there, their number says.
   */
  readonly all: () => Promise<void>;
  /** The same, with every byte from the first message on. */
  readonly allAgain: () => Promise<void>;
}

/** Up to where a look has found every byte of a key's, and what its chain was there. */
interface Seen {
  readonly seq: number;
  readonly chain: Uint8Array;
}

const nothingSeen: Seen = { seq: 0, chain: emptyChain };

export function createChecks(pool: Pool, load: readonly Promised[]): Checks {
  const seen = new Map<number, Seen>();
  const seenOf = ({ device }: Promised): Seen => seen.get(device.keyId) ?? nothingSeen;

  const checkLane = async (lane: Promised): Promise<void> => {
    const { device, signed } = lane;
    const { meter } = device.of;
    expect(lane.promised().faults, meter).toEqual([]);
    const from = seenOf(lane);
    const rows = await storedOf(pool, device.keyId, from.seq);
    expect(differing(rows, { signed, from: from.seq + 1, to: signed.size }), meter).toEqual([]);
    let { chain } = from;
    for (let seq = from.seq + 1; seq <= signed.size; seq++) {
      chain = extendChain(chain, parseMessage(signed.get(seq) ?? nothing).hash);
    }
    const progress = await pool.row<Progress>(progressSql, [device.keyId, meter]);
    expect({ meter, ...progress, chain: toHex(progress.chain) }).toEqual({
      meter,
      through_seq: signed.size,
      chain: toHex(chain),
      messages: signed.size,
      readings: signed.size,
    });
    seen.set(device.keyId, { seq: signed.size, chain });
  };
  const all = async (): Promise<void> => {
    for (const lane of load) await checkLane(lane);
    expect(await pool.rows('select 1 from fork')).toEqual([]);
    expect(await pool.rows('select code from quarantine')).toEqual([]);
  };
  return {
    promises: async () => {
      for (const lane of load) {
        const { throughSeq, faults } = lane.promised();
        const { meter } = lane.device.of;
        expect(faults, meter).toEqual([]);
        const { seq } = seenOf(lane);
        const rows = await storedOf(pool, lane.device.keyId, seq);
        const part = { signed: lane.signed, from: seq + 1, to: throughSeq };
        expect(differing(rows, part), meter).toEqual([]);
      }
    },
    all,
    allAgain: async () => {
      seen.clear();
      await all();
    },
  };
}

/** The numbers from `from` to `to` under which is stored what was not signed, or nothing. */
function differing(
  rows: ReadonlyMap<number, Uint8Array>,
  part: {
    readonly signed: ReadonlyMap<number, Uint8Array>;
    readonly from: number;
    readonly to: number;
  },
): number[] {
  const wrong: number[] = [];
  for (let seq = part.from; seq <= part.to; seq++) {
    const [stored, signed] = [rows.get(seq), part.signed.get(seq)];
    if (stored === undefined || signed === undefined || !equalBytes(stored, signed)) {
      wrong.push(seq);
    }
  }
  return wrong;
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

/** Of a key, those after `seq`. */
async function storedOf(pool: Pool, keyId: number, seq: number): Promise<Map<number, Uint8Array>> {
  const rows = await pool.rows<Message>(messagesSql, [keyId, seq]);
  expect(rows.filter(({ code }) => code !== null)).toEqual([]);
  return new Map(rows.map((row) => [row.seq, row.jws]));
}
