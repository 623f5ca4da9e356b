import { concat } from '#core/bytes.ts';

/**
 * Columns for bulk statements over `unnest`. Numbers travel as array literals made here, since `pg`
 * would quote each one; byte strings travel as one parameter that the statement cuts up, since as an
 * array each would become hex text and back.
 */
export function numbers(values: Iterable<number | null>): string {
  return `{${Array.from(values, (value) => value ?? 'null').join(',')}}`;
}

/** The same, and where there is no number in it the empty array, which `unnest` fills up with nulls. */
export function sparseNumbers(values: readonly (number | null)[]): string {
  return values.every((value) => value === null) ? '{}' : numbers(values);
}

/** Byte strings of varying length: the bytes, and for each its position (from 1) and length. */
export function slices(values: readonly Uint8Array[]): {
  readonly bytes: Uint8Array;
  readonly positions: string;
  readonly lengths: string;
} {
  let position = 1;
  const positions: number[] = [];
  for (const value of values) {
    positions.push(position);
    position += value.length;
  }
  const lengths = values.map((value) => value.length);
  return {
    bytes: concat(...values),
    positions: numbers(positions),
    lengths: numbers(lengths),
  };
}
