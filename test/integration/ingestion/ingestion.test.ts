import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { extendChain } from '#core/energy/receipt.ts';
import { parseMessage, receiptsTopic } from '#core/energy/message.ts';
import type { Pool } from '#platform/postgres.ts';
import { onEveryEngine, type TestPostgres } from '#support/postgres.ts';
import { endKey, insertLogSetting, testSigner } from '#support/register.ts';
import { isTimescale, refreshEverything } from '#support/rollups.ts';
import { at, newDevice, reading, startRig, until, type Device, type Rig } from './rig.ts';

interface MessageRow {
  readonly seq: number;
  readonly code: string | null;
  readonly received_at: number;
  readonly t_first: number;
  readonly t_last: number;
  readonly hash: Uint8Array;
  readonly jws: Uint8Array;
}

function messagesOf(pool: Pool, { keyId }: Device): Promise<MessageRow[]> {
  return pool.rows<MessageRow>(
    `select seq, code, received_at, t_first, t_last, hash, jws from message
      where key_id = $1 order by seq`,
    [keyId],
  );
}

async function codesOf(pool: Pool, device: Device): Promise<Record<number, string>> {
  const rows = await messagesOf(pool, device);
  return Object.fromEntries(rows.map(({ seq, code }) => [seq, code ?? 'accepted']));
}

interface Progress {
  readonly through_seq: number;
  readonly chain: Uint8Array;
  readonly max_seq: number;
  readonly max_t: number;
  readonly duplicates: number;
}

function progressOf(pool: Pool, { keyId }: Device): Promise<Progress> {
  return pool.row<Progress>('select * from key_progress where key_id = $1', [keyId]);
}

function chainOver(messages: readonly string[]): Uint8Array {
  return messages.reduce<Uint8Array>(
    (chain, jws) => extendChain(chain, parseMessage(utf8(jws)).hash),
    new Uint8Array(32),
  );
}

function count(pool: Pool, table: string): Promise<number> {
  return pool.row<{ n: number }>(`select count(*) as n from ${table}`).then(({ n }) => n);
}

onEveryEngine('ingestion', (start, engine) => {
  let database: TestPostgres;
  let pool: Pool;
  let rig: Rig;
  let names = 0;
  const device = (options: Parameters<typeof newDevice>[2] = {}): Promise<Device> =>
    newDevice(pool, `M-${++names}`, options);

  beforeAll(async () => {
    database = await start();
    pool = database.pool;
    await insertLogSetting(pool);
  });
  beforeEach(async () => {
    rig = await startRig(pool);
  });
  afterEach(async () => {
    await rig.ingestion.stop();
  });

  describe('a valid message', () => {
    it('is stored once with its bytes, and its readings as rows', async () => {
      const meter = await device();
      const readings = [
        reading(at - 60),
        { t: at - 30, registers: { importWh: 7, co2G: 8 }, clock: 'unsynced' as const },
        { t: at, registers: { exportWh: 9, tempC: 21 }, status: 'power-fail' as const },
      ];
      const jws = meter.message(1, at, { readings });
      await rig.send(jws, meter);
      const [row] = await messagesOf(pool, meter);
      expect(row).toMatchObject({
        seq: 1,
        code: null,
        received_at: at,
        t_first: at - 60,
        t_last: at,
      });
      expect(row?.jws).toEqual(utf8(jws));
      expect(row?.hash).toEqual(parseMessage(utf8(jws)).hash);
      const rows = await pool.rows(
        `select extract(epoch from time)::bigint as t, export_wh, import_wh, co2_g, other, flags
           from reading r join meter using (meter_id) where meter = $1 order by time`,
        [meter.of.meter],
      );
      const none = { export_wh: null, import_wh: null, co2_g: null, other: null, flags: 0 };
      expect(rows).toEqual([
        { ...none, t: at - 60, export_wh: 99_999_940 },
        { ...none, t: at - 30, import_wh: 7, co2_g: 8, flags: 1 },
        { ...none, t: at, export_wh: 9, other: { tempC: 21 }, flags: 2 },
      ]);
    });

    it('makes the hours of its readings dirty, both where one lies on the turn', async () => {
      const meter = await device();
      await rig.send(
        meter.message(1, at - 60, { readings: [reading(at - 60), reading(at)] }),
        meter,
      );
      await rig.send(meter.message(2, at), meter);
      const dirty = await pool.rows(
        `select start, touched from plant_dirty join plant using (plant_id) where plant = $1
          order by start`,
        [meter.of.plant],
      );
      expect(dirty).toEqual([
        { start: at - 3600, touched: 2 },
        { start: at, touched: 2 },
      ]);
    });

    it('is news in the outbox', async () => {
      const meter = await device();
      await rig.send(meter.message(1, at), meter);
      const { topic, value } = await pool.row<{ topic: string; value: unknown }>(
        'select topic, value from outbox order by outbox_id desc limit 1',
      );
      expect(topic).toBe('messages.accepted');
      const { plant, meter: name } = meter.of;
      const { kid } = meter.signer;
      expect(value).toEqual([
        {
          hours: [at - 3600, at],
          meters: [{ kid, maxSeq: 1, messages: 1, meter: name, throughSeq: 1 }],
          plant,
        },
      ]);
    });
  });

  it('counts the same message again as a duplicate and keeps the first', async () => {
    const meter = await device({ alg: 'ES256' });
    const jws = meter.message(1, at);
    await rig.send(jws, meter);
    await rig.send(jws, { ...meter, receivedAt: at + 5 });
    // ES256 signatures are not unique: the same signing input, signed anew, is the same message.
    const anew = meter.message(1, at);
    expect(anew.split('.').slice(0, 2)).toEqual(jws.split('.').slice(0, 2));
    await Promise.all([rig.send(anew, meter), rig.send(jws, meter)]);
    const rows = await messagesOf(pool, meter);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ received_at: at, jws: utf8(jws) });
    expect(await progressOf(pool, meter)).toMatchObject({ duplicates: 3, through_seq: 1 });
    expect(rig.ingestion.counts()).toMatchObject({ stored: 1, duplicates: 3 });
  });

  it('keeps both messages of a fork, the second as evidence', async () => {
    const meter = await device();
    const first = meter.message(1, at);
    const second = meter.message(1, at, { readings: [reading(at, 5)] });
    await rig.send(first, meter);
    await Promise.all([rig.send(second, meter), rig.send(second, meter)]);
    expect(await messagesOf(pool, meter)).toMatchObject([{ jws: utf8(first) }]);
    const forks = await pool.rows('select seq, jws, entry_index from fork where key_id = $1', [
      meter.keyId,
    ]);
    expect(forks).toEqual([{ seq: 1, jws: utf8(second), entry_index: null }]);
    expect(await progressOf(pool, meter)).toMatchObject({ chain: chainOver([first]) });
  });

  it('keeps a message from the future, counts its seq as seen, and uses none of its readings', async () => {
    const meter = await device();
    const sent = [meter.message(1, at + 121), meter.message(2, at)];
    for (const jws of sent) await rig.send(jws, meter);
    expect(await codesOf(pool, meter)).toEqual({ 1: 'future', 2: 'accepted' });
    expect(await progressOf(pool, meter)).toMatchObject({ through_seq: 2, chain: chainOver(sent) });
    const readings = await pool.rows(
      'select 1 from reading join meter using (meter_id) where meter = $1',
      [meter.of.meter],
    );
    expect(readings).toHaveLength(1);
  });

  it('stores what arrives after 45 days as late, with its readings', async () => {
    const meter = await device();
    const old = at - 45 * 86_400;
    await rig.send(meter.message(1, old - 1), meter);
    await rig.send(meter.message(2, old), meter);
    expect(await codesOf(pool, meter)).toEqual({ 1: 'late', 2: 'accepted' });
    const flags = await pool.rows(
      'select flags from reading join meter using (meter_id) where meter = $1 order by time',
      [meter.of.meter],
    );
    expect(flags).toEqual([{ flags: 16 }, { flags: 0 }]);
  });

  it('keeps what is signed and wrong: plant, meter, span, order', async () => {
    const meter = await device({ notBefore: at - 7200 });
    await rig.send(meter.message(1, at - 7201), meter);
    await rig.send(meter.message(2, at - 100, { plant: 'another' }), meter);
    await rig.send(meter.message(3, at - 100, { meter: 'another' }), meter);
    await rig.send(meter.message(4, at), meter);
    await rig.send(meter.message(5, at - 1), meter);
    expect(await codesOf(pool, meter)).toEqual({
      1: 'span',
      2: 'plant',
      3: 'meter',
      4: 'accepted',
      5: 'order',
    });
    expect(await progressOf(pool, meter)).toMatchObject({ through_seq: 5 });
    expect(rig.ingestion.counts().refused).toEqual({ span: 1, plant: 1, meter: 1, order: 1 });
  });

  it('takes a message under an ended key by its seq and time, whenever it arrives', async () => {
    const meter = await device();
    await rig.send(meter.message(1, at), meter);
    await endKey(pool, meter.signer.kid, { lastSeq: 2, lastT: at + 50 });
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    await rig.send(meter.message(2, at + 50), meter);
    await rig.send(meter.message(3, at + 50), meter);
    expect(await codesOf(pool, meter)).toEqual({ 1: 'accepted', 2: 'accepted', 3: 'span' });
  });

  describe('what takes no seq', () => {
    interface QuarantineRow {
      readonly code: string;
      readonly signed: boolean;
      readonly kid: string | null;
      readonly seq: number | null;
      readonly hash: Uint8Array;
      readonly bytes: Uint8Array;
    }
    const quarantineOf = (sender: string): Promise<QuarantineRow[]> =>
      pool.rows<QuarantineRow>(
        `select code, signed, kid, seq, hash, bytes from quarantine where sender = $1
          order by quarantine_id`,
        [sender],
      );

    it('is quarantined with its reason and its bytes as received', async () => {
      const meter = await device();
      const stranger = testSigner('nobody');
      const good = meter.message(1, at);
      const cases: [string, boolean, string | Uint8Array][] = [
        ['form', false, 'nonsense'],
        ['form', false, Uint8Array.of(0, 0xff, 0xfe)],
        ['size', false, 'a'.repeat(65_001)],
        ['key', false, good.replace(/^[^.]*/, headerOf(stranger.kid))],
        ['alg', false, good.replace(/^[^.]*/, headerOf(meter.signer.kid, 'ES256'))],
        ['signature', false, `${good.slice(0, -4)}AAAA`],
        ['log', true, meter.message(1, at, { log: 'another.example/log' })],
      ];
      const sender = `astray-${names}`;
      for (const [, , bytes] of cases) await rig.send(bytes, { ...meter, sender });
      const elsewhere = await device();
      await rig.send(good, { topic: elsewhere.topic, sender });
      const rows = await quarantineOf(sender);
      expect(rows.map(({ code, signed }) => [code, signed])).toEqual([
        ...cases.map(([code, signed]) => [code, signed]),
        ['topic', true],
      ]);
      for (const [i, [, , given]] of cases.entries()) {
        const bytes = typeof given === 'string' ? utf8(given) : given;
        expect(rows[i]?.bytes).toEqual(bytes);
        expect(rows[i]?.hash).toEqual(sha256(bytes));
      }
      expect(rows[7]).toMatchObject({ kid: meter.signer.kid, seq: 1 });
      expect(await messagesOf(pool, meter)).toEqual([]);
      // The seq that a stranger could have used up is still the meter's own.
      await rig.send(good, meter);
      expect(await codesOf(pool, meter)).toEqual({ 1: 'accepted' });
    });

    it('is bounded for each sender, the oldest going first, unless it is signed', async () => {
      await rig.ingestion.stop();
      rig = await startRig(pool, { unsignedRowsPerSender: 3 });
      const meter = await device();
      const sender = `flood-${names}`;
      const signed = meter.message(1, at, { log: 'another.example/log' });
      await rig.send(signed, { ...meter, sender });
      for (let i = 0; i < 4; i++) await rig.send(`junk ${i}`, { ...meter, sender });
      await Promise.all([4, 5, 6].map((i) => rig.send(`junk ${i}`, { ...meter, sender })));
      await rig.send(signed, { ...meter, sender });
      const rows = await quarantineOf(sender);
      expect(rows.map(({ bytes }) => new TextDecoder().decode(bytes)).sort()).toEqual(
        ['junk 4', 'junk 5', 'junk 6', signed].sort(),
      );
      await rig.send('the next month', { ...meter, sender, receivedAt: at + 40 * 86_400 });
      await rig.clock.advance((at + 40 * 86_400) * 1000);
      await rig.send('after it', { ...meter, sender, receivedAt: at + 40 * 86_400 });
      expect(await quarantineOf(sender)).toHaveLength(3);
    });
  });

  describe('receipts', () => {
    const newest = (meter: Device): Rig['receipts'][number]['receipt'] | undefined =>
      rig.receipts.findLast(({ receipt }) => receipt.kid === meter.signer.kid)?.receipt;

    it('say what is durable, with the chain, and what is missing', async () => {
      const meter = await device();
      const sent = [1, 2, 3, 4, 5, 6, 7].map((seq) => meter.message(seq, at - 100 + seq));
      for (const seq of [1, 2, 4, 7]) await rig.send(sent[seq - 1] ?? '', meter);
      await until(() => newest(meter)?.missing.length === 2);
      expect(newest(meter)).toEqual({
        chain: toHex(chainOver(sent.slice(0, 2))),
        kid: meter.signer.kid,
        missing: [
          { from: 3, to: 3 },
          { from: 5, to: 6 },
        ],
        refused: [],
        throughSeq: 2,
      });
      expect(rig.receipts[0]?.topic).toBe(receiptsTopic(meter.of.plant, meter.of.meter));
      for (const seq of [3, 6, 5]) await rig.send(sent[seq - 1] ?? '', meter);
      await until(() => newest(meter)?.throughSeq === 7);
      expect(newest(meter)).toMatchObject({ chain: toHex(chainOver(sent)), missing: [] });
    });

    it('name what was refused by the hash of its bytes', async () => {
      const meter = await device();
      const future = meter.message(1, at + 500);
      const refused = new Map<string, string>();
      const gather = (): boolean => {
        for (const { receipt } of rig.receipts) {
          if (receipt.kid !== meter.signer.kid) continue;
          for (const { hash, code } of receipt.refused) refused.set(hash, code);
        }
        return refused.size === 3;
      };
      const fork = meter.message(1, at + 501);
      for (const bytes of [future, 'junk', fork]) await rig.send(bytes, meter);
      await until(gather);
      expect(Object.fromEntries(refused)).toEqual({
        [toHex(sha256(utf8(future)))]: 'future',
        [toHex(sha256(utf8('junk')))]: 'form',
        [toHex(sha256(utf8(fork)))]: 'fork',
      });
    });

    it('are sent again for a duplicate, since the device may have missed the first', async () => {
      const meter = await device();
      const jws = meter.message(1, at);
      await rig.send(jws, meter);
      await until(() => newest(meter) !== undefined);
      rig.receipts.length = 0;
      await rig.send(jws, meter);
      await until(() => newest(meter)?.throughSeq === 1);
    });
  });

  it('fills gaps in any order, across restarts, and follows the chain through what is stored', async () => {
    const meter = await device();
    const sent = Array.from({ length: 90 }, (_, i) => meter.message(i + 1, at - 1000 + i));
    const order = [...sent.keys()].map((i) => (i * 37) % 90);
    for (const [i, index] of order.entries()) {
      if (i % 30 === 29) {
        await rig.ingestion.stop();
        rig = await startRig(pool);
      }
      await rig.send(sent[index] ?? '', meter);
    }
    expect(await progressOf(pool, meter)).toMatchObject({
      through_seq: 90,
      max_seq: 90,
      chain: chainOver(sent),
    });
    expect(new Set(Object.values(await codesOf(pool, meter)))).toEqual(new Set(['accepted']));
  });

  it('stores a batch of many keys, duplicates and forks in one go', async () => {
    const meters = await Promise.all(Array.from({ length: 20 }, () => device()));
    const all: Promise<void>[] = [];
    for (const meter of meters) {
      for (let seq = 1; seq <= 10; seq++) {
        all.push(rig.send(meter.message(seq, at - 500 + seq), { ...meter, sender: meter.topic }));
        all.push(rig.send(meter.message(seq, at - 500 + seq), { ...meter, sender: meter.topic }));
      }
      all.push(rig.send(meter.message(10, at - 491), { ...meter, sender: meter.topic }));
    }
    await Promise.all(all);
    await rig.ingestion.whenIdle();
    for (const meter of meters) {
      expect(await messagesOf(pool, meter)).toHaveLength(10);
      expect(await progressOf(pool, meter)).toMatchObject({ through_seq: 10, duplicates: 10 });
    }
    expect(rig.ingestion.counts()).toMatchObject({ stored: 200, duplicates: 200, forks: 20 });
  });

  it('keeps the first reading of a meter and instant, whichever message or key brings it again', async () => {
    const old = await device();
    const next = await newDevice(pool, old.of.meter, { key: `${old.of.meter} next` });
    const rows = (): Promise<unknown[]> =>
      pool.rows(
        `select extract(epoch from time)::bigint - ${at} as at, export_wh as wh
           from reading join meter using (meter_id) where meter = $1 order by time`,
        [old.of.meter],
      );
    // The reading at the seam again, in one batch and in two.
    await Promise.all([
      rig.send(old.message(1, at, { readings: [reading(at, 1), reading(at + 1, 2)] }), old),
      rig.send(old.message(2, at, { readings: [reading(at + 1, 99), reading(at + 2, 3)] }), old),
    ]);
    await rig.send(
      old.message(3, at, { readings: [reading(at + 2, 99), reading(at + 3, 4)] }),
      old,
    );
    const first = [1, 2, 3, 4].map((wh, i) => ({ at: i, wh }));
    expect(await rows()).toEqual(first);
    // Of another key nothing is known beforehand.
    await rig.send(
      next.message(1, at, { readings: [reading(at + 3, 99), reading(at + 4, 5)] }),
      next,
    );
    expect(await rows()).toEqual([...first, { at: 4, wh: 5 }]);
    await rig.send(next.message(2, at, { readings: [reading(at + 5, 6)] }), next);
    await rig.send(
      old.message(4, at, { readings: [reading(at + 5, 99), reading(at + 6, 7)] }),
      old,
    );
    expect(await rows()).toEqual([...first, { at: 4, wh: 5 }, { at: 5, wh: 6 }, { at: 6, wh: 7 }]);
    expect(await codesOf(pool, old)).toEqual({
      1: 'accepted',
      2: 'accepted',
      3: 'accepted',
      4: 'accepted',
    });
    expect(await codesOf(pool, next)).toEqual({ 1: 'accepted', 2: 'accepted' });
  });

  it('acknowledges nothing of a batch that does not commit, and all of it when sent again', async () => {
    const meter = await device();
    const before = await count(pool, 'plant_dirty');
    await rig.send(meter.message(1, at), meter);
    await pool.run(`
      create or replace function refuse() returns trigger language plpgsql
      as $$ begin raise exception 'no room' using errcode = '53100'; end $$`);
    await pool.run(
      'create trigger refuse before insert on outbox for each statement execute function refuse()',
    );
    const lost = [2, 3].map((seq) => rig.send(meter.message(seq, at), meter));
    for (const outcome of await Promise.allSettled(lost)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'database-resources' } });
    }
    expect(await codesOf(pool, meter)).toEqual({ 1: 'accepted' });
    expect(await count(pool, 'plant_dirty')).toBe(before + 2);
    await pool.run('drop trigger refuse on outbox');
    await Promise.all([2, 3].map((seq) => rig.send(meter.message(seq, at), meter)));
    expect(await codesOf(pool, meter)).toEqual({ 1: 'accepted', 2: 'accepted', 3: 'accepted' });
  });

  it('keeps one message that the database cannot take from holding up the others', async () => {
    const [good, bad] = [await device(), await device()];
    await pool.run(`
      create or replace function refuse() returns trigger language plpgsql
      as $$ begin if new.key_id = ${bad.keyId} then raise exception 'never'; end if; return new; end $$`);
    await pool.run(
      'create trigger refuse before insert on message for each row execute function refuse()',
    );
    const all = await Promise.allSettled([
      rig.send(good.message(1, at), good),
      rig.send(bad.message(1, at), bad),
      rig.send(good.message(2, at), good),
    ]);
    await pool.run('drop trigger refuse on message');
    expect(all.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await codesOf(pool, good)).toEqual({ 1: 'accepted', 2: 'accepted' });
  });

  it('knows a key as soon as it is registered', async () => {
    const stranger = testSigner(`M-${names + 1}`);
    expect(stranger.kid).not.toBe('');
    const meter = await device();
    await rig.send(meter.message(1, at), meter);
    expect(await codesOf(pool, meter)).toEqual({ 1: 'accepted' });
  });

  it('keeps roll-ups of what it stored, also of what comes later into the same bucket', async () => {
    const meter = await device();
    const hour = at - 3600;
    const readings = [0, 300, 900, 3500].map((s) => reading(hour + s, 1000 + s));
    await rig.send(meter.message(1, hour, { readings }), meter);
    const rollup = async (table: string): Promise<unknown[]> => {
      if (isTimescale(engine)) await refreshEverything(pool);
      return pool.rows(
        `select extract(epoch from bucket)::bigint - ${hour} as at, readings::int, export_wh_first as first,
                export_wh_last as last, export_wh_min as min, export_wh_max as max
           from ${table} join meter using (meter_id) where meter = $1 order by bucket`,
        [meter.of.meter],
      );
    };
    await until(async () => (await rollup('reading_1d')).length === 1);
    expect(await rollup('reading_15m')).toEqual([
      { at: 0, readings: 2, first: 1000, last: 1300, min: 1000, max: 1300 },
      { at: 900, readings: 1, first: 1900, last: 1900, min: 1900, max: 1900 },
      { at: 2700, readings: 1, first: 4500, last: 4500, min: 4500, max: 4500 },
    ]);
    await rig.send(
      meter.message(2, hour + 3550, { readings: [reading(hour + 3550, 9000)] }),
      meter,
    );
    await until(async () => JSON.stringify(await rollup('reading_1h')).includes('9000'));
    expect(await rollup('reading_1h')).toEqual([
      { at: 0, readings: 5, first: 1000, last: 9000, min: 1000, max: 9000 },
    ]);
  });
});

function headerOf(kid: string, alg = 'Ed25519'): string {
  return Buffer.from(JSON.stringify({ alg, kid, typ: 'hourseal-message' })).toString('base64url');
}
