import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { refusalCode } from '#core/errors.ts';
import { createTestLedger, removeTestFolders, testStartS as nowS } from '#support/test-ledger.ts';
import type { TestLedger } from '#support/test-ledger.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine, onPostgres, type TestPostgres } from '#support/postgres.ts';
import { testLog } from '#support/register.ts';
import {
  answersKeptS,
  readAnswer,
  requestActions,
  requestsAtOnce,
  waitingPerRequester,
  type ActionAnswer,
  type ActionRequest,
} from '#registry/requests.ts';

removeTestFolders();

const bodyOf = ({ auth, kind, spec }: SignedDraft, origin = testLog): Uint8Array =>
  canonicalBytes({ auth, kind, origin, spec });
const request = (requestKey: string, body: Uint8Array, requester = 'park'): ActionRequest => ({
  body,
  requestKey,
  requester,
});
const ask = (
  { pool }: TestPostgres,
  requests: readonly ActionRequest[],
  at = nowS,
): Promise<readonly (ActionAnswer | undefined)[]> =>
  requestActions(pool, requests, { origin: testLog, nowS: at }).then((answers) =>
    requests.map(({ requestKey }) => answers.get(requestKey)),
  );

onEachEngine('actions that are handed in', (start) => {
  let database: TestPostgres;
  let ledger: TestLedger;
  beforeAll(async () => {
    database = await start();
    ledger = createTestLedger(database.pool);
    await ledger.enter(people.genesis());
  });
  afterAll(() => database.stop());
  const answer = (requestKey: string, requester = 'park') =>
    readAnswer(database.pool, { requester, requestKey });

  test('wait, are entered in their order, and have the same answer for ever', async () => {
    const requests = ['a1', 'a2', 'a3'].map((name) => request(name, bodyOf(people.account(name))));
    expect(await ask(database, requests)).toEqual(requests.map(() => ({ state: 'waiting' })));
    await ledger.ledger.step();
    const answers = await ask(database, requests);
    const [first] = answers;
    const index = first?.state === 'entered' ? first.index : -1;
    expect(answers).toEqual(
      requests.map((_, i) => ({ state: 'entered', index: index + i, isPublished: true })),
    );
    await ledger.ledger.step();
    expect(await ask(database, requests)).toEqual(answers);
    expect(await answer('a2')).toEqual(answers[1]);
    expect(await answer('a2', 'another')).toBeUndefined();
  });

  test('are not published before the log is', async () => {
    const requests = [request('early', bodyOf(people.account('early')))];
    await ask(database, requests);
    await database.pool.run(
      `update action set decided_at = $1, entry_index = (select next_index from log_state) - 1
        where request_key = 'early'`,
      [nowS],
    );
    expect(await answer('early')).toMatchObject({ state: 'entered', isPublished: true });
    await ledger.enter(people.account('unpublished'));
    const draft = bodyOf(people.account('late'));
    await ask(database, [request('late', draft)]);
    await database.pool.run(
      `update action set decided_at = $1, entry_index = (select next_index from log_state) - 1
        where request_key = 'late'`,
      [nowS],
    );
    expect(await answer('late')).toMatchObject({ state: 'entered', isPublished: false });
  });

  test('that break a rule are refused with its code, and hold up nobody', async () => {
    const good = people.account('good');
    const requests = [
      request('bad', bodyOf({ ...people.account('bad'), auth: good.auth })),
      request('once', bodyOf(good)),
      request('twice', bodyOf(good)),
    ];
    await ask(database, requests);
    await ledger.ledger.step();
    expect(await ask(database, requests)).toMatchObject([
      { state: 'refused', code: 'signature' },
      { state: 'entered' },
      { state: 'refused' },
    ]);
  });

  test('under a key that was used for another are refused, and nothing of the rest is taken', async () => {
    const one = bodyOf(people.account('key1'));
    await ask(database, [request('used', one)]);
    const other = [
      request('fresh', bodyOf(people.account('key2'))),
      request('used', bodyOf(people.account('key3'))),
    ];
    await expect(ask(database, other)).rejects.toMatchObject({ code: 'request-key' });
    expect(await answer('fresh')).toBeUndefined();
    // Another requester has keys of its own.
    expect(await ask(database, [request('used', bodyOf(people.account('key4')), 'other')])).toEqual(
      [{ state: 'waiting' }],
    );
    await expect(ask(database, [request('x', one), request('x', one)])).rejects.toMatchObject({
      code: 'request-key',
    });
  });

  test.each<[string, () => Uint8Array, string]>([
    ['of another log', () => bodyOf(people.account('o'), 'other.example/log'), 'origin'],
    ['that is no JSON', () => Uint8Array.of(0x7b), 'json'],
    ['that is not canonical', () => new TextEncoder().encode('{ }'), 'jcs'],
    ['of a kind that nobody signs', () => bodyOf({ kind: 'void', auth: [], spec: {} }), 'kind'],
    ['of no known kind', () => bodyOf({ ...people.account('k'), kind: 'gift' }), 'kind'],
    ['with another spec', () => bodyOf({ ...people.account('f'), spec: {} }), 'form'],
    [
      'with one signer twice',
      () => {
        const draft = people.account('t');
        return bodyOf({ ...draft, auth: [...draft.auth, ...draft.auth.slice(0, 1)] });
      },
      'auth',
    ],
  ])('%s are refused at once', async (_what, body, code) => {
    const refused = ask(database, [request(`refused ${code}`, body())]);
    expect(await refused.then(() => 'taken', refusalCode)).toBe(code);
  });

  test.each(['', 'x'.repeat(256), 'line\nbreak'])('need a key that is one (%j)', async (key) => {
    const refused = ask(database, [request(key, bodyOf(people.account('n')))]);
    expect(await refused.then(() => 'taken', refusalCode)).toBe('request');
  });

  test('are forgotten when their answers are old, and not before', async () => {
    const requests = [request('old', bodyOf(people.account('old')))];
    await ask(database, requests);
    await ledger.ledger.step();
    await ask(database, [request('n1', bodyOf(people.account('n1')))], nowS + answersKeptS);
    expect(await answer('old')).toMatchObject({ state: 'entered' });
    await ask(database, [request('n2', bodyOf(people.account('n2')))], nowS + answersKeptS + 1);
    expect(await answer('old')).toBeUndefined();
    // What waits is never forgotten.
    expect(await answer('n1')).toEqual({ state: 'waiting' });
  });

  test('are decided once: the table refuses the rest', async () => {
    await ask(database, [request('fixed', bodyOf(people.account('fixed')))]);
    const { pool } = database;
    const change = (set: string) =>
      pool.run(`update action set ${set} where request_key = 'fixed'`);
    const refusal = { constraint: 'action_decided_once' };
    await expect(change(`body = '\\x00'`)).rejects.toMatchObject(refusal);
    await expect(pool.run(`delete from action where request_key = 'fixed'`)).rejects.toMatchObject(
      refusal,
    );
    await ledger.ledger.step();
    await expect(change('entry_index = 0')).rejects.toMatchObject(refusal);
    await expect(change('decided_at = null, entry_index = null')).rejects.toMatchObject(refusal);
    await expect(pool.run('truncate action')).rejects.toThrow();
    expect(await pool.run(`delete from action where request_key = 'fixed'`)).toBe(1);
  });

  test('of one requester wait in bounded number', async () => {
    await database.pool.run(
      `insert into action (requester, request_key, body, received_at)
       select 'flood', 'k' || n, '\\x00', 0 from generate_series(1, $1::int) as n`,
      [waitingPerRequester],
    );
    const more = [request('more', bodyOf(people.account('more')), 'flood')];
    await expect(ask(database, more)).rejects.toMatchObject({ code: 'full' });
    // Others are not held up, and what is no action is refused by the ledger as well.
    await ask(database, [request('beside', bodyOf(people.account('beside')))]);
    for (let i = 0; i < 3; i++) await ledger.ledger.step();
    expect(await answer('beside')).toMatchObject({ state: 'entered' });
    expect(await answer('k1', 'flood')).toMatchObject({ state: 'refused', code: 'json' });
    const tooMany = Array.from({ length: requestsAtOnce + 1 }, (_, i) =>
      request(`${i}`, Uint8Array.of()),
    );
    await expect(ask(database, tooMany)).rejects.toMatchObject({ code: 'request' });
  });
});

onPostgres('two ledgers', (start) => {
  test('decide each action once, in the order in which it came', async () => {
    const database = await start();
    const one = createTestLedger(database.pool);
    const two = createTestLedger(database.anotherPool(), { folder: `${one.folder}/..` });
    await one.enter(people.genesis());
    const names = Array.from({ length: 200 }, (_, i) => `many-${i}`);
    const requests = names.map((name) => request(name, bodyOf(people.account(name))));
    const asking = requests.map((each) => ask(database, [each]));
    const deciding = [one, two].map(async ({ ledger }) => {
      for (let i = 0; i < 20; i++) {
        // The slower of the two decides nothing, and is asked again.
        await ledger.step().catch((error: unknown) => {
          expect(error).toMatchObject({ code: 'action-decided' });
        });
      }
    });
    await Promise.all([...asking, ...deciding]);
    await one.ledger.step();
    const answers = await ask(database, requests);
    expect(new Set(answers.map((each) => each?.state))).toEqual(new Set(['entered']));
    const indexes = answers.map((each) => (each?.state === 'entered' ? each.index : -1));
    expect(new Set(indexes).size).toBe(names.length);
    const accounts = await database.pool.row<{ count: number }>(
      `select count(*) from log_entry where kind = 'account'`,
    );
    expect(accounts.count).toBe(names.length);
  });
});
