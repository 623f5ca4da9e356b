import { concat, decodeUtf8, fromBase64Url, readBase64Url, toBase64Url, utf8 } from './bytes.ts';
import { Refused } from './errors.ts';
import { canonicalBytes, parseCanonical } from './jcs.ts';
import type { KeyAlg, PublicKey } from './keys.ts';
import { object, oneOf, thumbprint } from './shape.ts';
import type { Signer } from './signer.ts';

/**
 * The types of signed object that this system knows (D3.1, D3.3); `connect` is a broker password,
 * `access` lets an auditor read evidence that is not public.
 */
export type JwsType =
  | 'hourseal-access'
  | 'hourseal-auth'
  | 'hourseal-connect'
  | 'hourseal-message'
  | 'hourseal-receipt';

export interface JwsHeader {
  readonly alg: KeyAlg | 'EdDSA';
  readonly kid: string;
  readonly typ: JwsType;
}

export const headerShapes = {
  'hourseal-message': headerShape('hourseal-message'),
  'hourseal-receipt': headerShape('hourseal-receipt'),
  'hourseal-auth': headerShape('hourseal-auth'),
  'hourseal-connect': headerShape('hourseal-connect'),
  'hourseal-access': headerShape('hourseal-access'),
} as const;

function headerShape<const T extends JwsType>(typ: T) {
  return object({
    alg: oneOf('Ed25519', 'EdDSA', 'ES256'),
    kid: thumbprint,
    typ: oneOf(typ),
  });
}

export interface Jws {
  readonly header: JwsHeader;
  readonly payload: Uint8Array;
  /** The bytes under the signature: base64url(header) || "." || base64url(payload) (RFC 7515, 5.1). */
  readonly signingInput: Uint8Array;
  readonly signature: Uint8Array;
}

const dot = utf8('.');

export function signingInput(header: JwsHeader, payload: Uint8Array): Uint8Array {
  return concat(utf8(toBase64Url(canonicalBytes(header))), dot, utf8(toBase64Url(payload)));
}

/** Signs `payload` as compact JWS (RFC 7515, 3.1) with the header in JCS form. */
export function compactJws(signer: Signer, typ: JwsType, payload: Uint8Array): string {
  const input = signingInput({ alg: signer.alg, kid: signer.kid, typ }, payload);
  return `${decodeUtf8(input)}.${toBase64Url(signer.sign(input))}`;
}

/** Signs `payload` as detached JWS (RFC 7515, appendix F): header, nothing, signature. */
export function detachedJws(signer: Signer, typ: JwsType, payload: Uint8Array): string {
  const header: JwsHeader = { alg: signer.alg, kid: signer.kid, typ };
  const signature = signer.sign(signingInput(header, payload));
  return `${toBase64Url(canonicalBytes(header))}..${toBase64Url(signature)}`;
}

/**
 * Parses a compact JWS of the given type, strictly: three parts, canonical base64url, a header of
 * exactly `alg`, `kid`, `typ` in JCS form, a signature of 64 bytes. Throws Refused. Verifies nothing.
 */
export function parseCompactJws(bytes: Uint8Array, typ: JwsType): Jws {
  return readCompactJws(bytes, typ) ?? parseAnyCompactJws(bytes, typ);
}

/** By its bytes, where it is as it should be; otherwise undefined, and nobody has said yet why. */
function readCompactJws(bytes: Uint8Array, typ: JwsType): Jws | undefined {
  const headEnd = bytes.indexOf(dot[0] ?? 0);
  const bodyEnd = bytes.indexOf(dot[0] ?? 0, headEnd + 1);
  if (headEnd < 0 || bodyEnd < 0) return undefined;
  const head = readBase64Url(bytes.subarray(0, headEnd));
  const payload = readBase64Url(bytes.subarray(headEnd + 1, bodyEnd));
  const signature = readBase64Url(bytes.subarray(bodyEnd + 1));
  if (payload === undefined || signature?.length !== 64) return undefined;
  const header = head === undefined ? undefined : readHeader(head, typ);
  if (header === undefined) return undefined;
  return { header, payload, signingInput: bytes.subarray(0, bodyEnd), signature };
}

/** The rule itself, whatever the bytes are. */
export function parseAnyCompactJws(bytes: Uint8Array, typ: JwsType): Jws {
  const [head, body, tail, ...rest] = decodeUtf8(bytes).split('.');
  if (head === undefined || body === undefined || tail === undefined || rest.length > 0) {
    throw new Refused('form', 'not three parts separated by dots');
  }
  return {
    header: parseHeader(head, typ),
    payload: fromBase64Url(body),
    signingInput: bytes.subarray(0, head.length + 1 + body.length),
    signature: parseSignature(tail),
  };
}

/** Parses a detached JWS over `payload`. Throws Refused. Verifies nothing. */
export function parseDetachedJws(text: string, typ: JwsType, payload: Uint8Array): Jws {
  const [head, nothing, tail, ...rest] = text.split('.');
  if (head === undefined || nothing !== '' || tail === undefined || rest.length > 0) {
    throw new Refused('form', 'not a header, nothing and a signature');
  }
  return {
    header: parseHeader(head, typ),
    payload,
    // A header that was parsed stands in its only spelling, so it is what `signingInput` would write.
    signingInput: utf8(`${head}.${toBase64Url(payload)}`),
    signature: parseSignature(tail),
  };
}

/** Every good header, in JCS form as it must be, matches as a whole. */
const headerPattern =
  /^\{"alg":"(Ed25519|EdDSA|ES256)","kid":"([A-Za-z0-9_-]{42}[AEIMQUYcgkosw048])","typ":"([a-z-]+)"\}$/;

function readHeader(bytes: Uint8Array, typ: JwsType): JwsHeader | undefined {
  const [, alg, kid, found] = headerPattern.exec(decodeUtf8(bytes)) ?? [];
  if (alg === undefined || kid === undefined || found !== typ) return undefined;
  return { alg: alg as JwsHeader['alg'], kid, typ };
}

function parseHeader(part: string, typ: JwsType): JwsHeader {
  const bytes = fromBase64Url(part);
  // The shape says what is wrong with it.
  return readHeader(bytes, typ) ?? headerShapes[typ].parse(parseCanonical(bytes), 'header');
}

function parseSignature(part: string): Uint8Array {
  const signature = fromBase64Url(part);
  if (signature.length !== 64) throw new Refused('form', 'a signature that is not 64 bytes');
  return signature;
}

/**
 * Verifies by a key that is already known. The header's `alg` must be that of the key: the header
 * never chooses (D3.1). Throws Refused('key'), Refused('alg') or Refused('signature').
 */
export function verifyJws(jws: Jws, key: PublicKey): void {
  if (jws.header.kid !== key.kid) throw new Refused('key', 'signed by another key');
  if (algOf(jws.header) !== key.alg) {
    throw new Refused('alg', `the header says ${jws.header.alg}, the key is ${key.alg}`);
  }
  if (!key.verify(jws.signingInput, jws.signature)) {
    throw new Refused('signature', 'the signature does not fit');
  }
}

function algOf(header: JwsHeader): KeyAlg {
  return header.alg === 'EdDSA' ? 'Ed25519' : header.alg;
}
