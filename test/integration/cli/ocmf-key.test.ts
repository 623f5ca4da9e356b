import { mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { authenticateMeter, readCredentials } from '#broker/meters.ts';
import { run } from '#cli/run.ts';
import { fromHex, toBase64Url, utf8 } from '#core/bytes.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { messagesTopic } from '#core/energy/message.ts';
import { createIngestion } from '#ingestion/service.ts';
import { manualClock } from '#platform/clock.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';
import { createLogger } from '#platform/logger.ts';
import { styleOf } from '#platform/terminal.ts';
import { publicKeyOfSpki, publishedRecords } from '#support/ocmf.ts';
import { onPostgres, type TestPostgres } from '#support/postgres.ts';

/** From a charger's public key to its record in the database, by commands alone. */

const folder = mkdtempSync(join(tmpdir(), 'hourseal-ocmf-key-'));
const data = join(folder, 'data');
const examples = fileURLToPath(new URL('../../../devices/examples/', import.meta.url));
const plant = 'example-wind';
const published = publishedRecords().find(({ name }) => name === 'keba-kcp30');
/** Of the device and the transaction pages in that record. */
const serial = '17619300';
const page = 32;
const recordedAt = Date.UTC(2019, 7, 13, 10, 3, 36) / 1000;
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function hourseal(...args: readonly string[]): Promise<string> {
  let said = '';
  const write = (text: string): void => {
    said += text;
  };
  const code = await run([...args, '--data', data], {
    out: write,
    err: write,
    style: styleOf({}, {}),
  });
  return `${code} ${said}`;
}

async function addMeter(meter: string, change: object): Promise<string> {
  const example = JSON.parse(await readFile(join(examples, 'meter.json'), 'utf8')) as object;
  const registers = { importWh: { direction: 'import', unit: 'Wh' } };
  const file = join(folder, `${meter}.json`);
  const spec = { ...example, meter, plant, registers, role: 'check', serial, ...change };
  await writeFile(file, JSON.stringify(spec));
  return hourseal('meter', 'add', file);
}

const enterKey = (meter: string, file: string, ...more: readonly string[]): Promise<string> =>
  hourseal(
    ...['meter', 'key', meter, '--format', 'ocmf', '--public', file, '--not-before', '1'],
    ...['--after', String(page - 1), ...more],
  );

onPostgres('a key of OCMF, by command', (start) => {
  let database: TestPostgres;
  beforeAll(async () => {
    database = await start({ migrated: false });
    vi.stubEnv('DATABASE_URL', database.connectionString);
    await hourseal('init', '--origin', 'log.example/ocmf-key');
    await createKeyFile(join(data, `keys/accounts/${plant}.pem`), 'Ed25519');
    await hourseal('plant', 'add', join(examples, 'plant.json'));
    expect(await addMeter('CP-1', {})).toContain('0 entry');
    expect(await addMeter('PV-1', { role: 'production', serial: 'another' })).toContain('0 entry');
  });
  beforeEach(() => {
    vi.stubEnv('DATABASE_URL', database.connectionString);
  });
  afterAll(() => database.stop());

  test('is entered, and a published record under it is accepted', async () => {
    const { publicKey, record } = published ?? expect.fail('no such record');
    const hex = join(folder, 'charger.hex');
    await writeFile(hex, `${publicKey}\n`);
    expect(await enterKey('CP-1', hex, '--serial', 'other')).toMatch(/^3 .*device is 17619300/);
    expect(await enterKey('PV-1', hex, '--serial', 'another')).toMatch(/^3 .*production meter/);
    expect(await enterKey('CP-1', hex)).toMatch(/^2 hourseal: give/);
    expect(await enterKey('CP-1', hex, '--serial', serial, '--context', 'X')).toMatch(
      /^3 .*neither/,
    );
    const { kid } = publicKeyOfSpki(publicKey);
    expect(await enterKey('CP-1', hex, '--serial', serial)).toBe(
      `0 ${kid} signs records in OCMF for CP-1\nentry 5: key\n`,
    );
    const ingestion = createIngestion({
      pool: database.pool,
      clock: manualClock((recordedAt + 5) * 1000),
      signer: await readKeyFile(join(data, 'keys/ingestion.pem')),
      sendReceipt: () => Promise.resolve(),
      logger: createLogger({ name: 'test', level: 'silent' }),
    });
    await ingestion.start();
    const topic = messagesTopic(plant, 'CP-1');
    const arrival = { bytes: utf8(record), receivedAt: recordedAt + 5, sender: 'CP-1', topic };
    await ingestion.accept(arrival);
    await ingestion.stop();
    const rows = await database.pool.rows<{ seq: number; code: string | null; kid: string }>(
      'select seq, code, kid from message join meter_key using (key_id)',
    );
    expect(rows).toEqual([{ seq: 1, code: null, kid }]);
  });

  test('may be handed over in PEM and in DER as well', async () => {
    const others = publishedRecords().filter(({ name }) => name !== published?.name);
    const distinct = [...new Set(others.map(({ publicKey }) => publicKey))].slice(0, 2);
    for (const [i, spki] of distinct.entries()) {
      const der = Buffer.from(fromHex(spki));
      const pem = `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
      const file = join(folder, `charger-${i}`);
      await writeFile(file, i === 0 ? der : pem);
      expect(await enterKey('CP-1', file, '--serial', serial)).toContain(publicKeyOfSpki(spki).kid);
    }
    const ed25519 = await createKeyFile(join(folder, 'own.pem'), 'Ed25519');
    const none = join(folder, 'none.pem');
    await writeFile(none, 'PEM of nothing');
    expect(await enterKey('CP-1', none, '--serial', serial)).toMatch(/^3 .*SubjectPublicKeyInfo/);
    expect(ed25519.alg).toBe('Ed25519');
  });

  test('lets nobody connect, and says why', async () => {
    const { publicKey } = published ?? expect.fail('no such record');
    const { kid } = publicKeyOfSpki(publicKey);
    const header = canonicalBytes({ alg: 'ES256', kid, typ: 'hourseal-connect' });
    const payload = canonicalBytes({ aud: 'b', iat: recordedAt, sub: 'CP-1' });
    const signature = toBase64Url(new Uint8Array(64).fill(1));
    const password = utf8(`${toBase64Url(header)}.${toBase64Url(payload)}.${signature}`);
    await expect(
      authenticateMeter(
        database.pool,
        readCredentials({ clientId: 'CP-1', userName: 'CP-1', password }),
        { audience: 'b', nowS: recordedAt },
      ),
    ).rejects.toMatchObject({ code: 'alg', message: expect.stringContaining('OCMF') as string });
  });
});
