import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { specOf } from '#core/certificate/kinds.ts';
import { buildMessage, type Reading } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { ed25519Type, formatVkey } from '#core/tlog/note.ts';
import type { Signer } from '#core/signer.ts';
import { ingestionSigner, testLog, testSigner } from './register.ts';

/** The parties of a test log and the entries that they sign; every call makes a fresh nonce. */

export const logSigner = testSigner('log');
export const issuerSigner = testSigner('issuer');
export const accountSigner = (account: string): Signer => testSigner(`account ${account}`);
export const meterSigner = (name: string): Signer => testSigner(`meter ${name}`);

export const logVkey = formatVkey({
  name: testLog,
  type: ed25519Type,
  publicKey: parsePublicJwk(logSigner.jwk).raw,
});

export const rulesOfTest = {
  capacityPpm: 1_100_000,
  correctWithinS: 45 * 86_400,
  deadlineS: 86_400,
  eligibleSources: ['solar', 'wind'],
  futureS: 120,
  kinds: Object.keys(specOf).sort(),
  lateAfterS: 45 * 86_400,
  version: 1,
};

const notAfter = 4_000_000_000;
let nonces = 0;

/** An action signed by the issuing body and `others`, with a nonce of its own. */
export function signed(kind: string, spec: object, others: readonly Signer[] = []): SignedDraft {
  const full = { ...spec, nonce: `n${(nonces += 1)}`, notAfter };
  return signedDraft({ kind, origin: testLog, spec: full }, [issuerSigner, ...others]);
}

/** An action signed by an account alone. */
export function signedByAccount(kind: string, account: string, spec: object): SignedDraft {
  const full = { account, ...spec, nonce: `n${(nonces += 1)}`, notAfter };
  return signedDraft({ kind, origin: testLog, spec: full }, [accountSigner(account)]);
}

export function genesis(rules: object = {}): SignedDraft {
  return signed('genesis', {
    formatVersion: 1,
    ingestionKey: ingestionSigner.jwk,
    issuers: { keys: [issuerSigner.jwk], threshold: 1 },
    logKey: logVkey,
    origin: testLog,
    rules: { ...rulesOfTest, ...rules },
  });
}

export function account(name: string): SignedDraft {
  const spec = {
    account: name,
    custody: 'own',
    identity: toHex(sha256(utf8(name))),
    jwk: accountSigner(name).jwk,
    role: 'plant',
  };
  return signed('account', spec, [accountSigner(name)]);
}

export function plant(name: string, owner: string, members: object = {}): SignedDraft {
  const spec = {
    account: owner,
    capacityW: 1_000_000,
    commissionedAt: 0,
    disclosure: 'public',
    latitude: 0,
    longitude: 0,
    plant: name,
    source: 'solar',
    technology: 'photovoltaic',
    type: 'production',
    zone: 'DE-LU',
    ...members,
  };
  return signed('plant', spec, [accountSigner(owner)]);
}

export const exportRegister = { exportWh: { direction: 'export', unit: 'Wh' } };

export function meter(
  name: string,
  { at, owner, ...members }: { at: string; owner: string } & Record<string, unknown>,
): SignedDraft {
  const spec = {
    clock: 'reliable',
    meter: name,
    plant: at,
    registers: exportRegister,
    role: 'production',
    serial: `serial-${name}`,
    ...members,
  };
  return signed('meter', spec, [accountSigner(owner)]);
}

/** The key of `meterSigner(signer)`, by default that of the meter's own name. */
export function key(
  meterName: string,
  {
    at,
    owner,
    notBefore = 0,
    signer = meterName,
  }: { at: string; owner: string; notBefore?: number; signer?: string },
): SignedDraft {
  const keySigner = meterSigner(signer);
  const spec = { jwk: keySigner.jwk, meter: meterName, notBefore, plant: at };
  return signed('key', spec, [accountSigner(owner), keySigner]);
}

/** Account, plant, one meter and its key, all named after the plant: `p1`, `p1`, `p1-m`. */
export function simplePlant(name: string, members: object = {}): SignedDraft[] {
  const meterName = `${name}-m`;
  return [
    account(name),
    plant(name, name, members),
    meter(meterName, { at: name, owner: name }),
    key(meterName, { at: name, owner: name }),
  ];
}

export interface TestMessage {
  readonly plant: string;
  readonly meter: string;
  readonly seq: number;
  readonly readings: readonly Reading[];
  /** Name of the key's `meterSigner`; by default the meter's. */
  readonly signer?: string;
}

/** The JWS of a message for the test log. */
export function message({ plant: at, meter: of, seq, readings, signer = of }: TestMessage): string {
  return buildMessage(meterSigner(signer), {
    log: testLog,
    meter: of,
    plant: at,
    readings,
    seq,
    v: 1,
  });
}
