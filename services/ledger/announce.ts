import { specAs, type SpecOf } from '#core/certificate/kinds.ts';
import type { Range } from '#core/certificate/specs/parts.ts';
import { seriesOfPlant } from '#core/certificate/state/state.ts';
import { announce, type BareNews } from '#platform/news.ts';
import type { Sql } from '#platform/postgres.ts';
import type { Folded } from './projections.ts';

/**
 * Tells what entries say, in the transaction that sequences them, and only what is public in them. A
 * consumer that shows it as certified waits until its index is below the published size (D5, 7).
 */
export async function announceEntries(
  sql: Sql,
  folded: readonly Folded[],
  nowS: number,
): Promise<void> {
  const sealed: HourNews[] = [];
  const corrected: HourNews[] = [];
  const certificates: CertificateNews[] = [];
  for (const one of folded) {
    const { entry } = one.judgement;
    if (entry?.kind === 'hour') sealed.push(hourNews(one, specAs('hour', entry.spec)));
    if (entry?.kind === 'hour-correction') {
      corrected.push(hourNews(one, specAs('hour-correction', entry.spec)));
    }
    certificates.push(...certificateNews(one));
  }
  await announce(sql, 'hours.sealed', { news: sealed, nowS });
  await announce(sql, 'hours.corrected', { news: corrected, nowS });
  await announce(sql, 'certificates', { news: certificates, nowS });
}

type HourNews = BareNews<'hours.sealed'>;
type CertificateNews = BareNews<'certificates'>;
type HourSpec = SpecOf<'hour'>;
type CorrectionSpec = SpecOf<'hour-correction'>;

function hourNews({ judgement: { ref } }: Folded, spec: HourSpec | CorrectionSpec): HourNews {
  const { plant, interval } = spec;
  const place = { ...ref, plant, start: interval.start };
  if (!('generation' in spec)) return place;
  const { co2G, consumption, generation, messages, quality } = spec;
  return {
    ...place,
    generation,
    messages,
    quality,
    ...(co2G !== undefined && { co2G }),
    ...(consumption !== undefined && { consumption }),
  };
}

/** One piece of news for each series and change; an hour moves units of its own plant alone. */
function certificateNews({ judgement: { entry, ref } }: Folded): CertificateNews[] {
  switch (entry?.kind) {
    case 'hour': {
      const spec = specAs('hour', entry.spec);
      if (!('certificates' in spec)) return [];
      return changes(ref, spec.plant, { issued: present(spec.certificates.issued) });
    }
    case 'hour-correction': {
      const spec = specAs('hour-correction', entry.spec);
      if (!('certificates' in spec)) return [];
      const { issued, withdrawn } = spec.certificates;
      return changes(ref, spec.plant, { issued: present(issued), withdrawn });
    }
    case 'cancel': {
      const series = new Map<string, Range[]>();
      for (const { series: of, from, to } of specAs('cancel', entry.spec).items) {
        series.set(of, [...(series.get(of) ?? []), { from, to }]);
      }
      return [...series].flatMap(([of, cancelled]) =>
        changes(ref, of.slice(seriesOfPlant('').length), { cancelled }),
      );
    }
    default:
      return [];
  }
}

function present(range: Range | undefined): Range[] {
  return range === undefined ? [] : [range];
}

const everyChange = ['withdrawn', 'issued', 'cancelled'] as const;

/** Put together for what has moved alone: nearly every entry moves units in one way only. */
function changes(
  { index, leafHash }: Folded['judgement']['ref'],
  plant: string,
  moved: Partial<Record<CertificateNews['change'], readonly Range[]>>,
): CertificateNews[] {
  return everyChange.flatMap((change) => {
    const ranges = moved[change];
    if (ranges === undefined || ranges.length === 0) return [];
    return [{ index, leafHash, change, plant, series: seriesOfPlant(plant), ranges }];
  });
}
