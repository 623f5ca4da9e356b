import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fromBase64, toHex } from '#core/bytes.ts';
import { parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { verifyInclusion } from '#core/tlog/proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { askHelper, buildC2sp, buildLimitMs, c2spModules } from '#support/c2sp/programs.ts';
import type { C2spPrograms } from '#support/c2sp/programs.ts';
import { startCli, type RunningCli } from '#support/cli.ts';
import * as people from '#support/log-people.ts';
import { describeWith } from '#support/needs.ts';
import { at } from '#support/peers/claims.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { createTestLedger, removeTestFolders, type TestLedger } from '#support/test-ledger.ts';

removeTestFolders();

/** Around a full tile, which is a partial one of the second level as well, and a little beyond it. */
const sizes = [1, 2, 200, 255, 256, 257, 300];
const policy = `log ${people.logVkey}\nquorum none\n`;

describeWith([c2spModules], "torchwood's tile client", () => {
  let programs: C2spPrograms;
  let database: TestPostgres;
  let rig: TestLedger;
  let scratch = '';
  const served: RunningCli[] = [];
  const serve = async (folder: string): Promise<string> => {
    const cli = startCli(['log', 'serve', '--data', folder, '--listen', '127.0.0.1:0']);
    served.push(cli);
    const [, url = ''] = await cli.said(/(http:\S+)\/checkpoint\n/);
    return url;
  };
  beforeAll(async () => {
    programs = buildC2sp(c2spModules);
    scratch = mkdtempSync(join(tmpdir(), 'hourseal-tiles-'));
    database = await startTestPostgres(quickEngine);
    rig = createTestLedger(database.pool);
    await rig.enter(people.genesis());
    await rig.ledger.step();
  }, buildLimitMs);
  afterAll(async () => {
    for (const { child } of served) child.kill('SIGKILL');
    await database.stop();
    for (const made of [programs.folder, scratch]) rmSync(made, { recursive: true, force: true });
  });

  interface Fetched {
    readonly size: number;
    readonly entries: readonly string[];
    readonly proofs: readonly { readonly entry: string; readonly path: readonly string[] }[];
  }
  const fetchFrom = async (url: string, prove: readonly number[]): Promise<Fetched> =>
    (await askHelper(programs, 'fetch', { url, policy, prove })) as Fetched;
  const checkpointIn = (folder: string) =>
    parseCheckpoint(parseNote(Uint8Array.from(readFileSync(join(folder, 'checkpoint')))).text);

  it('reads what `hourseal log serve` serves at every size, and proves it as ours accepts it', async () => {
    const url = await serve(rig.folder);
    let last: readonly string[] = [];
    for (const size of sizes) {
      const missing = size - checkpointIn(rig.folder).size;
      if (missing > 0) {
        await rig.enter(
          ...Array.from({ length: missing }, (_, i) => people.account(`${size}-${i}`)),
        );
        await rig.ledger.step();
      }
      const prove = [...new Set([0, Math.floor(size / 2), size - 1])];
      const fetched = await fetchFrom(url, prove);
      expect(fetched.size).toBe(size);
      expect(fetched.entries).toHaveLength(size);
      expect(fetched.entries.slice(0, last.length)).toEqual(last);
      last = fetched.entries;
      const { root } = checkpointIn(rig.folder);
      for (const [i, index] of prove.entries()) {
        const { entry, path } = at(fetched.proofs, i);
        expect(entry).toBe(at(fetched.entries, index));
        const leaf = leafHash(fromBase64(entry));
        verifyInclusion({ leafHash: leaf, index, size, root, path: path.map(fromBase64) });
      }
    }
  });

  it.each([
    'checkpoint',
    'tile/0/000',
    'tile/0/001.p/44',
    'tile/1/000.p/1',
    'tile/entries/000',
    'tile/entries/001.p/44',
  ])('refuses the log with a bit turned in %s', async (path) => {
    const folder = join(scratch, toHex(new TextEncoder().encode(path)));
    cpSync(rig.folder, folder, { recursive: true });
    const bytes = Uint8Array.from(readFileSync(join(folder, path)));
    // Away from the checkpoint's first line, so that it stays one of this log.
    writeFileSync(join(folder, path), bytes.with(30, at([...bytes], 30) ^ 1));
    await expect(fetchFrom(await serve(folder), [])).rejects.toThrow('the C2SP helper');
  });
});
