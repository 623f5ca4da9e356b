import { afterEach, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import type { Checkpoint } from '#core/tlog/checkpoint.ts';
import { addCheckpoint, readMonitored } from '#platform/witness-client.ts';
import type { WatchedLog } from '#witness/logs.ts';
import type { Witness, WitnessContext } from '#witness/service.ts';
import { createRig, history, logKey, origin, post, testKey } from './rig.ts';
import { formatAddCheckpoint } from '#core/tlog/add-checkpoint.ts';

const rig = createRig();
afterEach(rig.clear);
const patience = { timeoutMs: 10_000 };
const name = 'witness.example/one/audit';
const hash = toHex(sha256(utf8(origin)));
const a = history('a');

type Verdict = (checkpoint: Checkpoint, signal: AbortSignal) => Promise<void>;

function audited(judge: Verdict, context: Partial<WitnessContext> = {}): Promise<Witness> {
  return rig.start({ name, auditorOf: async () => ({ judge }), ...context });
}

const refusalOf = async (witness: Witness): Promise<unknown> => {
  const response = await fetch(`${witness.url()}/monitor/${hash}/refusal`);
  return response.status === 200 ? response.json() : response.status;
};

it('is asked once for each checkpoint that is consistent, before the head moves', async () => {
  const asked: [number, number | undefined][] = [];
  const watched: WatchedLog[] = [];
  let url = '';
  const judge = async ({ size, origin: log }: Checkpoint): Promise<void> => {
    expect(log).toBe(origin);
    const shown = await readMonitored(url, origin, patience);
    asked.push([size, shown && Number(decodeUtf8(shown).split('\n')[1])]);
  };
  const witness = await rig.start({
    name,
    logs: [{ key: logKey, url: 'https://log.example/' }],
    auditorOf: async (log) => {
      watched.push(log);
      return { judge };
    },
  });
  url = witness.url();
  expect(watched).toEqual([{ origin, keys: [logKey], url: 'https://log.example/' }]);
  await addCheckpoint(url, await a.request(0, 5), patience);
  await addCheckpoint(url, await a.request(0, 9), patience);
  await addCheckpoint(url, { ...(await a.request(5, 9)), proof: [] }, patience);
  await addCheckpoint(url, await history('b').request(5, 9), patience);
  await addCheckpoint(url, await a.request(5, 5), patience);
  await addCheckpoint(url, await a.request(5, 9), patience);
  expect(asked).toEqual([
    [5, undefined],
    [9, 5],
  ]);
});

it('says 403 and why when a rule is broken, shows it, and keeps it over a restart', async () => {
  const folder = rig.folder();
  let code = 'sealed-twice';
  const judge: Verdict = async () => {
    throw new Refused(code, 'entry 3:\nthat hour\u0007 is sealed already \ud800 e\u0301');
  };
  const witness = await audited(judge, { folder });
  expect(await refusalOf(witness)).toBe(404);
  const expected = {
    result: 'refused',
    status: 403,
    reason: 'sealed-twice: entry 3: that hour is sealed already \ufffd \u00e9',
  };
  const ask = async (size: number): Promise<unknown> =>
    addCheckpoint(witness.url(), await a.request(0, size), patience);
  expect(await ask(5)).toEqual({
    ...expected,
    reason: expected.reason.replace('hour is', 'hour  is'),
  });
  expect(await readMonitored(witness.url(), origin, patience)).toBeUndefined();
  const shown = await refusalOf(witness);
  expect(shown).toMatchObject({ code, size: 5, checkpoint: decodeUtf8(a.note(5)) });
  code = 'gap';
  await ask(6);
  expect(await refusalOf(witness)).toMatchObject({ code: 'gap', size: 6 });
  await rig.stop(witness);
  const again = await audited(async () => undefined, { folder });
  expect(await refusalOf(again)).toMatchObject({ code: 'gap', size: 6 });
  // The log may mend it by what it appends: the head is where it was.
  expect(await addCheckpoint(again.url(), await a.request(0, 9), patience)).toMatchObject({
    result: 'cosigned',
  });
});

it('says 503 and why when evidence is missing, and cosigns once it is there', async () => {
  let missing = true;
  const witness = await audited(async () => {
    if (missing) throw new Failed('evidence-missing', 'batch/00 is not there');
  });
  const body = formatAddCheckpoint(await a.request(0, 5));
  expect(await post(witness, body)).toMatchObject({
    status: 503,
    retryAfter: '1',
    text: 'evidence-missing: batch/00 is not there\n',
  });
  expect(await refusalOf(witness)).toBe(404);
  missing = false;
  expect(await post(witness, body)).toMatchObject({ status: 200 });
});

it('says 500 to what nobody foresaw, and goes on', async () => {
  let broken = true;
  const witness = await audited(async () => {
    if (broken) throw new TypeError('a mistake with a secret in it');
  });
  const body = formatAddCheckpoint(await a.request(0, 5));
  expect(await post(witness, body)).toMatchObject({ status: 500, text: 'not answered\n' });
  broken = false;
  expect(await post(witness, body)).toMatchObject({ status: 200 });
});

it('stops when the auditor cannot trust itself any more', async () => {
  const witness = await audited(async () => {
    throw new Fatal('audit', 'the replay contradicts itself');
  });
  const body = formatAddCheckpoint(await a.request(0, 5));
  expect(await post(witness, body)).toMatchObject({ status: 503 });
  expect(await witness.died).toMatchObject({ name: 'Fatal', code: 'audit' });
});

it('is told to end when it takes too long, and when the witness stops', async () => {
  const whenAborted = (signal: AbortSignal): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
    });
  const slow = await audited((_checkpoint, signal) => whenAborted(signal), {
    limits: { judgeMs: 50 },
  });
  const body = formatAddCheckpoint(await a.request(0, 5));
  expect(await post(slow, body)).toMatchObject({
    status: 503,
    text: expect.stringMatching(/^audit-late/) as string,
  });
  let judging: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => (judging = resolve));
  const closed: string[] = [];
  const stopping = await rig.start({
    name,
    auditorOf: async () => ({
      judge: (_checkpoint, signal) => {
        judging();
        return whenAborted(signal);
      },
      close: async () => {
        closed.push('closed');
      },
    }),
  });
  const asked = post(stopping, body);
  await begun;
  await rig.stop(stopping);
  expect(await asked).toMatchObject({ status: 503 });
  expect(closed).toEqual(['closed']);
});

it('judges anew what a plain witness cosigned in the same folder', async () => {
  const folder = rig.folder();
  const plain = await rig.start({ folder });
  await addCheckpoint(plain.url(), await a.request(0, 5), patience);
  await rig.stop(plain);
  const sizes: number[] = [];
  const context = { folder, signer: testKey('auditing') };
  const witness = await audited(async ({ size }) => void sizes.push(size), context);
  // What the other key cosigned is not shown as this one's, but the head is kept.
  expect(await readMonitored(witness.url(), origin, patience)).toBeUndefined();
  expect(await addCheckpoint(witness.url(), await a.request(0, 5), patience)).toEqual({
    result: 'conflict',
    size: 5,
  });
  expect(await addCheckpoint(witness.url(), await a.request(5, 5), patience)).toMatchObject({
    result: 'cosigned',
  });
  expect(sizes).toEqual([5]);
});

it('is not there at all when it cannot be made, and the folder is free again', async () => {
  const folder = rig.folder();
  const failing = rig.start({
    name,
    folder,
    auditorOf: () => Promise.reject(new Refused('witness-logs', 'no URL to audit it from')),
  });
  await expect(failing).rejects.toMatchObject({ code: 'witness-logs' });
  await rig.start({ folder });
});
