import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, fromBase64, toBase64, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import {
  formatAddCheckpoint,
  formatConflict,
  formatCosignatures,
  maxConflictBytes,
  maxProofHashes,
  maxRequestBytes,
  parseAddCheckpoint,
  parseConflict,
  parseCosignatures,
  parseSubmitted,
  type CosignRequest,
} from '#core/tlog/add-checkpoint.ts';
import { formatCheckpoint, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { formatNote, maxNoteBytes, noteSigner, parseNote } from '#core/tlog/note.ts';
import { proveConsistency } from '#core/tlog/proof.ts';
import { emptyEdge, emptyRoot, growEdge, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { storedReader } from './reference.ts';

/** The examples of c2sp.org/tlog-witness. */
const specRequest = `old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
`;
const specResponse = `— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
— witness.example/w2 AWui8Sk55XjYLOijihBjhqEH6nS1ndDymE0a+6idX7pLcnoB+dhnz0854aLZgrrKbYKA7nC3HNJhm/kWl7oJlqU3rXXvpysAdyP3wQ==
`;

const hash = toBase64(sha256(utf8('a hash')));
const noteText = specRequest.slice(specRequest.indexOf('\n\n') + 2);
const body = (...lines: readonly string[]): Uint8Array =>
  utf8(`${lines.map((line) => `${line}\n`).join('')}\n${noteText}`);

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

describe('the examples of the specification', () => {
  it('are read and written back', () => {
    const request = parseAddCheckpoint(utf8(specRequest));
    expect(request.oldSize).toBe(20_852_014);
    expect(request.proof.map(toBase64)).toEqual(specRequest.split('\n').slice(1, 5));
    expect(decodeUtf8(request.note)).toBe(noteText);
    expect(decodeUtf8(formatAddCheckpoint(request))).toBe(specRequest);
    const { checkpoint, note } = parseSubmitted(request.note);
    expect(checkpoint).toMatchObject({ origin: 'example.com/behind-the-sofa', size: 20_852_163 });
    expect(note).toEqual(parseNote(request.note));
    const signatures = parseCosignatures(utf8(specResponse));
    expect(signatures.map(({ name }) => name.slice(-2))).toEqual(['w1', 'w1', 'w2']);
    expect(decodeUtf8(formatCosignatures(signatures))).toBe(specResponse);
    const joined = { text: note.text, signatures: [...note.signatures, ...signatures] };
    expect(decodeUtf8(formatNote(joined))).toBe(`${noteText}${specResponse}`);
  });
});

describe('the worked example', () => {
  const page = examples(formatsPage);
  const leaves = Array.from({ length: 7 }, (_, i) => leafHash(utf8(`entry ${i}`)));
  const origin = 'log.example/hourseal/2026';
  const signer = signerFromSeed(sha256(utf8('hourseal test key log')));

  it('is the request of a log that grew from 3 to 7, and what it is answered', async () => {
    const { read } = storedReader(growEdge(emptyEdge, leaves).completed);
    const note = signCheckpoint({ origin, size: 7, root: treeRoot(leaves) }, [
      noteSigner(origin, signer),
    ]);
    const proof = await proveConsistency({ from: 3, to: 7 }, read);
    const request = formatAddCheckpoint({ oldSize: 3, proof, note });
    expect(decodeUtf8(request)).toBe(page.get('add-checkpoint-3-to-7'));
    expect(parseAddCheckpoint(request)).toEqual({ oldSize: 3, proof, note });
    const cosigned = parseNote(utf8(page.get('checkpoint-7') ?? '')).signatures;
    const answer = formatCosignatures(cosigned.filter(({ name }) => name.endsWith('/one')));
    expect(decodeUtf8(answer)).toBe(page.get('cosignature-line'));
    expect(formatConflict(3)).toBe(page.get('conflict-3'));
  });
});

describe('a request', () => {
  it.each([
    ['no body', ''],
    ['only an empty line', '\n'],
    ['an empty line first', `\n${noteText}`],
    ['no note after it and no empty line', 'old 0\n'],
    ['no old line', `${hash}\n\n${noteText}`],
    ['a capital', `Old 0\n\n${noteText}`],
    ['no size', `old \n\n${noteText}`],
    ['no space', `old0\n\n${noteText}`],
    ['two spaces', `old  0\n\n${noteText}`],
    ['a tab', `old\t0\n\n${noteText}`],
    ['a trailing space', `old 0 \n\n${noteText}`],
    ['a carriage return', `old 0\r\n\r\n${noteText}`],
    ['a leading zero', `old 07\n\n${noteText}`],
    ['two zeroes', `old 00\n\n${noteText}`],
    ['a sign', `old +7\n\n${noteText}`],
    ['minus zero', `old -0\n\n${noteText}`],
    ['a negative size', `old -1\n\n${noteText}`],
    ['a fraction', `old 7.0\n\n${noteText}`],
    ['an exponent', `old 7e0\n\n${noteText}`],
    ['hex', `old 0x7\n\n${noteText}`],
    ['digits of another script', `old \u0667\n\n${noteText}`],
    ['2^53', `old 9007199254740992\n\n${noteText}`],
    ['a size that overflows', `old ${'9'.repeat(30)}\n\n${noteText}`],
    ['no number', `old NaN\n\n${noteText}`],
    ['infinity', `old Infinity\n\n${noteText}`],
    ['a byte order mark', `\ufeffold 0\n\n${noteText}`],
    ['the old line twice', `old 0\nold 0\n\n${noteText}`],
    ['a hash of 31 bytes', decodeUtf8(body('old 7', toBase64(new Uint8Array(31))))],
    ['a hash of 33 bytes', decodeUtf8(body('old 7', toBase64(new Uint8Array(33))))],
    ['a hash without padding', decodeUtf8(body('old 7', hash.replace('=', '')))],
    ['a hash with trailing bits', decodeUtf8(body('old 7', `${'A'.repeat(42)}B=`))],
    ['base64url', decodeUtf8(body('old 7', `${'A'.repeat(41)}_A=`))],
    ['hex instead of base64', decodeUtf8(body('old 7', 'ab'.repeat(32)))],
    ['a space before a hash', decodeUtf8(body('old 7', ` ${hash}`))],
    ['two hashes in a line', decodeUtf8(body('old 7', `${hash}${hash}`))],
    ['one hash too many', decodeUtf8(body('old 7', ...Array<string>(64).fill(hash)))],
  ])('is refused with %s', (_what, text) => {
    expect(codeOf(() => parseAddCheckpoint(utf8(text)))).toBe('add-checkpoint');
  });

  it('is refused with bytes that are not UTF-8', () => {
    const bytes = concat(utf8('old 7\n'), Uint8Array.of(0xff, 0x0a, 0x0a), utf8(noteText));
    expect(codeOf(() => parseAddCheckpoint(bytes))).toBe('utf8');
  });

  it('is read at its largest, and no larger one is written', () => {
    const proof = Array<Uint8Array>(maxProofHashes).fill(fromBase64(hash));
    const request = { oldSize: Number.MAX_SAFE_INTEGER, proof, note: new Uint8Array(maxNoteBytes) };
    const bytes = formatAddCheckpoint(request);
    expect(bytes).toHaveLength(maxRequestBytes);
    const { oldSize, proof: hashes, note } = parseAddCheckpoint(bytes);
    expect([oldSize, hashes, note.length]).toEqual([request.oldSize, proof, maxNoteBytes]);
    const wrong: Partial<CosignRequest>[] = [
      { proof: [...proof, fromBase64(hash)] },
      { proof: [new Uint8Array(31)] },
      { oldSize: -1 },
      { oldSize: -0 },
      { oldSize: 0.5 },
      { oldSize: Number.MAX_SAFE_INTEGER + 1 },
    ];
    for (const part of wrong) {
      expect(() => formatAddCheckpoint({ ...request, ...part })).toThrow(RangeError);
    }
  });

  it('is refused, or written back in the same bytes, whatever the bytes are', () => {
    const fragment = fc.constantFrom('old ', '0', '7', '\n', '\n\n', ' ', hash, noteText, '\u2014');
    const texts = fc.oneof(fc.array(fragment, { maxLength: 8 }), fc.array(fc.string()));
    fc.assert(
      fc.property(texts, (parts) => {
        const bytes = utf8(parts.join(''));
        let request: CosignRequest;
        try {
          request = parseAddCheckpoint(bytes);
        } catch (error) {
          return ['add-checkpoint', 'utf8'].includes(refusalCode(error));
        }
        return decodeUtf8(formatAddCheckpoint(request)) === decodeUtf8(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it('changes in meaning, or is refused, when any one bit is turned', () => {
    const bytes = utf8(specRequest);
    const meant = JSON.stringify(partsOf(bytes));
    for (let at = 0; at < bytes.length; at++) {
      const turned = bytes.with(at, (bytes[at] ?? 0) ^ (1 << (at % 8)));
      let parts: unknown;
      try {
        parts = partsOf(turned);
      } catch (error) {
        expect(['add-checkpoint', 'utf8', 'note', 'checkpoint']).toContain(refusalCode(error));
        continue;
      }
      expect(JSON.stringify(parts)).not.toBe(meant);
    }
  });
});

function partsOf(bytes: Uint8Array): unknown {
  const { oldSize, proof, note } = parseAddCheckpoint(bytes);
  const { text, signatures } = parseSubmitted(note).note;
  return {
    oldSize,
    proof: proof.map(toBase64),
    text,
    signatures: decodeUtf8(formatCosignatures(signatures)),
  };
}

describe('the checkpoint of a request', () => {
  const line = noteText.split('\n')[4] ?? '';
  const noteOf = (text: string): Uint8Array => utf8(`${text}\n${line}\n`);

  it('may have a wrong root at size 0, for the witness to answer that with 422', () => {
    const { checkpoint } = parseSubmitted(noteOf(`a log\n0\n${hash}\n`));
    expect(checkpoint).toEqual({ origin: 'a log', size: 0, root: fromBase64(hash) });
    const empty = { origin: 'a log', size: 0, root: emptyRoot };
    expect(parseSubmitted(noteOf(formatCheckpoint(empty))).checkpoint).toEqual(empty);
  });

  it.each([
    ['no root', 'a log\n0\n'],
    ['a root of 31 bytes', `a log\n0\n${toBase64(new Uint8Array(31))}\n`],
    ['extension lines', `a log\n0\n${hash}\nmore\n`],
    ['another spelling of 0', `a log\n00\n${hash}\n`],
    ['no origin', `\n0\n${hash}\n`],
    ['extension lines at another size', `a log\n7\n${hash}\nmore\n`],
    ['another spelling of 7', `a log\n07\n${hash}\n`],
  ])('is refused with %s', (_what, text) => {
    expect(codeOf(() => parseSubmitted(noteOf(text)))).toBe('checkpoint');
  });

  it('is refused without a signature', () => {
    expect(codeOf(() => parseSubmitted(utf8(`a log\n7\n${hash}\n`)))).toBe('note');
  });
});

describe('the size in a 409', () => {
  it('is read and written at its limits', () => {
    for (const size of [0, 1, 20_852_014, Number.MAX_SAFE_INTEGER]) {
      expect(parseConflict(utf8(formatConflict(size)))).toBe(size);
    }
    expect(formatConflict(Number.MAX_SAFE_INTEGER)).toHaveLength(maxConflictBytes);
    for (const size of [-1, -0, 1.5, NaN, 2 ** 53]) {
      expect(() => formatConflict(size)).toThrow(RangeError);
    }
  });

  it.each([
    '',
    '\n',
    '7',
    ' 7\n',
    '7 \n',
    '07\n',
    '+7\n',
    '-0\n',
    '7\n\n',
    '7\r\n',
    '7e0\n',
    '0x7\n',
  ])('is refused as %j', (text) => {
    expect(codeOf(() => parseConflict(utf8(text)))).toBe('add-checkpoint');
  });

  it('is refused above 2^53-1 and when it is no text', () => {
    expect(codeOf(() => parseConflict(utf8('9007199254740992\n')))).toBe('add-checkpoint');
    expect(codeOf(() => parseConflict(Uint8Array.of(0xff)))).toBe('utf8');
  });
});

describe('the body of a 200', () => {
  it.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['no last newline', specResponse.slice(0, -1)],
    ['a hyphen for the dash', specResponse.replace('\u2014', '-')],
    ['an empty line between', specResponse.replace('\n', '\n\n')],
    ['more than a note may have', specResponse.repeat(34)],
  ])('is refused with %s', (_what, text) => {
    expect(codeOf(() => parseCosignatures(utf8(text)))).toBe('note');
  });
});
