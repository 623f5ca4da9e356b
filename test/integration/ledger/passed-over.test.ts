import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openLogFolder, type LogFolder } from '#ledger/log-folder.ts';
import { auditLog } from '#support/audit-log.ts';
import { createCosigningRig, eager, genesisWith, policyText } from '#support/cosigning.ts';
import * as people from '#support/log-people.ts';
import { createTestLedger, removeTestFolders, scratchFolder } from '#support/test-ledger.ts';

removeTestFolders();
const { witnesses, database, clear } = createCosigningRig();
afterEach(clear);

/** Does `work` once, before the first read of the file at `path`. */
function heldBefore(folder: LogFolder, path: string, work: () => Promise<void>): LogFolder {
  let isDone = false;
  return {
    ...folder,
    async read(asked) {
      if (asked === path && !isDone) {
        isDone = true;
        await work();
      }
      return folder.read(asked);
    },
  };
}

test('a size that another ledger passes over while it is being cosigned is no failure', async () => {
  const cosigners = await witnesses('one', 'two');
  const pool = await database();
  const folder = scratchFolder();
  const limits = { ...eager, keptPendingSizes: 1 };
  const other = createTestLedger(pool, { folder, limits });
  await other.enter(genesisWith(policyText(2, ...cosigners)));
  expect(await other.ledger.step()).toMatchObject({ publishedSize: 1 });

  // What a witness is to be shown of the tree of two entries begins with this tile.
  let others = 0;
  const held = heldBefore(openLogFolder(join(folder, 'log')), 'tile/0/000.p/2', async () => {
    await other.enter(people.account('b'));
    others = (await other.ledger.step()).publishedSize;
  });
  const slow = createTestLedger(pool, { folder, limits, context: { folder: held } });
  await slow.enter(people.account('a'));
  expect(await slow.ledger.step()).toMatchObject({ publishedSize: 3 });
  expect(others).toBe(3);
  expect(await held.read('tile/0/000.p/2')).toBeUndefined();
  expect(await auditLog(slow.folder)).toMatchObject({ findings: [], size: 3 });
});

test('a tile that is missing of a size that nobody passed over is a failure', async () => {
  const cosigners = await witnesses('one', 'two');
  const pool = await database();
  const folder = scratchFolder();
  const files = openLogFolder(join(folder, 'log'));
  const path = 'tile/0/000.p/2';
  const held = heldBefore(files, path, () => files.remove(path));
  const rig = createTestLedger(pool, { folder, limits: eager, context: { folder: held } });
  await rig.enter(genesisWith(policyText(2, ...cosigners)));
  await rig.ledger.step();
  await rig.enter(people.account('a'));
  await expect(rig.ledger.step()).rejects.toMatchObject({ code: 'tile-missing' });
});
