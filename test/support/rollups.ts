import type { Pool } from '#platform/postgres.ts';
import type { AnyEngine } from './postgres.ts';

const refreshJobsSql = `
  select job_id from timescaledb_information.jobs
   where proc_name = 'policy_refresh_continuous_aggregate' order by job_id`;

export function isTimescale(engine: AnyEngine): boolean {
  return engine === 'timescale' || engine === 'timescale-server';
}

/** Runs the refresh policies, as TimescaleDB does by itself every few minutes, of the last 45 days. */
export async function runRefreshPolicies(pool: Pool): Promise<void> {
  for (const { job_id } of await pool.rows<{ job_id: number }>(refreshJobsSql)) {
    await pool.run(`call run_job(${job_id})`);
  }
}

/** What a test's clock calls now the policies take for months ago. */
export async function refreshEverything(pool: Pool): Promise<void> {
  for (const view of ['reading_15m', 'reading_1h', 'reading_1d']) {
    await pool.run(`call refresh_continuous_aggregate('${view}', null, null)`);
  }
}

/** Runs a policy of the hypertable `reading`: `policy_compression` or `policy_retention`. */
export async function runPolicy(pool: Pool, procedure: string): Promise<void> {
  const { job_id } = await pool.row<{ job_id: number }>(
    `select job_id from timescaledb_information.jobs
      where hypertable_name = 'reading' and proc_name = $1`,
    [procedure],
  );
  await pool.run(`call run_job(${job_id})`);
}
