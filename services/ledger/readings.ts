import { Fatal } from '#core/errors.ts';
import type { Message, Reading } from '#core/energy/message.ts';
import { isPlacedOcmf } from '#core/energy/ocmf.ts';
import { parseSigned } from '#core/energy/signed.ts';

const dot = 0x2e;

/**
 * The readings of a message that ingestion parsed and verified before it stored it, and that auditors
 * parse again, strictly; here only what they say is wanted, thousands of times a second. Records of
 * other people's meters are few, and are parsed as they were.
 */
export function readingsOf(jws: Uint8Array): readonly Reading[] {
  if (isPlacedOcmf(jws)) return parseSigned(jws).message.readings;
  const bytes = Buffer.from(jws.buffer, jws.byteOffset, jws.byteLength);
  const from = bytes.indexOf(dot) + 1;
  const to = bytes.indexOf(dot, from);
  try {
    const payload = Buffer.from(bytes.toString('latin1', from, to), 'base64url').toString('utf8');
    return (JSON.parse(payload) as Message).readings;
  } catch (cause) {
    throw new Fatal('message', 'a stored message is not one any more', { cause });
  }
}
