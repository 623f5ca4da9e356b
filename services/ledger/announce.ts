import { specAs, type SpecOf } from '#core/certificate/kinds.ts';
import type { Range } from '#core/certificate/specs/parts.ts';
import { seriesOfPlant } from '#core/certificate/state/state.ts';
import { announce, newsRangesLimit, type BareNews } from '#platform/news.ts';
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

/** What an entry of a kind does to units that it does not issue. */
const changeOf: Readonly<Record<string, CertificateNews['change']>> = {
  accept: 'accepted',
  cancel: 'cancelled',
  'hour-correction': 'withdrawn',
  lock: 'locked',
  offer: 'offered',
  refuse: 'refused',
  settle: 'settled',
  unlock: 'unlocked',
  withdraw: 'withdrawn',
};

/** One piece of news for each series and change, of no more ranges than it may have. */
function certificateNews({ judgement: { entry, ref, moved = [] } }: Folded): CertificateNews[] {
  const { index, leafHash } = ref;
  // What is gone is told before what came.
  const ordered = moved.toSorted((a, b) => Number(a.isIssue) - Number(b.isIssue));
  return ordered.flatMap(({ series, ranges, isIssue }) => {
    const change = isIssue ? 'issued' : changeOf[entry?.kind ?? ''];
    if (change === undefined) return [];
    const plant = series.slice(seriesOfPlant('').length);
    return inParts(ranges).map((part) => ({
      ...{ index, leafHash, change, plant, series },
      ranges: part,
    }));
  });
}

function inParts(ranges: readonly Range[]): (readonly Range[])[] {
  const count = Math.ceil(ranges.length / newsRangesLimit);
  return Array.from({ length: count }, (_, i) =>
    ranges.slice(i * newsRangesLimit, (i + 1) * newsRangesLimit),
  );
}
