import { sha256 } from '#crypto';
import { concat } from '../bytes.ts';
import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { compactJws, parseCompactJws, verifyJws } from '../jws.ts';
import type { PublicKey } from '../keys.ts';
import { array, hashHex, integer, object, pattern, thumbprint, type Infer } from '../shape.ts';
import type { Signer } from '../signer.ts';

export const seqRange = object({ from: integer(1), to: integer(1) });
export type SeqRange = Infer<typeof seqRange>;

/** Why a message was not accepted; the codes of D4.1, each explained in FORMATS.md. */
export const reasonCode = pattern('[a-z][a-z0-9-]{0,31}');

/** A receipt's payload (D3.1): what of one meter key is durable, and what was refused. */
export const receiptShape = object({
  chain: hashHex,
  kid: thumbprint,
  missing: array(seqRange, { min: 0, max: 100 }),
  /** `hash` is SHA-256 of the message's bytes as received. */
  refused: array(object({ code: reasonCode, hash: hashHex }), {
    min: 0,
    max: 100,
  }),
  throughSeq: integer(0),
});
export type Receipt = Infer<typeof receiptShape>;

export const emptyChain = new Uint8Array(32);

/**
 * The receipt chain over every correctly signed message of a key in `seq` order, quarantined ones
 * too: SHA-256(previous || SHA-256(signing input)), from 32 zero bytes (D3.1).
 */
export function extendChain(chain: Uint8Array, messageHash: Uint8Array): Uint8Array {
  return sha256(concat(chain, messageHash));
}

export function buildReceipt(signer: Signer, receipt: Receipt): string {
  return compactJws(signer, 'hourseal-receipt', canonicalBytes(receiptShape.parse(receipt)));
}

/**
 * Parses and verifies a receipt by one of the ingestion keys: more than one while they are changed.
 * Throws Refused with the reason's code, `key` where it is by none of them.
 */
export function openReceipt(
  bytes: Uint8Array,
  ...ingestionKeys: readonly [PublicKey, ...PublicKey[]]
): Receipt {
  const jws = parseCompactJws(bytes, 'hourseal-receipt');
  const [first] = ingestionKeys;
  verifyJws(jws, ingestionKeys.find(({ kid }) => kid === jws.header.kid) ?? first);
  const receipt = receiptShape.parse(parseCanonical(jws.payload));
  let previous = receipt.throughSeq;
  for (const { from, to } of receipt.missing) {
    // The first gap begins right after what is durable; none overlap, none are empty.
    if (from <= previous || to < from) throw new Refused('form', 'missing: not ascending ranges');
    previous = to;
  }
  return receipt;
}
