import { hashBytes } from '#core/tlog/tree.ts';

/**
 * Many rows go to the database by one statement, column by column. These are the forms of a column
 * that take both sides the least time: `pg` quotes every element of an array, whatever it is, and
 * writes bytes in hex, at twice their length.
 */

/** A column of `int` or `bigint`, for `$n::bigint[]`. */
export function integers(list: readonly (number | undefined)[]): string {
  return `{${list.map((value) => value ?? 'NULL').join()}}`;
}

const special = /["\\]/;
const everySpecial = new RegExp(special, 'g');

/** A column of `text`, for `$n::text[]`. */
export function texts(list: readonly string[]): string {
  const escaped = list.map((text) =>
    special.test(text) ? text.replace(everySpecial, '\\$&') : text,
  );
  return escaped.length === 0 ? '{}' : `{"${escaped.join('","')}"}`;
}

/**
 * A column of `bytea`: all values one after the other, for `$n::bytea`, out of which
 * `substr($n, start, length)` takes each. A start counts from 1, as SQL does.
 */
export interface JoinedBytes {
  readonly bytes: Uint8Array;
  readonly starts: string;
  readonly lengths: string;
}

export function joined(list: readonly Uint8Array[]): JoinedBytes {
  const starts: number[] = [];
  let length = 0;
  for (const value of list) {
    starts.push(length + 1);
    length += value.length;
  }
  const bytes = new Uint8Array(length);
  list.forEach((value, i) => {
    bytes.set(value, (starts[i] ?? 1) - 1);
  });
  return {
    bytes,
    starts: integers(starts),
    lengths: integers(list.map((value) => value.length)),
  };
}

/** A column of hashes, for `$n::bytea`, out of which `hashAt` takes each. RangeError for another length. */
export function hashes(list: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(list.length * hashBytes);
  list.forEach((hash, i) => {
    if (hash.length !== hashBytes) throw new RangeError(`hash: ${hash.length} bytes`);
    bytes.set(hash, i * hashBytes);
  });
  return bytes;
}

/** The hash of row `n`, counted from 1, in a parameter that `hashes` made. */
export function hashAt(parameter: `$${number}`): string {
  return `substr(${parameter}::bytea, ((n - 1) * ${hashBytes} + 1)::int, ${hashBytes})`;
}
