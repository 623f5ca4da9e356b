import { createServer, type Server, type ServerResponse } from 'node:http';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { concat, decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { accessToken } from '#core/certificate/access.ts';
import { encodeBatchFile, encodeMessageLeaf, parseBatchFile } from '#core/energy/batch.ts';
import { encodeOpenLeaves, openAnswerLimitBytes } from '#core/energy/open-leaves.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { parseCheckpoint, type Checkpoint } from '#core/tlog/checkpoint.ts';
import { parseNote } from '#core/tlog/note.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { createFileServer, type FileServer } from '#ledger/file-server.ts';
import { createAnswerOpen } from '#ledger/open-leaves.ts';
import { systemClock } from '#platform/clock.ts';
import { listenOn, urlOf } from '#platform/listen.ts';
import { httpLogReader } from '#platform/log-reader.ts';
import { createLogger } from '#platform/logger.ts';
import { createSignatureCheck } from '#platform/signature-check.ts';
import { defaultAheadLimits } from '#witness/ahead.ts';
import { createLogAuditor } from '#witness/audit.ts';
import { httpOpenReader } from '#witness/open-reader.ts';
import { readingAhead, type AheadAuditor } from '#witness/reading-ahead.ts';
import { startHostileLog, type HostileLog } from '#support/hostile-log.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { testLog, testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  testStartS as t0,
  type TestLedger,
} from '#support/test-ledger.ts';

/** An auditor that verifies what arrives at a log before its hours are sealed. */

removeTestFolders();

const hourS = 3600;
const never = new AbortController().signal;
const auditorKey = testSigner('auditor');
const importWh = { importWh: { direction: 'import', unit: 'Wh' } };

let database: TestPostgres;
let ledger: TestLedger;
let files: FileServer;

/** Of meter `p1-m` or `c1-m`: every 15 minutes from `first` on, `count` of them. */
const quarters = (meter: 'p1-m' | 'c1-m', first: number, count: number): { jws: string }[] =>
  Array.from({ length: count }, (_, i) => {
    const quarter = first + i;
    const register = meter === 'p1-m' ? 'exportWh' : 'importWh';
    const readings = [{ registers: { [register]: quarter * 100 }, t: t0 + quarter * 900 }];
    return {
      jws: people.message({ plant: meter.slice(0, 2), meter, seq: quarter + 1, readings }),
    };
  });
const arrived = 2 * 5;

/** A log of a public plant and a committed site, with an hour of messages that nobody has sealed yet. */
async function begin(): Promise<void> {
  database = await startTestPostgres(quickEngine);
  ledger = createTestLedger(database.pool);
  await ledger.enter(people.genesis(), ...people.simplePlant('p1'), people.account('c1'));
  const by = { at: 'c1', owner: 'c1' };
  await ledger.enter(
    people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption', source: 'none' }),
    people.meter('c1-m', { ...by, registers: importWh, role: 'consumption' }),
    people.key('c1-m', by),
  );
  files = createFileServer({
    folder: ledger.folder,
    listen: { host: '127.0.0.1', port: 0 },
    clock: ledger.clock,
    readers: () => Promise.resolve({ origin: testLog, keys: [parsePublicJwk(auditorKey.jwk)] }),
    open: createAnswerOpen(database.pool),
  });
  await files.start();
  await ledger.stepAt(t0 + 1);
}

/** The hour's messages arrive, and with the last of them it is sealed. */
const arriveHour = async (): Promise<void> => {
  await insertMessages(database.pool, [...quarters('p1-m', 0, 5), ...quarters('c1-m', 0, 5)]);
};
const sealHour = async (): Promise<void> => {
  const { sealed } = await ledger.stepAt(t0 + hourS + 10);
  expect(sealed).toHaveLength(2);
};
const checkpoint = async (): Promise<Checkpoint> =>
  parseCheckpoint(parseNote(await readFile(join(ledger.folder, 'checkpoint'))).text);

interface Reader {
  readonly auditor: AheadAuditor;
  readonly verified: () => number;
  readonly look: () => Promise<void>;
  readonly judge: (of?: Checkpoint) => Promise<void>;
  /** How it ends, in words. */
  readonly verdict: (of?: Checkpoint) => Promise<string>;
  /** Time that the plants wait for passes. */
  readonly pass: (ms: number) => void;
}

function newReader(url: string, { openUrl = url, timeoutMs = 10_000 } = {}): Reader {
  const { clock } = ledger;
  const signatures = createSignatureCheck();
  const authorization = (): string =>
    `Bearer ${accessToken(auditorKey, { origin: testLog, nowS: clock.nowS() })}`;
  const inner = createLogAuditor({
    read: httpLogReader(url, { timeoutMs: 5_000, authorization }),
    signatures,
    clock,
    origin: testLog,
    logger: createLogger({ name: 'test', level: 'silent' }),
  });
  let nowMs = 0;
  const auditor = readingAhead(inner, {
    read: httpOpenReader(openUrl, { authorization, timeoutMs }),
    clock: { nowMs: () => nowMs, sleep: systemClock.sleep },
    random: () => 0,
  });
  const judge = async (of?: Checkpoint): Promise<void> =>
    auditor.judge(of ?? (await checkpoint()), never);
  return {
    auditor,
    verified: signatures.verified,
    look: () => auditor.look(never),
    judge,
    verdict: (of) => judge(of).then(() => 'agreed', String),
    pass: (ms) => (nowMs += ms),
  };
}

describe('leaves that were read ahead', () => {
  beforeEach(begin);
  afterEach(async () => {
    await files.stop();
    await database.stop();
  });

  test('are not verified again when their hours are judged', async () => {
    const reader = newReader(files.url());
    const late = newReader(files.url());
    await reader.judge();
    await arriveHour();
    await reader.look();
    expect(reader.verified()).toBe(arrived);
    // What is there already is not even asked for.
    for (let i = 0; i < 3; i++) {
      reader.pass(1_000_000);
      await reader.look();
    }
    expect(reader.verified()).toBe(arrived);
    await sealHour();
    await reader.judge();
    expect(reader.verified()).toBe(arrived);
    await late.judge();
    expect(late.verified()).toBe(arrived);
  });

  test('save what was seen, and what was not is verified in time', async () => {
    const reader = newReader(files.url());
    await reader.judge();
    await insertMessages(database.pool, [...quarters('p1-m', 0, 3), ...quarters('c1-m', 0, 4)]);
    await reader.look();
    expect(reader.verified()).toBe(7);
    await insertMessages(database.pool, [...quarters('p1-m', 3, 2), ...quarters('c1-m', 4, 1)]);
    await sealHour();
    await reader.judge();
    expect(reader.verified()).toBe(arrived);
  });

  test('come from nowhere before the auditor knows the plants, and need not come at all', async () => {
    await arriveHour();
    const reader = newReader(files.url());
    await reader.look();
    expect(reader.verified()).toBe(0);
    await sealHour();
    expect(await reader.verdict()).toBe('agreed');
  });

  test('are looked for by itself from start to close', async () => {
    const reader = newReader(files.url());
    await reader.judge();
    await arriveHour();
    reader.auditor.start();
    await expect.poll(reader.verified, { timeout: 20_000 }).toBe(arrived);
    await reader.auditor.close?.();
  });
});

describe('whoever serves something else', () => {
  let server: Server;
  let url = '';
  let serve: (path: string, response: ServerResponse) => void;
  let asked: string[] = [];
  let sentBytes = 0;
  let good: Uint8Array[];
  let hostile: HostileLog;
  /** The entries of the two hours: of the plant, and the first of both. */
  let hour = 0;
  let first = 0;

  beforeAll(async () => {
    await begin();
    await arriveHour();
    await sealHour();
    hostile = await startHostileLog(ledger.folder);
    const isHour = (index: number): boolean => 'batchRoot' in hostile.spec(index);
    first = hostile.entries.findIndex((_, index) => isHour(index));
    hour = hostile.entries.findIndex((_, i) => isHour(i) && hostile.spec(i).plant === 'p1');
    good = quarters('p1-m', 0, 5).map(({ jws }, i) =>
      encodeMessageLeaf({ receivedAt: t0 + i * 900 + 5, bytes: utf8(jws) }),
    );
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.on('error', () => undefined);
      serve(request.url ?? '', response);
    });
    await listenOn(server, { host: '127.0.0.1', port: 0 });
    url = urlOf(server);
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await hostile.stop();
    await files.stop();
    await database.stop();
  });
  beforeEach(() => {
    asked = [];
    sentBytes = 0;
  });

  const answer = (
    leaves: readonly Uint8Array[],
    { next = '1-5', more = false }: { next?: string; more?: boolean } = {},
  ): Uint8Array => encodeOpenLeaves({ leaves, next, more });
  const send = (bytes: Uint8Array) => (_path: string, response: ServerResponse) => {
    response.writeHead(200).end(bytes);
  };
  const bent = (leaf: Uint8Array, at: number): Uint8Array => {
    const text = decodeUtf8(leaf);
    const i = at < 0 ? text.length + at : at;
    const other = text[i] === 'A' ? 'B' : 'A';
    return utf8(`${text.slice(0, i)}${other}${text.slice(i + 1)}`);
  };
  /** The second message's content under the first one's signature. */
  const swapped = (): Uint8Array => {
    const [one = '', two = ''] = good.map(decodeUtf8);
    return utf8(`${two.slice(0, two.lastIndexOf('.'))}${one.slice(one.lastIndexOf('.'))}`);
  };
  const forged = (): Uint8Array => {
    const readings = [{ registers: { exportWh: 7 }, t: t0 }];
    const own = { plant: 'p1', meter: 'p1-m', seq: 1, readings };
    const jws = people.message({ ...own, signer: 'nobody' });
    return encodeMessageLeaf({ receivedAt: t0, bytes: utf8(jws) });
  };
  const endless = (_path: string, response: ServerResponse): void => {
    const chunk = new Uint8Array(65_536);
    const more = (): void => {
      while (!response.destroyed) {
        sentBytes += chunk.length;
        if (!response.write(chunk)) break;
      }
    };
    response.on('drain', more);
    response.writeHead(200);
    more();
  };

  const lies: [string, () => (path: string, response: ServerResponse) => void][] = [
    ['a signature that does not fit', () => send(answer([bent(good[0] ?? utf8(''), -3)]))],
    ['a message under the signature of another', () => send(answer([swapped()]))],
    ['a message by a key that nobody knows', () => send(answer([forged()]))],
    ['a time of arrival that is not so', () => send(answer([bent(good[0] ?? utf8(''), 25)]))],
    ['no leaves but noise', () => send(answer([utf8('noise')]))],
    ['an entry in the place of a leaf', () => send(answer([utf8('{"kind":"void"}')]))],
    ['no framing', () => send(utf8('noise'))],
    ['nothing', () => send(new Uint8Array())],
    ['an end cut off', () => send(answer(good).subarray(0, -1))],
    ['something after the end', () => send(concat(answer([]), answer([])))],
    ['a length of gigabytes', () => send(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1))],
    ['an end in another form', () => send(utf8('\0\0\0\u0018{"next":"","more":false}'))],
    ['more of the same for ever', () => send(answer([], { more: true, next: '' }))],
    ['the same leaves again and again', () => loop()],
    ['an endless body', () => endless],
    ['nothing at all, for ever', () => () => undefined],
    ['half of an answer', () => half],
    [
      'another place',
      () => (_path, response) => response.writeHead(302, { location: files.url() }).end(),
    ],
    ['an error', () => (_path, response) => response.writeHead(500).end()],
    ['a closed door', () => (_path, response) => response.destroy()],
    ['nothing for us', () => (_path, response) => response.writeHead(401).end()],
    ['no such route', () => (_path, response) => response.writeHead(404).end()],
  ];
  function loop(): (path: string, response: ServerResponse) => void {
    let turn = 0;
    return (path, response) => {
      turn += 1;
      send(answer(good, { more: true, next: `1-${turn}` }))(path, response);
    };
  }
  function half(_path: string, response: ServerResponse): void {
    response.writeHead(200, { 'content-length': '1000' });
    response.write(new Uint8Array(10));
  }

  test.each(lies)(
    'is asked less, read no further, and changes no verdict: %s',
    async (_what, lie) => {
      serve = lie();
      const misled = newReader(hostile.url, { openUrl: url, timeoutMs: 300 });
      await misled.judge(hostile.checkpoint(first));
      await misled.look();
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.length).toBeLessThanOrEqual(2 * defaultAheadLimits.answersPerTurn);
      // Beside what one answer may hold, what the sockets of both sides keep.
      expect(sentBytes).toBeLessThan(openAnswerLimitBytes + 32 * 1024 * 1024);
      // Both plants may be asked at a time.
      expect(misled.verified()).toBeLessThanOrEqual(2 * good.length);
      const before = asked.length;
      await misled.look();
      misled.pass(defaultAheadLimits.leastWaitMs - 1);
      await misled.look();
      expect(asked.length).toBe(before);
      misled.pass(defaultAheadLimits.mostHoldMs);
      await misled.look();
      expect(asked.length).toBeGreaterThan(before);
      // Of the right log, by its files, once the hours are sealed.
      expect(await misled.verdict(hostile.checkpoint())).toBe('agreed');
      expect(misled.verified()).toBeGreaterThanOrEqual(arrived);
    },
  );

  describe('of a log that is wrong', () => {
    /** By one that has read ahead, and by one that has not. */
    const verdicts = async (): Promise<string[]> => {
      serve = send(answer(good));
      const ahead = newReader(hostile.url, { openUrl: url });
      await ahead.judge(hostile.checkpoint(first));
      await ahead.look();
      expect(ahead.verified()).toBeGreaterThanOrEqual(good.length);
      const late = newReader(hostile.url);
      return Promise.all([ahead, late].map(({ verdict }) => verdict(hostile.checkpoint())));
    };

    test('does not make it right: an entry that says more than its messages', async () => {
      const { generation } = hostile.spec(hour);
      hostile.change(hour, (spec) => ({ ...spec, generation: Number(generation) + 1 }));
      const [ahead, late] = await verdicts();
      expect(ahead).toMatch(/Refused/);
      expect(ahead).toBe(late);
      hostile.change(hour, (spec) => ({ ...spec, generation }));
    });

    test('does not make it right: a message under the signature of another', async () => {
      const path = `batch/${String(hostile.spec(hour).batchRoot)}`;
      const file = new Uint8Array(await readFile(join(ledger.folder, path)));
      const { leaves, quarantined } = parseBatchFile(file);
      const others = leaves.map((leaf, i) => (i === 1 ? swapped() : leaf));
      const batchRoot = toHex(treeRoot(others.map(leafHash)));
      hostile.overlay.set(`batch/${batchRoot}`, encodeBatchFile({ leaves: others, quarantined }));
      hostile.change(hour, (spec) => ({ ...spec, batchRoot }));
      const [ahead, late] = await verdicts();
      expect(ahead).toMatch(/signature/);
      expect(ahead).toBe(late);
    });
  });
});
