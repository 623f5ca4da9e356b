import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { extending, informing } from '#core/energy/validation/findings.ts';
import {
  defaultThresholds,
  thresholdsOf,
  thresholdTexts,
  validationShape,
} from '#core/energy/validation/thresholds.ts';
import { verdicts } from '#core/energy/verdicts.ts';
import { formatsPage } from '#support/formats-page.ts';

/** The rows of the table under a head that begins so, cells trimmed. */
function table(head: string): string[][] {
  const lines = readFileSync(formatsPage, 'utf8').split('\n');
  const first = lines.findIndex((line) => line.startsWith(`| ${head}`));
  const end = lines.findIndex((line, i) => i > first && !line.startsWith('|'));
  return lines.slice(first + 2, end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

interface Bounds {
  readonly minimum: number;
  readonly maximum: number;
}

const names = Object.keys(defaultThresholds) as (keyof typeof defaultThresholds)[];
const properties = validationShape.schema.properties as Readonly<Record<string, Bounds>>;
const shown = (value: number): string =>
  value === Number.MAX_SAFE_INTEGER ? '' : value.toLocaleString('en');

it('lists every threshold with its unit, bounds and default, as the code has them', () => {
  expect(Object.keys(properties)).toEqual(names);
  expect(table('threshold')).toEqual(
    names.map((name) => {
      const { minimum = Number.NaN, maximum = Number.NaN } = properties[name] ?? {};
      const { unit, text } = thresholdTexts[name];
      const value = defaultThresholds[name];
      return [`\`${name}\``, unit, shown(minimum), shown(maximum), shown(value), text];
    }),
  );
});

it('lists the eleven rules of the design, with their codes in and beside the record', () => {
  const rules = table('rule of D4.2');
  expect(rules).toHaveLength(11);
  const codes = (cell: string | undefined): string[] => (cell ?? '').match(/\w+/g) ?? [];
  const inRecord = rules.flatMap(([, , cell]) => codes(cell));
  for (const code of inRecord) expect(verdicts).toHaveProperty(code);
  const beside = rules.flatMap(([, code, , else_]) => (else_ === '' ? [] : codes(code)));
  expect(beside.sort()).toEqual([...Object.keys(informing), ...Object.keys(extending)].sort());
});

it('takes those of the rules, and the default of each that they leave out', () => {
  for (const name of names) validationShape.parse({ [name]: defaultThresholds[name] });
  expect(thresholdsOf(undefined)).toEqual(defaultThresholds);
  expect(thresholdsOf({ gapS: 60 })).toEqual({ ...defaultThresholds, gapS: 60 });
  expect(() => validationShape.parse({ gapS: 0 })).toThrow('gapS');
  expect(() => validationShape.parse({ gap: 60 })).toThrow('unknown member gap');
});
