import { hashHex, id, integer, object, oneOf } from '../../shape.ts';
import { seriesShape } from './parts.ts';

/**
 * Whose every certificate is, and in which state (D3.3): `root` is that of the tree over all ranges
 * issued by the first `asOf` entries, `count` of them, in the order of issue.
 */
export const stateSpec = object({ asOf: integer(1), count: integer(0), root: hashHex });

/**
 * A leaf of that tree: a range as the entry at `index` issued it, and the root over its pieces. Numbers
 * that a void entry stated are issued again by another one, so a range alone does not say whose it is.
 */
export const stateLeafShape = object({
  from: integer(1),
  index: integer(1),
  pieces: hashHex,
  series: seriesShape,
  to: integer(1),
});
export const stateNames = [
  'active',
  'cancelled',
  'locked',
  'offered',
  'reserved',
  'withdrawn',
] as const;
/** A leaf of the tree over the pieces of one range. */
export const statePieceShape = object({
  from: integer(1),
  lastIndex: integer(1),
  owner: id,
  state: oneOf(...stateNames),
  to: integer(1),
});
