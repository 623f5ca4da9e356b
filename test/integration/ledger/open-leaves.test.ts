import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { accessToken } from '#core/certificate/access.ts';
import { encodeMessageLeaf, parseBatchFile, parseMessageLeaf } from '#core/energy/batch.ts';
import {
  openAnswerLimitBytes,
  openLeavesLimit,
  openLeavesLimitBytes,
  openLeavesPath,
  parseOpenLeaves,
  type OpenLeaves,
} from '#core/energy/open-leaves.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { createFileServer, type FileServer } from '#ledger/file-server.ts';
import { createAnswerOpen, type AnswerOpenLimits } from '#ledger/open-leaves.ts';
import { startCli } from '#support/cli.ts';
import { insertMessages, type Arrived } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { onEachEngine, onPostgres, type TestPostgres } from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS as t0,
  type TestLedger,
} from '#support/test-ledger.ts';

/** Leaves of hours that are not sealed yet, over HTTP from the database of a real ledger. */

removeTestFolders();

const hourS = 3600;
const auditor = testSigner('auditor');
/** As long as an id may be, with all that may stand in it. */
const longId = `A-b_c.d${'x'.repeat(57)}`;

interface Rig {
  readonly ledger: TestLedger;
  readonly database: TestPostgres;
  readonly serve: (limits?: Partial<AnswerOpenLimits>) => Promise<void>;
  readonly get: (path: string, headers?: Record<string, string>) => Promise<Response>;
  /** Of a public plant. */
  readonly ask: (plant: string, after?: string) => Promise<OpenLeaves>;
  /** All there is from a cursor on, and how many answers that took. */
  readonly askAll: (plant: string) => Promise<{ leaves: Uint8Array[]; answers: number }>;
  readonly arrive: (...messages: readonly (Arrived | string)[]) => Promise<void>;
}

function useRig(start: () => Promise<TestPostgres>): Rig {
  const current: { ledger?: TestLedger; database?: TestPostgres; server?: FileServer } = {};
  const of = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('only within a test');
    return value;
  };
  const serve: Rig['serve'] = async (limits) => {
    const { folder, clock } = of(current.ledger);
    await current.server?.stop();
    current.server = createFileServer({
      folder,
      listen: { host: '127.0.0.1', port: 0 },
      clock,
      readers: () => Promise.resolve({ origin: testLog, keys: [parsePublicJwk(auditor.jwk)] }),
      open: createAnswerOpen(of(current.database).pool, limits),
    });
    await current.server.start();
  };
  beforeAll(async () => {
    current.database = await start();
    current.ledger = createTestLedger(current.database.pool);
    const { enter } = current.ledger;
    await enter(people.genesis(), ...people.simplePlant('p1'), ...people.simplePlant('p2'));
    await enter(people.account('c1'), people.account('long'));
    const registers = { importWh: { direction: 'import', unit: 'Wh' } };
    await enter(
      people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption', source: 'none' }),
      people.meter('c1-m', { at: 'c1', owner: 'c1', registers, role: 'consumption' }),
      people.key('c1-m', { at: 'c1', owner: 'c1' }),
      people.plant(longId, 'long'),
    );
    for (const other of ['p2-a', 'p2-b']) {
      await enter(
        people.meter(other, { at: 'p2', owner: 'p2', role: 'check' }),
        people.key(other, { at: 'p2', owner: 'p2' }),
      );
    }
  });
  beforeEach(() => serve());
  afterEach(async () => {
    await current.server?.stop();
    delete current.server;
    await of(current.database).pool.run('delete from message');
  });
  const get: Rig['get'] = (path, headers = {}) =>
    fetch(`${of(current.server).url()}/${path}`, { headers, redirect: 'error' });
  const ask: Rig['ask'] = async (plant, after = '') => {
    const response = await get(openLeavesPath({ plant, isPrivate: false, after }));
    expect(response.status).toBe(200);
    return parseOpenLeaves(new Uint8Array(await response.arrayBuffer()));
  };
  return {
    get ledger() {
      return of(current.ledger);
    },
    get database() {
      return of(current.database);
    },
    serve,
    get,
    ask,
    async askAll(plant) {
      const leaves: Uint8Array[] = [];
      for (let answers = 1, after = ''; ; answers++) {
        const answer = await ask(plant, after);
        leaves.push(...answer.leaves);
        if (!answer.more) return { leaves, answers };
        expect(answer.next).not.toBe(after);
        after = answer.next;
      }
    },
    arrive: (...messages) =>
      insertMessages(
        of(current.database).pool,
        messages.map((message) => (typeof message === 'string' ? { jws: message } : message)),
      ),
  };
}

const message = (
  meter: string,
  seq: number,
  { t = t0 + seq, readings = 1 }: { t?: number; readings?: number } = {},
): string =>
  people.message({
    plant: meter.slice(0, 2),
    meter,
    seq,
    readings: Array.from({ length: readings }, (_, i) => ({
      registers: { [meter === 'c1-m' ? 'importWh' : 'exportWh']: t - t0 + i },
      t: t + i,
    })),
  });
const leaf = (jws: string, receivedAt: number): Uint8Array =>
  encodeMessageLeaf({ receivedAt, bytes: utf8(jws) });
const seqsOf = (leaves: readonly Uint8Array[]): number[] =>
  leaves.map((one) => parseMessageLeaf(one).parsed.message.seq);
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const bearer = ({ ledger }: Rig): Record<string, string> => ({
  authorization: `Bearer ${accessToken(auditor, { origin: testLog, nowS: ledger.clock.nowS() })}`,
});

onEachEngine('leaves of the open hours', (start) => {
  const rig = useRig(() => start());

  it('are served as they arrive, each once, in their order', async () => {
    expect(await rig.ask('p1')).toEqual({ leaves: [], next: '', more: false });
    const [one, two, three] = [1, 2, 3].map((seq) => message('p1-m', seq)) as [string, ...string[]];
    await rig.arrive({ jws: one, receivedAt: t0 + 7 }, { jws: two ?? '', receivedAt: t0 + 8 });
    const first = await rig.ask('p1');
    expect(first.leaves).toEqual([leaf(one, t0 + 7), leaf(two ?? '', t0 + 8)]);
    expect(first.more).toBe(false);
    expect(await rig.ask('p1', first.next)).toEqual({ ...first, leaves: [] });
    await rig.arrive({ jws: three ?? '', receivedAt: t0 + 9 });
    const later = await rig.ask('p1', first.next);
    expect(later.leaves).toEqual([leaf(three ?? '', t0 + 9)]);
    expect((await rig.ask('p1')).leaves).toEqual([...first.leaves, ...later.leaves]);
  });

  it('of several meters are in the order of arrival, and of one key in that of seq', async () => {
    const arrivals: [string, number, number][] = [
      ['p2-m', 1, 10],
      ['p2-a', 1, 11],
      ['p2-m', 3, 12],
      ['p2-b', 1, 13],
      ['p2-a', 2, 14],
      // Sent again, and so later than the one after it.
      ['p2-m', 2, 15],
    ];
    await rig.arrive(
      ...arrivals.map(([meter, seq, at]) => ({ jws: message(meter, seq), receivedAt: t0 + at })),
    );
    const told = (await rig.ask('p2')).leaves.map((one) => {
      const { meter, seq } = parseMessageLeaf(one).parsed.message;
      return `${meter} ${seq}`;
    });
    expect(told).toEqual(['p2-m 1', 'p2-a 1', 'p2-b 1', 'p2-a 2', 'p2-m 2', 'p2-m 3']);
  });

  it('come in answers of a bounded number, and nothing is passed over or told twice', async () => {
    const count = 2 * openLeavesLimit + 17;
    await rig.arrive(...range(count).map((seq) => message('p1-m', seq)));
    const { leaves, answers } = await rig.askAll('p1');
    expect(seqsOf(leaves)).toEqual(range(count));
    expect(answers).toBe(3);
    const meters = ['p2-m', 'p2-a', 'p2-b'];
    await rig.arrive(
      ...meters.flatMap((meter, i) => range(100 * 3 ** i).map((seq) => message(meter, seq))),
    );
    const several = await rig.askAll('p2');
    for (const [i, meter] of meters.entries()) {
      const own = several.leaves.filter(
        (one) => parseMessageLeaf(one).parsed.message.meter === meter,
      );
      expect(seqsOf(own)).toEqual(range(100 * 3 ** i));
    }
  });

  it('come in answers of a bounded size', async () => {
    const large = range(40).map((seq) =>
      message('p1-m', seq, { t: t0 + (seq - 1) * 900, readings: 900 }),
    );
    expect(large[0]?.length).toBeGreaterThan(50_000);
    await rig.arrive(...large);
    const response = await rig.get('open/p1');
    const bytes = new Uint8Array(await response.arrayBuffer());
    expect(bytes.length).toBeLessThan(openAnswerLimitBytes);
    expect(bytes.length).toBeGreaterThan(openLeavesLimitBytes / 2);
    expect(parseOpenLeaves(bytes).more).toBe(true);
    expect(seqsOf((await rig.askAll('p1')).leaves)).toEqual(range(40));
  });

  it('are of accepted messages alone, however many others stand between them', async () => {
    const code = 'future';
    const others = range(openLeavesLimit + 10).map((i) => ({ jws: message('p1-m', i + 1), code }));
    const last = openLeavesLimit + 12;
    await rig.arrive(message('p1-m', 1), ...others, message('p1-m', last));
    const { leaves, answers } = await rig.askAll('p1');
    expect(seqsOf(leaves)).toEqual([1, last]);
    expect(answers).toBeGreaterThan(1);
  });

  it.each([
    ['no cursor', 'x'],
    ['a key without a number', '12-'],
    ['a number without a key', '-12'],
    ['two at once', '12-1.12'],
    ['an end that says more', '12-1.'],
    ['a beginning of nothing', '.12-1'],
    ['a zero', '12-0'],
    ['another spelling', '12-007'],
    ['a key of nobody', '99999999999-1'],
    ['a number of no message', '12-9007199254740993'],
    ['a sign', '12--1'],
    ['a space', '12-1%20'],
    ['a null byte', '12-1%00'],
    ['SQL', "12-1'%20or%20true"],
    ['more than there can be', `${'12-1.'.repeat(2000)}12-1`],
  ])('are not told after what is no cursor: %s', async (_what, cursor) => {
    const response = await rig.get(`open/p1?after=${cursor}`);
    expect(response.status).toBe(400);
    expect(response.headers.get('cache-control')).toBe('no-store');
  });

  it('are not told after two cursors, nor after one that is nested', async () => {
    expect((await rig.get('open/p1?after=1-1&after=1-2')).status).toBe(400);
    await rig.arrive(message('p1-m', 1));
    // No parameter of that name: as if nothing were asked for.
    const response = await rig.get('open/p1?after[x]=1-1');
    expect([200, 400]).toContain(response.status);
  });

  it('are told by whatever fits of a cursor of another plant, or of none', async () => {
    await rig.arrive(message('p1-m', 1), message('p2-m', 1));
    const other = await rig.ask('p2');
    expect((await rig.ask('p1', other.next)).leaves).toHaveLength(1);
    expect((await rig.ask('p1', '2147483647-5.4294967296-5')).leaves).toHaveLength(1);
    const [key = ''] = (await rig.ask('p1')).next.split('-');
    expect((await rig.ask('p1', `${key}-${Number.MAX_SAFE_INTEGER}`)).leaves).toEqual([]);
  });

  it('may be kept for seconds, and may be read from everywhere', async () => {
    const { status, headers } = await rig.get('open/p1');
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('public, max-age=2');
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('etag')).toBeNull();
  });

  it.each([
    'open',
    'open/',
    'open/nobody',
    'open/p1/',
    'open/p1/x',
    'OPEN/p1',
    'open/p1%2e',
    'open//p1',
    'open/P1',
    `open/${'x'.repeat(65)}`,
    'open/-p1',
    'open/%27',
  ])('are of a plant that there is: %s', async (path) => {
    const response = await rig.get(path);
    expect([response.status, await response.text()]).toEqual([404, 'not found\n']);
  });

  it('are of every plant, whatever its id', async () => {
    expect(await rig.ask(longId)).toEqual({ leaves: [], next: '', more: false });
  });

  it('of a committed site are for auditing witnesses alone', async () => {
    const jws = message('c1-m', 1);
    await rig.arrive({ jws, receivedAt: t0 + 3 });
    expect((await rig.get('open/c1')).status).toBe(404);
    for (const path of ['private/open/c1', 'private/open/nobody', 'PRIVATE/open/c1']) {
      const response = await rig.get(path);
      expect([response.status, await response.text()]).toEqual([
        401,
        'for auditing witnesses alone\n',
      ]);
    }
    const response = await rig.get('private/open/c1', bearer(rig));
    expect(response.status).toBe(200);
    expect(response.headers.get('cache-control')).toBe('private, no-store');
    const { leaves } = parseOpenLeaves(new Uint8Array(await response.arrayBuffer()));
    expect(leaves).toEqual([leaf(jws, t0 + 3)]);
    // What is public is so under one path.
    expect((await rig.get('private/open/p1', bearer(rig))).status).toBe(404);
    expect((await rig.get('open/c1', bearer(rig))).status).toBe(404);
  });

  it('are only read: nothing else is done with them', async () => {
    const { server } = { server: (await rig.get('open/p1')).url };
    for (const method of ['POST', 'DELETE', 'PUT']) {
      expect((await fetch(server, { method })).status).toBe(405);
    }
    const head = await fetch(server, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
  });
});

onEachEngine('leaves of an hour that is sealed', (start) => {
  const rig = useRig(() => start());

  it('stand in its batch file as they were served, and are served no more', async () => {
    const minutes = [0, 20, 40, 60, 80, 100, 119, 121];
    const sent = minutes.map((minute, i) => message('p1-m', i + 1, { t: t0 + minute * 60 }));
    await rig.arrive(...sent);
    const { leaves } = await rig.ask('p1');
    expect(leaves).toHaveLength(sent.length);
    const { sealed } = await rig.ledger.stepAt(t0 + 2 * hourS + 120);
    expect(sealed).toHaveLength(2);
    const folder = join(rig.ledger.folder, 'batch');
    const inBatches = readdirSync(folder).flatMap((name) =>
      parseBatchFile(new Uint8Array(readFileSync(join(folder, name)))).leaves.map(decodeUtf8),
    );
    expect(new Set(inBatches)).toEqual(new Set(leaves.map(decodeUtf8)));
    // Nobody gets them any more, whatever cursor is brought.
    for (const after of ['', '1-1', (await rig.ask('p1')).next]) {
      expect(seqsOf((await rig.ask('p1', after)).leaves)).toEqual(
        after === '' || after === '1-1' ? [8] : [],
      );
    }
    await rig.arrive(message('p1-m', 9, { t: t0 + 125 * 60 }));
    expect(seqsOf((await rig.ask('p1')).leaves)).toEqual([8, 9]);
  });
});

onPostgres('leaves of the open hours, by the command', (start) => {
  const rig = useRig(() => start());

  it('are served where it is told the database of the installation', async () => {
    const jws = message('p1-m', 1);
    await rig.arrive({ jws, receivedAt: t0 + 3 });
    const data = dirname(rig.ledger.folder);
    await rig.ledger.stepAt(t0 + 1);
    const args = ['log', 'serve', '--data', data, '--listen', '127.0.0.1:0'];
    for (const [env, expected] of [
      [{ DATABASE_URL: rig.database.connectionString }, 200],
      [{}, 404],
    ] as const) {
      const { child, said, ended } = startCli(args, { env });
      const [, url] = await said(/(http:\S+)\/checkpoint/);
      const response = await fetch(`${url ?? ''}/open/p1`);
      expect(response.status).toBe(expected);
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (expected === 200) expect(parseOpenLeaves(bytes).leaves).toEqual([leaf(jws, t0 + 3)]);
      child.kill('SIGTERM');
      expect((await ended).code).toBe(0);
    }
  });
});

onPostgres('leaves of the open hours, among many messages', (start) => {
  const rig = useRig(() => start());
  const seqs = 60_000;

  it('are found by their places, and those who ask wait in a line of bounded length', async () => {
    const { pool, anotherPool } = rig.database;
    await pool.run(`
      insert into message (key_id, seq, received_at, t_first, t_last, hash, jws)
      select key_id, n, ${t0} + n * 60, ${t0} + n * 60, ${t0} + n * 60, sha256(''), 'x'
      from meter_key, generate_series(1, ${seqs}) n`);
    await pool.run('analyze message');
    const newest = t0 + (seqs - 100) * 60;
    await pool.run(`
      insert into hour_value (plant_id, start, version, entry_index, time, generation_wh,
        certified_wh, quality, messages, complete, batch_root, meters_root)
      select plant_id, ${newest - (newest % hourS) - hourS}, 1, 100000 + plant_id, 0, 0, 0,
        'measured', 0, true, sha256(''), sha256('') from plant`);
    const scans = async (): Promise<{ seq: number; tuples: number }> => {
      const [row] = await anotherPool(1).rows<{ seq: number; tuples: number }>(
        `select seq_scan::bigint as seq, (idx_tup_fetch + seq_tup_read)::bigint as tuples
         from pg_stat_user_tables where relname = 'message'`,
      );
      return row ?? { seq: 0, tuples: 0 };
    };
    const before = await scans();
    for (const plant of ['p1', 'p2', 'p1', 'p2']) {
      expect((await rig.ask(plant)).leaves.length).toBeGreaterThan(0);
    }
    await expect
      .poll(async () => (await scans()).tuples, { timeout: 20_000 })
      .toBeGreaterThan(before.tuples);
    const after = await scans();
    expect(after.seq).toBe(before.seq);
    expect(after.tuples - before.tuples).toBeLessThan(10_000);

    await rig.serve({ concurrentAnswers: 1, waitingAnswers: 1 });
    const holder = await pool.pg.connect();
    try {
      await holder.query('begin; lock table plant in access exclusive mode');
      const asked = [1, 2, 3, 4].map(() => rig.get('open/p1'));
      const refused = await Promise.race(asked);
      expect(refused.status).toBe(503);
      await holder.query('rollback');
      const answers = await Promise.all(asked);
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 503, 503]);
    } finally {
      holder.release();
    }
    expect((await rig.ask('p1')).leaves.length).toBeGreaterThan(0);
  });
});
