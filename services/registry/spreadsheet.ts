import { unzipSync, zipSync } from 'fflate';
import writeWorkbook, { type Cell as SheetCell } from 'write-excel-file/node';
import type { Cell, Table } from '#core/energy/reports/csv.ts';

/** The first day that a ZIP file can name: it knows local time only, so this says it in any zone. */
const noTime = new Date(1980, 0, 1);
/** What a sheet holds (ECMA-376, as the programs that read it do). */
export const sheetRowsLimit = 1_048_576;
const cellCharacters = 32_767;
/** Beyond it a spreadsheet, which has doubles alone and shows 15 digits, would show another number. */
const exactDigits = 999_999_999_999_999;

/**
 * A table as XLSX, one sheet with its names in bold. The same table gives the same bytes: what the
 * library packs with the time of packing is packed again without. No text is taken for a formula, since
 * each is stored as a text; a number of more than 15 digits is one, too. RangeError for what no sheet
 * can hold.
 */
export async function spreadsheetOf(
  { names, rows }: Table,
  { sheet }: { readonly sheet: string },
): Promise<Uint8Array> {
  if (rows.length >= sheetRowsLimit) {
    throw new RangeError(`spreadsheetOf: ${rows.length} rows where a sheet has ${sheetRowsLimit}`);
  }
  const head = names.map((name) => ({ ...textCell(name), fontWeight: 'bold' as const }));
  const packed = await writeWorkbook([head, ...rows.map((row) => row.map(cellOf))], {
    sheet,
    stickyRowsCount: 1,
  }).toBuffer();
  return zipSync(unzipSync(packed), { mtime: noTime });
}

function cellOf(cell: Cell): SheetCell {
  if (cell === undefined) return null;
  if (typeof cell === 'string') return textCell(cell);
  if (!Number.isSafeInteger(cell)) throw new RangeError(`spreadsheetOf: ${cell} is no integer`);
  if (Math.abs(cell) > exactDigits) return textCell(String(cell));
  return { type: Number, value: cell };
}

function textCell(value: string): { readonly type: typeof String; readonly value: string } {
  if (value.length > cellCharacters) {
    throw new RangeError(`spreadsheetOf: ${value.length} characters in one cell`);
  }
  return { type: String, value };
}
