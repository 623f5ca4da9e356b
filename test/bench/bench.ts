import { parseArgs } from 'node:util';
import { cpus } from 'node:os';
import { scales, type Bench, type Figure, type Scale } from './figure.ts';

const benches: Readonly<Record<string, () => Promise<{ readonly bench: Bench }>>> = {
  ingest: () => import('./ingest.ts'),
  'ingest-growth': () => import('./ingest-growth.ts'),
  external: () => import('./ingest-external.ts'),
  ledger: () => import('./ledger.ts'),
  // Parts of `ledger`.
  append: async () => ({ bench: (await import('./ledger.ts')).append }),
  seal: async () => ({ bench: (await import('./ledger.ts')).seal }),
  audit: async () => ({ bench: (await import('./ledger.ts')).audit }),
  cosign: async () => ({ bench: (await import('./ledger.ts')).cosign }),
  memory: () => import('./memory.ts'),
};
const all = ['ingest', 'ingest-growth', 'ledger'];

/**
 * `npm run bench -- NAME [--scale s|m|l]`: one JSON line a figure on standard output. A benchmark
 * tells, it does not judge: the exit code is 0 whether or not a bar is met, and 2 only for a name or
 * scale that does not exist.
 */
async function main(): Promise<void> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { scale: { type: 'string', default: 's' } },
  });
  const scale = scales.find((known) => known === values.scale);
  const wanted = positionals.length === 0 ? all : positionals;
  const unknown = wanted.find((name) => !Object.hasOwn(benches, name));
  if (unknown !== undefined || scale === undefined) {
    const names = Object.keys(benches).join(', ');
    console.error(`usage: bench [NAME…] [--scale ${scales.join('|')}]; names: ${names}`);
    process.exitCode = 2;
    return;
  }
  for (const name of wanted) {
    const load = benches[name];
    if (load === undefined) continue;
    const { bench } = await load();
    await bench({
      scale,
      report: (figure) => {
        console.log(JSON.stringify(lineOf(name, scale, figure)));
      },
    });
  }
}

function lineOf(bench: string, scale: Scale, figure: Figure): Record<string, unknown> {
  const { value, limit } = figure;
  const round = (x: number): number => Number(x.toPrecision(4));
  return {
    bench,
    case: figure.case,
    value: round(value),
    unit: figure.unit,
    limit: limit === undefined ? null : round(limit),
    ratio: limit === undefined ? null : round(value / limit),
    bar: figure.bar ?? null,
    engine: figure.engine,
    cpus: cpus().length,
    scale,
  };
}

await main();
