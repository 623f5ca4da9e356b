import { readdirSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { askReceipt, type ReceiptOptions } from '#cli/receipt.ts';
import { verifyFiles } from '#cli/verify.ts';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, openReceipt } from '#core/energy/receipt.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { openFileStore } from '#devices/file-store.ts';
import type { Terminal } from '#platform/terminal.ts';
import { auditLog } from '#support/audit-log.ts';
import { runCli } from '#support/cli.ts';
import { insertMessages } from '#support/insert-messages.ts';
import * as people from '#support/log-people.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { ingestionSigner, testSigner } from '#support/register.ts';
import {
  createTestLedger,
  removeTestFolders,
  scratchFolder,
  testStartS as t0,
} from '#support/test-ledger.ts';

/** A gateway's receipts against the files of a real ledger: one that honours them, one that does not. */

removeTestFolders();

const hourS = 3600;
const { kid } = people.meterSigner('p1-m');

/** Over hour `i`, in which the meter counts 1,000 Wh. */
const hourly = (i: number): string =>
  people.message({
    plant: 'p1',
    meter: 'p1-m',
    seq: i + 1,
    readings: [i, i + 1].map((h) => ({ registers: { exportWh: h * 1000 }, t: t0 + h * hourS })),
  });
const sent = [0, 1, 2, 3].map(hourly);
const hashes = sent.map((jws) => parseMessage(utf8(jws)).hash);

/** What ingestion signed when it had the first messages, as they were sent. */
function receipt(count: number, signer = ingestionSigner, chained = hashes): string {
  const chain = toHex(chained.slice(0, count).reduce(extendChain, emptyChain));
  return buildReceipt(signer, { chain, kid, missing: [], refused: [], throughSeq: count });
}

const folders: Record<'honest' | 'lying', string> = { honest: '', lying: '' };
let database: TestPostgres;
let scratch = '';
let policy = '';

/** The folder of a ledger that sealed two hours out of the first three messages. */
async function sealed(change?: () => Promise<void>): Promise<string> {
  const { enter, stepAt, folder } = createTestLedger(database.pool);
  await enter(people.genesis(), ...people.simplePlant('p1'));
  await insertMessages(
    database.pool,
    sent.slice(0, 2).map((jws) => ({ jws })),
  );
  await change?.();
  await insertMessages(database.pool, [{ jws: sent[2] ?? '' }]);
  await stepAt(t0 + 2 * hourS + 10);
  return folder;
}

beforeAll(async () => {
  database = await startTestPostgres(quickEngine);
  folders.honest = await sealed();
  await database.stop();
  database = await startTestPostgres(quickEngine);
  // After the receipt: another message takes the place of the second, as if it had been refused.
  folders.lying = await sealed(async () => {
    await database.pool.run(`update message set code = 'future', hash = $1 where seq = 2`, [
      sha256(utf8('another message')),
    ]);
  });
  await database.stop();
  scratch = scratchFolder();
  policy = join(scratch, 'policy');
  await writeFile(policy, `log ${people.logVkey}\nquorum none\n`);
});
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly said: string;
}

async function withTerminal(work: (terminal: Terminal) => Promise<number>): Promise<Ended> {
  let said = '';
  const plain = (text: string): string => text;
  const terminal: Terminal = {
    out: (text) => (said += text),
    err: (text) => (said += text),
    style: { green: plain, amber: plain, red: plain, faint: plain, bold: plain },
  };
  return { code: await work(terminal), said };
}

const out = (): string => join(scratch, 'found.hourseal-evidence.json');

async function ask(
  data: string,
  text: string,
  options: Partial<ReceiptOptions> = {},
): Promise<Ended> {
  const file = join(scratch, 'receipt');
  rmSync(out(), { force: true });
  await writeFile(file, text);
  return withTerminal((terminal) => askReceipt(file, { data, out: out(), ...options }, terminal));
}

const wasWritten = (): boolean => readdirSync(scratch).includes('found.hourseal-evidence.json');

async function messagesFile(messages: readonly string[]): Promise<string> {
  const file = join(scratch, 'messages');
  await writeFile(file, messages.map((jws) => `${jws}\n`).join(''));
  return file;
}

async function expectProved(): Promise<void> {
  const judged = await withTerminal((terminal) => verifyFiles([out()], { policy }, terminal));
  expect(judged.said).toContain('PROVED: ');
  expect(judged.code).toBe(0);
  const alone = await withTerminal((terminal) => verifyFiles([out()], {}, terminal));
  expect(alone.code).toBe(4);
}

describe('a log that honours its receipts', () => {
  it.each([0, 1, 2, 3])('does so far, of a receipt for %i messages', async (count) => {
    const { code, said } = await ask(folders.honest, `${receipt(count)}\n`);
    expect(said).toContain('honoured so far');
    expect(said).toContain(`agree with the receipt up to message ${count}`);
    expect(code).toBe(0);
    expect(wasWritten()).toBe(false);
  });

  it('is not judged by what it has not sealed yet', async () => {
    const early = await ask(folders.honest, receipt(4));
    expect(early.code).toBe(4);
    expect(early.said).toContain('could not be compared');
    const known = await ask(folders.honest, receipt(4), { messages: await messagesFile(sent) });
    expect(known.code).toBe(4);
    expect(known.said).toContain('agree with the receipt up to message 3');
    expect(wasWritten()).toBe(false);
  });

  it('is not accused by messages that are not those of the receipt', async () => {
    const other = people.message({
      plant: 'p1',
      meter: 'p1-m',
      seq: 4,
      readings: [{ registers: { exportWh: 9 }, t: t0 + 3 * hourS }],
    });
    const { code } = await ask(folders.honest, receipt(4), {
      messages: await messagesFile([...sent.slice(0, 3), other]),
    });
    expect(code).toBe(4);
    expect(wasWritten()).toBe(false);
  });

  it('is convicted all the same when a receipt says something else', async () => {
    const other = [hashes[0], sha256(utf8('never sent')), hashes[2]].map(
      (hash) => hash ?? emptyChain,
    );
    const { code } = await ask(folders.honest, receipt(3, ingestionSigner, other));
    expect(code).toBe(1);
    await expectProved();
  });
});

describe('a log that states other messages than its receipt', () => {
  it('passes every audit, since nobody else has the receipt', async () => {
    expect((await auditLog(folders.lying)).findings).toEqual([]);
  });

  it('is convicted where a record speaks of more messages', async () => {
    const { code, said } = await ask(folders.lying, receipt(2));
    expect(said).toContain('NOT HONOURED: entry 6 states other messages');
    expect(code).toBe(1);
    await expectProved();
    const { opened } = JSON.parse(await readFile(out(), 'utf8')) as {
      opened: { hashes: string[] };
    };
    expect(opened.hashes).toEqual([toHex(hashes[2] ?? emptyChain)]);
  });

  it('is convicted where a record speaks of as many', async () => {
    expect((await ask(folders.lying, receipt(3))).code).toBe(1);
    await expectProved();
    expect(await readFile(out(), 'utf8')).not.toContain('"opened"');
  });

  it('is convicted where a record speaks of fewer, once the gateway shows what it sent', async () => {
    expect((await ask(folders.lying, receipt(4))).code).toBe(4);
    expect(wasWritten()).toBe(false);
    const shown = await ask(folders.lying, receipt(4), { messages: await messagesFile(sent) });
    expect(shown.code).toBe(1);
    await expectProved();
  });

  it('honours what it did not change', async () => {
    expect((await ask(folders.lying, receipt(1))).code).toBe(0);
  });

  it('is convicted by the command itself, in a folder of its own name', async () => {
    const file = join(scratch, 'receipt');
    await writeFile(file, receipt(2));
    const ended = await runCli(['receipt', file, '--data', folders.lying], { cwd: scratch });
    expect(ended.code).toBe(1);
    const [, written = ''] =
      /(dishonoured-receipt-[0-9a-f]{16}\.hourseal-evidence\.json)/.exec(ended.stdout) ?? [];
    const judged = await runCli(['verify', '--policy', policy, join(scratch, written)]);
    expect(judged.code).toBe(0);
    expect(judged.stdout).toContain('PROVED: ');
  });
});

describe('the folder of a gateway', () => {
  /** One that has sent the messages, and has receipts for the first of them. */
  async function gatewayFolder(receipts: readonly number[]): Promise<string> {
    const folder = scratchFolder();
    const store = await openFileStore(folder, { meter: 'p1-m', kid });
    for (const jws of sent) await store.append(() => jws);
    for (const count of receipts) {
      const jws = receipt(count);
      await store.settle(openReceipt(utf8(jws), parsePublicJwk(ingestionSigner.jwk)), jws);
    }
    await store.close();
    return folder;
  }
  const askFolder = (folder: string, data: string): Promise<Ended> => {
    rmSync(out(), { force: true });
    return withTerminal((terminal) => askReceipt(folder, { data, out: out() }, terminal));
  };

  it('has the newest receipt', async () => {
    const folder = await gatewayFolder([1, 3, 2]);
    const { code, said } = await askFolder(folder, folders.honest);
    expect(said).toContain('messages 1 to 3 of the key');
    expect(said).toContain('honoured so far');
    expect(code).toBe(0);
  });

  it('is enough to convict a log', async () => {
    expect((await askFolder(await gatewayFolder([2]), folders.lying)).code).toBe(1);
    await expectProved();
  });

  it('may be copied while the gateway writes, and may be damaged', async () => {
    const folder = await gatewayFolder([1, 3]);
    const file = join(folder, 'messages');
    const bytes = await readFile(file);
    await writeFile(file, bytes.subarray(0, -1));
    expect((await askFolder(folder, folders.honest)).said).toContain('messages 1 to 1 of');
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await writeFile(file, bytes);
    await expect(askFolder(folder, folders.honest)).rejects.toMatchObject({ code: 'record-file' });
  });

  it("need not have one yet, nor be a gateway's", async () => {
    const none = await gatewayFolder([]);
    await expect(askFolder(none, folders.honest)).rejects.toMatchObject({ code: 'receipt' });
    const other = scratchFolder();
    await expect(askFolder(other, folders.honest)).rejects.toMatchObject({ code: 'unreadable' });
  });
});

describe('what is refused', () => {
  it.each([
    ['a receipt by another key', receipt(2, testSigner('forger')), 'key'],
    [
      'a receipt whose signature is not its own',
      receipt(2, { ...testSigner('forger'), kid: ingestionSigner.kid }),
      'signature',
    ],
    [
      'a receipt for a key that the log does not name',
      buildReceipt(ingestionSigner, {
        chain: '0'.repeat(64),
        kid: testSigner('x').kid,
        missing: [],
        refused: [],
        throughSeq: 1,
      }),
      'key',
    ],
    ['a message', sent[0] ?? '', 'form'],
    ['two receipts', `${receipt(1)}\n${receipt(2)}\n`, 'form'],
    ['nothing', '', 'form'],
    ['more than a receipt can be', 'a'.repeat(65_002), 'unreadable'],
  ])('%s', async (_what, text, code) => {
    await expect(ask(folders.honest, text)).rejects.toMatchObject({ code });
    expect(wasWritten()).toBe(false);
  });

  it('a folder without a log, and files that are not there', async () => {
    await expect(ask(scratch, receipt(1))).rejects.toMatchObject({ code: 'log' });
    const messages = join(scratch, 'none');
    await expect(ask(folders.honest, receipt(1), { messages })).rejects.toMatchObject({
      code: 'unreadable',
    });
    await expect(
      ask(folders.honest, receipt(4), { messages: await messagesFile(['not a message']) }),
    ).rejects.toMatchObject({ code: 'form' });
  });

  it('a policy that does not know the log, before anything is written', async () => {
    const strange = join(scratch, 'strange');
    await writeFile(strange, 'quorum none\n');
    await expect(ask(folders.lying, receipt(2), { policy: strange })).rejects.toMatchObject({
      code: 'log',
    });
    expect(wasWritten()).toBe(false);
  });
});
