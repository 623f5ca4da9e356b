import pg from 'pg';

const int8 = 20;
const int8Array = 1016;
const bytea = 17;
const byteaArray = 1001;

/**
 * `bigint` is decoded here and nowhere else: energies, times, sizes and indexes are safe integers
 * (D3), and one that is not must stop the reader instead of being rounded. RangeError.
 */
function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) {
    throw new RangeError(`int8: ${text} is beyond the safe integers`);
  }
  return value;
}

/** The hex form of `bytea`, which is what the server sends unless told otherwise. */
function bytes(text: string): Uint8Array {
  if (!text.startsWith('\\x')) throw new RangeError('bytea: not in hex form');
  return new Uint8Array(Buffer.from(text.slice(2), 'hex'));
}

/** One-dimensional arrays of values that contain neither commas nor quotes of their own. */
function elements<T>(text: string, parse: (element: string) => T): (T | null)[] {
  if (text === '{}') return [];
  return text
    .slice(1, -1)
    .split(',')
    .map((element) => (element === 'NULL' ? null : parse(element)));
}

const parsers = new Map<number, (text: string) => unknown>([
  [int8, safeInteger],
  [int8Array, (text) => elements(text, safeInteger)],
  [bytea, bytes],
  [byteaArray, (text) => elements(text, (element) => bytes(element.slice(2, -1)))],
]);

/** The decoding of one pool, so that nothing global in `pg` is changed. */
export const typeParsers: pg.CustomTypesConfig = {
  getTypeParser(oid, format) {
    const parse = parsers.get(oid);
    if (parse !== undefined && format !== 'binary') return parse;
    return pg.types.getTypeParser(oid, format) as (text: string) => unknown;
  },
};
