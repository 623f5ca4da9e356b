import { crc32 } from 'node:zlib';
import { concat, decodeUtf8, utf8 } from '#core/bytes.ts';
import type { FactorRow } from '#core/energy/emissions/factor-set.ts';
import type { Table } from '#core/certificate/state/rows.ts';
import type { IssuedRange } from '#core/certificate/state/series.ts';
import type {
  AcceptState,
  EmissionState,
  HourState,
  LogTables,
  OfferState,
} from '#core/certificate/state/tables.ts';

/** The tables of a log's state as rows of bytes by text, one key space for all of them. */

export interface RowAccess {
  readonly read: (key: string) => Uint8Array | undefined;
  readonly write: (key: string, row: Uint8Array) => void;
}

/** Digits of a number in a key, so that keys ascend as their numbers do. */
const numberDigits = 12;

export function tablesOn(access: RowAccess): LogTables {
  return {
    hoursOf: (plant) => table(access, byNumber(`hour/${plant}/`), json<HourState>()),
    emissionsOf: (plant) => table(access, byNumber(`emission/${plant}/`), json<EmissionState>()),
    factorRows: table(access, byNumber('factors/'), json<readonly FactorRow[]>()),
    nonces: table(access, (key: string) => `nonce/${key}`, presence),
    offers: table(access, byNumber('offer/'), json<OfferState>()),
    accepts: table(access, byNumber('accept/'), json<AcceptState>()),
    ranges: table(access, byNumber('range/'), json<IssuedRange>()),
    placesOf: (series) => table(access, byNumber(`place/${series}/`), json<number>()),
    tilesOf: (level) => table(access, byNumber(`tile/${level}/`), asItIs),
  };
}

interface Codec<Row> {
  readonly encode: (row: Row) => Uint8Array;
  readonly decode: (bytes: Uint8Array) => Row;
}

function table<Key, Row>(
  { read, write }: RowAccess,
  keyOf: (key: Key) => string,
  { encode, decode }: Codec<Row>,
): Table<Key, Row> {
  return {
    get(key) {
      const bytes = read(keyOf(key));
      return bytes === undefined ? undefined : decode(bytes);
    },
    has: (key) => read(keyOf(key)) !== undefined,
    set(key, row) {
      write(keyOf(key), encode(row));
    },
  };
}

function byNumber(prefix: string): (key: number) => string {
  return (key) => prefix + String(key).padStart(numberDigits, '0');
}

/** Of our own writing: its sum says that it is what we wrote. */
function json<Row>(): Codec<Row> {
  return {
    encode: (row) => utf8(JSON.stringify(row)),
    decode: (bytes) => JSON.parse(decodeUtf8(bytes)) as Row,
  };
}

const asItIs: Codec<Uint8Array> = { encode: (row) => row, decode: (bytes) => bytes };
const presence: Codec<true> = { encode: () => utf8(''), decode: () => true };

const sumBytes = 4;

/** A row as it lies on the disk: with a sum over its key and itself, since the database asks for none. */
export function withSum(key: string, row: Uint8Array): Uint8Array {
  const sum = new Uint8Array(sumBytes);
  new DataView(sum.buffer).setUint32(0, sumOf(key, row));
  return concat(row, sum);
}

/** The row, or undefined where this is not what was written under that key. */
export function withoutSum(key: string, bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length < sumBytes) return undefined;
  const end = bytes.length - sumBytes;
  const row = bytes.subarray(0, end);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return view.getUint32(end) === sumOf(key, row) ? row : undefined;
}

function sumOf(key: string, row: Uint8Array): number {
  // In this order: of nothing, crc32 gives 0, whatever it is to go on from.
  return crc32(key, crc32(row));
}
