import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { toHex, utf8 } from '#core/bytes.ts';
import { areTablesWhole, crc32c, isTableWhole } from '#platform/state-blocks.ts';

const root = mkdtempSync(join(tmpdir(), 'hourseal-blocks-'));
afterAll(() => {
  rmSync(root, { recursive: true });
});

const footerBytes = 48;
const magicBytes = 8;

describe('CRC-32C', () => {
  it.each([
    ['of 32 zeros', new Uint8Array(32), 0x8a9136aa],
    ['of 32 ones', new Uint8Array(32).fill(255), 0x62a8ab43],
    ['ascending', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ['descending', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ['of nine digits, anywhere in a buffer', utf8('0123456789').subarray(1), 0xe3069283],
    ['of nothing', new Uint8Array(0), 0],
  ])('is that of RFC 3720, B.4 (%s)', (_of, bytes, crc) => {
    expect(crc32c(bytes)).toBe(crc);
  });
});

/** Writes rows into a database of their own and says where its tables are. */
async function tablesOf(name: string, rows: Iterable<readonly [string, Uint8Array]>) {
  const folder = join(root, name);
  const database = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' });
  await database.open();
  const batch = database.batch();
  for (const [key, row] of rows) batch.put(key, row);
  await batch.write();
  await database.compactRange('', '\uffff');
  await database.close();
  const paths = readdirSync(folder)
    .filter((file) => file.endsWith('.ldb'))
    .map((file) => join(folder, file));
  return { folder, paths };
}

const noise = (i: number): Uint8Array => sha256(utf8(`row ${i}`));
const numbered = (count: number, row: (i: number) => Uint8Array) =>
  Array.from({ length: count }, (_, i) => [`key ${i}`, row(i)] as const);

/** Of two kinds: that can be packed, far beyond what one reference reaches, and that can hardly be. */
const long = (i: number): Uint8Array =>
  utf8(i % 2 === 0 ? 'the same again, '.repeat(9000) : toHex(noise(i)).repeat(1 + i * 50));

describe('the tables of a database', () => {
  it.each([
    ['with rows that cannot be packed', numbered(5000, noise), 1],
    // Its index is packed too.
    ['with rows that can', numbered(60_000, (i) => utf8(`{"row":${i},"of":"a plant"}`)), 1],
    ['with long ones of both kinds', numbered(40, long), 1],
    ['with a single row', numbered(1, noise), 1],
  ])('%s are whole', async (name, rows, least) => {
    const { folder, paths } = await tablesOf(name, rows);
    expect(paths.length).toBeGreaterThanOrEqual(least);
    for (const path of paths) expect(isTableWhole(readFileSync(path))).toBe(true);
    expect(await areTablesWhole(folder)).toBe(true);
  });

  describe('with a bit of them changed', () => {
    let path: string;
    let folder: string;
    beforeAll(async () => {
      const rows = numbered(600, (i) => (i % 3 === 0 ? noise(i) : utf8(`a row, the ${i}th`)));
      const found = await tablesOf('damaged', rows);
      folder = found.folder;
      expect(found.paths.length).toBe(1);
      [path = ''] = found.paths;
    });

    it('are told, wherever it is', () => {
      const table = readFileSync(path);
      const footerAt = table.length - footerBytes;
      for (let at = 0; at < footerAt; at++) {
        table[at] = (table[at] ?? 0) ^ (1 << (at & 7));
        if (isTableWhole(table)) throw new Error(`byte ${at} of ${footerAt}`);
        table[at] = (table[at] ?? 0) ^ (1 << (at & 7));
      }
      expect(isTableWhole(table)).toBe(true);
    });

    it('in what leads to the blocks are told, or it leads there all the same', () => {
      const table = readFileSync(path);
      const told = new Set<boolean>();
      for (let bit = 0; bit < (footerBytes - magicBytes) * 8; bit++) {
        const changed = Uint8Array.from(table);
        const at = table.length - footerBytes + (bit >> 3);
        changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7));
        told.add(isTableWhole(changed));
      }
      // What comes behind the two places means nothing.
      expect(told).toEqual(new Set([true, false]));
    });

    it('so that they do not end as tables do are left to the database, which refuses them', async () => {
      const table = readFileSync(path);
      for (const length of [0, 1, magicBytes, footerBytes, table.length - 1]) {
        expect(isTableWhole(table.subarray(0, length))).toBe(true);
      }
      expect(isTableWhole(table.map((byte, i) => (i === table.length - 1 ? byte ^ 1 : byte)))).toBe(
        true,
      );
      writeFileSync(path, table.subarray(0, -1));
      const database = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view' });
      await database.open();
      await expect(database.get('key 7')).rejects.toThrow();
      await database.close();
      writeFileSync(path, table);
    });

    it('are told of the folder', async () => {
      const table = readFileSync(path);
      writeFileSync(
        path,
        table.map((byte, i) => (i === 99 ? byte ^ 1 : byte)),
      );
      expect(await areTablesWhole(folder)).toBe(false);
      writeFileSync(path, table);
      expect(await areTablesWhole(folder)).toBe(true);
    });
  });
});
