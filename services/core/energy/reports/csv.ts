import { utf8 } from '../../bytes.ts';

/** Numbers are written as such; everything else is text. Absent is an empty cell. */
export type Cell = number | string | undefined;

/** As many cells in each row as there are names. */
export interface Table {
  readonly names: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/**
 * What makes a spreadsheet take a text for a formula, also after blanks and in its full-width form, and
 * what some programs drop before they look (OWASP, CSV injection).
 */
const formula = /^[ \u00a0\u3000]*[=+\-@\t\r\n＝＋－＠]/u;
const special = /[",\r\n]/;

/**
 * A table as CSV (RFC 4180): a line of names, CRLF after each line, UTF-8 without a byte order mark. The
 * same rows give the same bytes. No text can start a formula: an apostrophe is put before it.
 */
export function csvBytes({ names, rows }: Table): Uint8Array {
  const lines = [names.map(cellText).join(',')];
  for (const row of rows) {
    if (row.length !== names.length) {
      throw new RangeError(`csvBytes: ${row.length} cells under ${names.length} names`);
    }
    lines.push(row.map(cellText).join(','));
  }
  return utf8(`${lines.join('\r\n')}\r\n`);
}

function cellText(cell: Cell): string {
  if (cell === undefined) return '';
  if (typeof cell === 'number') {
    if (!Number.isSafeInteger(cell)) throw new RangeError(`csvBytes: ${cell} is not an integer`);
    return String(cell);
  }
  const text = formula.test(cell) ? `'${cell}` : cell;
  return special.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
