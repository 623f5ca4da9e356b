import { createPublicKey } from 'node:crypto';
import { Refused } from '#core/errors.ts';
import type { Alg } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { cosignatureType, ed25519Type, vkeyOf } from '#core/tlog/note.ts';
import { createKeyFile, readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';

export interface KeyNames {
  /** A log's origin: the vkey is then that of its checkpoints. */
  readonly log?: string;
  /** A witness's name; that of an auditing one ends in `/audit`. */
  readonly witness?: string;
}

/** `hourseal key new`: creates a private key in a file that was not there (PKCS#8 PEM, mode 0600). */
export async function newKey(
  file: string,
  { alg, ...names }: KeyNames & { readonly alg: string },
  terminal: Terminal,
): Promise<number> {
  requireNames(names);
  terminal.out(describeKey(await createKeyFile(file, algOf(alg)), names));
  return exitCodes.verified;
}

/** `hourseal key show`: the public side of a private key, as JWK, PEM and, with a name, as vkey. */
export async function showKey(file: string, names: KeyNames, terminal: Terminal): Promise<number> {
  requireNames(names);
  terminal.out(describeKey(await readKeyFile(file), names));
  return exitCodes.verified;
}

function algOf(text: string): Alg {
  if (text === 'Ed25519' || text === 'ES256') return text;
  throw new Refused('alg', `${text}: Ed25519 or ES256`);
}

/** One key, one purpose (D2). */
function requireNames({ log, witness }: KeyNames): void {
  if (log !== undefined && witness !== undefined) {
    throw new Refused('key', 'a key is that of a log or of a witness, never of both');
  }
}

function describeKey(signer: Signer, { log, witness }: KeyNames): string {
  const { jwk, kid } = signer;
  const pem = createPublicKey({ key: { ...jwk }, format: 'jwk' }).export({
    format: 'pem',
    type: 'spki',
  });
  const lines = [`kid   ${kid}`, `jwk   ${JSON.stringify(jwk)}`];
  if (log !== undefined) lines.push(`vkey  ${vkeyOf(log, ed25519Type, signer)}`);
  if (witness !== undefined) lines.push(`vkey  ${vkeyOf(witness, cosignatureType, signer)}`);
  return `${lines.join('\n')}\n${pem.toString()}`;
}
