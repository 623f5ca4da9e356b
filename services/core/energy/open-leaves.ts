import { Refused } from '../errors.ts';
import { canonicalBytes, parseCanonical } from '../jcs.ts';
import { boolean, object, pattern } from '../shape.ts';
import { leafLimitBytes } from './batch.ts';
import { encodeFramed, parseFramed } from './evidence-file.ts';

/**
 * Leaves of hours that are not sealed yet, as they arrive (D3.2): what an auditor verifies ahead. No
 * root names them, so they prove nothing; whoever reads them only saves time later.
 */
export interface OpenLeaves {
  /** Leaf data, byte for byte as in the batch file to come. */
  readonly leaves: readonly Uint8Array[];
  /** Where to go on; only the server knows what it means. */
  readonly next: string;
  /** There is more by now. */
  readonly more: boolean;
}

/** Of one answer. */
export const openLeavesLimit = 500;
/** Of the leaves of one answer, with their lengths. */
export const openLeavesLimitBytes = 1024 * 1024;
export const openCursorLimitCharacters = 8_000;
/** Of a whole answer. */
export const openAnswerLimitBytes = openLeavesLimitBytes + openCursorLimitCharacters + 64;

/** The empty one begins with the first hour that is not sealed. */
export const openCursor = pattern(`[0-9.-]{0,${openCursorLimitCharacters}}`);
/** The last part of an answer. */
export const openEndShape = object({ more: boolean, next: openCursor });

/** Each leaf, and after them what comes next, in the framing of a batch file. */
export function encodeOpenLeaves({ leaves, next, more }: OpenLeaves): Uint8Array {
  return encodeFramed([...leaves, canonicalBytes({ more, next })]);
}

/** Strict inverse of `encodeOpenLeaves`. The leaves' content is not looked into. Throws Refused. */
export function parseOpenLeaves(bytes: Uint8Array): OpenLeaves {
  if (bytes.length > openAnswerLimitBytes) throw new Refused('size', 'more than an answer holds');
  const leaves = parseFramed(bytes, openLeavesLimit + 1);
  const end = leaves.pop();
  if (end === undefined) throw new Refused('form', 'an answer without its end');
  if (leaves.some(({ length }) => length === 0 || length > leafLimitBytes)) {
    throw new Refused('size', 'a leaf of a length that no message has');
  }
  return { leaves, ...openEndShape.parse(parseCanonical(end)) };
}

export interface OpenQuery {
  readonly plant: string;
  /** A committed site, whose messages are not public (D3.3). */
  readonly isPrivate: boolean;
  readonly after: string;
}

/** Where the log answers, below its prefix. */
export function openLeavesPath({ plant, isPrivate, after }: OpenQuery): string {
  const path = isPrivate ? `private/open/${plant}` : `open/${plant}`;
  return after === '' ? path : `${path}?after=${after}`;
}
