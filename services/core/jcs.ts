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

/** What RFC 8785 gives no form to (3.2.2.2, 3.2.2.3), and what is nested too deep. */
type Fault =
  'a lone surrogate' | 'not a finite number' | `nested deeper than ${typeof depthLimit} levels`;

/**
 * Whether every object lists its members in the order of JCS, so that JSON.stringify, which writes
 * everything else as RFC 8785 asks, writes the JCS form. Nearly all values do: what was parsed from
 * its JCS form, and what is put together here in alphabetical order. The first fault, where it has one.
 */
function orderOf(value: unknown, depth = 0): 'sorted' | 'unsorted' | Fault {
  if (typeof value === 'string') return value.isWellFormed() ? 'sorted' : 'a lone surrogate';
  if (typeof value === 'number') return Number.isFinite(value) ? 'sorted' : 'not a finite number';
  if (typeof value === 'boolean' || value === null) return 'sorted';
  if (typeof value !== 'object') return 'unsorted'; // No JSON: `canonicalize` says what to do with it.
  if (depth === depthLimit) return `nested deeper than ${depthLimit} levels`;
  return Array.isArray(value) ? orderOfItems(value, depth) : orderOfMembers(value, depth);
}

function orderOfItems(items: readonly unknown[], depth: number): 'sorted' | 'unsorted' | Fault {
  let order: 'sorted' | 'unsorted' = 'sorted';
  for (const item of items) {
    const found = orderOf(item, depth + 1);
    if (found === 'unsorted') order = found;
    else if (found !== 'sorted') return found;
  }
  return order;
}

function orderOfMembers(members: object, depth: number): 'sorted' | 'unsorted' | Fault {
  let order: 'sorted' | 'unsorted' = 'sorted';
  let before: string | undefined;
  for (const name of Object.keys(members)) {
    if (!name.isWellFormed()) return 'a lone surrogate';
    // By UTF-16 code units (3.2.3). Objects list names such as `10` first, and by their number.
    if (before !== undefined && before >= name) order = 'unsorted';
    before = name;
    const found = orderOf((members as Record<string, unknown>)[name], depth + 1);
    if (found === 'unsorted') order = found;
    else if (found !== 'sorted') return found;
  }
  return order;
}

/** JSON Canonicalization Scheme, RFC 8785. `value` must be plain JSON data; TypeError otherwise. */
export function canonicalText(value: unknown): string {
  const order = orderOf(value);
  if (order !== 'sorted' && order !== 'unsorted') throw new TypeError(`canonicalText: ${order}`);
  return serialize(value, order);
}

function serialize(value: unknown, order: 'sorted' | 'unsorted'): string {
  const text = order === 'sorted' ? JSON.stringify(value) : canonicalize(value);
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
  const order = orderOf(value);
  if (order !== 'sorted' && order !== 'unsorted') {
    throw new Refused('jcs', `without a JCS form: ${order}`);
  }
  if (serialize(value, order) !== text)
    throw new Refused('jcs', 'not in its own JCS form (RFC 8785)');
  return value;
}

/** True when `value` serialises to exactly `bytes`. */
export function hasCanonicalBytes(value: unknown, bytes: Uint8Array): boolean {
  return equalBytes(canonicalBytes(value), bytes);
}
