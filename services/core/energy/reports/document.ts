import { canonicalBytes } from '../../jcs.ts';
import { hashHex, id, instant, integer, object, origin, text, type Infer } from '../../shape.ts';
import type { AnnualShare } from './annual-share.ts';
import type { CancellationFigures } from './cancellation.ts';
import type { Cell, Table } from './csv.ts';
import type { EmissionFigures } from './emissions.ts';
import type { GecLots } from './gec-lots.ts';
import type { ScoreOfPeriod } from './matched-hours.ts';
import type { FactorVersion, Scope2 } from './scope2.ts';
import type { GridScore, MatchedHour, Score } from './score.ts';

/** What a report is of, and what it was computed from: whoever has that log gets the same bytes. */
export const headShape = object({
  account: id,
  /** The state of the log that was read: nothing after `size` entries is in it. */
  log: object({ origin, root: hashHex, size: integer(1) }),
  /** Unix seconds, `to` not included. */
  period: object({ from: instant, to: instant }),
  timeZone: text(64),
});
export type ReportHead = Infer<typeof headShape>;

/** The figures of each kind of report. */
export interface Figures {
  readonly 'annual-share': AnnualShare;
  readonly cancellation: CancellationFigures;
  readonly emissions: EmissionFigures;
  readonly 'gec-lots': GecLots;
  readonly 'hourly-score': {
    readonly hours: readonly MatchedHour[];
    readonly months: readonly ScoreOfPeriod[];
    readonly total: Score;
    readonly withGrid?: GridScore;
  };
  readonly 'scope-2': { readonly annual: Scope2; readonly hourly: Scope2 };
}
export type ReportKind = keyof Figures;

export interface Report<Kind extends ReportKind = ReportKind> extends ReportHead {
  /** Every factor set that a figure rests on; empty where none does. */
  readonly factors: readonly FactorVersion[];
  readonly figures: Figures[Kind];
  readonly report: Kind;
  readonly v: 1;
}

export function reportOf<Kind extends ReportKind>(
  report: Kind,
  head: ReportHead,
  content: { readonly factors: readonly FactorVersion[]; readonly figures: Figures[Kind] },
): Report<Kind> {
  return { ...head, ...content, report, v: 1 };
}

/** A report's bytes: its JCS form, the same for the same input. */
export function reportBytes(report: Report): Uint8Array {
  return canonicalBytes(report);
}

/** One row for each item, one column for each name, in this order. */
function tableOf<Name extends string>(
  names: readonly Name[],
  items: readonly Readonly<Partial<Record<Name, Cell>>>[],
): Table {
  return { names, rows: items.map((item) => names.map((name) => item[name])) };
}

/** The rows of each kind of report; what the report says beside them is in its JSON alone. */
export const tableOfReport: {
  readonly [Kind in ReportKind]: (figures: Figures[Kind]) => Table;
} = {
  'annual-share': ({ exclusions }) =>
    tableOf(['market', 'series', 'procurement', 'reason', 'wh'], exclusions),
  cancellation: ({ units }) => tableOf(['series', 'from', 'to'], units),
  emissions: ({ hours }) =>
    tableOf(
      ['start', 'grams', 'method', 'tier', 'quality', 'validPpm', 'availabilityPpm', 'entry'],
      hours,
    ),
  'gec-lots': ({ lots }) =>
    tableOf(
      [
        'series',
        'month',
        'class',
        'gecs',
        'generatedWh',
        'carriedInWh',
        'carriedOutWh',
        'validUntil',
      ],
      lots,
    ),
  'hourly-score': ({ hours }) => tableOf(['zone', 'hour', 'consumptionWh', 'matchedWh'], hours),
  'scope-2': ({ annual, hourly }) =>
    tableOf(
      ['matching', 'consumptionWh', 'matchedWh', 'locationBasedG', 'marketBasedG'],
      [
        { ...row(annual), matching: 'annual' },
        { ...row(hourly), matching: 'hourly' },
      ],
    ),
};

function row({ consumptionWh, locationBasedG, marketBasedG, matchedWh }: Scope2) {
  return { consumptionWh, locationBasedG, marketBasedG, matchedWh };
}
