import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { concat, decodeUtf8, uint32BE } from '#core/bytes.ts';
import { encodeFrame } from '#core/record-file.ts';
import { parseNote } from '#core/tlog/note.ts';
import { manualClock } from '#platform/clock.ts';
import { addCheckpoint, readMonitored } from '#platform/witness-client.ts';
import { encodeRecord } from '#witness/records.ts';
import type { Witness } from '#witness/service.ts';
import { createRig, history, origin, testKey, witnessName } from './rig.ts';

const rig = createRig();
afterEach(rig.clear);
const patience = { timeoutMs: 10_000 };
const a = history('a');
const b = history('b');
const file = 'witness';

async function ask(witness: Witness, from: number, to: number): ReturnType<typeof addCheckpoint> {
  return addCheckpoint(witness.url(), await a.request(from, to), patience);
}

/** The time in the one cosignature of an answer, and its bytes. */
async function cosigned(
  answer: ReturnType<typeof addCheckpoint>,
): Promise<{ time: number; hex: string }> {
  const given = await answer;
  if (given.result !== 'cosigned') throw new Error(JSON.stringify(given));
  const signature = Buffer.from(given.signatures[0]?.signature ?? []);
  return { time: Number(signature.readBigUInt64BE(0)), hex: signature.toString('hex') };
}

describe('the head of a log', () => {
  it('is there after a restart, and what was said is said again in the same bytes', async () => {
    const folder = rig.folder();
    const clock = manualClock(1_700_000_000_000);
    const first = await rig.start({ folder, clock });
    const given = await cosigned(ask(first, 0, 5));
    const shown = await readMonitored(first.url(), origin, patience);
    await rig.stop(first);
    const second = await rig.start({ folder, clock });
    expect(await readMonitored(second.url(), origin, patience)).toEqual(shown);
    expect(await cosigned(ask(second, 5, 5))).toEqual(given);
    expect(await ask(second, 0, 4)).toEqual({ result: 'conflict', size: 5 });
    expect(await addCheckpoint(second.url(), await b.request(5, 9), patience)).toMatchObject({
      result: 'refused',
      status: 422,
    });
  });

  it('stays when the log is not watched for a while', async () => {
    const folder = rig.folder();
    const first = await rig.start({ folder });
    await ask(first, 0, 5);
    await rig.stop(first);
    const other = await rig.start({ folder, logs: [] });
    expect(await ask(other, 5, 6)).toMatchObject({ result: 'refused', status: 404 });
    await rig.stop(other);
    const again = await rig.start({ folder });
    expect(await ask(again, 0, 6)).toEqual({ result: 'conflict', size: 5 });
  });

  it('survives hundreds of moves in a small file', async () => {
    const folder = rig.folder();
    const clock = manualClock(1_700_000_000_000);
    const witness = await rig.start({ folder, clock, limits: { storeBytes: 2_000 } });
    await ask(witness, 0, 1);
    for (let size = 1; size < 64; size++) await cosigned(ask(witness, size, size + 1));
    for (let i = 0; i < 64; i++) {
      await clock.advance(clock.nowMs() + 1_000);
      await cosigned(ask(witness, 64, 64));
    }
    expect(statSync(join(folder, file)).size).toBeLessThan(3_000);
    await rig.stop(witness);
    const again = await rig.start({ folder });
    expect(await ask(again, 0, 6)).toEqual({ result: 'conflict', size: 64 });
  });
});

describe('the time of a cosignature', () => {
  it('never falls, though the clock does, and is not given when the clock fell far', async () => {
    const folder = rig.folder();
    const nowMs = 1_700_000_000_000;
    const first = await rig.start({ folder, clock: manualClock(nowMs) });
    const { time } = await cosigned(ask(first, 0, 5));
    expect(time).toBe(nowMs / 1000);
    await rig.stop(first);
    const behind = await rig.start({ folder, clock: manualClock(nowMs - 300_000) });
    expect((await cosigned(ask(behind, 5, 6))).time).toBe(time);
    await rig.stop(behind);
    const far = await rig.start({ folder, clock: manualClock(nowMs - 301_000) });
    await expect(ask(far, 6, 7)).rejects.toThrow('clock: the clock is 301 s behind');
    await rig.stop(far);
    const later = await rig.start({ folder, clock: manualClock(nowMs + 9_000) });
    expect((await cosigned(ask(later, 6, 6))).time).toBe(time + 9);
    expect((await cosigned(ask(later, 6, 7))).time).toBe(time + 9);
  });
});

describe('the folder', () => {
  it('belongs to one witness at a time, in this process and in others', async () => {
    const folder = rig.folder();
    const witness = await rig.start({ folder });
    await expect(rig.start({ folder })).rejects.toMatchObject({ code: 'folder-in-use' });
    const child = fileURLToPath(new URL('../../faults/witness/witness.child.ts', import.meta.url));
    const other = spawn(process.execPath, ['--import', 'tsx', child, folder, '0'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    other.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const [code] = (await once(other, 'close')) as [number];
    expect(code).toBe(1);
    expect(errors).toContain(`is in use by process ${process.pid}`);
    expect(await ask(witness, 0, 5)).toMatchObject({ result: 'cosigned' });
    await rig.stop(witness);
    const next = await rig.start({ folder });
    expect(await ask(next, 5, 6)).toMatchObject({ result: 'cosigned' });
  });

  it('is refused when the store in it is damaged, is no store, or tells of a head that fell', async () => {
    const headAt = (size: number, of = a): Uint8Array => {
      const checkpoint = { origin, size, root: of.root(size), note: of.note(size) };
      return encodeRecord({ record: 'head', checkpoint, time: 1_700_000_000, vkey: 'a key' });
    };
    const bad: [string, Uint8Array, object][] = [
      ['no record', encodeFrame([uint32BE(7)]), { code: 'witness-store' }],
      ['half a record', encodeFrame([headAt(5).subarray(0, -1)]), { code: 'witness-store' }],
      ['a falling size', encodeFrame([headAt(5), headAt(4)]), { name: 'Fatal', code: 'head' }],
      ['two roots', encodeFrame([headAt(5), headAt(5, b)]), { name: 'Fatal', code: 'head' }],
      [
        'damage',
        concat(encodeFrame([headAt(5)]).with(30, 0), encodeFrame([headAt(6)])),
        { code: 'record-file' },
      ],
    ];
    for (const [, bytes, error] of bad) {
      const folder = rig.folder();
      writeFileSync(join(folder, file), bytes);
      await expect(rig.start({ folder })).rejects.toMatchObject(error);
      expect(readFileSync(join(folder, file)).equals(bytes)).toBe(true);
      // Nothing is left open: with a good file it starts.
      writeFileSync(join(folder, file), encodeFrame([headAt(5)]));
      const witness = await rig.start({ folder });
      expect(await ask(witness, 5, 6)).toMatchObject({ result: 'cosigned' });
      await rig.stop(witness);
    }
  });

  it('may have a torn end, of which nobody was told', async () => {
    const folder = rig.folder();
    const first = await rig.start({ folder });
    await ask(first, 0, 5);
    await rig.stop(first);
    appendFileSync(join(folder, file), readFileSync(join(folder, file)).subarray(0, 50));
    const again = await rig.start({ folder });
    expect(await ask(again, 5, 6)).toMatchObject({ result: 'cosigned' });
  });
});

/**
 * Nothing on a disk can tell that the whole disk is an old copy. Such a witness believes in its old
 * head, and a log that lies could have a second history cosigned from there. What is left: an honest
 * log, told the old size, notices; others hold newer cosignatures by the same key, which together
 * with a second history prove that the key made both. So a store is never to be restored from a
 * copy: a witness that lost its store begins anew with a new key.
 */
describe('an old copy of the folder', () => {
  it('brings back the old head, which the log sees and the newer cosignature proves', async () => {
    const [folder, copy] = [rig.folder(), rig.folder()];
    const first = await rig.start({ folder });
    await ask(first, 0, 5);
    await rig.stop(first);
    cpSync(join(folder, file), join(copy, file));
    const second = await rig.start({ folder });
    await ask(second, 5, 9);
    const newest = await readMonitored(second.url(), origin, patience);
    await rig.stop(second);
    const restored = await rig.start({ folder: copy });
    expect(await ask(restored, 9, 12)).toEqual({ result: 'conflict', size: 5 });
    const shown = await readMonitored(restored.url(), origin, patience);
    const sizes = [newest, shown].map((note) =>
      Number(parseNote(note ?? new Uint8Array(0)).text.split('\n')[1]),
    );
    expect(sizes).toEqual([9, 5]);
    expect(decodeUtf8(newest ?? new Uint8Array(0))).toContain(`\u2014 ${witnessName} `);
    // What it still knows, it holds to.
    expect(await addCheckpoint(restored.url(), await b.request(5, 9), patience)).toMatchObject({
      result: 'refused',
      status: 422,
    });
    expect(await ask(restored, 5, 12)).toMatchObject({ result: 'cosigned' });
  });
});

describe('a witness that must not be', () => {
  it('is refused before it touches anything', async () => {
    const folder = rig.folder();
    const auditorOf = async (): Promise<{ judge: () => Promise<void> }> => ({
      judge: async () => undefined,
    });
    await expect(rig.start({ folder, auditorOf })).rejects.toMatchObject({ code: 'witness-name' });
    await expect(rig.start({ folder, name: 'w/audit' })).rejects.toMatchObject({
      code: 'witness-name',
    });
    await expect(rig.start({ folder, name: 'two words' })).rejects.toMatchObject({ code: 'vkey' });
    await expect(rig.start({ folder, signer: testKey('log') })).rejects.toMatchObject({
      code: 'witness-key',
    });
    await rig.start({ folder });
  });

  it('says so when its address is taken, and leaves its folder', async () => {
    const one = await rig.start();
    const port = Number(new URL(one.url()).port);
    const folder = rig.folder();
    const listen = { host: '127.0.0.1', port };
    await expect(rig.start({ folder, listen })).rejects.toMatchObject({ code: 'listen' });
    await rig.start({ folder });
  });
});
