import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { createEnrolment, parseEnrolment } from '#core/certificate/enrolment.ts';
import { buildConnect, parseConnect } from '#core/energy/connect.ts';
import { buildMessage, parseMessage } from '#core/energy/message.ts';
import { buildReceipt, extendChain, openReceipt } from '#core/energy/receipt.ts';
import { canonicalText } from '#core/jcs.ts';
import { verifyJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';

const page = examples(formatsPage);

function example(name: string): string {
  const text = page.get(name);
  if (text === undefined) throw new Error(`no example ${name}`);
  return text.slice(0, -1);
}

function keyNamed(name: string): ReturnType<typeof signerFromSeed> {
  return signerFromSeed(sha256(utf8(`hourseal test key ${name}`)));
}

const meter = keyNamed('solar meter');
const ingestion = keyNamed('ingestion');

describe('the chapter on meter messages', () => {
  it('shows the key and its thumbprint', () => {
    expect(example('message-jwk')).toBe(canonicalText(meter.jwk));
    const key = parsePublicJwk(JSON.parse(example('message-jwk')));
    expect(example('message-kid')).toBe(key.kid);
  });

  it('shows a message whose parts are the header and payload before it', () => {
    const { jws, hash, message } = parseMessage(utf8(example('message-jws')));
    verifyJws(jws, parsePublicJwk(meter.jwk));
    expect(canonicalText(jws.header)).toBe(example('message-header'));
    expect(decodeUtf8(jws.payload)).toBe(example('message-payload'));
    expect(toHex(hash)).toBe(example('message-hash'));
    expect(buildMessage(meter, message)).toBe(example('message-jws'));
  });

  it('shows a password', () => {
    const { connect, jws } = parseConnect(utf8(example('connect-jws')));
    verifyJws(jws, parsePublicJwk(meter.jwk));
    expect(canonicalText(connect)).toBe(example('connect-payload'));
    expect(buildConnect(meter, connect)).toBe(example('connect-jws'));
  });

  it('shows a request to be enrolled', () => {
    const { origin, spec } = parseEnrolment(utf8(example('enrolment')));
    expect(decodeUtf8(createEnrolment(meter, { origin, spec }))).toBe(example('enrolment'));
  });

  it('shows a receipt and the chain in it', () => {
    const chains = ['message-jws', 'message-jws-2'].reduce<Uint8Array[]>((all, name) => {
      const before = all[all.length - 1] ?? new Uint8Array(32);
      return [...all, extendChain(before, parseMessage(utf8(example(name))).hash)];
    }, []);
    expect(example('receipt-chain').split('\n')).toEqual(chains.map(toHex));
    const receipt = openReceipt(utf8(example('receipt-jws')), parsePublicJwk(ingestion.jwk));
    expect(canonicalText(receipt)).toBe(example('receipt-payload'));
    expect(receipt).toMatchObject({ chain: toHex(chains[1] ?? utf8('')), throughSeq: 2 });
    expect(buildReceipt(ingestion, receipt)).toBe(example('receipt-jws'));
  });
});
