import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { concat, decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { encodeMessageLeaf, parseMessageLeaf } from '#core/energy/batch.ts';
import { placeOcmf } from '#core/energy/ocmf.ts';
import { parseSigned } from '#core/energy/signed.ts';
import { insertKey } from '#ledger/register-store.ts';
import type { Pool } from '#platform/postgres.ts';
import { ocmfMeter, type OcmfMeter } from '#support/ocmf.ts';
import { onEveryEngine, type TestPostgres } from '#support/postgres.ts';
import { insertLogSetting, insertMeter, testSigner, topicOf } from '#support/register.ts';
import { at, startRig, type Rig } from './rig.ts';

const alg = 'ECDSA-brainpool256r1-SHA256';

/** A charger whose first record that counts is page F11, entered as the ledger enters a key. */
interface Charger extends OcmfMeter {
  readonly meter: string;
  readonly topic: string;
  readonly keyId: number;
  readonly payload: (page: number, minute: number, change?: object) => string;
}

onEveryEngine('a meter that speaks OCMF', (start) => {
  let database: TestPostgres;
  let pool: Pool;
  let rig: Rig;
  let names = 0;

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

  async function newCharger(serial = 'SN-1'): Promise<Charger> {
    const meter = `CP-${++names}`;
    return chargerAt(meter, serial);
  }

  async function chargerAt(meter: string, serial: string): Promise<Charger> {
    const own = ocmfMeter(alg, BigInt(1000 + names * 10 + serial.length));
    const of = { plant: 'depot', meter };
    const [known] = await pool.rows('select 1 from meter where meter = $1', [meter]);
    if (known === undefined) await seedMeter(of);
    const { version } = await pool.row<{ version: number }>(
      'select coalesce(max(version), 0) + 1 as version from meter_key',
    );
    const ocmf = { after: 10, context: 'F', serial } as const;
    const jwk = own.key.jwk;
    if (!('alg' in jwk)) throw new Error('not a key for OCMF');
    const spec = { ...of, jwk, ocmf, notBefore: 0, nonce: 'n', notAfter: at };
    await insertKey(pool, { kid: own.key.kid, spec }, version);
    const { key_id } = await pool.row<{ key_id: number }>(
      'select key_id from meter_key where kid = $1',
      [own.key.kid],
    );
    const payload = (page: number, minute: number, change: object = {}): string => {
      const time = new Date((at + minute * 60) * 1000).toISOString().slice(0, 19);
      const reading = { TM: `${time},000+0000 S`, RV: `${100_000 + minute}.5`, RI: '1-0:1.8.0' };
      const RD = [{ ...reading, RU: 'kWh', ST: 'G' }];
      const whole = { FV: '1.4', GS: serial, PG: `F${page}`, MS: serial, RD, ...change };
      return JSON.stringify(whole).replace(/"RV":"([0-9.]+)"/g, '"RV":$1');
    };
    return { ...own, meter, topic: topicOf(of), keyId: key_id, payload };
  }

  /** Plant and meter; the key that comes along is never used. */
  async function seedMeter(of: { plant: string; meter: string }): Promise<void> {
    const { kid, jwk } = testSigner(`unused key of ${of.meter}`);
    await insertMeter(pool, kid, { ...of, jwk });
  }

  const rowsOf = ({ keyId }: Charger) =>
    pool.rows<{ seq: number; code: string | null; hash: Uint8Array; jws: Uint8Array }>(
      'select seq, code, hash, jws from message where key_id = $1 order by seq',
      [keyId],
    );
  const quarantineOf = ({ topic }: Charger) =>
    pool.rows<{ code: string; signed: boolean; bytes: Uint8Array }>(
      'select code, signed, bytes from quarantine where topic = $1 order by quarantine_id',
      [topic],
    );

  it('has its records kept, byte for byte, under the lines that say whose they are', async () => {
    const charger = await newCharger();
    const record = charger.record(charger.payload(11, 0));
    await rig.send(record, charger);
    const [row] = await rowsOf(charger);
    const kept = utf8(`${charger.key.kid}\ndepot\n${charger.meter}\n1\n`);
    expect(row?.jws).toEqual(concat(kept, record));
    expect([row?.seq, row?.code]).toEqual([1, null]);
    expect(row?.hash).toEqual(parseSigned(row?.jws ?? record).hash);
    const leaf = encodeMessageLeaf({ receivedAt: at, bytes: row?.jws ?? record });
    expect(decodeUtf8(leaf.subarray(0, 17))).toBe('hourseal/ocmf/v1\n');
    expect(parseMessageLeaf(leaf).parsed.message.readings).toEqual([
      { registers: { importWh: 100_000_500 }, t: at },
    ]);
    const readings = await pool.rows(
      `select import_wh, flags from reading join meter using (meter_id) where meter = $1`,
      [charger.meter],
    );
    expect(readings).toEqual([{ import_wh: 100_000_500, flags: 0 }]);
  });

  it('has one record counted once, however often and with whatever signature it comes', async () => {
    const charger = await newCharger();
    const payload = charger.payload(11, 0);
    const der = charger.sign(utf8(payload));
    await rig.send(charger.record(payload), charger);
    await rig.send(charger.record(payload), charger);
    const base64 = JSON.stringify({
      SA: alg,
      SE: 'base64',
      SD: Buffer.from(der).toString('base64'),
    });
    await rig.send(utf8(`OCMF|${payload}|${base64}`), charger);
    const progress = await pool.row<{ through_seq: number; duplicates: number }>(
      'select through_seq, duplicates from key_progress where key_id = $1',
      [charger.keyId],
    );
    expect(progress).toMatchObject({ through_seq: 1, duplicates: 2 });
    expect(await rowsOf(charger)).toHaveLength(1);
  });

  it('follows its pages as numbers, and keeps two records of one page as a fork', async () => {
    const charger = await newCharger();
    for (const [page, minute] of [
      [11, 0],
      [12, 15],
      [14, 45],
    ] as const) {
      await rig.send(charger.record(charger.payload(page, minute)), charger);
    }
    const progress = await pool.row<{ through_seq: number; max_seq: number }>(
      'select through_seq, max_seq from key_progress where key_id = $1',
      [charger.keyId],
    );
    expect(progress).toMatchObject({ through_seq: 2, max_seq: 4 });
    await rig.send(charger.record(charger.payload(12, 16)), charger);
    const forks = await pool.rows<{ seq: number; jws: Uint8Array }>(
      'select seq, jws from fork where key_id = $1',
      [charger.keyId],
    );
    expect(forks.map(({ seq }) => seq)).toEqual([2]);
    expect(parseSigned(forks[0]?.jws ?? utf8('')).message.readings[0]?.t).toBe(at + 16 * 60);
  });

  it('has refused what is not its own, with a code and the bytes as they came', async () => {
    const charger = await newCharger();
    const other = await newCharger('SN-OTHER');
    const altered = decodeUtf8(charger.record(charger.payload(11, 0))).replace(
      '100000.5',
      '900000.5',
    );
    const refused: readonly (readonly [string, Uint8Array])[] = [
      ['signature', utf8(altered)],
      ['page', charger.record(charger.payload(10, 0))],
      ['page', charger.record(charger.payload(11, 0, { PG: 'T11' }))],
      ['key', other.record(other.payload(11, 0))],
      [
        'alg',
        utf8(
          altered
            .replace(alg, 'ECDSA-secp384r1-SHA256')
            .replace(/"SD":".*"/, `"SD":"3006020101020101"`),
        ),
      ],
      ['form', charger.record(charger.payload(11, 0, { RD: [] }))],
      ['form', utf8('OCMF|{}|{}')],
      ['size', utf8(`OCMF|${' '.repeat(64_000)}|{}`)],
    ];
    for (const [, record] of refused) await rig.send(record, charger);
    expect(await rowsOf(charger)).toEqual([]);
    const found = await quarantineOf(charger);
    expect(found.map(({ code }) => code)).toEqual(refused.map(([code]) => code));
    expect(found.map(({ bytes }) => toHex(bytes))).toEqual(refused.map(([, it]) => toHex(it)));
    expect(found.some(({ signed }) => signed)).toBe(false);
  });

  it('has judged by the same rules as any other: future, late, order', async () => {
    const charger = await newCharger();
    const send = (page: number, minute: number) =>
      rig.send(charger.record(charger.payload(page, minute)), charger);
    await send(11, 0);
    await send(12, 3);
    await send(13, -60 * 24 * 46);
    await send(14, 1);
    await send(15, 0);
    const codes = (await rowsOf(charger)).map(({ code }) => code);
    expect(codes).toEqual([null, 'future', 'order', null, 'order']);
  });

  it('is known by its device after an exchange, for late records of the one before too', async () => {
    const before = await newCharger('SN-OLD');
    const after = await chargerAt(before.meter, 'SN-NEWER');
    await rig.send(after.record(after.payload(11, 1)), after);
    await rig.send(before.record(before.payload(11, 0)), before);
    expect((await rowsOf(after)).map(({ code }) => code)).toEqual([null]);
    expect((await rowsOf(before)).map(({ code }) => code)).toEqual([null]);
  });

  it('cannot pass its kept form off as what it sent', async () => {
    const charger = await newCharger();
    const record = charger.record(charger.payload(11, 0));
    const ocmf = { after: 0, context: 'F', serial: 'SN-1' } as const;
    const { kid } = charger.key;
    const kept = placeOcmf(record, { kid, plant: 'depot', meter: charger.meter, ocmf });
    await rig.send(kept, charger);
    expect(await rowsOf(charger)).toEqual([]);
    expect((await quarantineOf(charger)).map(({ code }) => code)).toEqual(['form']);
  });
});
