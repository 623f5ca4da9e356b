import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { cosignatureSigner, formatCheckpoint } from '#core/tlog/checkpoint.ts';
import { formatSignatures, signNote } from '#core/tlog/note.ts';
import { openLogFolder } from '#ledger/log-folder.ts';
import { auditLog } from '#support/audit-log.ts';
import {
  away,
  createCosigningRig,
  eager,
  genesisWith,
  patient,
  policyText,
  publishedBy,
  type GatedWitness,
  type Lie,
} from '#support/cosigning.ts';
import * as people from '#support/log-people.ts';
import { testLog, testSigner } from '#support/register.ts';
import { createTestLedger, removeTestFolders, type TestLedger } from '#support/test-ledger.ts';

removeTestFolders();

const { witnesses, database, clear } = createCosigningRig();
let accounts = 0;
const account = () => people.account(`a${(accounts += 1)}`);

const send =
  (status: number, body: string, type = 'text/plain'): Lie =>
  ({ response }) => {
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  };
const signs = (name: string, key: string, text: string): string => {
  const signer = cosignatureSigner(name, testSigner(key), 1_767_225_600);
  return formatSignatures(signNote({ text }, [signer]).signatures);
};
const otherText = formatCheckpoint({ origin: testLog, size: 7, root: new Uint8Array(32) });
const textIn = (body: Uint8Array): string => `${decodeUtf8(body).split('\n\n')[1] ?? ''}\n`;

/** All that a witness may do wrong instead of cosigning; to both questions alike where it says so. */
const lies: readonly (readonly [string, Lie])[] = [
  ['answers garbage', send(200, 'no signature\n')],
  ['answers nothing', send(200, '')],
  [
    'answers bytes that are no text',
    ({ response }) => void response.end(Buffer.from([255, 254, 10])),
  ],
  [
    'signs by another name',
    ({ body, response }) => {
      response.end(signs('x.example', 'witness liar', textIn(body)));
    },
  ],
  [
    'signs by another key',
    ({ body, response }) => {
      response.end(signs('liar.example', 'nobody', textIn(body)));
    },
  ],
  [
    'signs another checkpoint',
    ({ response }) => {
      response.end(signs('liar.example', 'witness liar', otherText));
    },
  ],
  [
    'signs a hundred times',
    ({ response }) => {
      response.end(signs('liar.example', 'witness liar', otherText).repeat(100));
    },
  ],
  [
    'answers without end',
    ({ response }) => {
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(65_536)));
      };
      response.on('drain', more);
      response.on('error', () => undefined);
      more();
    },
  ],
  ['says that it is ahead', send(409, '1000000\n', 'text/x.tlog.size')],
  ['says that it is behind, again and again', send(409, '0\n', 'text/x.tlog.size')],
  ['says a size that is none', send(409, '-1\n', 'text/x.tlog.size')],
  ['does not know the log', send(404, 'what log?\n')],
  ['finds the log forbidden', send(403, 'faulty: it is not\n')],
  ['calls the log inconsistent', send(422, 'two roots\n')],
  ['is out of order', send(500, 'oh\n')],
  ['is overloaded', send(503, 'later\n')],
  [
    'sends us elsewhere',
    ({ response }) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end(),
  ],
  ['closes the connection', away],
  [
    'closes it within the answer',
    ({ response, request }) => {
      response.writeHead(200, { 'content-length': '500' });
      response.write('\u2014 liar.example ');
      setImmediate(() => request.socket.destroy());
    },
  ],
];

describe('a witness that', () => {
  let all: readonly GatedWitness[] = [];
  let rig: TestLedger;
  let honest: GatedWitness;
  let liar: GatedWitness;
  let size = 0;
  const enterOne = async (): Promise<void> => {
    await rig.enter(account());
    size += 1;
  };

  beforeAll(async () => {
    const [one, two, three] = await witnesses('one', 'two', 'liar');
    all = [one, two, three];
    [honest, liar] = [one, three];
    rig = createTestLedger(await database(), { limits: eager });
    await rig.enter(genesisWith(policyText(2, ...all)));
    size = 1;
    await rig.ledger.step();
  });
  afterAll(clear);

  test.each(lies)('%s harms nobody where others are enough', async (_name, lie) => {
    liar.lie = lie;
    await enterOne();
    expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
    const published = await publishedBy(openLogFolder(rig.folder), all);
    expect(published).toMatchObject({ size, by: ['one', 'two'] });
  });

  test.each(lies)(
    '%s holds up what is shown, where it is needed, and nothing else',
    async (_name, lie) => {
      liar.lie = undefined;
      honest.lie = away;
      await enterOne();
      expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
      liar.lie = lie;
      await enterOne();
      expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size - 1 });
      expect(await publishedBy(openLogFolder(rig.folder), all)).toMatchObject({ size: size - 1 });
      await enterOne();
      expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size - 2 });
      liar.lie = undefined;
      expect(await rig.ledger.step()).toMatchObject({ treeSize: size, publishedSize: size });
      expect(await publishedBy(openLogFolder(rig.folder), all)).toMatchObject({
        size,
        by: ['liar', 'two'],
      });
    },
  );

  test('has all that is left a log that audits', async () => {
    honest.lie = undefined;
    expect(await auditLog(rig.folder)).toMatchObject({ size, findings: [] });
  });
});

describe('a witness that stalls', () => {
  afterEach(clear);

  test.each([1_000, 60_000])(
    'is not waited for longer than it may take, and never answers for a later one (%s ms)',
    async (cosignTimeoutMs) => {
      const [one, slow] = await witnesses('one', 'slow');
      const limits = { ...patient, cosignTimeoutMs, cosignGraceMs: 0 };
      const needed = cosignTimeoutMs === 1_000 ? 2 : 1;
      const rig = createTestLedger(await database(), { limits });
      await rig.enter(genesisWith(policyText(needed, one, slow)));
      await rig.ledger.step();
      let leave: () => void = () => undefined;
      const gone = new Promise<void>((resolve) => {
        leave = resolve;
      });
      slow.lie = ({ request, forward }) => {
        // It answers when nobody waits any more.
        request.socket.once('close', leave);
        return gone.then(forward);
      };
      await rig.enter(account());
      const step = await rig.ledger.step();
      expect(step).toMatchObject({ treeSize: 2, publishedSize: needed === 2 ? 1 : 2 });
      await gone;
      await rig.enter(account());
      const next = await rig.ledger.step();
      expect(next).toMatchObject({ treeSize: 3, publishedSize: needed === 2 ? 1 : 3 });
      expect(await auditLog(rig.folder)).toMatchObject({ findings: [] });
    },
  );
});
