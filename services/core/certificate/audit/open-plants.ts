import type { LogState } from '../state/state.ts';

/** A plant of whose messages more may come. */
export interface OpenPlant {
  readonly plant: string;
  /** Its batch files, and the leaves of its open hours, are not public (D3.3). */
  readonly isPrivate: boolean;
}

/** Messages of the last hour of a plant that has ended still come for a while. */
const afterEndS = 86_400;

/** At most `limit` plants, whose open hours an auditor may read ahead (D3.2). */
export function openPlantsOf(
  { plants, genesis, time }: Pick<LogState, 'plants' | 'genesis' | 'time'>,
  limit: number,
): OpenPlant[] {
  const open: OpenPlant[] = [];
  if (genesis?.closed !== undefined) return open;
  for (const [plant, { spec, meters }] of plants) {
    if (open.length === limit) break;
    const { disclosure, endsAt } = spec;
    const isOver = endsAt !== undefined && endsAt + afterEndS <= time;
    if (meters.length > 0 && !isOver) open.push({ plant, isPrivate: disclosure !== 'public' });
  }
  return open;
}
