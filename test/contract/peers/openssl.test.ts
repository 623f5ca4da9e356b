import { afterAll, beforeAll, expect, it } from 'vitest';
import { concat, uint64BE, utf8 } from '#core/bytes.ts';
import { verifyCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, ed25519Type, formatNote, parseNote } from '#core/tlog/note.ts';
import { verifierKey, type Note, type VerifierKey } from '#core/tlog/note.ts';
import { describeWith, program } from '#support/needs.ts';
import * as peers from '#support/peers/claims.ts';
import { accepts, at, maxSize } from '#support/peers/claims.ts';
import { openOpenssl, type Openssl, type Signed } from '#support/peers/openssl.ts';

const needed = program('openssl', 'openssl');
const log = peers.createPeerLog();
const sizes = Array.from({ length: maxSize }, (_, i) => i + 1);
const notes = sizes.map((size) => parseNote(peers.checkpointAt(log, size)));
/** openssl is a process for every signature; two at a time, as there are cores. */
const atOnce = 2;
const limitMs = 600_000;

/** What a cosignature signs, written down from c2sp.org/tlog-cosignature. */
const cosigned = (text: string): Uint8Array =>
  utf8(`cosignature/v1\ntime ${peers.cosignedAt}\n${text}`);

function signedByLog({ text, signatures }: Note): Signed {
  const { signature } = at(signatures, 0);
  return { publicKey: peers.logKey.publicKey, message: utf8(text), signature };
}

function signedByWitness({ text, signatures }: Note): Signed {
  const signature = at(signatures, 1).signature.subarray(8);
  return { publicKey: peers.witnessKey.publicKey, message: cosigned(text), signature };
}

/** One bit turned, in the signature and in the message by turns. */
function damaged(signed: Signed, turn: number): Signed {
  return turn % 2 === 0
    ? { ...signed, signature: peers.bitFlipped(signed.signature, turn) }
    : { ...signed, message: peers.bitFlipped(signed.message, turn) };
}

async function mapped<T, R>(list: readonly T[], work: (item: T, i: number) => Promise<R>) {
  const results: R[] = [];
  for (let i = 0; i < list.length; i += atOnce) {
    const few = list.slice(i, i + atOnce);
    results.push(...(await Promise.all(few.map((item, k) => work(item, i + k)))));
  }
  return results;
}

describeWith([needed], 'openssl', () => {
  let openssl: Openssl;
  beforeAll(() => {
    openssl = openOpenssl(needed.path ?? '');
  });
  afterAll(() => {
    openssl.close();
  });

  it.each([
    ["log's signature", signedByLog],
    ["witness's cosignature", signedByWitness],
  ])(
    'verifies the %s at every size, and at every tenth refuses a turned bit',
    async (_whose, signedIn) => {
      const verdicts = await mapped(notes, (note) => openssl.verify(signedIn(note)));
      expect(sizes.filter((_, i) => verdicts[i] !== true)).toEqual([]);
      const tenth = sizes.filter((size) => size % 10 === 0 || size < 4);
      const bad = await mapped(tenth, (size) =>
        openssl.verify(damaged(signedIn(at(notes, size - 1)), size + Math.floor(size / 10))),
      );
      expect(tenth.filter((_, i) => bad[i] !== false)).toEqual([]);
    },
    limitMs,
  );

  it(
    'signs checkpoints and cosignatures that we verify, at every size',
    async () => {
      const [logKey, witnessKey] = [await openssl.createKey(), await openssl.createKey()];
      const keys = {
        log: verifierKey({ ...logKey, name: peers.peerOrigin, type: ed25519Type }),
        cosigners: [
          verifierKey({ ...witnessKey, name: 'witness.example/o', type: cosignatureType }),
        ],
      };
      const cosigner = at(keys.cosigners, 0);
      const line = ({ name, keyId }: VerifierKey, signature: Uint8Array) => ({
        name,
        keyId,
        signature,
      });
      const made = await mapped(notes, async ({ text }) => {
        const [signature, cosignature] = await Promise.all([
          logKey.sign(utf8(text)),
          witnessKey.sign(cosigned(text)),
        ]);
        const timed = concat(uint64BE(peers.cosignedAt), cosignature);
        return { text, signatures: [line(keys.log, signature), line(cosigner, timed)] };
      });
      for (const [i, note] of made.entries()) {
        const { size, cosignatures } = verifyCheckpoint(formatNote(note), keys);
        expect({ size, times: cosignatures.map(({ time }) => time) }).toEqual({
          size: i + 1,
          times: [peers.cosignedAt],
        });
        const which = i % 2;
        const { name, keyId, signature } = at(note.signatures, which);
        // The time is signed, too: any bit of the 8 or the 64 bytes.
        const spoiled = { name, keyId, signature: peers.bitFlipped(signature, i) };
        const bytes = formatNote({ ...note, signatures: note.signatures.with(which, spoiled) });
        expect(accepts(() => verifyCheckpoint(bytes, keys))).toBe(false);
      }
    },
    limitMs,
  );
});
