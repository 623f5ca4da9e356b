import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createEnrolment, parseEnrolment } from '#core/certificate/enrolment.ts';
import { signAction } from '#core/certificate/entry.ts';
import { refusalCode } from '#core/errors.ts';
import {
  listEnrolments,
  pendingPerMeter,
  readPending,
  refuseEnrolment,
  requestEnrolment,
  type KeptEnrolment,
} from '#ledger/enrolment-store.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine, type TestPostgres } from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS as nowS,
  type TestLedger,
} from '#support/test-ledger.ts';

removeTestFolders();

interface Asked {
  readonly name?: string;
  readonly meter?: string;
  readonly plant?: string;
  readonly origin?: string;
  readonly nonce?: string;
  readonly notAfter?: number;
}

const dayS = 86_400;
const plants = 12;
/** Every test has a plant of its own. */
let turn = 0;
const own = (): string => `p${turn}`;

function ask({ name = 'new', origin = testLog, ...members }: Asked = {}): Uint8Array {
  const signer = testSigner(`asking ${own()} ${name}`);
  const spec = {
    jwk: signer.jwk,
    meter: `${own()}-m`,
    nonce: `asked-${own()}-${name}`,
    notAfter: nowS + dayS,
    notBefore: nowS,
    plant: own(),
    ...members,
  };
  return createEnrolment(signer, { origin, spec });
}

onEachEngine('requests of meters', (start) => {
  let database: TestPostgres;
  let ledger: TestLedger;
  beforeAll(async () => {
    turn = 0;
    database = await start();
    ledger = createTestLedger(database.pool);
    await ledger.enter(people.genesis());
    for (let i = 1; i <= plants; i++) await ledger.enter(...people.simplePlant(`p${i}`));
  });
  afterAll(() => database.stop());
  beforeEach(() => {
    turn++;
  });

  const request = (bytes: Uint8Array, at = nowS): Promise<string> =>
    requestEnrolment(database.pool, bytes, { nowS: at }).then(() => 'taken', refusalCode);
  const listed = async (at = nowS): Promise<KeptEnrolment[]> =>
    (await listEnrolments(database.pool, { nowS: at })).filter(({ plant }) => plant === own());
  const states = async (at = nowS): Promise<string[]> =>
    (await listed(at)).map(({ state }) => state);
  const kid = (bytes: Uint8Array): string => parseEnrolment(bytes).key.kid;

  const enterKey = async (bytes: Uint8Array): Promise<void> => {
    const { spec, auth, origin } = parseEnrolment(bytes);
    const action = { kind: 'key', origin, spec };
    const others = [people.issuerSigner, people.accountSigner(own())];
    const signed = others.map((signer) => signAction(signer, action));
    await ledger.enter({ kind: 'key', spec, auth: [auth, ...signed] });
  };

  test('wait, and are what is entered when they are approved', async () => {
    const bytes = ask();
    expect(await request(bytes)).toBe('taken');
    // Bringing it again, as a gateway does that heard no answer, changes nothing.
    expect(await request(bytes, nowS + 1)).toBe('taken');
    expect(await states()).toEqual(['pending']);
    const pending = await readPending(database.pool, kid(bytes), { nowS });
    expect(pending).toMatchObject({ origin: testLog, spec: { meter: `${own()}-m` } });
    await enterKey(bytes);
    expect(await states()).toEqual(['approved']);
    expect(await request(bytes)).toBe('known');
    const approved = readPending(database.pool, kid(bytes), { nowS });
    await expect(approved).rejects.toMatchObject({ code: 'enrolment' });
    const late = refuseEnrolment(database.pool, { kid: kid(bytes), reason: 'no', nowS });
    await expect(late).rejects.toMatchObject({ code: 'enrolment' });
  });

  test('are refused for good, with the reason', async () => {
    const bytes = ask();
    await request(bytes);
    const refusal = { kid: kid(bytes), reason: 'nobody knows it', nowS };
    await refuseEnrolment(database.pool, refusal);
    const [kept] = await listed();
    expect(kept).toMatchObject({
      state: 'refused',
      reason: 'nobody knows it',
      meter: `${own()}-m`,
    });
    await expect(refuseEnrolment(database.pool, refusal)).rejects.toMatchObject({
      code: 'enrolment',
    });
    const refused = readPending(database.pool, kid(bytes), { nowS });
    await expect(refused).rejects.toMatchObject({ code: 'enrolment' });
    // The same again is no second chance.
    expect(await request(bytes)).toBe('taken');
    expect(await states()).toEqual(['refused']);
  });

  test('expire', async () => {
    const bytes = ask();
    await request(bytes);
    expect(await states(nowS + dayS + 1)).toEqual(['expired']);
    expect(await request(ask({ name: 'late' }), nowS + dayS)).toBe('expired');
  });

  const strange: [string, Asked][] = [
    ['meter', { meter: 'nobody' }],
    ['plant', { plant: 'p12' }],
    ['origin', { origin: 'log.example/other' }],
  ];
  test.each(strange)('are refused for another %s than the log has', async (code, members) => {
    expect(await request(ask(members))).toBe(code);
    expect(await states()).toEqual([]);
  });

  test('for one key are one, and no second spelling of it', async () => {
    expect(await request(ask())).toBe('taken');
    expect(await request(ask({ nonce: 'another' }))).toBe('known');
  });

  test('may wait in a bounded number for a meter, whatever comes at once', async () => {
    const all = Array.from({ length: 3 * pendingPerMeter }, (_, i) => ask({ name: `m${i}` }));
    const outcomes = await Promise.all(all.map((bytes) => request(bytes)));
    expect(outcomes.filter((outcome) => outcome === 'taken')).toHaveLength(pendingPerMeter);
    expect(outcomes.filter((outcome) => outcome === 'full')).toHaveLength(2 * pendingPerMeter);
    expect(await states()).toHaveLength(pendingPerMeter);
    // Another meter's room is its own; and what has been decided or has expired makes room.
    expect(await request(ask({ name: 'other', meter: 'p12-m', plant: 'p12' }))).toBe('taken');
    const taken = all.filter((_, i) => outcomes[i] === 'taken').map(kid);
    await refuseEnrolment(database.pool, { kid: taken[0] ?? '', reason: 'no', nowS });
    expect(await request(ask({ name: 'after' }))).toBe('taken');
    expect(await request(ask({ name: 'full-again' }))).toBe('full');
    const later = nowS + 2 * dayS;
    expect(await request(ask({ name: 'later', notAfter: later + dayS }), later)).toBe('taken');
    // A month after they ended they are forgotten, when the meter is asked for again.
    const muchLater = nowS + 32 * dayS;
    const fresh = ask({ name: 'fresh', notAfter: muchLater + dayS });
    expect(await request(fresh, muchLater)).toBe('taken');
    expect((await states(muchLater)).sort()).toEqual(['expired', 'pending']);
  });
});
