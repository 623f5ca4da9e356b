import type { Command } from 'commander';
import type { Terminal } from '#platform/terminal.ts';
import type { EmissionReportOptions } from './emission-report.ts';
import type { RegisterOptions } from './entering.ts';

type Done = (code: number) => void;

const where = '--data <folder>';
const whereHelp = 'the data folder of the installation';

/** Emission factors, and what plants emitted. */
export function addEmissions(program: Command, to: Terminal, done: Done): void {
  const factors = program.command('factors').description('emission factors in the log');
  factors
    .command('load')
    .description('enter the sets of a table; a wrong row names its line, and nothing is loaded')
    .argument(
      '<csv>',
      'columns set, version, zone, scope, year, factor, unit, source; validFrom, validTo',
    )
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { loadFactors } = await import('./factors.ts');
      done(await loadFactors(file, options, to));
    });
  factors
    .command('list')
    .description('the sets that are in the log')
    .requiredOption(where, whereHelp)
    .option('--json', 'one JSON line for each set, with its factors')
    .action(async (options: RegisterOptions & { readonly json?: boolean }) => {
      const { showFactors } = await import('./factors.ts');
      done(await showFactors(options, to));
    });
  program
    .command('emissions')
    .description('how the emissions of plants are known')
    .command('set')
    .description('enter new rules: the file says of which plants there are records, and how')
    .argument('<file>', 'JSON: a list of what FORMATS.md calls emissionRule, a plant each')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { setEmissionRules } = await import('./emission-rules.ts');
      done(await setEmissionRules(file, options, to));
    });
  program
    .command('report')
    .description('figures that anybody recomputes from the log')
    .command('emissions')
    .description('what a plant emitted, hour by hour, and how each figure is known')
    .requiredOption(where, whereHelp)
    .requiredOption('--plant <id>', 'which plant')
    .requiredOption('--period <date>', 'a year, month or day: 2026, 2026-03, 2026-03-29')
    .option('--time-zone <name>', 'whose days and months', 'UTC')
    .option('--format <name>', 'json or csv', 'json')
    .option('--out <file>', 'where it goes; by default standard output')
    .action(async (options: EmissionReportOptions) => {
      const { reportEmissions } = await import('./emission-report.ts');
      done(await reportEmissions(options, to));
    });
}
