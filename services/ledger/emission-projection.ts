import { emissionRuleOf, isOpenRecord } from '#core/certificate/emission-record.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { specAs } from '#core/certificate/kinds.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import { Fatal } from '#core/errors.ts';
import type { Sql } from '#platform/postgres.ts';
import { insertDay, insertFactors, touchDays } from './emission-store.ts';
import { readPlantIds } from './register-store.ts';

/**
 * What entries say of emissions, and which days they bear upon, in the transaction that sequences them.
 * `state` is that after the last of them.
 */
export async function projectEmissions(
  sql: Sql,
  state: LogState,
  judgements: readonly Judgement[],
): Promise<void> {
  const concerned = judgements.filter((judgement) => isConcerned(state, judgement));
  if (concerned.length === 0) return;
  const plants = new Set(concerned.flatMap((judgement) => plantOf(judgement) ?? []));
  const ids = await readPlantIds(sql, [...plants]);
  const idOf = (plant: string): number => {
    const id = ids.get(plant);
    if (id === undefined) throw new Fatal('register', `the register lacks the plant ${plant}`);
    return id;
  };
  for (const judgement of concerned) await projectOne(sql, judgement, { state, idOf });
}

/** Hours alone of plants that have records. */
function isConcerned(state: LogState, judgement: Judgement): boolean {
  switch (judgement.entry?.kind) {
    case 'factors':
    case 'emission':
    case 'emission-correction':
      return true;
    case 'hour':
    case 'hour-correction': {
      const plant = plantOf(judgement);
      return plant !== undefined && emissionRuleOf(state, plant) !== undefined;
    }
    default:
      return false;
  }
}

function plantOf({ entry }: Judgement): string | undefined {
  const { plant } = (entry?.spec ?? {}) as { readonly plant?: string };
  return plant;
}

async function projectOne(
  sql: Sql,
  { entry, ref: { index } }: Judgement,
  { state, idOf }: { state: LogState; idOf: (plant: string) => number },
): Promise<void> {
  switch (entry?.kind) {
    case 'factors':
      return insertFactors(sql, specAs('factors', entry.spec), index);
    case 'emission':
    case 'emission-correction': {
      const record = specAs(entry.kind, entry.spec);
      const isOpen = isOpenRecord(state, record);
      return insertDay(sql, record, {
        plantId: idOf(record.plant),
        index,
        time: entry.time,
        isOpen,
      });
    }
    case 'hour':
    case 'hour-correction': {
      const { plant, interval } = specAs(entry.kind, entry.spec);
      const hour = { plantId: idOf(plant), start: interval.start, index };
      return touchDays(sql, hour, { isCorrection: entry.kind === 'hour-correction' });
    }
    default:
      return;
  }
}
