import { Refused, within } from '../../errors.ts';
import { daySeconds } from '../calendar.ts';
import { factorKey, factorRowsLimit, factorSetShape } from './factor-set.ts';
import type { FactorRow, FactorSet } from './factor-set.ts';

/**
 * Emission factors out of a table that people keep (CSV, RFC 4180; the first line names the columns).
 * A wrong row names its line, and then nothing is loaded at all.
 */

/** The last two are optional: dates; by default a set is valid from its first year on, without an end. */
const columns = ['set', 'version', 'zone', 'scope', 'year', 'factor', 'unit', 'source'] as const;
const optionalColumns = ['validFrom', 'validTo'] as const;
type Column = (typeof columns)[number] | (typeof optionalColumns)[number];

/** Characters of a file, and of one line. */
export const csvLimit = 1_048_576;

interface Unit extends Pick<FactorRow, 'gas' | 'per'> {
  readonly mg: bigint;
}

/** By how a table writes it. */
const units: ReadonlyMap<string, Unit> = new Map(
  (['CO2', 'CO2e'] as const).flatMap((gas) =>
    (['kWh', 'L', 't'] as const).flatMap((per): [string, Unit][] => [
      [`kg${gas}/${per}`, { mg: 1_000_000n, gas, per }],
      [`g${gas}/${per}`, { mg: 1_000n, gas, per }],
      [`mg${gas}/${per}`, { mg: 1n, gas, per }],
    ]),
  ),
);

/**
 * The sets of a file, in the order of their first rows. Refused: `csv` for what is no such table,
 * `factor`, `unit`, `double`, `validity` or `form` for a wrong row; all but the first name a line.
 */
export function parseFactorCsv(text: string): readonly FactorSet[] {
  if (text.length > csvLimit) throw new Refused('csv', `longer than ${csvLimit} characters`);
  const [head, ...lines] = linesOf(text);
  if (head === undefined) throw new Refused('csv', 'an empty file');
  const places = placesOf(head.cells);
  const sets = new Map<string, Gathered>();
  for (const { line, cells } of lines) {
    within(`line ${line}`, () => {
      if (cells.length !== head.cells.length) {
        throw new Refused('csv', `${cells.length} cells under ${head.cells.length} names`);
      }
      gather(sets, (column) => cells[places.get(column) ?? -1] ?? '');
    });
  }
  if (sets.size === 0) throw new Refused('csv', 'no row');
  return [...sets.values()].map(({ rows, set, validity, version }) => ({
    rows,
    set,
    validity,
    version,
  }));
}

interface Gathered extends FactorSet {
  readonly rows: FactorRow[];
  readonly keys: Set<string>;
}

function gather(sets: Map<string, Gathered>, cell: (column: Column) => string): void {
  const [set, version] = [cell('set'), cell('version')];
  const row = rowOf(cell);
  const validity = validityOf(cell, row.year);
  const one = factorSetShape.parse({ rows: [row], set, validity, version });
  const found = sets.get(`${set} ${version}`) ?? { ...one, rows: [], keys: new Set<string>() };
  sets.set(`${set} ${version}`, found);
  if (validity.from !== found.validity.from || validity.to !== found.validity.to) {
    throw new Refused('validity', `another than that of the rows of ${set} ${version} before it`);
  }
  const key = factorKey(row);
  if (found.keys.has(key)) throw new Refused('double', `${set} ${version} has that row already`);
  if (found.rows.length === factorRowsLimit) {
    throw new Refused('csv', `${set} ${version} has more than ${factorRowsLimit} rows`);
  }
  found.keys.add(key);
  found.rows.push(row);
}

function rowOf(cell: (column: Column) => string): FactorRow {
  const unit = units.get(cell('unit'));
  if (unit === undefined) throw new Refused('unit', `${cell('unit')} is no unit of a factor`);
  return {
    gas: unit.gas,
    mg: milligrams(cell('factor'), unit.mg),
    per: unit.per,
    scope: cell('scope'),
    source: cell('source'),
    year: yearOf(cell('year')),
    zone: cell('zone'),
  };
}

/** A decimal number times `mg`, exactly: what is finer than a milligram is refused, not rounded. */
function milligrams(text: string, mg: bigint): number {
  const match = /^(0|[1-9][0-9]{0,11})(?:\.([0-9]{1,12}))?$/.exec(text);
  if (match === null) throw new Refused('factor', `${text} is no factor`);
  const [, whole = '0', fraction = ''] = match;
  const scale = 10n ** BigInt(fraction.length);
  const product = BigInt(whole + fraction) * mg;
  if (product % scale !== 0n) throw new Refused('factor', `${text} is finer than a milligram`);
  const value = Number(product / scale);
  if (!Number.isSafeInteger(value)) throw new Refused('factor', `${text} is beyond 2^53 mg`);
  return value;
}

function yearOf(text: string): number {
  if (!/^(19|[2-9][0-9])[0-9]{2}$/.test(text)) throw new Refused('form', `${text} is no year`);
  return Number(text);
}

function validityOf(cell: (column: Column) => string, year: number): FactorSet['validity'] {
  const [from, to] = [cell('validFrom'), cell('validTo')];
  const start = from === '' ? Math.max(0, Date.UTC(year, 0, 1) / 1000) : dayOf(from);
  if (to === '') return { from: start };
  // The last day is one of them.
  const end = dayOf(to) + daySeconds;
  if (end <= start) throw new Refused('validity', `${to} is before it begins`);
  return { from: start, to: end };
}

function dayOf(text: string): number {
  const ms = /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : NaN;
  // A 30 February is read as a day in March.
  if (!(ms >= 0) || new Date(ms).toISOString().slice(0, 10) !== text) {
    throw new Refused('validity', `${text} is no date`);
  }
  return ms / 1000;
}

function placesOf(names: readonly string[]): ReadonlyMap<Column, number> {
  const known: readonly string[] = [...columns, ...optionalColumns];
  const places = new Map<Column, number>();
  names.forEach((name, place) => {
    if (!known.includes(name)) throw new Refused('csv', `line 1: no column is called ${name}`);
    if (places.has(name as Column)) throw new Refused('csv', `line 1: ${name} twice`);
    places.set(name as Column, place);
  });
  const missing = columns.find((name) => !places.has(name));
  if (missing !== undefined) throw new Refused('csv', `line 1: no column ${missing}`);
  return places;
}

interface Line {
  /** From 1, as editors count: where the row begins. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** One cell from where the last ended: quoted, or up to the next comma or end of line. */
const cellPattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

function linesOf(text: string): readonly Line[] {
  const body = text.startsWith('\ufeff') ? text.slice(1) : text;
  const lines: Line[] = [];
  let [at, line] = [0, 1];
  while (at < body.length) {
    const cells: string[] = [];
    const begins = line;
    for (let separator = ','; separator === ',';) {
      cellPattern.lastIndex = at;
      const match = cellPattern.exec(body);
      if (match === null) throw new Refused('csv', `line ${line}: a quote that does not end`);
      const [all, quoted, plain = ''] = match;
      cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      separator = match[3] ?? '';
      at += all.length;
      line += all.split('\n').length - 1;
    }
    // An empty line, such as at the end of a file.
    if (cells.length > 1 || cells[0] !== '') lines.push({ line: begins, cells });
  }
  return lines;
}
