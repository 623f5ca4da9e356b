import canonicalizeModule from 'canonicalize';
import { decodeUtf8, equalBytes, utf8 } from './bytes.ts';
import { Refused } from './errors.ts';

/**
 * The package is CommonJS with an ES-style default: depending on who loads it (Node, a bundler), the
 * function is the import itself or its member `default`.
 */
type Canonicalize = (value: unknown) => string | undefined;
const loaded: unknown = canonicalizeModule;
const canonicalize = (
  typeof loaded === 'function' ? loaded : (loaded as { default: unknown }).default
) as Canonicalize;

/**
 * No format here nests deeper. With a fixed limit every reader judges the same bytes alike, whatever
 * stack it has left.
 */
const depthLimit = 32;

/** What RFC 8785 gives no form to: lone surrogates (3.2.2.2), numbers that are not finite, too deep. */
function faultIn(value: unknown, depth = 0): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : 'a lone surrogate';
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'not a finite number';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth === depthLimit) return `nested deeper than ${depthLimit} levels`;
  for (const [name, member] of Object.entries(value)) {
    const fault = name.isWellFormed() ? faultIn(member, depth + 1) : 'a lone surrogate';
    if (fault !== undefined) return fault;
  }
  return undefined;
}

/** JSON Canonicalization Scheme, RFC 8785. `value` must be plain JSON data; TypeError otherwise. */
export function canonicalText(value: unknown): string {
  const fault = faultIn(value);
  if (fault !== undefined) throw new TypeError(`canonicalText: ${fault}`);
  return serialize(value);
}

function serialize(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('canonicalText: the value has no JSON form');
  return text;
}

export function canonicalBytes(value: unknown): Uint8Array {
  return utf8(canonicalText(value));
}

/**
 * Parses JSON that is its own JCS form (D3.1). One comparison refuses duplicate members, `2e0`, `-0`,
 * white space, escapes, and every other second spelling of the same data.
 */
export function parseCanonical(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Refused('json', 'not JSON', { cause });
  }
  const fault = faultIn(value);
  if (fault !== undefined) throw new Refused('jcs', `without a JCS form: ${fault}`);
  if (serialize(value) !== text) throw new Refused('jcs', 'not in its own JCS form (RFC 8785)');
  return value;
}

/** True when `value` serialises to exactly `bytes`. */
export function hasCanonicalBytes(value: unknown, bytes: Uint8Array): boolean {
  return equalBytes(canonicalBytes(value), bytes);
}
