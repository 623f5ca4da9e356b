import { afterEach, expect, test } from 'vitest';
import { openLogFolder } from '#ledger/log-folder.ts';
import { auditLog } from '#support/audit-log.ts';
import {
  createCosigningRig,
  eager,
  genesisWith,
  policyText,
  publishedBy,
} from '#support/cosigning.ts';
import * as people from '#support/log-people.ts';
import { onPostgres } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, scratchFolder } from '#support/test-ledger.ts';

removeTestFolders();
const { witnesses, clear } = createCosigningRig();
afterEach(clear);

onPostgres('two ledgers on one database', (start) => {
  test.each([
    ['with witnesses', 2],
    ['without', 0],
  ])('%s publish one log, whose every file is there at every size', async (_name, needed) => {
    const { pool, anotherPool } = await start();
    const cosigners = await witnesses('one', 'two');
    const folder = scratchFolder();
    const ledgers = [pool, anotherPool()].map((each) =>
      createTestLedger(each, { folder, limits: { ...eager, keptPendingSizes: 1 } }),
    );
    const [first] = ledgers;
    if (first === undefined) throw new Error('two ledgers');
    const policy = needed === 0 ? undefined : policyText(needed, ...cosigners);
    await first.enter(genesisWith(policy));
    const rounds = 25;
    for (let round = 0; round < rounds; round++) {
      await Promise.all(
        ledgers.map(async (each, i) => {
          await each.enter(people.account(`a${round}-${i}`));
          await each.ledger.step();
        }),
      );
      // Another ledger's partial tiles must not go while this one's checkpoint is published.
      expect((await auditLog(first.folder)).findings).toEqual([]);
    }
    const size = 1 + 2 * rounds;
    expect(await first.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
    const by = needed === 0 ? [] : ['one', 'two'];
    const published = await publishedBy(openLogFolder(first.folder), cosigners);
    expect(published).toMatchObject({ size, by });
  });
});
