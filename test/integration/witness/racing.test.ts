import { afterEach, expect, it } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { formatAddCheckpoint } from '#core/tlog/add-checkpoint.ts';
import { ed25519Type, verifierKeyOf } from '#core/tlog/note.ts';
import { addCheckpoint } from '#platform/witness-client.ts';
import type { Auditor } from '#witness/auditor.ts';
import { createRig, history, logKey, origin, post, testKey } from './rig.ts';

const rig = createRig();
afterEach(rig.clear);
const patience = { timeoutMs: 30_000 };

it('cosigns one of two histories when fifty requests race', async () => {
  const witness = await rig.start({ limits: { waitingPerLog: 100 } });
  const histories = [history('a'), history('b')];
  const races = Array.from({ length: 50 }, async (_, i) => {
    const one = histories[i % 2] ?? history('c');
    const size = 5 + (i % 7);
    const answer = await addCheckpoint(witness.url(), await one.request(0, size), patience);
    return { answer: answer.result, root: `${size} ${toHex(one.root(size))}` };
  });
  const answers = await Promise.all(races);
  const won = answers.filter(({ answer }) => answer === 'cosigned');
  expect(won).toHaveLength(1);
  expect(answers.filter(({ answer }) => answer === 'conflict')).toHaveLength(49);
});

it('never lets the head fall when growing requests race', async () => {
  const witness = await rig.start({ limits: { waitingPerLog: 1_000 } });
  const a = history('a');
  await addCheckpoint(witness.url(), await a.request(0, 1), patience);
  const given: number[] = [];
  const climb = async (step: number): Promise<void> => {
    for (let known = 1; known < 64;) {
      const to = Math.min(64, known + step);
      const answer = await addCheckpoint(witness.url(), await a.request(known, to), patience);
      if (answer.result === 'cosigned') {
        given.push(to);
        known = to;
      } else if (answer.result === 'conflict') {
        expect(answer.size).toBeGreaterThan(known);
        known = answer.size;
      } else throw new Error(answer.reason);
    }
  };
  await Promise.all([1, 1, 2, 3, 5, 7].map(climb));
  // Each size is left but once, so nobody was cosigned twice on the way up.
  expect(new Set(given).size).toBe(given.length);
  expect(given).toContain(64);
});

it('tells those to come again who find the line too long', async () => {
  const { auditor, release } = heldBack();
  const context = { name: 'witness.example/held/audit', signer: testKey('held') };
  const witness = await rig.start({
    ...context,
    auditorOf: async () => auditor,
    limits: { waitingPerLog: 2 },
  });
  const body = formatAddCheckpoint(await history('a').request(0, 5));
  const asking = Array.from({ length: 6 }, () => post(witness, body));
  const first = await Promise.race(asking);
  expect(first).toMatchObject({ status: 503, retryAfter: '1' });
  expect(first.text).toMatch(/^busy: /);
  release();
  const statuses = (await Promise.all(asking)).map(({ status }) => status);
  expect(statuses.sort()).toEqual([200, 409, 409, 503, 503, 503]);
});

it('keeps one log from holding up another', async () => {
  const { auditor, release } = heldBack();
  const other = { log: 'log.example/other', signer: testKey('other log') };
  const witness = await rig.start({
    name: 'witness.example/held/audit',
    signer: testKey('held'),
    logs: [{ key: logKey }, { key: verifierKeyOf(other.log, ed25519Type, other.signer) }],
    auditorOf: async ({ origin: log }) =>
      log === origin ? auditor : { judge: async () => undefined },
  });
  const held = addCheckpoint(witness.url(), await history('a').request(0, 5), patience);
  const free = await addCheckpoint(
    witness.url(),
    await history('a', other).request(0, 5),
    patience,
  );
  expect(free).toMatchObject({ result: 'cosigned' });
  release();
  expect(await held).toMatchObject({ result: 'cosigned' });
});

/** An auditor that says nothing until it is released. */
function heldBack(): { auditor: Auditor; release: () => void } {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  return { auditor: { judge: () => released }, release: () => release() };
}
