import { interleavedMSMUnsafe } from '@noble/curves/abstract/curve.js';
import { ed25519 } from '@noble/curves/ed25519.js';
import { toHex } from './bytes.ts';

const { Point } = ed25519;
type EdwardsPoint = typeof Point.BASE;

/**
 * The point sB - kA for one key A, which RFC 8032, 5.1.7 compares with R. Both scalars are below the
 * order of B. Nothing here is secret, so nothing is computed in constant time.
 */
export type Equation = (s: bigint, k: bigint) => EdwardsPoint;

/**
 * A scalar is cut into limbs, and a point A is joined by its multiples 2^32 A, 2^64 A … for them, so
 * that all limbs share one chain of 32 doublings instead of 253 for every signature. The doublings that
 * make the multiples are done once for a key. The sum is the same point for every A, also for one with
 * a part of small order: no scalar is reduced on the way.
 */
const limbBits = 32;
const limbs = 8;
const limbShift = BigInt(limbBits);
const limbMask = 2n ** limbShift - 1n;
/** Width of the signed digits that noble recodes a limb to: it keeps 8 odd multiples of each point. */
const digitBits = 5;

/** The last limb is what is left, so that the sum is the scalar whatever it is. */
function limbsOf(scalar: bigint): bigint[] {
  const cut: bigint[] = [];
  let rest = scalar;
  while (cut.length < limbs - 1) {
    cut.push(rest & limbMask);
    rest >>= limbShift;
  }
  return [...cut, rest];
}

function limbPointsOf(point: EdwardsPoint): EdwardsPoint[] {
  const points = [point];
  let last = point;
  while (points.length < limbs) {
    for (let bit = 0; bit < limbBits; bit++) last = last.double();
    points.push(last);
  }
  return points;
}

const basePoints = limbPointsOf(Point.BASE);

/** `publicKey` is 32 bytes, in a canonical encoding. Undefined when it is not on the curve. */
export function equationOf(publicKey: Uint8Array): Equation | undefined {
  const a = decodePoint(publicKey);
  if (a === undefined) return undefined;
  const points = [...basePoints, ...limbPointsOf(a.negate())];
  const sumOf = interleavedMSMUnsafe(Point, points, digitBits);
  return (s, k) => sumOf([...limbsOf(s), ...limbsOf(k)]);
}

function decodePoint(publicKey: Uint8Array): EdwardsPoint | undefined {
  try {
    return Point.fromBytes(publicKey, false);
  } catch {
    return undefined;
  }
}

/**
 * The equations of the keys that were used last, so that a key is prepared once though every reader
 * of entries parses it anew, and a second file of the same log finds its keys prepared. Each is what
 * `equationOf` gives for these bytes, so nothing but the time taken depends on it. About 36 KB a key.
 */
export const keptKeys = 128;
const kept = new Map<string, Equation | undefined>();

/** As `equationOf`. */
export function keptEquationOf(publicKey: Uint8Array): Equation | undefined {
  const name = toHex(publicKey);
  const equation = kept.has(name) ? kept.get(name) : equationOf(publicKey);
  kept.delete(name);
  kept.set(name, equation); // At the end: the first one in the order of a Map goes first.
  const [oldest] = kept.keys();
  if (kept.size > keptKeys && oldest !== undefined) kept.delete(oldest);
  return equation;
}
