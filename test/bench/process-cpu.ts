import { readdirSync, readFileSync } from 'node:fs';
import type { Sql } from '#platform/postgres.ts';

/** Linux counts in hundredths of a second, whatever its own clock ticks at (proc(5)). */
const msPerTick = 10;

/** Milliseconds of CPU that a server has used, with all that it has started; undefined where nobody can tell. */
export type ServerCpu = () => number | undefined;

/** Of a PostgreSQL on this machine, whose postmaster is the parent of every backend. */
export async function postgresCpu(sql: Sql): Promise<ServerCpu> {
  const { pid } = await sql.row<{ pid: number }>('select pg_backend_pid() as pid');
  const postmaster = statOf(pid);
  if (postmaster?.name !== 'postgres') return () => undefined;
  return () => {
    const own = statOf(postmaster.parent);
    if (own === undefined) return undefined;
    const children = readdirSync('/proc')
      .filter((name) => /^[0-9]+$/.test(name))
      .map((name) => statOf(Number(name)))
      .filter((stat) => stat?.parent === postmaster.parent);
    const ticks = children.reduce((sum, stat) => sum + (stat?.ownTicks ?? 0), own.ownTicks);
    return (ticks + own.endedTicks) * msPerTick;
  };
}

interface Stat {
  readonly name: string;
  readonly parent: number;
  readonly ownTicks: number;
  /** Of children that have ended. */
  readonly endedTicks: number;
}

function statOf(pid: number): Stat | undefined {
  let line: string;
  try {
    line = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // No such process, or no such folder.
  }
  const [, name = '', rest = ''] = /^[0-9]+ \((.*)\) (.*)$/s.exec(line) ?? [];
  // From the third field of proc(5) on.
  const fields = rest.split(' ').map(Number);
  const at = (field: number): number => fields[field - 3] ?? 0;
  return { name, parent: at(4), ownTicks: at(14) + at(15), endedTicks: at(16) + at(17) };
}
