import type { FleetPlant } from '#devices/fleet.ts';
import type { Pool } from '#platform/postgres.ts';
import type { DemoProgress, PlantProgress } from './progress.ts';

/** Reads what the demo shows from the database that the services write. */
export interface DemoFigures {
  readonly read: (now: {
    readonly nowS: number;
    readonly proofFiles: number;
  }) => Promise<DemoProgress>;
  /** Counts a message that the broker did not take: it is in no table. */
  readonly turnedAway: () => void;
}

/** What is sealed, and of it as certified only what is published, which has its quorum (D3.4). */
const plantsSql = `
  with latest as (
    select distinct on (plant_id, start) plant_id, start, generation_wh, quality
      from hour_value order by plant_id, start, version desc
  ), published as (
    select distinct on (plant_id, start) plant_id, start, certified_wh
      from hour_value where entry_index < (select published_size from checkpoint)
      order by plant_id, start, version desc
  ), per_plant as (
    select plant_id, count(*) as hours, count(*) filter (where quality = 'disputed') as disputed,
           max(start) as last
      from latest group by plant_id
  ), certified as (
    select plant_id, sum(certified_wh)::bigint as certified from published group by plant_id
  )
  select plant, p.hours, p.disputed, coalesce(c.certified, 0) as certified, l.quality,
         l.generation_wh
    from per_plant p
    left join certified c using (plant_id)
    join plant using (plant_id)
    join latest l on l.plant_id = p.plant_id and l.start = p.last`;

const refusedSql = `
  select code, count(*)::bigint as count from message where code is not null group by code
  union all select code, count(*)::bigint from quarantine group by code
  union all select 'fork', count(*)::bigint from fork having count(*) > 0`;

const totalsSql = `
  select (select count(*) from message where code is null) as messages,
         (select next_index from log_state) as tree_size`;

interface PlantRow {
  readonly plant: string;
  readonly hours: number;
  readonly disputed: number;
  readonly certified: number;
  readonly quality: string;
  readonly generation_wh: number;
}

export function createDemoFigures(pool: Pool, plants: readonly FleetPlant[]): DemoFigures {
  let before = { atMs: performance.now(), messages: 0 };
  let messagesPerS = 0;
  let turnedAway = 0;
  return {
    turnedAway: () => {
      turnedAway++;
    },
    async read({ nowS, proofFiles }) {
      const rows = await pool.rows<PlantRow>(plantsSql);
      const refused = await pool.rows<{ code: string; count: number }>(refusedSql);
      const totals = await pool.row<{ messages: number; tree_size: number }>(totalsSql);
      const atMs = performance.now();
      if (before.messages > 0 && atMs > before.atMs) {
        messagesPerS = (1000 * (totals.messages - before.messages)) / (atMs - before.atMs);
      }
      before = { atMs, messages: totals.messages };
      const byCode = new Map<string, number>();
      for (const { code, count } of refused) byCode.set(code, (byCode.get(code) ?? 0) + count);
      if (turnedAway > 0) byCode.set('topic', (byCode.get('topic') ?? 0) + turnedAway);
      return {
        nowS,
        proofFiles,
        plants: plants.map((plant) => plantProgress(plant, rows)),
        messages: totals.messages,
        messagesPerS,
        sealedHours: rows.reduce((sum, { hours }) => sum + hours, 0),
        disputedHours: rows.reduce((sum, { disputed }) => sum + disputed, 0),
        certifiedWh: rows.reduce((sum, { certified }) => sum + certified, 0),
        treeSize: totals.tree_size,
        refused: byCode,
        notes: [],
      };
    },
  };
}

function plantProgress(plant: FleetPlant, rows: readonly PlantRow[]): PlantProgress {
  const row = rows.find((candidate) => candidate.plant === plant.id);
  const { name, source } = plant;
  if (row === undefined) return { name, source, sealedHours: 0, last: undefined, certifiedWh: 0 };
  const isPublic = plant.type === 'production';
  return {
    name,
    source,
    sealedHours: row.hours,
    last: {
      state: isPublic ? row.quality : 'committed',
      energyWh: isPublic ? row.generation_wh : undefined,
    },
    certifiedWh: row.certified,
  };
}
