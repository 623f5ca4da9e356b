import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { manualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { Failed } from '#core/errors.ts';
import { parseVkey } from '#core/tlog/note.ts';
import { parseBundle, tileHashReader } from '#core/tlog/tile.ts';
import { proveInclusion, rootAt, verifyInclusion } from '#core/tlog/proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { defaultLedgerLimits } from '#ledger/config.ts';
import { createFollower } from '#ledger/follow.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { createPublisher } from '#ledger/publish.ts';
import { createSequencer } from '#ledger/sequence.ts';
import type { Draft } from '#ledger/draft.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine } from '#support/postgres.ts';
import { testLog } from '#support/register.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hourseal-ledger-'));
  folders.push(folder);
  return folder;
}

const startMs = Date.UTC(2026, 0, 1);

function assemble(pool: Pool) {
  const clock = manualClock(startMs);
  const path = scratch();
  const folder = openLogFolder(path);
  const sequencer = createSequencer({ pool, clock, follower: createFollower() });
  const publisher = createPublisher({
    pool,
    folder,
    signers: [people.logSigner],
    state: sequencer.state,
    logger: createLogger({ name: 'test', level: 'silent' }),
    limits: defaultLedgerLimits,
    signWithoutWitnesses: false,
    witnessUrls: new Map(),
  });
  const publish = async (): Promise<number> => {
    await publisher.recover();
    await publisher.sign();
    return (await publisher.publish()).publishedSize;
  };
  return { clock, path, folder, sequencer, publish };
}

const action = (draft: SignedDraft): Draft => ({ type: 'action', ...draft });

onEachEngine('sequencing', (start) => {
  test('entries become a signed tree whose every file proves them', async () => {
    const { pool } = await start();
    const { sequencer, publish, folder } = assemble(pool);
    const drafts = [people.genesis(), ...people.simplePlant('p1')].map(action);
    const outcomes = await sequencer.sequence(drafts);
    expect(outcomes.map(({ result }) => result)).toEqual(drafts.map(() => 'sequenced'));
    expect(await publish()).toBe(5);
    expect(await publish()).toBe(5);

    const note = await folder.read('checkpoint');
    const checkpoint = verifyCheckpoint(note ?? utf8(''), {
      log: parseVkey(people.logVkey),
      cosigners: [],
    });
    expect(checkpoint).toMatchObject({ origin: testLog, size: 5 });
    const reader = tileHashReader(folder.read, 5);
    expect(await rootAt(5, reader)).toEqual(checkpoint.root);
    const bundle = parseBundle((await folder.read('tile/entries/000.p/5')) ?? utf8(''), 5);
    for (const [index, entry] of bundle.entries()) {
      const path = await proveInclusion({ index, size: 5 }, reader);
      verifyInclusion({ leafHash: leafHash(entry), index, size: 5, path, root: checkpoint.root });
    }
    expect(await pool.rows('select path from pending_tile')).toEqual([]);
    expect(
      await pool.rows(
        'select plant, meter, kid from meter_key join meter using (meter_id) join plant using (plant_id)',
      ),
    ).toEqual([{ plant: 'p1', meter: 'p1-m', kid: people.meterSigner('p1-m').kid }]);
  });

  test('a draft that breaks a rule is reported and leaves no trace', async () => {
    const { pool } = await start();
    const { sequencer, publish } = assemble(pool);
    const drafts = [
      people.genesis(),
      people.account('a'),
      people.account('a'),
      people.account('b'),
    ];
    const outcomes = await sequencer.sequence(drafts.map(action));
    expect(
      outcomes.map((outcome) => ('code' in outcome ? outcome.code : outcome.ref.index)),
    ).toEqual([0, 1, 'account', 2]);
    expect((await sequencer.state()).size).toBe(3);
    expect(await publish()).toBe(3);
  });

  test('what was decided by a state that is given up since is not entered', async () => {
    const { pool } = await start();
    const { sequencer } = assemble(pool);
    await sequencer.sequence([action(people.genesis())]);
    const decidedBy = await sequencer.state();
    await sequencer.sequence([action(people.account('a'))], { decidedBy });
    const rolledBack = sequencer.sequence([action(people.account('phantom'))], {
      alongside: () => Promise.reject(new Failed('test', 'the transaction is rolled back')),
    });
    await expect(rolledBack).rejects.toMatchObject({ code: 'test' });
    expect(decidedBy.accounts.has('phantom')).toBe(true);
    await expect(
      sequencer.sequence([action(people.account('b'))], { decidedBy }),
    ).rejects.toMatchObject({ code: 'state-forgotten' });
    const state = await sequencer.state();
    expect([...state.accounts.keys()]).toEqual(['a']);
    await sequencer.sequence([action(people.account('b'))], { decidedBy: state });
    expect(state.accounts.has('b')).toBe(true);
  });

  test('a second ledger on the same tables goes on where the first stopped', async () => {
    const { pool } = await start();
    const first = assemble(pool);
    await first.sequencer.sequence([people.genesis(), people.account('a')].map(action));
    const second = assemble(pool);
    await second.sequencer.sequence([action(people.account('b'))]);
    await first.sequencer.sequence([action(people.account('c'))]);
    expect((await second.sequencer.state()).accounts.size).toBe(3);
    expect(await first.publish()).toBe(4);
    expect(await second.publish()).toBe(4);
  });

  test('grows through tile boundaries step by step to the same root as at once', async () => {
    const { pool } = await start();
    const { sequencer, publish, folder, path } = assemble(pool);
    await sequencer.sequence([action(people.genesis())]);
    let made = 0;
    for (const count of [200, 54, 1, 1, 300, 20]) {
      const drafts = Array.from({ length: count }, () => action(people.account(`a${(made += 1)}`)));
      await sequencer.sequence(drafts);
      const size = await publish();
      expect(size).toBe(made + 1);
      const checkpoint = verifyCheckpoint(readFileSync(join(path, 'checkpoint')), {
        log: parseVkey(people.logVkey),
        cosigners: [],
      });
      expect(await rootAt(size, tileHashReader(folder.read, size))).toEqual(checkpoint.root);
    }
    expect(await folder.read('tile/entries/000.p/255')).toBeUndefined();
    expect(await folder.read('tile/0/000.p/255')).toBeUndefined();
    expect(parseBundle((await folder.read('tile/entries/000')) ?? utf8(''), 256)).toHaveLength(256);
  });
});
