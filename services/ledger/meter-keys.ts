import { toBase64Url } from '#core/bytes.ts';
import { signedDraft } from '#core/certificate/entry.ts';
import { ecdsaJwkOf, parseEcdsaJwk, type OwnKey } from '#core/keys.ts';
import { parseSpki } from '#core/ecdsa.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { signingInput } from '#core/jws.ts';
import type { OcmfBinding } from '#core/energy/ocmf.ts';
import type { Signer } from '#core/signer.ts';
import { enterAction, once, plantOfMeter, signersFor } from './meter-desk.ts';
import type { Entered, MeterDesk } from './meter-desk.ts';

/** Keys of meters (D3.3 `key`), by the three ways in which a key can say that it is the meter's. */

interface KeyOf {
  readonly meter: string;
  /** Unix seconds; now by default. */
  readonly notBefore?: number | undefined;
}

async function keySpecOf(
  desk: MeterDesk,
  { meter, notBefore = desk.clock.nowS() }: KeyOf,
  members: object,
): Promise<{ readonly plant: string; readonly spec: object }> {
  const plant = await plantOfMeter(desk, meter);
  return { plant, spec: { ...members, meter, notBefore, plant, ...once(desk) } };
}

/** A key that is on this machine. */
export async function addKey(
  desk: MeterDesk,
  { key, ...of }: KeyOf & { readonly key: Signer },
): Promise<Entered> {
  const { plant, spec } = await keySpecOf(desk, of, { jwk: key.jwk });
  const { origin, signers } = await signersFor(desk, plant);
  return enterAction(desk, signedDraft({ kind: 'key', origin, spec }, [...signers, key]));
}

/** A key that stays in its meter, which has still to sign `input`. */
export interface KeyRequest {
  readonly plant: string;
  readonly spec: object;
  /** base64url of the JWS header. */
  readonly header: string;
  readonly input: Uint8Array;
}

export async function requestKey(
  desk: MeterDesk,
  { key, ...of }: KeyOf & { readonly key: OwnKey },
): Promise<KeyRequest> {
  const { plant, spec } = await keySpecOf(desk, of, { jwk: key.jwk });
  const { origin } = await desk.ledger.settings();
  const header = { alg: key.alg, kid: key.kid, typ: 'hourseal-auth' } as const;
  const input = signingInput(header, canonicalBytes({ kind: 'key', origin, spec }));
  return { plant, spec, header: toBase64Url(canonicalBytes(header)), input };
}

/** `signature` is what the meter made of the request's input: 64 bytes. */
export async function enterRequestedKey(
  desk: MeterDesk,
  { plant, spec, header }: Omit<KeyRequest, 'input'>,
  signature: Uint8Array,
): Promise<Entered> {
  const { origin, signers } = await signersFor(desk, plant);
  const draft = signedDraft({ kind: 'key', origin, spec }, signers);
  const auth = [...draft.auth, `${header}..${toBase64Url(signature)}`];
  return enterAction(desk, { ...draft, auth });
}

/**
 * The key of a meter that signs OCMF records, as SubjectPublicKeyInfo in DER. It signs nothing for
 * itself: the issuing body and the account vouch for it. Refused('key') where it is on no curve of OCMF.
 */
export async function addOcmfKey(
  desk: MeterDesk,
  { spki, ocmf, ...of }: KeyOf & { readonly spki: Uint8Array; readonly ocmf: OcmfBinding },
): Promise<Entered & { readonly kid: string }> {
  const { alg, publicKey } = parseSpki(spki);
  const { jwk, kid } = parseEcdsaJwk(ecdsaJwkOf(alg, publicKey));
  const { plant, spec } = await keySpecOf(desk, of, { jwk, ocmf });
  const { origin, signers } = await signersFor(desk, plant);
  return { ...(await enterAction(desk, signedDraft({ kind: 'key', origin, spec }, signers))), kid };
}
