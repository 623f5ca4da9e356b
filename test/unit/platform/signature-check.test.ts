import { describe, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { parsePlacedOcmf, placeOcmf } from '#core/energy/ocmf.ts';
import { verifyJws, type Jws } from '#core/jws.ts';
import { parsePublicJwk, type PublicKey } from '#core/keys.ts';
import { createSignatureCheck, createSignatureMemory } from '#platform/signature-check.ts';
import { message, meterSigner } from '#support/log-people.ts';
import { ocmfMeter, type OcmfMeter } from '#support/ocmf.ts';

const key = parsePublicJwk(meterSigner('m').jwk);
const other = parsePublicJwk(meterSigner('other').jwk);
const jwsOf = (seq: number): Jws => {
  const readings = [{ registers: { exportWh: seq }, t: 3600 }];
  return parseMessage(utf8(message({ plant: 'p', meter: 'm', seq, readings }))).jws;
};
const bent = (jws: Jws): Jws => {
  const signature = Uint8Array.from(jws.signature);
  signature[3] = (signature[3] ?? 0) ^ 1;
  return { ...jws, signature };
};
const known = (kid: string): PublicKey | undefined => (kid === key.kid ? key : undefined);

describe('signatures verified ahead', () => {
  test('have the verdicts of those verified on the spot', async () => {
    const good = Array.from({ length: 200 }, (_, i) => jwsOf(i + 1));
    const bad = good.slice(0, 3).map(bent);
    for (const keyOf of [known, () => undefined]) {
      const check = createSignatureCheck();
      await check.ahead([...good, ...bad], keyOf);
      for (const jws of good) expect(() => check.verify(jws, key)).not.toThrow();
      for (const jws of bad) expect(() => check.verify(jws, key)).toThrow(/does not fit/);
    }
  });

  test('of a good message do not pass for another content under the same signature', async () => {
    const check = createSignatureCheck();
    const [one, two] = [jwsOf(1), jwsOf(2)];
    await check.ahead([one], known);
    const swapped = { ...two, signature: one.signature };
    await check.ahead([swapped], known);
    expect(() => check.verify(swapped, key)).toThrow(/does not fit/);
  });

  test('are computed once, in whatever objects the same bytes come again', async () => {
    const check = createSignatureCheck();
    const seqs = Array.from({ length: 20 }, (_, i) => i + 1);
    await check.ahead(seqs.map(jwsOf), known);
    expect(check.verified()).toBe(20);
    const again = seqs.map(jwsOf);
    await check.ahead(again, known);
    for (const jws of again) check.verify(jws, key);
    expect(check.verified()).toBe(20);
    // What is wrong is not remembered, or whoever sends such could fill the memory.
    const wrong = (): Jws => bent(jwsOf(1));
    for (const jws of [wrong(), wrong()]) await check.ahead([jws], known);
    expect(check.verified()).toBe(22);
    expect(() => check.verify(jwsOf(21), key)).not.toThrow();
    expect(check.verified()).toBe(23);
  });

  test('are computed once for all who ask at the same time', async () => {
    const check = createSignatureCheck();
    const seqs = Array.from({ length: 20 }, (_, i) => i + 1);
    const asked = [1, 2, 3].map(() => [...seqs.map(jwsOf), bent(jwsOf(1))]);
    await Promise.all(asked.map((messages) => check.ahead(messages, known)));
    expect(check.verified()).toBe(21);
    for (const messages of asked) {
      const [wrong] = messages.splice(-1);
      for (const jws of messages) expect(() => check.verify(jws, key)).not.toThrow();
      expect(() => check.verify(wrong ?? jwsOf(1), key)).toThrow(/does not fit/);
    }
    expect(check.verified()).toBe(21);
    // What is over is forgotten, the wrong ones too.
    await check.ahead([bent(jwsOf(1)), jwsOf(1)], known);
    expect(check.verified()).toBe(22);
  });

  test('under one key say nothing of another', async () => {
    const check = createSignatureCheck();
    const jws = jwsOf(1);
    await check.ahead([jws], known);
    expect(() => check.verify(jws, other)).toThrow(/another key/);
    const wrong = createSignatureCheck();
    // Whoever looks keys up is believed in nothing: the header names the key.
    await wrong.ahead([jws], () => other);
    expect(() => wrong.verify(jws, other)).toThrow(/another key/);
    expect(() => wrong.verify(jws, key)).not.toThrow();
  });
});

describe('of OCMF records, which name no key', () => {
  const payload =
    '{"FV":"1.4","PG":"F1","MS":"1X","RD":[{"TM":"2026-01-01T11:00:00,000+0100 S",' +
    '"RV":1.5,"RI":"1-0:1.8.0","RU":"kWh","ST":"G"}]}';
  const [signing, later] = [5n, 7n].map((secret) => ocmfMeter('ECDSA-secp256k1-SHA256', secret));
  if (signing === undefined || later === undefined) throw new Error('two meters');
  const record = signing.record(payload);
  const under = ({ key: { kid } }: OcmfMeter): Jws => {
    const ocmf = { after: 0, context: 'F', serial: '1X' } as const;
    const place = { kid, meter: 'm', ocmf, plant: 'p' };
    return parsePlacedOcmf(placeOcmf(record, place)).jws;
  };
  const keyOf = (kid: string): PublicKey => (kid === signing.key.kid ? signing.key : later.key);

  test('those under one key do not pass for signatures of another', async () => {
    const check = createSignatureCheck();
    await check.ahead([under(signing)], keyOf);
    const taken = under(later);
    await check.ahead([taken], keyOf);
    expect(() => check.verify(taken, later.key)).toThrow(/does not fit/);
    const remembering = createSignatureMemory();
    expect(() => remembering(under(signing), signing.key)).not.toThrow();
    expect(() => remembering(under(later), later.key)).toThrow(/does not fit/);
    const { header } = under(signing);
    const renamed = { ...under(signing), header: { ...header, alg: 'ES256' } as const };
    expect(() => remembering(renamed, signing.key)).toThrow(
      expect.objectContaining({ code: 'alg' }),
    );
  });
});

describe('signatures that are remembered', () => {
  test('have the verdicts of those that are not, the first time and again', () => {
    const verify = createSignatureMemory();
    for (let times = 0; times < 3; times++) {
      const jws = jwsOf(times < 2 ? 1 : 2);
      expect(() => verify(jws, key)).not.toThrow();
      expect(() => verify(bent(jws), key)).toThrow(/does not fit/);
      expect(() => verify(jws, other)).toThrow(/another key/);
      expect(() => verify(jws, key)).not.toThrow();
    }
    const [one, two] = [jwsOf(1), jwsOf(2)];
    expect(() => verify({ ...two, signature: one.signature }, key)).toThrow(/does not fit/);
  });

  test('are computed once, in whatever objects the same bytes come', () => {
    const verify = createSignatureMemory(verifyJws);
    let computed = 0;
    const counting: PublicKey = {
      ...key,
      verify: (message, signature) => {
        computed += 1;
        return key.verify(message, signature);
      },
    };
    const jws = jwsOf(1);
    for (const again of [jws, jws, jwsOf(1)]) verify(again, counting);
    expect(computed).toBe(1);
    for (let times = 0; times < 2; times++) expect(() => verify(bent(jws), counting)).toThrow();
    expect(computed).toBe(3);
  });
});
