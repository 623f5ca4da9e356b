import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, fromHex, toBase64, toHex, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import {
  cosignatureType,
  ed25519Type,
  formatNote,
  formatSignatures,
  formatVkey,
  maxNoteBytes,
  noteKeyId,
  noteSigner,
  noteVerifier,
  parseNote,
  parseSignatures,
  parseVkey,
  signNote,
  verifierKey,
  verifierKeyOf,
  verifyNote,
  withSignatures,
  type Note,
  type NoteSignature,
} from '#core/tlog/note.ts';
import { flipped } from './reference.ts';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

const testSigner = (name: string): ReturnType<typeof signerFromSeed> =>
  signerFromSeed(sha256(utf8(`hourseal test key ${name}`)));

/** The example of golang.org/x/mod/sumdb/note. */
const peter = {
  vkey: 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  text:
    'If you think cryptography is the answer to your problem,\n' +
    "then you don't know what your problem is.\n",
  line: '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n',
};
/** The example at the end of c2sp.org/signed-note. */
const c2sp = {
  vkey: 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k',
  text: 'This is an example message.\n',
  line: '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n',
};

function verifierOf(vkey: string): ReturnType<typeof noteVerifier> {
  return noteVerifier(parseVkey(vkey));
}

describe('other people’s notes', () => {
  it.each([peter, c2sp])('are parsed, verified and written back: %#', ({ vkey, text, line }) => {
    const bytes = utf8(`${text}\n${line}`);
    const note = parseNote(bytes);
    expect(note.text).toBe(text);
    expect(formatNote(note)).toEqual(bytes);
    expect(verifyNote(note, [verifierOf(vkey)])).toEqual(note.signatures);
    expect(formatVkey(parseVkey(vkey))).toBe(vkey);
  });

  it('are the same when Go signs as when we do', () => {
    const file = new URL('../../../vectors/go-sumdb.json', import.meta.url);
    const go = JSON.parse(readFileSync(file, 'utf8')) as {
      vkey: string;
      signedNote: string;
      seedName: string;
    };
    const note = parseNote(utf8(go.signedNote));
    const signer = noteSigner('log.example/other', testSigner(go.seedName));
    expect(verifyNote(note, [verifierOf(go.vkey)])).toHaveLength(1);
    expect(decodeUtf8(formatNote(signNote({ text: note.text }, [signer])))).toBe(go.signedNote);
  });

  it('keep empty lines in their text', () => {
    const note = parseNote(utf8(`one\n\ntwo\n\n\n${peter.line}`));
    expect(note.text).toBe('one\n\ntwo\n\n');
  });

  it('may have an em dash line in their text', () => {
    const note = parseNote(utf8(`${peter.text}\n${peter.line}\n${c2sp.line}`));
    expect(note.text).toBe(`${peter.text}\n${peter.line}`);
    expect(note.signatures).toHaveLength(1);
  });
});

describe('a note', () => {
  const good = `text\n\n${peter.line}`;

  it.each([
    ['nothing', ''],
    ['no signatures', 'text\n\n'],
    ['no text', peter.line],
    ['no empty line', `text\n${peter.line}`],
    ['no end of the last line', good.slice(0, -1)],
    ['a line after the signatures', `${good}more\n`],
    ['an empty line after the signatures', `${good}\n`],
    ['a hyphen for the em dash', good.replace('—', '-')],
    ['no space after the em dash', good.replace('— ', '—')],
    ['two spaces after the em dash', good.replace('— ', '—  ')],
    ['two spaces after the name', good.replace('Neumann ', 'Neumann  ')],
    ['a space at the end', good.replace('=\n', '= \n')],
    ['no signature', 'text\n\n— name\n'],
    ['an empty signature', 'text\n\n— name \n'],
    ['a key id and no signature', `text\n\n— name ${toBase64(new Uint8Array(4))}\n`],
    ['no name', 'text\n\n—  AAAAAAAA\n'],
    ['a plus in the name', good.replace('PeterNeumann', 'Peter+Neumann')],
    ['an ideographic space in the name', good.replace('PeterNeumann', 'Peter\u3000Neumann')],
    ['a no-break space in the name', good.replace('PeterNeumann', 'Peter\u00a0Neumann')],
    ['a carriage return', good.replace('text\n', 'text\r\n')],
    ['a tab', good.replace('text', 'te\txt')],
    ['a NUL', good.replace('text', 'te\0xt')],
    ['a unit separator', good.replace('text', 'te\u001fxt')],
    ['base64url', good.replace('x08go/', 'x08go_')],
    ['base64 without padding', good.replace('=\n', '\n')],
    ['base64 with trailing bits', good.replace('nAM=', 'nAN=')],
  ])('is refused with %s', (_, text) => {
    expect(codeOf(() => parseNote(utf8(good)))).toBe('accepted');
    expect(codeOf(() => parseNote(utf8(text)))).toBe('note');
  });

  it('is refused when it is not UTF-8', () => {
    const bytes = concat(utf8('te'), Uint8Array.of(0xff), utf8(good));
    expect(codeOf(() => parseNote(bytes))).toBe('utf8');
  });

  it('has at most 100 signatures', () => {
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, i) => `— name${i} AAAAAAAA\n`).join('');
    expect(parseNote(utf8(`text\n\n${lines(100)}`)).signatures).toHaveLength(100);
    expect(codeOf(() => parseNote(utf8(`text\n\n${lines(101)}`)))).toBe('note');
    const signatures = parseSignatures(lines(100));
    const [first] = signatures;
    const more = first ? [...signatures, first] : [];
    expect(codeOf(() => formatNote({ text: 'text\n', signatures }))).toBe('accepted');
    expect(codeOf(() => formatNote({ text: 'text\n', signatures: more }))).toBe('note');
    expect(codeOf(() => formatNote({ text: 'text\n', signatures: [] }))).toBe('note');
  });

  it('has at most 128 KiB', () => {
    const room = maxNoteBytes - utf8(`\n\n${peter.line}`).length;
    const text = (length: number): string => `${'x'.repeat(length)}\n\n${peter.line}`;
    expect(utf8(text(room))).toHaveLength(131_072);
    expect(codeOf(() => parseNote(utf8(text(room))))).toBe('accepted');
    expect(codeOf(() => parseNote(utf8(text(room + 1))))).toBe('note');
    const { signatures } = parseNote(utf8(good));
    expect(codeOf(() => formatNote({ text: `${'x'.repeat(room)}\n`, signatures }))).toBe(
      'accepted',
    );
    expect(codeOf(() => formatNote({ text: `${'x'.repeat(room + 1)}\n`, signatures }))).toBe(
      'note',
    );
  });

  it('is not written when it could not be read back', () => {
    const { signatures } = parseNote(utf8(good));
    const [signature] = signatures;
    if (signature === undefined) throw new Error('no signature');
    const withText = (text: string): Note => ({ text, signatures });
    const withOne = (changed: Partial<NoteSignature>): Note => ({
      text: 'text\n',
      signatures: [{ ...signature, ...changed }],
    });
    expect(codeOf(() => formatNote(withText('no end')))).toBe('note');
    expect(codeOf(() => formatNote(withText('')))).toBe('note');
    expect(codeOf(() => formatNote(withText('tab\t\n')))).toBe('note');
    expect(codeOf(() => formatNote(withText('half a pair \ud800\n')))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ name: 'a b' })))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ name: 'a+b' })))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ name: '' })))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ name: 'a\u0000' })))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ signature: new Uint8Array(0) })))).toBe('note');
    expect(codeOf(() => formatNote(withOne({ keyId: 'C74F20A3' })))).toBe('hex');
    expect(codeOf(() => formatNote(withOne({ keyId: 'c74f20' })))).toBe('hex');
  });

  it('reads back as it was written, whatever Unicode is in it', () => {
    const line = fc
      .string({ unit: 'grapheme' })
      .map((text) => text.replaceAll(/\p{Cc}|\p{Cs}/gu, ''));
    const name = fc.stringMatching(/^[!-*,-~é中]{1,20}$/u);
    const signature = fc.record({
      name,
      keyId: fc.uint8Array({ minLength: 4, maxLength: 4 }).map(toHex),
      signature: fc
        .uint8Array({ minLength: 1, maxLength: 80 })
        .map((bytes) => Uint8Array.from(bytes)),
    });
    fc.assert(
      fc.property(
        fc.array(line, { minLength: 1, maxLength: 5 }),
        fc.array(signature, { minLength: 1, maxLength: 5 }),
        (lines, signatures) => {
          const note = { text: `${lines.join('\n')}\n`, signatures };
          expect(parseNote(formatNote(note))).toEqual(note);
        },
      ),
    );
  });

  it('of any bytes is parsed to what formats back to them, or refused', () => {
    const piece = fc.constantFrom(
      '\n',
      '\n\n',
      '— ',
      'name',
      ' ',
      'AAAAAAAA',
      '+',
      '=',
      'text',
      'é',
    );
    const bytes = fc.oneof(
      fc
        .array(piece, { maxLength: 20 })
        .map((pieces) => utf8(`text\n\n— a AAAAAAAA\n${pieces.join('')}`)),
      fc.array(piece, { maxLength: 20 }).map((pieces) => utf8(pieces.join(''))),
      fc.uint8Array({ maxLength: 100 }),
    );
    fc.assert(
      fc.property(bytes, (input) => {
        const code = codeOf(() => {
          expect(toHex(formatNote(parseNote(input)))).toBe(toHex(input));
        });
        expect(['accepted', 'note', 'utf8']).toContain(code);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('signing and verifying', () => {
  const [one, two] = [testSigner('log'), testSigner('witness one')];
  const signers = [noteSigner('a.example', one), noteSigner('b.example', two)];
  const note = signNote({ text: 'text\n' }, signers);
  const verifiers = [
    noteVerifier(verifierKeyOf('a.example', ed25519Type, one)),
    noteVerifier(verifierKeyOf('b.example', ed25519Type, two)),
  ];
  const [first, second] = note.signatures;
  if (first === undefined || second === undefined) throw new Error('two signers, two signatures');

  it('tells which of the known keys signed, in the note’s order', () => {
    expect(verifyNote(note, verifiers).map(({ name }) => name)).toEqual(['a.example', 'b.example']);
    expect(verifyNote(note, verifiers.slice(1))).toEqual([second]);
  });

  it('ignores keys it does not know, even one that shares a name or an id', () => {
    const strangers = [
      { name: 'a.example', keyId: second.keyId, signature: first.signature },
      { name: 'b.example', keyId: first.keyId, signature: first.signature },
      { name: 'c.example', keyId: 'ffffffff', signature: Uint8Array.of(1) },
    ];
    const mixed = withSignatures(note, strangers);
    expect(mixed.signatures).toHaveLength(5);
    expect(verifyNote(parseNote(formatNote(mixed)), verifiers)).toEqual(note.signatures);
  });

  it('refuses a bad signature by a known key, whoever else signed well', () => {
    for (const bad of [
      { ...second, signature: flipped(second.signature, 77) },
      { ...second, signature: first.signature },
      { ...second, signature: second.signature.subarray(0, 63) },
      { ...second, signature: concat(second.signature, Uint8Array.of(0)) },
    ]) {
      const signatures = [first, bad];
      expect(codeOf(() => verifyNote({ text: note.text, signatures }, verifiers))).toBe(
        'note-signature',
      );
    }
    // A good line first does not excuse a bad one by the same key behind it.
    const twice = [first, second, { ...second, signature: flipped(second.signature) }];
    expect(codeOf(() => verifyNote({ text: note.text, signatures: twice }, verifiers))).toBe(
      'note-signature',
    );
    expect(codeOf(() => verifyNote({ ...note, text: 'test\n' }, verifiers))).toBe('note-signature');
  });

  it('refuses a note that no known key signed', () => {
    expect(codeOf(() => verifyNote(note, []))).toBe('note-unsigned');
    const stranger = noteVerifier(verifierKeyOf('c.example', ed25519Type, one));
    expect(codeOf(() => verifyNote(note, [stranger]))).toBe('note-unsigned');
  });

  it('refuses two verifiers for one name and id', () => {
    expect(codeOf(() => verifyNote(note, [...verifiers, ...verifiers]))).toBe('vkey');
  });

  it('gives the same bytes every time, a newer signature in place of an older', () => {
    const again = signNote(note, signers);
    expect(formatNote(again)).toEqual(formatNote(note));
    const renewed = withSignatures(note, [{ ...first, signature: Uint8Array.of(9) }]);
    expect(renewed.signatures).toEqual([second, { ...first, signature: Uint8Array.of(9) }]);
  });

  it('writes signature lines alone, as a witness answers', () => {
    const lines = formatSignatures(note.signatures);
    expect(parseSignatures(lines)).toEqual(note.signatures);
    expect(codeOf(() => parseSignatures(lines.slice(0, -1)))).toBe('note');
    expect(codeOf(() => parseSignatures(''))).toBe('note');
    expect(codeOf(() => parseSignatures('\n'))).toBe('note');
    expect(codeOf(() => parseSignatures(`${lines}\n`))).toBe('note');
  });

  it('is not done with a key that is not Ed25519', () => {
    const es256 = signerFromSeed(sha256(utf8('hourseal test key wind meter')), 'ES256');
    expect(codeOf(() => noteSigner('a.example', es256))).toBe('vkey');
    expect(codeOf(() => noteSigner('a example', one))).toBe('vkey');
    const cosigner = verifierKeyOf('a.example', cosignatureType, one);
    expect(codeOf(() => noteVerifier(cosigner))).toBe('vkey');
  });
});

describe('verifier keys', () => {
  const key = parseVkey(peter.vkey);

  it('name the key and its type', () => {
    expect(key).toMatchObject({ name: 'PeterNeumann', keyId: 'c74f20a3', type: 1 });
    expect(key.publicKey).toHaveLength(32);
    expect(noteKeyId(key)).toBe('c74f20a3');
  });

  it('have another id for another type or name', () => {
    expect(noteKeyId({ ...key, type: cosignatureType })).not.toBe(key.keyId);
    expect(noteKeyId({ ...key, name: 'PeterNeumann2' })).not.toBe(key.keyId);
  });

  it('are read with a plus in their base64', () => {
    const signer = Array.from({ length: 200 }, (_, i) => testSigner(`plus ${i}`)).find(
      (candidate) =>
        formatVkey(verifierKeyOf('b.example', ed25519Type, candidate))
          .slice(19)
          .includes('+'),
    );
    if (signer === undefined) throw new Error('no key with a plus in its base64');
    const made = verifierKeyOf('b.example', ed25519Type, signer);
    expect(parseVkey(formatVkey(made)).publicKey).toEqual(made.publicKey);
  });

  it.each([
    '',
    'PeterNeumann',
    'PeterNeumann+c74f20a3',
    'PeterNeumann+c74f20a3+',
    `+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW`,
    peter.vkey.replace('c74f20a3', 'C74F20A3'),
    peter.vkey.replace('c74f20a3', 'c74f20a4'),
    peter.vkey.replace('c74f20a3', '0c74f20a3'),
    peter.vkey.replace('PeterNeumann', 'Peter Neumann'),
    peter.vkey.replace('PeterNeumann', 'PeterNeuman'),
    `${peter.vkey}=`,
    `${peter.vkey}\n`,
    ` ${peter.vkey}`,
    peter.vkey.slice(0, -1),
    peter.vkey.slice(0, -4),
    peter.vkey.replace('/', '_'),
    'PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==',
    'PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW',
  ])('are refused in any other form: %#', (vkey) => {
    expect(codeOf(() => parseVkey(vkey))).toBe('vkey');
  });

  it('are refused when no signature by them could be accepted', () => {
    const identity = fromHex(`01${'00'.repeat(31)}`);
    const name = 'a.example';
    const material = { name, type: ed25519Type, publicKey: identity } as const;
    const vkey = `${name}+${noteKeyId(material)}+${toBase64(concat(Uint8Array.of(1), identity))}`;
    expect(codeOf(() => parseVkey(vkey))).toBe('vkey');
    expect(codeOf(() => verifierKey({ ...material, publicKey: identity.subarray(1) }))).toBe(
      'vkey',
    );
    expect(codeOf(() => verifierKey({ ...key, name: 'half \ud800' }))).toBe('vkey');
    expect(codeOf(() => verifierKey({ ...key, name: 'half\ud800' }))).toBe('vkey');
  });
});
