import { expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { parseMessage } from '#core/energy/message.ts';
import { onPostgres } from '#support/postgres.ts';
import { insertLogSetting } from '#support/register.ts';
import { at, newDevice, startRig, type Device } from './rig.ts';

/** Numbers from 0 to 2^32 that are the same in every run (xorshift32). */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

const keys = 12;
const messagesPerKey = 60;

onPostgres('two ingestion processes with the same keys', (start) => {
  it('store each seq once, agree on forks, and leave every chain right', async () => {
    const database = await start();
    const { pool } = database;
    await insertLogSetting(pool);
    const rigs = [
      await startRig(database.anotherPool(), { batchMessages: 40 }),
      await startRig(database.anotherPool(), { batchMessages: 25 }),
    ];
    const devices: Device[] = [];
    for (let i = 0; i < keys; i++) devices.push(await newDevice(pool, `RACE-${i}`));
    const random = randoms(20260101);
    const sends: { device: Device; jws: string; rig: number }[] = [];
    for (const device of devices) {
      for (let seq = 1; seq <= messagesPerKey; seq++) {
        const t = at - 1000 + seq;
        const jws = device.message(seq, t);
        sends.push({ device, jws, rig: random() % 2 });
        // A device that lost its connection sends again, perhaps to the other process.
        if (random() % 4 === 0) sends.push({ device, jws, rig: random() % 2 });
        if (seq % 20 === 0) {
          const fork = device.message(seq, t, { readings: [{ t, registers: { exportWh: 1 } }] });
          sends.push({ device, jws: fork, rig: random() % 2 });
        }
      }
    }
    for (let i = sends.length - 1; i > 0; i--) {
      const j = Math.max(0, i - (random() % 50));
      const [a, b] = [sends[i], sends[j]];
      if (a !== undefined && b !== undefined) [sends[i], sends[j]] = [b, a];
    }
    const pending = sends.map(({ device, jws, rig }) => ({ device, jws, rig }));
    // What was not acknowledged is sent again, as a device does.
    for (let left = pending; left.length > 0;) {
      const outcomes = await Promise.allSettled(
        left.map(async ({ device, jws, rig }) => rigs[rig]?.send(jws, device)),
      );
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          expect(['raced', 'deadlock']).toContain((outcome.reason as { code: string }).code);
        }
      }
      left = left.filter((_, i) => outcomes[i]?.status === 'rejected');
    }
    await Promise.all(rigs.map(({ ingestion }) => ingestion.stop()));

    for (const { keyId } of devices) {
      const rows = await pool.rows<{ seq: number; hash: Uint8Array; code: string | null }>(
        'select seq, hash, code from message where key_id = $1 order by seq',
        [keyId],
      );
      expect(rows.map(({ seq }) => seq)).toEqual(
        Array.from({ length: messagesPerKey }, (_, i) => i + 1),
      );
      expect(rows.every(({ code }) => code === null)).toBe(true);
      const progress = await pool.row<{ through_seq: number; chain: Uint8Array }>(
        'select through_seq, chain from key_progress where key_id = $1',
        [keyId],
      );
      expect(progress.through_seq).toBe(messagesPerKey);
      expect(progress.chain).toEqual(
        rows.reduce<Uint8Array>((chain, { hash }) => extendChain(chain, hash), new Uint8Array(32)),
      );
      const forks = await pool.rows<{ seq: number }>(
        'select seq from fork where key_id = $1 order by seq',
        [keyId],
      );
      expect(forks.map(({ seq }) => seq)).toEqual([20, 40, 60]);
    }
    const { duplicates } = await pool.row<{ duplicates: number }>(
      'select sum(duplicates)::bigint as duplicates from key_progress',
    );
    // Of a fork either may have come first; what stands in `message` counts what came again.
    const standing = await pool.rows<{ jws: Uint8Array }>('select jws from message');
    const texts = new Set(standing.map(({ jws }) => new TextDecoder().decode(jws)));
    const sentStanding = sends.filter(({ jws }) => texts.has(jws)).length;
    expect(duplicates).toBe(sentStanding - standing.length);
  });

  it('follow a chain from a message that the other one stored', async () => {
    const database = await start();
    await insertLogSetting(database.pool);
    const one = await startRig(database.anotherPool());
    const two = await startRig(database.anotherPool());
    const device = await newDevice(database.pool, 'TURNS');
    const sent = Array.from({ length: 20 }, (_, i) => device.message(i + 1, at - 100 + i));
    for (const [i, jws] of sent.entries()) await (i % 2 === 0 ? one : two).send(jws, device);
    const progress = await database.pool.row<{ through_seq: number; chain: Uint8Array }>(
      'select through_seq, chain from key_progress where key_id = $1',
      [device.keyId],
    );
    expect(progress.through_seq).toBe(20);
    expect(progress.chain).toEqual(
      sent.reduce<Uint8Array>(
        (chain, jws) => extendChain(chain, parseMessage(utf8(jws)).hash),
        new Uint8Array(32),
      ),
    );
    await Promise.all([one, two].map(({ ingestion }) => ingestion.stop()));
  });
});
