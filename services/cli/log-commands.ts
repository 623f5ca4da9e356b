import type { Command } from 'commander';
import type { Terminal } from '#platform/terminal.ts';
import type { AuditFlags } from './log.ts';

type Done = (code: number) => void;

/** What anybody may do with the published files of a log, and what its operator does with them. */
export function addLog(program: Command, to: Terminal, done: Done): void {
  addLogFiles(program, to, done);
  addMonitor(program, to, done);
}

function addLogFiles(program: Command, to: Terminal, done: Done): void {
  const log = program.command('log').description('the transparency log');
  log
    .command('audit')
    .description('recompute every root and every hour, replay every rule, from files alone')
    .requiredOption('--data <folder>', 'a data folder, or an exported log')
    .option('--messages', "check every meter's signature as well")
    .option('--policy <file>', 'whom you trust: the checkpoint must have their quorum')
    .option('--json', 'machine-readable result')
    .action(async (options: AuditFlags) => {
      const { auditLog } = await import('./log.ts');
      done(await auditLog(options, to));
    });
  log
    .command('serve')
    .description('serve the static files over HTTP: for auditors, witnesses and monitors')
    .requiredOption('--data <folder>', 'a data folder, or an exported log')
    .option('--listen <host:port>', 'where', '127.0.0.1:7381')
    .option('--policy <file>', 'its auditing witnesses may read what is not public')
    .action(async (options: { data: string; listen: string; policy?: string }) => {
      const { serveLog } = await import('./log-serve.ts');
      done(await serveLog(options, to));
    });
  log
    .command('freeze')
    .description('close a log for ever, with a checkpoint that every witness has cosigned')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .requiredOption('--reason <text>', 'why, for those who read it later')
    .option('--next <origin>', 'the log that goes on')
    .action(async (options: { data: string; reason: string; next?: string }) => {
      const { freezeLog } = await import('./log-freeze.ts');
      done(await freezeLog(options, to));
    });
  log
    .command('export')
    .description('copy the published log, for an archive or an auditor')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .requiredOption('--to <folder>', 'a new or an empty folder')
    .action(async (options: { data: string; to: string }) => {
      const { exportLog } = await import('./log.ts');
      done(await exportLog(options, to));
    });
}

interface MonitorFlags {
  readonly log: string;
  readonly policy: string;
  readonly store: string;
  readonly every: string;
  readonly staleAfter: string;
  readonly once?: boolean;
}

function addMonitor(program: Command, to: Terminal, done: Done): void {
  program
    .command('monitor')
    .description('follow a log and its witnesses, and keep evidence when it is not one history')
    .requiredOption('--log <url>', "where the log's files are served")
    .requiredOption('--policy <file>', 'whom you trust: a C2SP tlog-policy file')
    .requiredOption('--store <folder>', "this monitor's own folder; goes on from there")
    .option('--every <duration>', 'between two rounds', '30s')
    .option(
      '--stale-after <duration>',
      'call a log silent that shows nothing new for so long',
      '25h',
    )
    .option('--once', 'one round, then end')
    .addHelpText(
      'after',
      '\nEnds with 0 nothing wrong, 1 two signed states contradict each other (evidence is in the store),' +
        '\n2 usage, 3 no answer or unusable input, 4 something is not as it should be.',
    )
    .action(async (flags: MonitorFlags) => {
      const { monitor } = await import('./monitor.ts');
      const { parseDuration } = await import('#devices/fault-plan.ts');
      const { log, policy, store, once = false } = flags;
      const everyS = parseDuration(flags.every);
      const staleAfterS = parseDuration(flags.staleAfter);
      done(await monitor({ log, policy, store, everyS, staleAfterS, once }, to));
    });
}
