import { afterAll, beforeAll, expect, test } from 'vitest';
import { listAccounts, readAccount } from '#registry/accounts.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine, type TestPostgres } from '#support/postgres.ts';
import { testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS as nowS,
  type TestLedger,
} from '#support/test-ledger.ts';

removeTestFolders();
const dayS = 86_400;

onEachEngine('accounts', (start) => {
  let database: TestPostgres;
  let ledger: TestLedger;
  beforeAll(async () => {
    database = await start();
    ledger = createTestLedger(database.pool);
    await ledger.enter(people.genesis(), people.account('b'), people.account('a'));
  });
  afterAll(() => database.stop());

  const read = (account: string, at = nowS) => readAccount(database.pool, account, { nowS: at });

  test('are listed by id, from behind one on', async () => {
    const all = await listAccounts(database.pool, { nowS });
    expect(all).toEqual([
      {
        ...{ account: 'a', role: 'plant', custody: 'own', frozen: false, entryIndex: 2 },
        kid: people.accountSigner('a').kid,
      },
      {
        ...{ account: 'b', role: 'plant', custody: 'own', frozen: false, entryIndex: 1 },
        kid: people.accountSigner('b').kid,
      },
    ]);
    expect(await listAccounts(database.pool, { nowS, after: 'a' })).toEqual(all.slice(1));
    expect(await read('none')).toBeUndefined();
  });

  test('that lost their key have another seven days later, unless the old one speaks up', async () => {
    const [lost, changed] = [testSigner('after a loss'), testSigner('after a change')];
    await ledger.enter(
      people.signed('account-key', { account: 'a', cause: 'loss', jwk: lost.jwk }),
    );
    const old = people.accountSigner('a').kid;
    expect(await read('a')).toMatchObject({ kid: old });
    expect(await read('a', nowS + 7 * dayS - 1)).toMatchObject({ kid: old });
    expect(await read('a', nowS + 7 * dayS)).toMatchObject({ kid: lost.kid });
    await ledger.enter(
      people.signedByAccount('account-key', 'a', { cause: 'change', jwk: changed.jwk }),
    );
    expect(await read('a', nowS + 8 * dayS)).toMatchObject({ kid: changed.kid, entryIndex: 2 });
  });

  test('are frozen and free again', async () => {
    const what = { evidence: [], id: 'b', reason: 'a doubt', what: 'account' };
    await ledger.enter(people.signed('freeze', what));
    expect(await read('b')).toMatchObject({ frozen: true });
    expect(await read('a')).toMatchObject({ frozen: false });
    await ledger.enter(people.signed('unfreeze', what));
    expect(await read('b')).toMatchObject({ frozen: false });
  });
});
