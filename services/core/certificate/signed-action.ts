import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { array, object, origin, type Infer } from '../shape.ts';
import type { Signer } from '../signer.ts';
import { authText, entryLimitBytes, entryMembers, parseAuth, signAction } from './entry.ts';
import { isKnownKind, isUnsigned, specOf } from './kinds.ts';

/**
 * An action as it is handed from one who signs to the next and to whoever enters it (FORMATS.md): what
 * will be the entry, without index and time, which the log adds.
 */
export const signedActionShape = object({
  auth: array(authText, { min: 0, max: 32 }),
  kind: entryMembers.kind,
  origin,
  spec: entryMembers.spec,
});
export type SignedAction = Infer<typeof signedActionShape>;

/** An entry holds no more, and has `apiVersion` and `time` besides. */
export const signedActionLimitBytes = entryLimitBytes;

/**
 * Parses its exact bytes. The form is what can be judged without the log: a kind that somebody signs, a
 * spec that is one of that kind, signatures of the right form over it, none by the same key twice.
 * Whose keys those are, and whether the action is allowed, the fold says. Throws Refused: 'size', 'utf8',
 * 'json', 'jcs', 'form', 'kind', 'base64url', 'auth'.
 */
export function parseSignedAction(bytes: Uint8Array): SignedAction {
  if (bytes.length > signedActionLimitBytes) {
    throw new Refused('size', `an action above ${signedActionLimitBytes} bytes`);
  }
  return checkedAction(signedActionShape.parse(parseCanonical(bytes)));
}

export function encodeSignedAction(action: SignedAction): Uint8Array {
  const bytes = canonicalBytes(checkedAction(signedActionShape.parse(action)));
  if (bytes.length > signedActionLimitBytes) {
    throw new Refused('size', `an action above ${signedActionLimitBytes} bytes`);
  }
  return bytes;
}

/** The same action, which has its form; throws as `parseSignedAction`. */
export function checkedAction(action: SignedAction): SignedAction {
  const { kind, spec } = action;
  if (!isKnownKind(kind)) throw new Refused('kind', `no kind ${kind} is known`);
  if (isUnsigned(kind, spec)) throw new Refused('kind', `${kind} is signed by nobody`);
  specOf[kind].parse(spec, 'spec');
  const kids = parseAuth(action, action.origin).map(({ header }) => header.kid);
  if (new Set(kids).size !== kids.length) throw new Refused('auth', 'the same signer twice');
  return action;
}

/** The same action with one signature more. Refused('auth') where that key has signed it. */
export function withSignature(action: SignedAction, signer: Signer): SignedAction {
  return checkedAction({ ...action, auth: [...action.auth, signAction(signer, action)] });
}
