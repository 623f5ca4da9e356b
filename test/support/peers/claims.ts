import { concat, uint32BE, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { cosignatureSigner, signCheckpoint } from '#core/tlog/checkpoint.ts';
import { cosignatureType, ed25519Type, noteSigner, verifierKeyOf } from '#core/tlog/note.ts';
import {
  proveConsistency,
  proveInclusion,
  type ConsistencyClaim,
  type HashReader,
  type InclusionClaim,
} from '#core/tlog/proof.ts';
import { edgeRoot, emptyEdge, growEdge, leafHash, type Edge } from '#core/tlog/tree.ts';
import { testSigner } from '../register.ts';

/** The peers are asked at every size from 1 to this one. */
export const maxSize = 300;

export const peerOrigin = 'log.example/peers';
export const peerLog = testSigner('peer log');
export const peerWitness = testSigner('peer witness');
export const logKey = verifierKeyOf(peerOrigin, ed25519Type, peerLog);
/** Of another key under the same name, as while a log changes it. */
export const otherLogKey = verifierKeyOf(peerOrigin, ed25519Type, testSigner('other peer log'));
export const witnessKey = verifierKeyOf('witness.example/peer', cosignatureType, peerWitness);
export const cosignedAt = 1_767_261_610;

/** A log of `maxSize` entries made through services/core/tlog, as it was at every size. */
export interface PeerLog {
  readonly entries: readonly Uint8Array[];
  /** By size; at 0 that of the empty tree. */
  readonly roots: readonly Uint8Array[];
  readonly read: HashReader;
}

/** No two entries are alike, and their lengths differ. */
export function createPeerLog(): PeerLog {
  const entries = Array.from({ length: maxSize }, (_, i) =>
    concat(utf8(`entry ${i} `), uint32BE(i), new Uint8Array(i % 70)),
  );
  const stored = new Map<string, Uint8Array>();
  let edge: Edge = emptyEdge;
  const roots = [edgeRoot(edge)];
  for (const entry of entries) {
    const grown = growEdge(edge, [leafHash(entry)]);
    for (const { level, index, hash } of grown.completed) stored.set(`${level},${index}`, hash);
    edge = grown.edge;
    roots.push(edgeRoot(edge));
  }
  const read: HashReader = async (coordinates) =>
    coordinates.map(({ level, index }) => {
      const hash = stored.get(`${level},${index}`);
      if (hash === undefined) throw new RangeError(`hash (${level}, ${index}) is not stored`);
      return hash;
    });
  return { entries, roots, read };
}

/** The checkpoint of that size as a note, signed by the log and cosigned by one witness. */
export function checkpointAt({ roots }: PeerLog, size: number): Uint8Array {
  const checkpoint = { origin: peerOrigin, size, root: at(roots, size) };
  return signCheckpoint(checkpoint, [
    noteSigner(peerOrigin, peerLog),
    cosignatureSigner(witnessKey.name, peerWitness, cosignedAt),
  ]);
}

/** Every index at every size: 45,150 claims. */
export async function inclusionClaims({
  entries,
  roots,
  read,
}: PeerLog): Promise<InclusionClaim[]> {
  const leaves = entries.map(leafHash);
  const claims: InclusionClaim[] = [];
  for (let size = 1; size <= maxSize; size++) {
    const root = at(roots, size);
    for (let index = 0; index < size; index++) {
      const path = await proveInclusion({ index, size }, read);
      claims.push({ leafHash: at(leaves, index), index, size, path, root });
    }
  }
  return claims;
}

/** Every pair of sizes from 1: 45,150 claims. */
export async function consistencyClaims({ roots, read }: PeerLog): Promise<ConsistencyClaim[]> {
  const claims: ConsistencyClaim[] = [];
  for (let toSize = 1; toSize <= maxSize; toSize++) {
    const toRoot = at(roots, toSize);
    for (let fromSize = 1; fromSize <= toSize; fromSize++) {
      const path = await proveConsistency({ from: fromSize, to: toSize }, read);
      claims.push({ fromSize, fromRoot: at(roots, fromSize), toSize, toRoot, path });
    }
  }
  return claims;
}

export type Claim = InclusionClaim | ConsistencyClaim;

/** Names a claim in a few words: thousands of hashes are nothing to print. */
export function nameOf(claim: Claim): string {
  return 'index' in claim
    ? `${claim.index} of ${claim.size}`
    : `${claim.fromSize} to ${claim.toSize}`;
}

/** One bit of one hash turned: of the path, the leaf or the root, each in its turn. */
export function damagedInclusion(claim: InclusionClaim, turn: number): InclusionClaim {
  const place = turn % (claim.path.length + 2);
  if (place === 0) return { ...claim, root: bitFlipped(claim.root, turn) };
  if (place === 1) return { ...claim, leafHash: bitFlipped(claim.leafHash, turn) };
  return { ...claim, path: damagedPath(claim.path, { place: place - 2, turn }) };
}

/** One bit of one hash turned: of the path or of either root, each in its turn. */
export function damagedConsistency(claim: ConsistencyClaim, turn: number): ConsistencyClaim {
  const place = turn % (claim.path.length + 2);
  if (place === 0) return { ...claim, toRoot: bitFlipped(claim.toRoot, turn) };
  if (place === 1) return { ...claim, fromRoot: bitFlipped(claim.fromRoot, turn) };
  return { ...claim, path: damagedPath(claim.path, { place: place - 2, turn }) };
}

function damagedPath(
  path: readonly Uint8Array[],
  { place, turn }: { readonly place: number; readonly turn: number },
): Uint8Array[] {
  return path.with(place, bitFlipped(at(path, place), turn));
}

/** Another bit at every turn; 37 is coprime to the 256 of a hash, so all have theirs. */
export function bitFlipped(bytes: Uint8Array, turn: number): Uint8Array {
  const bit = (turn * 37) % (8 * bytes.length);
  const byte = Math.floor(bit / 8);
  return bytes.with(byte, (bytes[byte] ?? 0) ^ (1 << (bit % 8)));
}

/** A checkpoint's text with one bit of its root line turned, so that it is still one of characters. */
export function damagedText(text: string, turn: number): string {
  const [origin = '', size = '', root = ''] = text.split('\n');
  const place = turn % root.length;
  const turned = String.fromCharCode(root.charCodeAt(place) ^ 1);
  return [origin, size, root.slice(0, place) + turned + root.slice(place + 1), ''].join('\n');
}

/** True when nothing is thrown, false for a refusal; any other error is one. */
export function accepts(verify: () => void): boolean {
  try {
    verify();
    return true;
  } catch (error) {
    refusalCode(error);
    return false;
  }
}

export function at<T>(list: readonly T[], index: number): T {
  const found = list[index];
  if (found === undefined) throw new RangeError(`nothing at ${index}`);
  return found;
}
