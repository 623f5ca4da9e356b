import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { detachedJws, parseDetachedJws, type Jws } from '../jws.ts';
import { array, hashHex, instant, integer, object, oneOf, pattern } from '../shape.ts';
import type { Infer, Shape } from '../shape.ts';
import type { Signer } from '../signer.ts';

/** An entry's data must fit the length prefix of an entry bundle (D3.2, tlog-tiles). */
export const entryLimitBytes = 65_535;

/** Refers to an earlier entry of the same log (D3.3). */
export const entryRef = object({ index: integer(0), leafHash: hashHex });
export type EntryRef = Infer<typeof entryRef>;

/** `spec` is looked into only by the rule of its kind (kinds.ts), so it is any object here. */
const anyObject: Shape<object> = {
  schema: { type: 'object' },
  parse(value, path = '') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Refused('form', `${path}: not an object`);
    }
    return value;
  },
};

/** A JWS with detached payload and a signature of 64 bytes. */
export const authText = pattern('[A-Za-z0-9_-]+[.][.][A-Za-z0-9_-]{86}');

export const entryMembers = {
  apiVersion: oneOf('hourseal/v1'),
  auth: array(authText, { min: 0, max: 32 }),
  kind: pattern('[a-z][a-z-]{0,31}'),
  spec: anyObject,
  time: instant,
} as const;
export const entryShape = object(entryMembers);
export type Entry = Infer<typeof entryShape>;

/** Parses the envelope of an entry from its exact bytes. Throws Refused('form' | 'json' | 'jcs'…). */
export function parseEntry(bytes: Uint8Array): Entry {
  if (bytes.length > entryLimitBytes) throw new Refused('size', 'an entry above 65,535 bytes');
  return entryShape.parse(parseCanonical(bytes));
}

export function encodeEntry(entry: Omit<Entry, 'apiVersion'>): Uint8Array {
  const bytes = canonicalBytes(entryShape.parse({ apiVersion: 'hourseal/v1', ...entry }));
  if (bytes.length > entryLimitBytes) throw new Refused('size', 'an entry above 65,535 bytes');
  return bytes;
}

/** What an account, a meter key or the issuing body signs (D3.3): JCS of {kind, origin, spec}. */
export interface Action {
  readonly kind: string;
  readonly origin: string;
  readonly spec: object;
}

export function signAction(signer: Signer, { kind, origin, spec }: Action): string {
  return detachedJws(signer, 'hourseal-auth', canonicalBytes({ kind, origin, spec }));
}

/** The signatures under an entry, parsed but not verified. Throws Refused. */
export function parseAuth(
  entry: Pick<Entry, 'kind' | 'spec' | 'auth'>,
  origin: string,
): readonly Jws[] {
  const payload = canonicalBytes({ kind: entry.kind, origin, spec: entry.spec });
  return entry.auth.map((text) => parseDetachedJws(text, 'hourseal-auth', payload));
}

/** An action with its signatures, ready to be sequenced: the log adds index and time. */
export interface SignedDraft {
  readonly kind: string;
  readonly spec: object;
  readonly auth: readonly string[];
}

/** Signs an action by everybody who must (D3.3, the table of kinds says who). */
export function signedDraft(action: Action, signers: readonly Signer[]): SignedDraft {
  const { kind, spec } = action;
  return { kind, spec, auth: signers.map((signer) => signAction(signer, action)) };
}
