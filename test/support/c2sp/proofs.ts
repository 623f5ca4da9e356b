import { toBase64, utf8 } from '#core/bytes.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, noteSigner, vkeyOf } from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import { proveInclusion } from '#core/tlog/proof.ts';
import { formatTlogProof, verifyTlogProof } from '#core/tlog/tlog-proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import * as peers from '../peers/claims.ts';
import { accepts, at } from '../peers/claims.ts';
import { testSigner } from '../register.ts';
import { askHelper, type C2spPrograms } from './programs.ts';

/** A proof of c2sp.org/tlog-proof with what a verifier brings along. */
export interface ProofCase {
  readonly policy: string;
  /** The leaf hash. */
  readonly leaf: Uint8Array;
  readonly proof: Uint8Array;
}

export const proofLog = peers.createPeerLog();
export const proofWitnesses = Array.from({ length: 6 }, (_, i) => {
  const [name, keyName] = [`w${i}`, `w${i}.example`];
  const signer = testSigner(name);
  return { name, keyName, signer, vkey: vkeyOf(keyName, cosignatureType, signer) };
});

/** Our proof of the entry in the middle, cosigned by some. */
export async function proofBy(
  witnesses: readonly (typeof proofWitnesses)[number][],
  size: number,
): Promise<Omit<ProofCase, 'policy'>> {
  const index = Math.floor(size / 2);
  const path = await proveInclusion({ index, size }, proofLog.read);
  const checkpoint = { origin: peers.peerOrigin, size, root: at(proofLog.roots, size) };
  const note = signCheckpoint(checkpoint, [
    noteSigner(peers.peerOrigin, peers.peerLog),
    ...witnesses.map(({ keyName, signer }) => cosignatureSigner(keyName, signer, peers.cosignedAt)),
  ]);
  const proof = formatTlogProof({ index, path, checkpoint: note, extra: utf8('of the test') });
  return { leaf: leafHash(at(proofLog.entries, index)), proof };
}

export function weAccept({ policy, leaf, proof }: ProofCase): boolean {
  return accepts(() => verifyTlogProof(proof, { leafHash: leaf, policy: parsePolicy(policy) }));
}

/** For each whether `torchwood.VerifyProof` accepts it under `torchwood.ParsePolicy`. */
export async function theyAccept(
  programs: C2spPrograms,
  cases: readonly ProofCase[],
): Promise<boolean[]> {
  const question = cases.map(({ policy, leaf, proof }) => ({
    policy,
    leaf: toBase64(leaf),
    proof: toBase64(proof),
  }));
  const reasons = (await askHelper(programs, 'verify', question)) as readonly string[];
  return reasons.map((reason) => reason === '');
}
