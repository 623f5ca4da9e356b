import { describe, expect, it } from 'vitest';
import { fromBase64Url, toHex, utf8 } from '#core/bytes.ts';
import { messagesTopic } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Arrival } from '#platform/intake.ts';
import { verifierOf } from '#platform/verify.ts';
import { isUsable } from '#ingestion/decide.ts';
import { examine } from '#ingestion/examine.ts';
import { candidateOf } from '#ingestion/plan.ts';
import { placeMessages, type Head } from '#ingestion/place.ts';
import type { RegisteredKey, Register } from '#ingestion/register.ts';
import keys from '../../vectors/keys.json' with { type: 'json' };
import vectors from '../../vectors/messages.json' with { type: 'json' };

interface Case {
  readonly name: string;
  readonly jws: string;
  readonly expect: string;
  readonly why?: string;
  readonly after?: readonly string[];
  readonly topic?: string;
  readonly receivedAt?: number;
}
const cases: readonly Case[] = vectors.cases;
const { context } = vectors;

/**
 * One case contradicts the design, which then holds: it keeps the context's time of arrival although
 * its last reading is 835 s later, and D4.1 says `future` beyond 120 s. It is also judged as it was
 * meant, arriving with its last reading.
 */
const contradiction = 'fifteen readings';
const lastOfFifteen = 1_767_262_440;

const registered: RegisteredKey[] = context.registered.map((entry, i) => {
  const jwk = keys.keys.find(({ kid }) => kid === entry.kid)?.jwk;
  const publicKey = parsePublicJwk(jwk);
  return {
    keyId: i + 1,
    publicKey,
    verify: verifierOf(publicKey),
    meterId: i + 1,
    meter: entry.meter,
    plantId: i + 1,
    plant: entry.plant,
    topic: messagesTopic(entry.plant, entry.meter),
    notBefore: entry.notBefore,
    lastSeq: undefined,
    lastT: undefined,
  };
});
const register: Register = {
  log: () => ({ origin: context.log, futureS: 120, lateAfterS: 45 * 86_400 }),
  receiptKeys: () => [],
  key: (kid) => registered.find(({ publicKey }) => publicKey.kid === kid),
  keyOfTopic: (topic) => registered.find((key) => key.topic === topic),
  ocmfKey: () => undefined,
  refresh: async () => undefined,
  seek: async () => undefined,
};
const empty: Head = {
  version: 0,
  throughSeq: 0,
  chain: new Uint8Array(32),
  maxSeq: 0,
  maxT: 0,
};

/** The code in words that the file uses: a few of its reasons are said otherwise than in codes. */
const codes: Readonly<Record<string, string>> = {
  'not its own JCS form': 'form',
  'algorithm of the registered key': 'alg',
};

function arrivalOf({ jws, topic, receivedAt }: Case): Arrival {
  return {
    sender: 'test',
    topic: topic ?? topicFor(jws),
    bytes: utf8(jws),
    receivedAt: receivedAt ?? context.receivedAt,
  };
}

/** The topic of the meter whose key signed it; where nobody can tell, that of SOLAR-1. */
function topicFor(jws: string): string {
  try {
    const header: unknown = JSON.parse(
      new TextDecoder().decode(fromBase64Url(jws.split('.')[0] ?? '')),
    );
    const { kid } = header as { kid?: string };
    return register.key(kid ?? '')?.topic ?? context.topics['SOLAR-1'];
  } catch {
    return context.topics['SOLAR-1'];
  }
}

async function verdictOf(wanted: Case): Promise<{ verdict: string; code: string | undefined }> {
  const before = cases.filter(({ name }) => wanted.after?.includes(name) === true);
  const verdict = await examine(arrivalOf(wanted), register);
  if (verdict.kind === 'astray') return { verdict: 'quarantined', code: verdict.code };
  const candidates = [];
  for (const earlier of before) {
    const kept = await examine(arrivalOf(earlier), register);
    if (kept.kind === 'kept') candidates.push(candidateOf(kept));
  }
  const { placed } = placeMessages(empty, [...candidates, candidateOf(verdict)], {
    around: () => ({ hash: undefined, beforeT: undefined, afterT: undefined }),
    ahead: () => undefined,
  });
  const last = placed[placed.length - 1];
  if (last === undefined) throw new Error('nothing was placed');
  if (last.outcome !== 'stored') return { verdict: last.outcome, code: undefined };
  if (last.code === undefined) return { verdict: 'accepted', code: undefined };
  return { verdict: isUsable(last.code) ? last.code : 'quarantined', code: last.code };
}

describe('the messages made from the design alone', () => {
  it('are all here', () => {
    expect(cases).toHaveLength(63);
  });

  it('has a case that is future by the design, and accepted when it arrives in time', async () => {
    const fifteen = cases.find(({ name }) => name === contradiction);
    if (fifteen === undefined) throw new Error('the case is gone');
    expect(await verdictOf(fifteen)).toEqual({ verdict: 'quarantined', code: 'future' });
    const inTime = await verdictOf({ ...fifteen, receivedAt: lastOfFifteen });
    expect(inTime.verdict).toBe(fifteen.expect);
  });

  it.each(cases.filter(({ name }) => name !== contradiction))('$name: $expect', async (wanted) => {
    const { verdict, code } = await verdictOf(wanted);
    expect(verdict).toBe(wanted.expect);
    if (wanted.expect === 'quarantined') {
      expect(code).toBe(codes[wanted.why ?? ''] ?? wanted.why);
    }
  });

  it('tell the device on whose topic they came, whoever signed', async () => {
    const stray = cases.find(({ name }) => name === "on another meter's topic");
    if (stray === undefined) throw new Error('the case is gone');
    const verdict = await examine(arrivalOf(stray), register);
    expect(verdict).toMatchObject({ kind: 'astray', signed: true, tell: { meter: 'WIND-1' } });
    if (verdict.kind === 'astray') expect(toHex(verdict.hash)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('tell nobody by the name of a key alone, which anybody may write', async () => {
    const forged = cases.find(({ name }) => name === 'signature with a flipped bit');
    const stray = cases.find(({ name }) => name === "on another meter's topic");
    if (forged === undefined || stray === undefined) throw new Error('a case is gone');
    const { topic } = arrivalOf(stray);
    const onAnother = await examine({ ...arrivalOf(forged), topic }, register);
    expect(onAnother).toMatchObject({ code: 'signature', tell: { meter: 'WIND-1' } });
    const onNone = await examine({ ...arrivalOf(forged), topic: 'elsewhere' }, register);
    expect(onNone).toMatchObject({ code: 'signature', tell: undefined });
  });
});
