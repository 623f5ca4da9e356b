import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { expect } from 'vitest';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import type { StateStore } from '#core/certificate/state/state-store.ts';
import type {
  AcceptState,
  HourState,
  LogTables,
  OfferState,
} from '#core/certificate/state/tables.ts';

/** Rows by which a store can be seen to be as of one `keep`: some are new with each, some replaced. */

const rowsOfKeep = 20;
/** Of a tile that every keep sets anew. */
const replacedLevel = 9;

const hourOf = (keep: number, row: number): HourState => ({
  ref: { index: keep, leafHash: `${row}`.padStart(64, '0') },
  quality: row % 2 === 0 ? 'measured' : undefined,
  certifiedWh: row,
  revokedWh: keep,
  issued: [{ from: row + 1, to: row + 9 }],
  versions: [keep, row],
});

const emissionOf = (keep: number, row: number) => ({
  ref: { index: keep, leafHash: 'cd' },
  totalG: row,
  said: 'ef',
  versions: [keep],
});

const factorRowsOf = (mg: number) => {
  const of = { per: 'kWh', scope: 'solar', source: 'ö', year: 2021, zone: '*' } as const;
  return [{ gas: 'CO2e', mg, ...of } as const];
};

const rangeOf = (keep: number, row: number) => ({
  ...{ series: 'energy/p', position: row, from: row + 1, to: row + 1, index: keep, hourStart: 0 },
  pieces: [
    { from: row + 1, to: row + 1, owner: 'ö\u2028', state: 'active', lastIndex: keep } as const,
  ],
});

const items = [{ series: 'energy/p', from: 1, to: 9 }];
const offerOf = (keep: number, row: number): OfferState => ({
  ...{ leafHash: `${row}`, account: 'ö', counterparty: 'q', items },
  terms: { currency: 'EUR', payBy: keep, priceMinor: row },
});
const acceptOf = (keep: number, row: number): AcceptState => ({
  ...{ leafHash: `${row}`, account: 'q', offer: row, items, payBy: keep },
});

const tileOf = (keep: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => keep + i);

/** Sets the rows of the `keep`th time, from 1. */
export function setRows(tables: LogTables, keep: number): void {
  const first = keep * rowsOfKeep;
  for (let row = first; row < first + rowsOfKeep; row++) {
    tables.nonces.set(`kid ${row}`, true);
    tables.hoursOf('p').set(row, hourOf(keep, row));
    tables.emissionsOf('p').set(row, emissionOf(keep, row));
    tables.factorRows.set(row, factorRowsOf(row));
    tables.ranges.set(row, rangeOf(keep, row));
    tables.offers.set(row, offerOf(keep, row));
    tables.accepts.set(row, acceptOf(keep, row));
    tables.placesOf('energy/p').set(row, row + 7);
    tables.tilesOf(0).set(row, tileOf(row));
  }
  tables.ranges.set(0, rangeOf(keep, 0));
  tables.tilesOf(replacedLevel).set(0, tileOf(keep));
}

/** Says how often it was kept, in about so many bytes. */
export function memoryOf(keep: number, bytes = 0): Uint8Array {
  return utf8(`${keep} ${'x'.repeat(bytes)}`);
}

/** How often it was kept, by the memory; 0 for one that has nothing. */
export function keepsIn(store: StateStore): number {
  const memory = store.kept();
  return memory === undefined ? 0 : Number(decodeUtf8(memory).split(' ')[0]);
}

/** Everything that so many keeps have set is there as they set it, and nothing of a later one. */
export function expectRows(tables: LogTables, keeps: number): void {
  const end = (keeps + 1) * rowsOfKeep;
  for (let row = rowsOfKeep; row < end; row++) {
    const keep = Math.floor(row / rowsOfKeep);
    const found = {
      nonce: tables.nonces.get(`kid ${row}`),
      hour: tables.hoursOf('p').get(row),
      emission: tables.emissionsOf('p').get(row),
      factors: tables.factorRows.get(row),
      range: tables.ranges.get(row),
      offer: tables.offers.get(row),
      accept: tables.accepts.get(row),
      place: tables.placesOf('energy/p').get(row),
      tile: plain(tables.tilesOf(0).get(row)),
    };
    const due = {
      ...{ nonce: true, hour: hourOf(keep, row), range: rangeOf(keep, row), place: row + 7 },
      ...{ offer: offerOf(keep, row), accept: acceptOf(keep, row) },
      ...{ emission: emissionOf(keep, row), factors: factorRowsOf(row) },
    };
    expect(found).toEqual({ ...due, tile: plain(tileOf(row)) });
  }
  for (let row = end; row < end + 2 * rowsOfKeep; row++) {
    expect(tables.nonces.has(`kid ${row}`)).toBe(false);
    expect(tables.hoursOf('p').get(row)).toBeUndefined();
    expect(tables.emissionsOf('p').get(row)).toBeUndefined();
    expect(tables.factorRows.get(row)).toBeUndefined();
    expect(tables.ranges.get(row)).toBeUndefined();
    expect(tables.offers.has(row) || tables.accepts.has(row)).toBe(false);
    expect(tables.placesOf('energy/p').has(row)).toBe(false);
    expect(tables.tilesOf(0).get(row)).toBeUndefined();
  }
  expect(tables.ranges.get(0)).toEqual(keeps === 0 ? undefined : rangeOf(keeps, 0));
  const replaced = plain(tables.tilesOf(replacedLevel).get(0));
  expect(replaced).toEqual(keeps === 0 ? undefined : plain(tileOf(keeps)));
}

const plain = (bytes: Uint8Array | undefined) => bytes && toHex(bytes);

/** Writes over rows of a store that nobody has open, as a bad disk might; its sums are none then. */
export async function spoilRows(folder: string, keys: readonly string[]): Promise<void> {
  const database = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' });
  for (const key of keys) await database.put(key, utf8('something else'));
  await database.close();
  rmSync(join(folder, 'sums.json'));
}
