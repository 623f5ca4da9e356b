import { beforeAll, expect, test } from 'vitest';
import { violatedConstraint } from '#platform/postgres-errors.ts';
import type { Pool } from '#platform/postgres.ts';
import { notePublished } from '#ledger/log-store.ts';
import {
  addCosignature,
  forgetSuperseded,
  insertPendingCheckpoint,
  isPending,
  readCosignatures,
  readDuePending,
} from '#ledger/cosignature-store.ts';
import { onEachEngine } from '#support/postgres.ts';

const note = new Uint8Array([1]);
const cosignature = (name: string, fill = 0) => ({
  name,
  keyId: '0123abcd',
  signature: new Uint8Array(72).fill(fill),
});

onEachEngine('checkpoints that are not published yet', (start) => {
  let pool: Pool;
  beforeAll(async () => {
    ({ pool } = await start());
    await pool.run(`update checkpoint set tree_size = 50, root = sha256('x'), written_size = 40`);
    for (const treeSize of [10, 20, 30, 40, 50]) {
      await insertPendingCheckpoint(pool, { treeSize, note });
    }
  });

  test.each([
    [
      'two notes of one size',
      `insert into pending_checkpoint values (20, '')`,
      'pending_checkpoint_pkey',
    ],
    ['a note changed', `update pending_checkpoint set note = ''`, 'pending_checkpoint_append_only'],
    [
      'a note of nothing',
      `insert into pending_checkpoint values (0, '')`,
      'pending_checkpoint_tree_size_check',
    ],
    [
      'files beyond what is signed',
      `update checkpoint set written_size = 51`,
      'checkpoint_written',
    ],
    [
      'published before it is a file',
      `update checkpoint set published_size = 41`,
      'checkpoint_written',
    ],
    [
      'a cosignature of no checkpoint',
      `insert into cosignature select 7, 'w', '00000000', decode(repeat('00', 72), 'hex')`,
      'cosignature_tree_size_fkey',
    ],
    [
      'a signature of another length',
      `insert into cosignature select 20, 'w', '00000000', decode(repeat('00', 64), 'hex')`,
      'cosignature_signature_check',
    ],
    [
      'a second spelling of a key id',
      `insert into cosignature select 20, 'w', '0000000A', decode(repeat('00', 72), 'hex')`,
      'cosignature_key_id_check',
    ],
  ])('%s is refused', async (_name, statement, constraint) => {
    const error: unknown = await pool.run(statement).catch((refused: unknown) => refused);
    expect(violatedConstraint(error)).toBe(constraint);
  });

  test('one cosignature of a key is kept, the first, as long as the checkpoint is pending', async () => {
    await addCosignature(pool, 20, cosignature('w', 1));
    await addCosignature(pool, 20, cosignature('w', 2));
    await addCosignature(pool, 20, cosignature('a'));
    await addCosignature(pool, 21, cosignature('w'));
    expect(await readCosignatures(pool, 20)).toEqual([cosignature('a'), cosignature('w', 1)]);
    expect(await readCosignatures(pool, 21)).toEqual([]);
    const error: unknown = await pool
      .run(`update cosignature set name = 'b'`)
      .catch((refused: unknown) => refused);
    expect(violatedConstraint(error)).toBe('cosignature_append_only');
  });

  test('the newest one whose files are there comes first, the oldest of too many are forgotten', async () => {
    expect(await readDuePending(pool)).toEqual([{ treeSize: 40, note }]);
    const forget = (publishedSize: number, keep: number) =>
      forgetSuperseded(pool, { publishedSize, keep, limit: 10 });
    expect(await forget(0, 5)).toEqual([]);
    expect(await forget(0, 4)).toEqual([10]);
    expect(await forget(30, 4)).toEqual([20]);
    expect(await readCosignatures(pool, 20)).toEqual([]);
    await notePublished(pool, 30);
    expect([await isPending(pool, 30), await isPending(pool, 40)]).toEqual([false, true]);
    expect(await pool.rows('select published_size from checkpoint')).toEqual([
      { published_size: 30 },
    ]);
  });
});
