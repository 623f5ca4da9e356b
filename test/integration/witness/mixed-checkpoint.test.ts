import { afterEach, describe, expect, it } from 'vitest';
import { utf8, decodeUtf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { formatAddCheckpoint } from '#core/tlog/add-checkpoint.ts';
import { cosignatureSigner, verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { openSignedState } from '#core/tlog/equivocation.ts';
import { cosignatureType, verifierKeyOf, parseNote } from '#core/tlog/note.ts';
import { signNote, formatNote } from '#core/tlog/note.ts';
import { createRig, history, logKey, post } from './rig.ts';
import { testKey, witnessName, witnessSigner } from './rig.ts';

/** Notes put together from the lines of others: every line is genuine, the whole is not. */

const rig = createRig();
afterEach(rig.clear);
const a = history('a');
const b = history('b');
const otherOrigin = 'log.example/other';
const elsewhere = history('a', { log: otherOrigin });
const witnessKey = verifierKeyOf(witnessName, cosignatureType, witnessSigner);
const now = 1_767_261_600;

/** The lines of a note: the text, and its signatures. */
function partsOf(note: Uint8Array): { text: string; lines: string } {
  const [text = '', lines = ''] = decodeUtf8(note).split('\n\n');
  return { text, lines };
}
const joined = (text: string, ...lines: readonly string[]): Uint8Array =>
  utf8(`${text}\n\n${lines.join('')}`);

/** The witness's line under a note. */
function cosigned(note: Uint8Array, time = now, key = witnessSigner): string {
  const { text } = parseNote(note);
  const signer = cosignatureSigner(witnessName, key, time);
  return partsOf(formatNote(signNote({ text }, [signer]))).lines;
}

const five = partsOf(a.note(5));
const six = partsOf(a.note(6));
const good = cosigned(a.note(5));

const foreign: [string, Uint8Array][] = [
  ['the signature of another size', joined(five.text, six.lines)],
  ['the signature of another history', joined(five.text, partsOf(b.note(5)).lines)],
  ['its own signature, and that of another size', joined(five.text, five.lines, six.lines)],
  ['that of another size before its own', joined(five.text, six.lines, five.lines)],
];

/** A key is known by name and id: under this name it is nobody's. */
const unsigned: [string, Uint8Array] = [
  'the signature of its key for another log',
  joined(five.text, partsOf(elsewhere.note(5)).lines),
];

describe('a witness that is handed', () => {
  it.each([...foreign, unsigned])(
    '%s does not cosign, and stays where it is',
    async (_what, note) => {
      const witness = await rig.start();
      const { proof } = await a.request(0, 5);
      const answer = await post(witness, formatAddCheckpoint({ oldSize: 0, proof, note }));
      expect(answer.status).toBe(403);
      // Had its head moved, this would be a conflict.
      const right = formatAddCheckpoint(await a.request(0, 5));
      expect(await post(witness, right)).toMatchObject({ status: 200 });
    },
  );

  it('the same line twice, and lines of others, cosigns what the log signed', async () => {
    const witness = await rig.start();
    const note = joined(five.text, five.lines, five.lines, cosigned(a.note(6)), good);
    const { proof } = await a.request(0, 5);
    const answer = await post(witness, formatAddCheckpoint({ oldSize: 0, proof, note }));
    expect(answer.status).toBe(200);
    const note5 = joined(five.text, five.lines, answer.text);
    expect(verifyCheckpoint(note5, { log: logKey, cosigners: [witnessKey] })).toMatchObject({
      size: 5,
      cosignatures: [{ name: witnessName }],
    });
  });
});

const byOthers: [string, Uint8Array][] = [
  ['a cosignature of another size', joined(five.text, five.lines, cosigned(a.note(6)))],
  ['a cosignature of another history', joined(five.text, five.lines, cosigned(b.note(5)))],
  [
    'a cosignature of the same tree of another log',
    joined(five.text, five.lines, cosigned(elsewhere.note(5))),
  ],
  [
    'a good cosignature, and one of another size',
    joined(five.text, five.lines, good, cosigned(a.note(6), now + 1)),
  ],
  ['a time that is nobody’s clock', joined(five.text, five.lines, later(good, 2n ** 53n))],
  ['another time than was signed', joined(five.text, five.lines, later(good, BigInt(now + 1)))],
];

/** The line with another time, and the signature as it was. */
function later(line: string, time: bigint): string {
  const [dash = '', name = '', encoded = ''] = line.trimEnd().split(' ');
  const bytes = Buffer.from(encoded, 'base64');
  bytes.writeBigUInt64BE(time, 4);
  return `${[dash, name, bytes.toString('base64')].join(' ')}\n`;
}

/** As the verifier of a proof file, and as a monitor. */
const readers: [string, (note: Uint8Array) => unknown][] = [
  ['a verifier', (note) => verifyCheckpoint(note, { log: logKey, cosigners: [witnessKey] })],
  ['a monitor', (note) => openSignedState(note, { logs: [logKey], witnesses: [witnessKey] })],
];

describe.each(readers)('%s that is handed', (_who, read) => {
  const codeOf = (note: Uint8Array): unknown => {
    try {
      return read(note);
    } catch (error) {
      return refusalCode(error);
    }
  };

  it.each([...foreign, ...byOthers])('%s refuses it', (_what, note) => {
    expect(codeOf(note)).toBe('note-signature');
  });

  it(`${unsigned[0]} takes it for none`, () => {
    expect(codeOf(unsigned[1])).toBe('checkpoint-unsigned');
  });

  it('the same cosignature twice counts one', () => {
    const note = joined(
      five.text,
      five.lines,
      five.lines,
      good,
      good,
      cosigned(a.note(5), now + 9),
    );
    expect(read(note)).toMatchObject({
      size: 5,
      cosignatures: [{ name: witnessName, time: now + 9 }],
    });
  });

  it('a note of another log refuses it, whoever signed', () => {
    const { text, lines } = partsOf(elsewhere.note(5));
    expect(codeOf(joined(text, lines, five.lines))).toBe('checkpoint-origin');
    expect(codeOf(joined(text, five.lines))).toBe('checkpoint-origin');
  });

  it('a witness of the same name and another key passes it over', () => {
    const impostor = cosigned(a.note(5), now, testKey('impostor'));
    expect(read(joined(five.text, five.lines, impostor))).toMatchObject({ cosignatures: [] });
  });
});
