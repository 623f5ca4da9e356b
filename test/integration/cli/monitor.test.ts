import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runMonitor, type MonitorOptions } from '#cli/monitor.ts';
import { verifyFiles } from '#cli/verify.ts';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, formatVkey, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import { growTileEdge } from '#core/tlog/tile-edge.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';
import { createFileServer, type FileServer } from '#ledger/file-server.ts';
import { manualClock, systemClock } from '#platform/clock.ts';
import type { Terminal } from '#platform/terminal.ts';
import { addCheckpoint } from '#platform/witness-client.ts';
import { runCli, startCli } from '#support/cli.ts';
import { createRig, history, logKey, logSigner, origin, testKey } from '../witness/rig.ts';
import { witnessName, witnessSigner } from '../witness/rig.ts';

/** A log served over HTTP, a witness that watches it, and a monitor of both; all on real sockets. */

const nowS = 1_767_261_600;
const witnessKey = verifierKeyOf(witnessName, cosignatureType, witnessSigner);
const cosign = cosignatureSigner(witnessName, witnessSigner, nowS);
const rig = createRig();
let root = '';
let server: FileServer;
let url = '';

async function serve(port = 0): Promise<void> {
  const listen = { host: '127.0.0.1', port };
  server = createFileServer({ folder: join(root, 'log'), listen, clock: systemClock });
  await server.start();
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'hourseal-monitor-'));
  await mkdir(join(root, 'log'));
  await serve();
  url = server.url();
  await writePolicy(undefined);
});
afterEach(async () => {
  await server.stop();
  await rig.clear();
  rmSync(root, { recursive: true, force: true });
});

async function writePolicy(witnessUrl: string | undefined, vkey = formatVkey(logKey)) {
  const witness = `witness one ${formatVkey(witnessKey)} ${witnessUrl ?? ''}`.trimEnd();
  await writeFile(join(root, 'policy'), `log ${vkey}\n${witness}\nquorum one\n`);
}

function leavesOf(name: string, { common, size }: { common: number; size: number }): Uint8Array[] {
  return Array.from({ length: size }, (_, i) =>
    leafHash(utf8(i < common ? `entry ${i}` : `${name} ${i}`)),
  );
}

interface Published {
  readonly common?: number;
  readonly size: number;
  readonly signers?: Parameters<typeof signCheckpoint>[1];
}

/** What the log shows from now on: these tiles alone, and this checkpoint. */
async function publish(name: string, options: Published): Promise<void> {
  const { common = 0, size, signers = [noteSigner(origin, logSigner), cosign] } = options;
  const leaves = leavesOf(name, { common, size });
  const { tiles } = growTileEdge({ size: 0, rows: [] }, leaves);
  const folder = join(root, 'log');
  await rm(join(folder, 'tile'), { recursive: true, force: true });
  for (const [path, bytes] of tiles) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  const note = signCheckpoint({ origin, size, root: treeRoot(leaves) }, signers);
  await writeFile(join(folder, 'checkpoint'), note);
}

interface Ended {
  readonly code: number;
  readonly said: string;
}

async function run(
  change: Partial<MonitorOptions> = {},
  { atS = nowS, timeoutMs = 10_000 } = {},
): Promise<Ended> {
  let said = '';
  const plain = (text: string): string => text;
  const terminal: Terminal = {
    out: (text) => (said += text),
    err: (text) => (said += text),
    style: { green: plain, amber: plain, red: plain, faint: plain, bold: plain },
  };
  const options: MonitorOptions = {
    log: url,
    policy: join(root, 'policy'),
    store: join(root, 'store'),
    everyS: 1,
    staleAfterS: 90_000,
    once: true,
    ...change,
  };
  const { signal } = new AbortController();
  const host = { clock: manualClock(atS * 1000), signal, timeoutMs };
  const code = await runMonitor(options, terminal, host);
  return { code, said };
}

async function evidenceFiles(): Promise<string[]> {
  const names = await readdir(join(root, 'store'));
  return names.filter((name) => name.endsWith('.hourseal-evidence.json')).sort();
}

/** What `hourseal verify` says of all the evidence in the store, under the monitor's own policy. */
async function verified(): Promise<Ended> {
  let said = '';
  const plain = (text: string): string => text;
  const files = (await evidenceFiles()).map((name) => join(root, 'store', name));
  const terminal: Terminal = {
    out: (text) => (said += text),
    err: (text) => (said += text),
    style: { green: plain, amber: plain, red: plain, faint: plain, bold: plain },
  };
  return { code: await verifyFiles(files, { policy: join(root, 'policy') }, terminal), said };
}

/** A witness that has cosigned a history at a size, which is all that it will ever show. */
async function witnessOf(name: string, { common, size }: { common: number; size: number }) {
  const witness = await rig.start();
  const request = await history(name, { common }).request(0, size);
  const answer = await addCheckpoint(witness.url(), request, { timeoutMs: 10_000 });
  expect(answer.result).toBe('cosigned');
  await writePolicy(witness.url());
  return witness;
}

describe('a log that only grows', () => {
  it('is followed from round to round, through tiles that become full', async () => {
    await publish('entry', { size: 10 });
    expect(await run()).toMatchObject({ code: 0 });
    await publish('entry', { size: 300 });
    const grown = await run();
    expect(grown.code).toBe(0);
    expect(grown.said).toContain(`300 entries, 290 more, consistent, cosigned by ${witnessName}`);
    expect((await run()).said).toContain('nothing new');
    expect(await evidenceFiles()).toEqual([]);
  });

  it('is held to what was kept when its tiles do not lead to what it signed', async () => {
    await publish('entry', { size: 10 });
    await run();
    await publish('entry', { size: 20 });
    await writeFile(join(root, 'log', 'tile', '0', '000.p', '20'), new Uint8Array(640));
    const lied = await run();
    expect(lied.code).toBe(4);
    expect(lied.said).toContain('20 entries extend 10 is not proved: the tiles do not lead');
    await rm(join(root, 'log', 'tile'), { recursive: true });
    expect((await run()).said).toContain('is not proved');
    await publish('entry', { size: 20 });
    expect((await run()).said).toContain('20 entries, 10 more, consistent');
  });

  it('needs the quorum of the policy for every state', async () => {
    await publish('entry', { size: 10, signers: [noteSigner(origin, logSigner)] });
    const alone = await run();
    expect(alone.code).toBe(4);
    expect(alone.said).toContain('have no quorum');
    await publish('entry', { size: 12 });
    expect(await run()).toMatchObject({ code: 0 });
  });

  it('is called silent when it shows nothing new, nothing good, or nothing at all', async () => {
    await publish('entry', { size: 10 });
    expect((await run({ staleAfterS: 3600 })).code).toBe(0);
    const old = await run({ staleAfterS: 3600 }, { atS: nowS + 3601 });
    expect(old.code).toBe(4);
    expect(old.said).toContain('nothing new since');
    await writeFile(join(root, 'log', 'checkpoint'), 'nothing\n');
    expect((await run()).code).toBe(3);
    await publish('entry', { size: 11, signers: [noteSigner(origin, testKey('forger')), cosign] });
    expect((await run()).said).toContain('did not sign');
    await rm(join(root, 'log', 'checkpoint'));
    expect((await run()).said).toContain('it shows no checkpoint');
    await server.stop();
    const gone = await run();
    await serve();
    expect(gone.code).toBe(3);
    expect(gone.said).toContain('no answer');
  });
});

describe('a log that stalls', () => {
  it('is waited for once in a round, and held to nothing that it did not show', async () => {
    await publish('entry', { size: 10 });
    await run();
    await publish('entry', { size: 70_000 });
    let asked = 0;
    const stalling = createServer((request, response) => {
      if (request.url === '/checkpoint') {
        void readFile(join(root, 'log', 'checkpoint')).then((bytes) => response.end(bytes));
      } else asked += 1;
    });
    await new Promise<void>((listening) => stalling.listen(0, '127.0.0.1', listening));
    const { port } = stalling.address() as AddressInfo;
    const stalled = await run({ log: `http://127.0.0.1:${port}` }, { timeoutMs: 300 });
    stalling.closeAllConnections();
    stalling.close();
    expect(stalled.code).toBe(4);
    expect(stalled.said).toContain('no whole answer within 300 ms');
    // As many as one proof asks for at a time, and none for any other pair.
    expect(asked).toBeLessThanOrEqual(16);
    expect(await run()).toMatchObject({ code: 0 });
  });
});

describe('a log that signs two histories', () => {
  it('is convicted when what it shows does not extend what was kept', async () => {
    await publish('entry', { size: 20 });
    expect((await run()).code).toBe(0);
    await publish('other', { common: 15, size: 300 });
    const forked = await run();
    expect(forked.code).toBe(1);
    // Whoever cosigned both is as guilty as the log.
    expect(await evidenceFiles()).toHaveLength(2);
    for (const name of await evidenceFiles()) expect(forked.said).toContain(name);
    const judged = await verified();
    expect(judged.code).toBe(0);
    expect(judged.said).toContain(`PROVED: ${origin} signed two histories`);
    expect(judged.said).toContain(`PROVED: the witness ${witnessName} cosigned two histories`);
    await server.stop();
    const again = await run();
    await serve();
    expect(again.code).toBe(1);
    expect(again.said).toContain('two signed states cannot both be true');
  });

  it('is convicted by two roots at one size', async () => {
    await publish('entry', { size: 20 });
    await run();
    await publish('other', { common: 19, size: 20, signers: [noteSigner(origin, logSigner)] });
    expect((await run()).code).toBe(1);
    expect((await verified()).code).toBe(0);
    expect(await evidenceFiles()).toHaveLength(1);
  });

  it.each([
    ['smaller than what the log shows', 30],
    ['as large', 20],
    ['larger', 12],
  ])('is convicted by a witness that saw the other one, %s', async (_how, size) => {
    await witnessOf('entry', { common: 0, size: 20 });
    await publish('other', { common: 5, size, signers: [noteSigner(origin, logSigner)] });
    const first = await run();
    if (size < 20) {
      // The log does not show the tiles that would tell: it is said aloud, and kept.
      expect(first.code).toBe(4);
      expect(first.said).toContain('witness one has cosigned 20 entries, the log shows 12');
      await publish('other', { common: 5, size: 25, signers: [noteSigner(origin, logSigner)] });
      expect((await run()).code).toBe(1);
    } else expect(first.code).toBe(1);
    expect((await verified()).said).toContain('PROVED');
  });

  it('is convicted by what a witness showed once, though the witness is gone', async () => {
    const witness = await witnessOf('entry', { common: 0, size: 20 });
    await publish('entry', { size: 10 });
    expect((await run()).code).toBe(4);
    await rig.stop(witness);
    const silent = await run();
    expect(silent.code).toBe(4);
    expect(silent.said).toContain('witness one:');
    expect(silent.said).toContain('20 entries were signed once, the log shows 10');
    await publish('other', { common: 10, size: 24 });
    expect((await run()).code).toBe(1);
    expect((await verified()).code).toBe(0);
  });
});

describe('a witness that was shown two histories of one size', () => {
  const page = join('monitor', toHex(sha256(utf8(origin))), 'contradiction');

  /** The log's own server in the place of the witness, whose page says this. */
  async function tell(cosigned: Uint8Array, refused: Uint8Array, change: object = {}) {
    await writePolicy(url);
    await mkdir(dirname(join(root, 'log', page)), { recursive: true });
    const notes = { cosigned: decodeUtf8(cosigned), refused: decodeUtf8(refused) };
    const told = { ...notes, size: 20, time: nowS, ...change };
    await writeFile(join(root, 'log', page), canonicalBytes(told));
  }

  it('convicts the log, though the log and all witnesses show one history', async () => {
    const witness = await witnessOf('entry', { common: 0, size: 20 });
    await publish('entry', { size: 20 });
    expect((await run()).code).toBe(0);
    const { oldSize, proof } = { oldSize: 20, proof: [] };
    const other = history('other', { common: 3 }).note(20);
    const answer = await addCheckpoint(
      witness.url(),
      { oldSize, proof, note: other },
      { timeoutMs: 10_000 },
    );
    expect(answer).toMatchObject({ result: 'refused', status: 422 });
    const convicted = await run();
    expect(convicted.code).toBe(1);
    expect(await evidenceFiles()).toHaveLength(1);
    const judged = await verified();
    expect(judged.code).toBe(0);
    expect(judged.said).toContain(`PROVED: ${origin} signed two histories`);
  });

  it('is believed where both are signed by the log, whatever else it says', async () => {
    await publish('entry', { size: 30 });
    await tell(history('one').note(20), history('two', { common: 7 }).note(20), { size: 5 });
    expect((await run()).code).toBe(1);
    expect((await verified()).code).toBe(0);
  });

  it('proves nothing by notes that agree, belong to the log, or are not its own', async () => {
    await publish('entry', { size: 30 });
    await tell(history('entry').note(20), history('entry').note(20));
    expect(await run()).toMatchObject({ code: 0 });
    const forged = history('other', { signer: testKey('forger') }).note(20);
    await tell(history('entry').note(20), forged);
    const unsigned = await run();
    expect(unsigned.code).toBe(4);
    expect(unsigned.said).toContain('witness one: its contradiction: ');
    expect(await evidenceFiles()).toEqual([]);
  });

  it.each([
    ['garbage', utf8('garbage')],
    ['another spelling', utf8('{ }')],
    ['no notes', canonicalBytes({ size: 20, time: nowS })],
    ['more than two notes can be', new Uint8Array(4 * 128 * 1024 + 1).fill(0x20)],
  ])('is not believed when it shows %s there', async (_what, bytes) => {
    await publish('entry', { size: 30 });
    await tell(history('entry').note(20), history('entry').note(20));
    await writeFile(join(root, 'log', page), bytes);
    const answer = await run();
    expect(answer.code).toBe(4);
    expect(answer.said).toContain('witness one: http');
    expect(await evidenceFiles()).toEqual([]);
  });
});

describe('a log that goes back', () => {
  beforeEach(async () => {
    for (const size of [10, 20]) {
      await publish('entry', { size });
      expect((await run()).code).toBe(0);
    }
  });

  it('to what it showed before is reported, and nothing is proved', async () => {
    await publish('entry', { size: 10 });
    const back = await run();
    expect(back.code).toBe(4);
    expect(back.said).toContain('10 entries after it showed 20');
    expect(back.said).toContain('an older state of the same history');
    await publish('entry', { size: 21 });
    expect(await run()).toMatchObject({ code: 0 });
    expect(await evidenceFiles()).toEqual([]);
  });

  it('to another history is convicted by a head before the last one', async () => {
    await publish('other', { common: 5, size: 12 });
    expect((await run()).code).toBe(1);
    expect((await verified()).code).toBe(0);
  });

  it('to what nobody can tell is convicted once it has grown again', async () => {
    await publish('other', { common: 11, size: 12 });
    const back = await run();
    expect(back.code).toBe(4);
    expect(back.said).toContain('it cannot be told of which history');
    await publish('other', { common: 11, size: 22 });
    expect((await run()).code).toBe(1);
    expect((await verified()).code).toBe(0);
  });
});

describe('a witness', () => {
  it('that is ahead is said aloud until the log shows as much', async () => {
    await witnessOf('entry', { common: 0, size: 20 });
    await publish('entry', { size: 10 });
    const ahead = await run();
    expect(ahead.code).toBe(4);
    expect(ahead.said).toContain('not published yet, withheld, or rolled back');
    await publish('entry', { size: 20 });
    expect(await run()).toMatchObject({ code: 0 });
  });

  it('that comes back with an older state is reported', async () => {
    await witnessOf('entry', { common: 0, size: 20 });
    await publish('entry', { size: 20 });
    expect((await run()).code).toBe(0);
    await rig.clear();
    await witnessOf('entry', { common: 0, size: 8 });
    const back = await run();
    expect(back.code).toBe(4);
    expect(back.said).toContain('witness one shows 8 entries after it showed 20');
  });

  it('that answers with what it has not cosigned is not believed', async () => {
    // The log's own server in the place of the witness: what it shows there has no cosignature.
    await writePolicy(url);
    await publish('entry', { size: 20 });
    const folder = join(root, 'log', 'monitor', toHex(sha256(utf8(origin))));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'checkpoint'), history('entry').note(30));
    const answer = await run();
    expect(answer.code).toBe(4);
    expect(answer.said).toContain('witness one: it shows a checkpoint that it has not cosigned');
    expect(answer.said).not.toContain('30');
    await writeFile(join(folder, 'checkpoint'), 'garbage');
    expect((await run()).said).toContain('witness one: ');
    await writePolicy('http://127.0.0.1:9');
    expect((await run()).said).toContain('witness one: http://127.0.0.1:9');
  });
});

describe('the store', () => {
  it('is refused to a second process, and goes on when the first has ended', async () => {
    await publish('entry', { size: 10 });
    const args = ['monitor', '--log', url, '--policy', join(root, 'policy')];
    const where = ['--store', join(root, 'store'), '--every', '1s'];
    const first = startCli([...args, ...where]);
    await first.said(/10 entries/);
    const second = await runCli([...args, ...where, '--once']);
    expect(second.code).toBe(3);
    expect(second.stderr).toContain(`is in use by process ${first.child.pid ?? 0}`);
    await publish('entry', { size: 20 });
    await first.said(/20 entries, 10 more/);
    await publish('other', { common: 3, size: 30 });
    const ended = await first.ended;
    expect([ended.code, ended.stderr]).toEqual([1, '']);
    expect((await verified()).code).toBe(0);
  });

  it('ends with what the last round found when it is asked to', async () => {
    await publish('entry', { size: 10 });
    const args = ['monitor', '--log', url, '--policy', join(root, 'policy')];
    const running = startCli([...args, '--store', join(root, 'store'), '--every', '1h']);
    await running.said(/10 entries/);
    running.child.kill('SIGTERM');
    expect(await running.ended).toMatchObject({ code: 0, signal: null });
  });

  it('is refused where it was kept under keys that the policy does not name', async () => {
    await publish('entry', { size: 10 });
    await run();
    const another = verifierKeyOf(origin, logKey.type, testKey('another log'));
    await writePolicy(undefined, formatVkey(another));
    await expect(run()).rejects.toMatchObject({ name: 'Refused', code: 'checkpoint-unsigned' });
  });
});
