import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, fromHex, toBase64, uint64BE, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import {
  cosignatureSigner,
  cosignatureVerifier,
  formatCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  verifyCheckpoint,
} from '#core/tlog/checkpoint.ts';
import {
  ed25519Type,
  formatNote,
  formatVkey,
  noteKeyId,
  noteSigner,
  parseNote,
  parseVkey,
  signNote,
  verifierKeyOf,
  withSignatures,
} from '#core/tlog/note.ts';
import { emptyRoot, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { flipped } from './reference.ts';

interface CheckpointVectors {
  vkeys: Record<'log' | 'witness one' | 'witness two', string>;
  notes: { size: number; note: string }[];
}
const vectors = JSON.parse(
  readFileSync(new URL('../../../vectors/checkpoints.json', import.meta.url), 'utf8'),
) as CheckpointVectors;
const origin = 'log.example/hourseal/2026';
const log = parseVkey(vectors.vkeys.log);
const witnessOne = parseVkey(vectors.vkeys['witness one']);
const witnessTwo = parseVkey(vectors.vkeys['witness two']);
const cosigners = [witnessOne, witnessTwo];
const [oneTime, twoTime] = [1_767_261_610, 1_767_261_611];

const testSigner = (name: string): ReturnType<typeof signerFromSeed> =>
  signerFromSeed(sha256(utf8(`hourseal test key ${name}`)));
const logSigner = noteSigner(origin, testSigner('log'));
const cosignOne = (time: number): ReturnType<typeof cosignatureSigner> =>
  cosignatureSigner('witness.example/one', testSigner('witness one'), time);
const cosignTwo = (time: number): ReturnType<typeof cosignatureSigner> =>
  cosignatureSigner('witness.example/two/audit', testSigner('witness two audit'), time);

function rootOf(size: number): Uint8Array {
  return treeRoot(Array.from({ length: size }, (_, i) => leafHash(utf8(`entry ${i}`))));
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

const seven = { origin, size: 7, root: rootOf(7) };
const signedSeven = signCheckpoint(seven, [logSigner, cosignOne(oneTime), cosignTwo(twoTime)]);

describe('the vectors', () => {
  it('have keys that are those of the test signers', () => {
    expect(formatVkey(verifierKeyOf(origin, ed25519Type, testSigner('log')))).toBe(
      vectors.vkeys.log,
    );
    expect(cosignOne(0).keyId).toBe(witnessOne.keyId);
    expect(cosignTwo(0).keyId).toBe(witnessTwo.keyId);
    expect([witnessOne.type, witnessTwo.type]).toEqual([4, 4]);
  });

  it.each(vectors.notes)('hold a checkpoint of size $size by all three', ({ size, note }) => {
    const verified = verifyCheckpoint(utf8(note), { log, cosigners });
    expect(verified).toEqual({
      origin,
      size,
      root: rootOf(size),
      cosignatures: [
        { name: witnessOne.name, keyId: witnessOne.keyId, time: oneTime },
        { name: witnessTwo.name, keyId: witnessTwo.keyId, time: twoTime },
      ],
    });
  });

  it.each(vectors.notes)('are signed by us to the same bytes at size $size', ({ size, note }) => {
    const checkpoint = { origin, size, root: rootOf(size) };
    const signed = signCheckpoint(checkpoint, [logSigner, cosignOne(oneTime), cosignTwo(twoTime)]);
    expect(decodeUtf8(signed)).toBe(note);
  });

  it('are refused after any one bit of them is turned, or verify to the same', () => {
    const bytes = utf8(vectors.notes[2]?.note ?? '');
    const accepted: number[] = [];
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const code = codeOf(() => verifyCheckpoint(flipped(bytes, bit), { log, cosigners }));
      if (code === 'accepted') accepted.push(bit);
    }
    // What can still be accepted is a cosigner's line that has become an unknown key's.
    const text = decodeUtf8(bytes);
    const cosigned = 8 * utf8(text.slice(0, text.indexOf('— witness'))).length;
    expect(accepted.filter((bit) => bit < cosigned)).toEqual([]);
    for (const bit of accepted) {
      const { cosignatures } = verifyCheckpoint(flipped(bytes, bit), { log, cosigners });
      expect(cosignatures).toHaveLength(1);
    }
  });
});

/** The example of c2sp.org/tlog-cosignature; its keys are not published. */
const behindTheSofa = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`;

describe('the form of a checkpoint', () => {
  it('is that of the C2SP example', () => {
    const note = parseNote(utf8(behindTheSofa));
    const checkpoint = parseCheckpoint(note.text);
    expect(checkpoint).toEqual({
      origin: 'example.com/behind-the-sofa',
      size: 20_852_163,
      root: fromHex('0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62'),
    });
    expect(formatCheckpoint(checkpoint)).toBe(note.text);
    expect(
      note.signatures.map(({ name, keyId, signature }) => [name, keyId, signature.length]),
    ).toEqual([
      ['example.com/behind-the-sofa', '033de0ae', 64],
      ['witness.example.com/w1', '8d66cf3f', 72],
    ]);
    expect(decodeUtf8(formatNote(note))).toBe(behindTheSofa);
    expect(codeOf(() => verifyCheckpoint(utf8(behindTheSofa), { log, cosigners }))).toBe(
      'checkpoint-origin',
    );
  });

  it('reads back as it was written', () => {
    const originLine = fc.stringMatching(/^[ -~é]{1,100}$/u);
    const hash = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .map((bytes) => Uint8Array.from(bytes));
    const size = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(fc.record({ origin: originLine, size, root: hash }), (checkpoint) => {
        expect(parseCheckpoint(formatCheckpoint(checkpoint))).toEqual(checkpoint);
      }),
    );
  });

  const root = toBase64(rootOf(7));
  it.each([
    '',
    '\n',
    `${origin}\n`,
    `${origin}\n7\n`,
    `${origin}\n7\n${root}`,
    `${origin}\n7\n${root}\n\n`,
    `${origin}\n7\n${root}\nextension\n`,
    `${origin}\n7\n${root}\nextension`,
    `\n7\n${root}\n`,
    `\n${origin}\n7\n${root}\n`,
    `${'o'.repeat(256)}\n7\n${root}\n`,
    `${'é'.repeat(128)}\n7\n${root}\n`,
    `a\u007f\n7\n${root}\n`,
    `a\ud800\n7\n${root}\n`,
    `${origin}\n\n${root}\n`,
    `${origin}\n007\n${root}\n`,
    `${origin}\n+7\n${root}\n`,
    `${origin}\n-7\n${root}\n`,
    `${origin}\n-0\n${root}\n`,
    `${origin}\n00\n${root}\n`,
    `${origin}\n 7\n${root}\n`,
    `${origin}\n7 \n${root}\n`,
    `${origin}\n7\r\n${root}\n`,
    `${origin}\n7.0\n${root}\n`,
    `${origin}\n7e0\n${root}\n`,
    `${origin}\n0x7\n${root}\n`,
    `${origin}\n1_000\n${root}\n`,
    `${origin}\n٧\n${root}\n`,
    `${origin}\nNaN\n${root}\n`,
    `${origin}\nInfinity\n${root}\n`,
    `${origin}\n9007199254740992\n${root}\n`,
    `${origin}\n9007199254740993\n${root}\n`,
    `${origin}\n99999999999999999999\n${root}\n`,
    `${origin}\n0\n${root}\n`,
    `${origin}\n7\n\n`,
    `${origin}\n7\n${root.slice(0, -1)}\n`,
    `${origin}\n7\n${root}=\n`,
    `${origin}\n7\n${root} \n`,
    `${origin}\n7\n${root.replace('c=', 'd=')}\n`,
    `${origin}\n7\n${toBase64(rootOf(7).subarray(1))}\n`,
    `${origin}\n7\n${toBase64(new Uint8Array(33))}\n`,
  ])('is refused in any other spelling: %#', (text) => {
    expect(codeOf(() => parseCheckpoint(text))).toBe('checkpoint');
  });

  it('takes the limits themselves', () => {
    const long = 'o'.repeat(255);
    const size = Number.MAX_SAFE_INTEGER;
    expect(parseCheckpoint(`${long}\n9007199254740991\n${root}\n`)).toEqual({
      origin: long,
      size,
      root: rootOf(7),
    });
    expect(parseCheckpoint(`${origin}\n0\n${toBase64(emptyRoot)}\n`).size).toBe(0);
  });

  it('is not written of what could not be read back', () => {
    expect(codeOf(() => formatCheckpoint({ ...seven, origin: '' }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, origin: 'two\nlines' }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, size: 1.5 }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, size: -1 }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, size: 2 ** 53 }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, size: 0 }))).toBe('checkpoint');
    expect(codeOf(() => formatCheckpoint({ ...seven, root: new Uint8Array(31) }))).toBe(
      'checkpoint',
    );
  });
});

describe('verifying a checkpoint', () => {
  const note = parseNote(signedSeven);
  const [byLog, byOne, byTwo] = note.signatures;
  if (!byLog || !byOne || !byTwo) throw new Error('three signers, three signatures');

  it('says who of those asked for cosigned, and when', () => {
    const names = (asked: typeof cosigners): string[] =>
      verifyCheckpoint(signedSeven, { log, cosigners: asked }).cosignatures.map(({ name }) => name);
    expect(names([])).toEqual([]);
    expect(names([witnessTwo])).toEqual(['witness.example/two/audit']);
    expect(names(cosigners)).toEqual(['witness.example/one', 'witness.example/two/audit']);
    const alone = signCheckpoint(seven, [logSigner]);
    expect(verifyCheckpoint(alone, { log, cosigners }).cosignatures).toEqual([]);
  });

  it('refuses one that the log did not sign, whoever cosigned', () => {
    const cosignedOnly = formatNote({ ...note, signatures: [byOne, byTwo] });
    expect(codeOf(() => verifyCheckpoint(cosignedOnly, { log, cosigners }))).toBe(
      'checkpoint-unsigned',
    );
    // The right name and the log's own signature, but said to be by another key.
    const renamed = formatNote({ ...note, signatures: [{ ...byLog, keyId: 'ffffffff' }, byOne] });
    expect(codeOf(() => verifyCheckpoint(renamed, { log, cosigners }))).toBe('checkpoint-unsigned');
  });

  it('refuses a bad signature by the log or by a cosigner asked for', () => {
    const broken = [byLog, byOne, byTwo].map((bad) =>
      formatNote({
        ...note,
        signatures: note.signatures.map((signature) =>
          signature === bad
            ? { ...bad, signature: flipped(bad.signature, 70 * 8 - 90) }
            : signature,
        ),
      }),
    );
    for (const bytes of broken) {
      expect(codeOf(() => verifyCheckpoint(bytes, { log, cosigners }))).toBe('note-signature');
    }
    const [, , badTwo] = broken;
    expect(
      codeOf(() => verifyCheckpoint(badTwo ?? signedSeven, { log, cosigners: [witnessOne] })),
    ).toBe('accepted');
  });

  it('refuses a cosignature with another time than was signed', () => {
    const moved = concat(uint64BE(oneTime + 1), byOne.signature.subarray(8));
    const bytes = formatNote(withSignatures(note, [{ ...byOne, signature: moved }]));
    expect(codeOf(() => verifyCheckpoint(bytes, { log, cosigners }))).toBe('note-signature');
  });

  it('refuses a plain signature where a cosignature belongs, and the reverse', () => {
    const plainByWitness = { ...byOne, signature: testSigner('witness one').sign(utf8(note.text)) };
    const plain = formatNote(withSignatures(note, [plainByWitness]));
    expect(codeOf(() => verifyCheckpoint(plain, { log, cosigners }))).toBe('note-signature');
    const timedByLog = cosignatureSigner(origin, testSigner('log'), oneTime).sign(utf8(note.text));
    const timed = formatNote(withSignatures(note, [{ ...byLog, signature: timedByLog }]));
    expect(codeOf(() => verifyCheckpoint(timed, { log, cosigners }))).toBe('note-signature');
  });

  it('refuses keys of the wrong type, or twice the same', () => {
    expect(codeOf(() => verifyCheckpoint(signedSeven, { log: witnessOne, cosigners: [] }))).toBe(
      'checkpoint-origin',
    );
    const typedWrong = { ...log, type: 4, keyId: noteKeyId({ ...log, type: 4 }) } as const;
    const byTyped = signCheckpoint(seven, [cosignatureSigner(origin, testSigner('log'), oneTime)]);
    expect(codeOf(() => verifyCheckpoint(byTyped, { log: typedWrong, cosigners: [] }))).toBe(
      'vkey',
    );
    expect(codeOf(() => verifyCheckpoint(signedSeven, { log, cosigners: [log] }))).toBe('vkey');
    expect(
      codeOf(() => verifyCheckpoint(signedSeven, { log, cosigners: [witnessOne, witnessOne] })),
    ).toBe('vkey');
  });

  it('refuses a note whose text is not a checkpoint, although it is signed', () => {
    const text = `${note.text}extension\n`;
    const bytes = formatNote(signNote({ text }, [logSigner]));
    expect(codeOf(() => verifyCheckpoint(bytes, { log, cosigners }))).toBe('checkpoint');
    expect(codeOf(() => verifyCheckpoint(utf8('nothing'), { log, cosigners }))).toBe('note');
    expect(codeOf(() => verifyCheckpoint(Uint8Array.of(0xff), { log, cosigners }))).toBe('utf8');
  });

  it('ignores signatures of keys and types it does not know', () => {
    const mlDsa = {
      name: 'witness.example/new',
      keyId: '00000006',
      signature: new Uint8Array(2428),
    };
    const bytes = formatNote(withSignatures(note, [mlDsa]));
    expect(verifyCheckpoint(bytes, { log, cosigners }).cosignatures).toHaveLength(2);
    expect(parseNote(bytes).signatures.at(-1)).toEqual(mlDsa);
  });

  it('counts a witness once, with the latest time, in whatever order its lines stand', () => {
    const later = { ...byOne, signature: cosignOne(oneTime + 60).sign(utf8(note.text)) };
    for (const signatures of [
      [byLog, byOne, later],
      [byLog, later, byOne],
    ]) {
      const bytes = formatNote({ ...note, signatures });
      expect(verifyCheckpoint(bytes, { log, cosigners }).cosignatures).toEqual([
        { name: witnessOne.name, keyId: witnessOne.keyId, time: oneTime + 60 },
      ]);
    }
    const [bad] = [{ ...later, signature: flipped(later.signature, 100) }];
    const bytes = formatNote({ ...note, signatures: [byLog, byOne, bad] });
    expect(codeOf(() => verifyCheckpoint(bytes, { log, cosigners }))).toBe('note-signature');
  });

  it('carries two signatures by the log while its key changes', () => {
    const next = noteSigner(origin, testSigner('next log'));
    const bytes = signCheckpoint(seven, [logSigner, next]);
    const nextKey = verifierKeyOf(origin, ed25519Type, testSigner('next log'));
    expect(verifyCheckpoint(bytes, { log, cosigners: [] }).size).toBe(7);
    expect(verifyCheckpoint(bytes, { log: nextKey, cosigners: [] }).size).toBe(7);
  });
});

describe('cosignatures', () => {
  it('sign the time and the text, and carry the time before the signature', () => {
    const text = formatCheckpoint(seven);
    const signature = cosignOne(oneTime).sign(utf8(text));
    const message = utf8(`cosignature/v1\ntime ${oneTime}\n${text}`);
    expect(signature).toEqual(concat(uint64BE(oneTime), testSigner('witness one').sign(message)));
    expect(cosignatureVerifier(witnessOne).verify(utf8(text), signature)).toBe(true);
  });

  it('of another length or of an impossible time are bad', () => {
    const text = utf8(formatCheckpoint(seven));
    const { verify } = cosignatureVerifier(witnessOne);
    const good = cosignOne(oneTime).sign(text);
    for (const bad of [new Uint8Array(0), good.subarray(1), concat(good, Uint8Array.of(0))]) {
      expect(verify(text, bad)).toBe(false);
    }
    const farTime = fromHex('0020000000000000');
    const message = concat(utf8(`cosignature/v1\ntime ${2n ** 53n}\n`), text);
    const far = concat(farTime, testSigner('witness one').sign(message));
    expect(verify(text, far)).toBe(false);
    const largest = cosignOne(Number.MAX_SAFE_INTEGER).sign(text);
    expect(verify(text, largest)).toBe(true);
  });

  it('are not made for a time that is not one, nor with a key of type 1', () => {
    expect(() => cosignOne(-1)).toThrow(RangeError);
    expect(() => cosignOne(1.5)).toThrow(RangeError);
    expect(codeOf(() => cosignatureVerifier(log))).toBe('vkey');
  });

  it('are made of checkpoints alone', () => {
    expect(codeOf(() => cosignOne(oneTime).sign(utf8('anything\n')))).toBe('checkpoint');
  });
});
