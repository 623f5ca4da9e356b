import { sha256 } from '#crypto';
import { Refused } from '#core/errors.ts';
import type { ParsedMessage } from '#core/energy/message.ts';
import { isOcmf } from '#core/energy/ocmf-record.ts';
import type { Arrival } from '#platform/intake.ts';
import { judgeSigned, openMessage, openOcmf, type UnsignedCode } from './decide.ts';
import type { Astray, Kept } from './plan.ts';
import type { Register, RegisteredKey } from './register.ts';

const unsignedCodes: readonly UnsignedCode[] = ['size', 'form', 'key', 'alg', 'page', 'signature'];

/**
 * Everything that can be said of an arrival by itself: form, key, signature, log, topic, plant,
 * meter, span and time. Rejects with Failed when the register cannot be read.
 */
export async function examine(arrival: Arrival, register: Register): Promise<Kept | Astray> {
  await register.refresh();
  try {
    return await examineWith(arrival, register);
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'key')
      return asAstray(error, arrival, register);
  }
  await register.seek();
  try {
    return await examineWith(arrival, register);
  } catch (error) {
    return asAstray(error, arrival, register);
  }
}

async function examineWith(arrival: Arrival, register: Register): Promise<Kept | Astray> {
  const { topic, receivedAt } = arrival;
  let found: RegisteredKey | undefined;
  const opened = isOcmf(arrival.bytes)
    ? openOcmf(arrival.bytes, (serial) => (found = register.ocmfKey(topic, serial)))
    : {
        ...openMessage(arrival.bytes, (kid) => (found = register.key(kid))),
        bytes: arrival.bytes,
      };
  const { parsed, key, bytes } = opened;
  const good = await found?.verify(parsed.jws.signingInput, parsed.jws.signature);
  if (good !== true) {
    return astray(arrival, {
      code: 'signature',
      detail: 'the signature does not fit',
      signed: false,
      parsed,
      // Whoever published on the key's own topic is told; anybody else learns nothing.
      tell: register.keyOfTopic(topic),
    });
  }
  const judgement = judgeSigned(opened, { topic, receivedAt, log: register.log() });
  if (judgement.kind === 'kept') {
    return { kind: 'kept', arrival: { ...arrival, bytes }, key, parsed, code: judgement.code };
  }
  const { code, detail } = judgement;
  const tell = code === 'topic' ? register.keyOfTopic(topic) : key;
  return astray(arrival, { code, detail, signed: true, parsed, tell });
}

function asAstray(error: unknown, arrival: Arrival, register: Register): Astray {
  if (!(error instanceof Refused)) throw error;
  const code = unsignedCodes.find((known) => known === error.code);
  if (code === undefined) throw error;
  return astray(arrival, {
    code,
    detail: error.message,
    signed: false,
    parsed: undefined,
    tell: register.keyOfTopic(arrival.topic),
  });
}

function astray(
  arrival: Arrival,
  {
    parsed,
    ...about
  }: Pick<Astray, 'code' | 'detail' | 'signed' | 'tell'> & {
    readonly parsed: ParsedMessage | undefined;
  },
): Astray {
  return {
    kind: 'astray',
    arrival,
    ...about,
    hash: sha256(arrival.bytes),
    kid: parsed?.jws.header.kid,
    seq: parsed?.message.seq,
  };
}
