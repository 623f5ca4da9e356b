import { beforeAll, expect, test } from 'vitest';
import { violatedConstraint } from '#platform/postgres-errors.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Reading } from '#core/energy/message.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, testStartS } from '#support/test-ledger.ts';

removeTestFolders();

const hour = 3600;
const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

/** What the database itself refuses, whoever asks: each is seen to refuse. */
onEachEngine("the database's own rules", (start) => {
  let pool: Pool;
  beforeAll(async () => {
    ({ pool } = await start());
    const { enter, stepAt } = createTestLedger(pool);
    await enter(people.genesis(), ...people.simplePlant('p1'));
    const readings = [at(testStartS, 0), at(testStartS + hour, 1000)];
    const jws = people.message({ plant: 'p1', meter: 'p1-m', seq: 1, readings });
    await insertMessages(pool, [{ jws }]);
    await stepAt(testStartS + hour + 10);
  });

  const bundle = (from: number, to: number): string =>
    `insert into bundle values ('energy/p1', int8range(${from}, ${to}, '[]'), 5, 0, 'p1', 'active', 5)`;
  const change = (from: number, to: number, ...[index = 5, other]: [number?, string?]): string =>
    `insert into unit_change values ('energy/p1', int8range(${from}, ${to + 1}), ${index}, 'offer',
       'p1', ${other === undefined ? 'null' : `'${other}'`})`;
  const version = (n: number): string =>
    `insert into hour_value select plant_id, start, ${n}, entry_index + 1, time, generation_wh,
       certified_wh, consumption_wh, co2_g, quality, messages, complete, batch_root, meters_root
     from hour_value`;

  test.each([
    ['an entry changed', `update log_entry set time = 0`, 'log_entry_append_only'],
    ['an entry deleted', `delete from log_entry where index = 1`, 'log_entry_append_only'],
    ['all entries truncated', `truncate log_entry cascade`, 'log_entry_append_only'],
    ['an index twice', `insert into log_entry select * from log_entry limit 1`, 'log_entry_pkey'],
    ['an hour changed', `update hour_value set generation_wh = 1`, 'hour_value_append_only'],
    ['an hour deleted', `delete from hour_value`, 'hour_value_append_only'],
    ['a second `hour` of one plant and start', version(1), 'hour_value_pkey'],
    ['records changed', `update hour_record set records = ''`, 'hour_record_append_only'],
    ['a fault deleted', `delete from entry_fault`, 'entry_fault_append_only'],
    ['a unit in two bundles', bundle(1000, 1001), 'bundle_overlap'],
    ['a bundle within another', bundle(5, 6), 'bundle_overlap'],
    [
      'an empty bundle',
      bundle(2000, 1999).replace(`'[]'`, `'()'`).replace('1999', '2000'),
      'bundle_range',
    ],
    ['a unit below 1', bundle(0, 0), 'bundle_range'],
    [
      'a smaller checkpoint',
      `update checkpoint set tree_size = 1, published_size = 0`,
      'checkpoint_forward',
    ],
    [
      'another root for the same size',
      `update checkpoint set root = sha256('another')`,
      'checkpoint_forward',
    ],
    ['a checkpoint deleted', `delete from checkpoint`, 'checkpoint_forward'],
    [
      'a second place for the next entry',
      `insert into log_state values (true, 0, 0)`,
      'log_state_pkey',
    ],
    [
      'files ahead of the checkpoint',
      `update checkpoint set published_size = tree_size + 1`,
      'checkpoint_check',
    ],
    ['a change of units changed', `update unit_change set kind = 'x'`, 'unit_change_append_only'],
    ['a change of units deleted', `delete from unit_change`, 'unit_change_append_only'],
    ['all changes of units truncated', `truncate unit_change`, 'unit_change_append_only'],
    ['a change of no units', change(3, 2), 'unit_change_range'],
    ['a change of a unit below 1', change(0, 0), 'unit_change_range'],
    ['a change by an entry that is not there', change(1, 1, 999), 'unit_change_entry_index_fkey'],
    ['an account that deals with itself', change(1, 1, 5, 'p1'), 'unit_change_other'],
    ['an unknown state of certificates', `update bundle set state = 'eaten'`, 'bundle_state_check'],
  ])('refuse %s', async (_what, sql, constraint) => {
    const refused: unknown = await pool.run(sql).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(violatedConstraint(refused)).toBe(constraint);
  });

  test('allow what the ledger does: another version, the units beside', async () => {
    await pool.run(version(2));
    await pool.run(bundle(1001, 1001));
  });
});
