import { randomBytes } from 'node:crypto';
import { toBase64Url } from '#core/bytes.ts';
import { entryMembers } from '#core/certificate/entry.ts';
import {
  encodeSignedAction,
  parseSignedAction,
  signedActionLimitBytes,
  signedActionShape,
  withSignature,
  type SignedAction,
} from '#core/certificate/signed-action.ts';
import { Refused, within } from '#core/errors.ts';
import { object, optional, origin as originShape } from '#core/shape.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import { readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readLimited, writeNewFile } from './read-file.ts';

export interface SignOptions {
  readonly private: string;
  readonly out: string;
  /** The log that it is meant for, where the file does not say. */
  readonly origin?: string;
  /** How long the signature may wait to be entered, such as 1d. */
  readonly valid: string;
}

/** An action that nobody has signed: `nonce` and `notAfter` are added where the spec has none. */
const draftShape = object({
  kind: entryMembers.kind,
  origin: optional(originShape),
  spec: entryMembers.spec,
});

/**
 * `hourseal sign`: adds a signature to an action, which is either one that others have signed or a
 * JSON object of `kind` and `spec`. Nothing of an installation is needed; the key stays where it is.
 */
export async function signFile(
  file: string,
  options: SignOptions,
  terminal: Terminal,
): Promise<number> {
  const action = await readAction(file, options);
  const signer = await readKeyFile(options.private);
  await writeNewFile(options.out, encodeSignedAction(withSignature(action, signer)));
  const { kind, origin, spec } = action;
  const { notAfter } = spec as { notAfter?: number };
  const until = new Date((notAfter ?? 0) * 1000).toISOString().slice(0, 19);
  terminal.out(
    `${options.out}: ${kind} for ${origin}, signed by ${signer.kid}, good until ${until}Z\n`,
  );
  return exitCodes.verified;
}

interface DraftOptions {
  readonly origin?: string | undefined;
  readonly valid: string;
}

async function readAction(file: string, { origin, valid }: DraftOptions): Promise<SignedAction> {
  const bytes = await readLimited(file, signedActionLimitBytes);
  const action = within(file, () => {
    const value = parseJson(bytes);
    if (hasSignatures(value)) {
      // Whoever signed has signed these very bytes.
      parseSignedAction(bytes);
      return signedActionShape.parse(value);
    }
    return draftOf(value, { origin, valid });
  });
  if (origin !== undefined && action.origin !== origin) {
    throw new Refused('origin', `${file} is meant for ${action.origin}`);
  }
  return action;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new Refused('json', 'not JSON', { cause });
  }
}

function hasSignatures(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'auth' in value;
}

function draftOf(value: unknown, { origin, valid }: DraftOptions): SignedAction {
  const draft = draftShape.parse(value);
  const log = draft.origin ?? origin;
  if (log === undefined) throw new Refused('origin', 'says no log: give --origin');
  const once = {
    nonce: toBase64Url(randomBytes(16)),
    notAfter: Math.floor(Date.now() / 1000) + parseDuration(valid),
  };
  return { auth: [], kind: draft.kind, origin: log, spec: { ...once, ...draft.spec } };
}
