import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { compactJws, parseCompactJws, type Jws } from '../jws.ts';
import { id, instant, object, optional, pattern, type Infer } from '../shape.ts';
import type { Signer } from '../signer.ts';

/** A password of this size is already four times what any device needs. */
export const connectLimitBytes = 2048;

/** How old (or how far ahead) a password may be, and for a meter without a reliable clock. */
export const connectFreshS = 300;
export const connectFreshWithoutClockS = 86_400;

/**
 * What a device signs to connect to a broker: who it is (`sub`, its meter id), which broker it means
 * (`aud`, so that one broker cannot use it at another), when (`iat`), and, where its clock is not to
 * be trusted, a random `jti` that works once.
 */
export const connectShape = object({
  aud: pattern('[!-~]{1,255}'),
  iat: instant,
  jti: optional(pattern('[A-Za-z0-9_-]{8,64}')),
  sub: id,
});
export type Connect = Infer<typeof connectShape>;

export interface ParsedConnect {
  readonly connect: Connect;
  readonly jws: Jws;
}

/** Builds the password of an MQTT connection: a compact JWS of type `hourseal-connect`. */
export function buildConnect(signer: Signer, connect: Connect): string {
  return compactJws(signer, 'hourseal-connect', canonicalBytes(connectShape.parse(connect)));
}

/**
 * Parses a password as received; form only, no key, no signature (`verifyJws` does that). Throws
 * Refused('size') and Refused('form').
 */
export function parseConnect(bytes: Uint8Array): ParsedConnect {
  if (bytes.length > connectLimitBytes) {
    throw new Refused('size', `${bytes.length} bytes, at most ${connectLimitBytes} are accepted`);
  }
  try {
    const jws = parseCompactJws(bytes, 'hourseal-connect');
    return { connect: connectShape.parse(parseCanonical(jws.payload)), jws };
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused('form', cause.message, { cause });
  }
}

export interface ConnectExpectation {
  readonly audience: string;
  readonly meter: string;
  readonly nowS: number;
  /** False for a meter registered as having no reliable clock. */
  readonly reliableClock: boolean;
}

/**
 * What a password must say. Throws Refused('audience'), Refused('subject'), Refused('jti') where one
 * is needed and missing, or Refused('stale'). Whether a jti was used before, only a store can tell.
 */
export function checkConnect(connect: Connect, expected: ConnectExpectation): void {
  if (connect.aud !== expected.audience) {
    throw new Refused('audience', `meant for ${connect.aud}`);
  }
  if (connect.sub !== expected.meter) {
    throw new Refused('subject', `of ${connect.sub}, not of ${expected.meter}`);
  }
  if (!expected.reliableClock && connect.jti === undefined) {
    throw new Refused('jti', 'a meter without a reliable clock needs a jti');
  }
  const limitS = expected.reliableClock ? connectFreshS : connectFreshWithoutClockS;
  const offS = Math.abs(expected.nowS - connect.iat);
  if (offS > limitS) {
    throw new Refused('stale', `iat is ${offS} s from the broker's clock, at most ${limitS} s`);
  }
}

/** The first second at which no password with this `iat` is fresh any more, so that its jti may go. */
export function connectExpiryS(connect: Connect): number {
  return connect.iat + connectFreshWithoutClockS + 1;
}
