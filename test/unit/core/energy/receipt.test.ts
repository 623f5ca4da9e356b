import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, openReceipt } from '#core/energy/receipt.ts';
import type { Receipt } from '#core/energy/receipt.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { compactJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';

interface Vectors {
  readonly batch: {
    readonly messages: readonly {
      readonly kid: string;
      readonly seq: number;
      readonly jws: string;
    }[];
  };
  readonly receipt: { readonly order: readonly number[]; readonly chain: string };
}
const vectors = JSON.parse(readFileSync('test/vectors/trees.json', 'utf8')) as Vectors;

const signer = signerFromSeed(new Uint8Array(32).fill(6));
const key = parsePublicJwk(signer.jwk);
const receipt: Receipt = {
  kid: signer.kid,
  throughSeq: 4,
  missing: [
    { from: 5, to: 5 },
    { from: 7, to: 9 },
  ],
  chain: toHex(emptyChain),
  refused: [{ hash: toHex(emptyChain), code: 'form' }],
};
const codeOf = (value: unknown): string => {
  try {
    openReceipt(utf8(compactJws(signer, 'hourseal-receipt', canonicalBytes(value))), key);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};

describe('the chain of a receipt', () => {
  it('is that of the vector, over signing inputs in the order of seq', () => {
    const first = vectors.batch.messages[0];
    const ofKey = vectors.batch.messages
      .filter(({ kid }) => kid === first?.kid)
      .toSorted((a, b) => a.seq - b.seq);
    expect(ofKey.map(({ seq }) => seq)).toEqual(vectors.receipt.order);
    let chain: Uint8Array = emptyChain;
    for (const { jws } of ofKey) chain = extendChain(chain, parseMessage(utf8(jws)).hash);
    expect(toHex(chain)).toBe(vectors.receipt.chain);
  });

  it('begins with 32 zero bytes, which extending does not change', () => {
    const before = toHex(emptyChain);
    extendChain(emptyChain, new Uint8Array(32).fill(1));
    expect(toHex(emptyChain)).toBe(before);
    expect(before).toBe('0'.repeat(64));
  });
});

describe('receipts', () => {
  it('are opened as they were built, by the ingestion key alone', () => {
    const bytes = utf8(buildReceipt(signer, receipt));
    expect(openReceipt(bytes, key)).toEqual(receipt);
    const other = parsePublicJwk(signerFromSeed(new Uint8Array(32).fill(7)).jwk);
    expect(() => openReceipt(bytes, other)).toThrow(expect.objectContaining({ code: 'key' }));
  });

  it('are opened by whichever of several ingestion keys made them, and by that one alone', () => {
    const bytes = utf8(buildReceipt(signer, receipt));
    const [second, third] = [7, 8].map((n) => signerFromSeed(new Uint8Array(32).fill(n)));
    if (second === undefined || third === undefined) throw new Error('no keys');
    const others = [parsePublicJwk(second.jwk), parsePublicJwk(third.jwk)] as const;
    expect(openReceipt(bytes, ...others, key)).toEqual(receipt);
    expect(openReceipt(bytes, key, ...others)).toEqual(receipt);
    expect(() => openReceipt(bytes, ...others)).toThrow(expect.objectContaining({ code: 'key' }));
    // The header says which key it is by, not that it is: that is for the signature to show.
    const [header, payload] = buildReceipt(second, receipt).split('.');
    const [, , signature] = buildReceipt(signer, receipt).split('.');
    const forged = utf8(`${header ?? ''}.${payload ?? ''}.${signature ?? ''}`);
    expect(() => openReceipt(forged, key, ...others)).toThrow(
      expect.objectContaining({ code: 'signature' }),
    );
  });

  it.each([
    ['a gap within what is durable', { missing: [{ from: 4, to: 5 }] }],
    ['an empty gap', { missing: [{ from: 6, to: 5 }] }],
    [
      'falling gaps',
      {
        missing: [
          { from: 8, to: 9 },
          { from: 6, to: 6 },
        ],
      },
    ],
    [
      'overlapping gaps',
      {
        missing: [
          { from: 5, to: 8 },
          { from: 8, to: 9 },
        ],
      },
    ],
    [
      '101 gaps',
      { missing: Array.from({ length: 101 }, (_, i) => ({ from: 10 + 2 * i, to: 10 + 2 * i })) },
    ],
    ['101 refusals', { refused: Array.from({ length: 101 }, () => receipt.refused[0]) }],
    ['a code in capitals', { refused: [{ hash: receipt.chain, code: 'Form' }] }],
    ['a short chain', { chain: '00' }],
    ['a negative throughSeq', { throughSeq: -1 }],
    ['a member more', { extra: 1 }],
  ])('are refused with %s', (_name, change) => {
    expect(codeOf({ ...receipt, ...change })).toBe('form');
  });

  it('takes a fresh key, of which nothing is known yet', () => {
    expect(codeOf({ ...receipt, throughSeq: 0, missing: [], refused: [] })).toBe('accepted');
  });

  it('are not built from what could not be opened', () => {
    expect(() => buildReceipt(signer, { ...receipt, throughSeq: -1 })).toThrow(Refused);
  });

  it('are refused when signed as something else', () => {
    const text = compactJws(signer, 'hourseal-message', canonicalBytes(receipt));
    expect(() => openReceipt(utf8(text), key)).toThrow(Refused);
  });
});
