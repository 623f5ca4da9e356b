/** Rows that may lie on a disk (tables.ts), and sequences of them. */

/** Rows by key. A row is never changed, only replaced. */
export interface Table<Key, Row> {
  readonly get: (key: Key) => Row | undefined;
  readonly has: (key: Key) => boolean;
  readonly set: (key: Key, row: Row) => unknown;
}

/** Rows in their order. An array is one. */
export interface Rows<Row> extends Iterable<Row> {
  readonly length: number;
  /** As Array.at: -1 is the last. */
  readonly at: (place: number) => Row | undefined;
}

/** Rows that are appended, and replaced in their place. */
export interface GrowingRows<Row> extends Rows<Row> {
  readonly push: (row: Row) => unknown;
  /** RangeError where there is no such row. */
  readonly replace: (place: number, row: Row) => void;
}

/** The first `length` rows of a table as a sequence. */
export function rowsOf<Row>(table: Table<number, Row>, length = 0): GrowingRows<Row> {
  let count = length;
  const at = (place: number): Row | undefined => {
    const counted = place < 0 ? count + place : place;
    if (counted < 0 || counted >= count) return undefined;
    const row = table.get(counted);
    // What was lost must not pass for what never was.
    if (row === undefined) throw new RangeError(`rows: ${counted} of ${count} is lost`);
    return row;
  };
  return {
    get length() {
      return count;
    },
    at,
    push(row) {
      table.set(count, row);
      count++;
    },
    replace(place, row) {
      if (place < 0 || place >= count) throw new RangeError(`rows: ${place} of ${count}`);
      table.set(place, row);
    },
    *[Symbol.iterator]() {
      for (let place = 0; place < count; place++) {
        const row = at(place);
        if (row !== undefined) yield row;
      }
    },
  };
}

/** Rows that are found by their places among others. */
export function rowsAt<Row>(places: Rows<number>, rows: Rows<Row>): Rows<Row> {
  const at = (n: number): Row | undefined => {
    const place = places.at(n);
    return place === undefined ? undefined : rows.at(place);
  };
  return {
    get length() {
      return places.length;
    },
    at,
    *[Symbol.iterator]() {
      for (const place of places) {
        const row = rows.at(place);
        if (row !== undefined) yield row;
      }
    },
  };
}
