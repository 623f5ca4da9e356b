import { Command, CommanderError } from 'commander';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { addCertificates } from './certificate-commands.ts';
import { addEmissions } from './emission-commands.ts';
import { addInstallation } from './installation-commands.ts';
import { addKafka } from './kafka-commands.ts';
import { addLog } from './log-commands.ts';
import { markThumbprints } from './thumbprint.ts';
import { addConsortium } from './witness-commands.ts';

/**
 * What the command line asks for; resolves to the exit code. Each subcommand loads its own module, so
 * that checking a certificate needs nothing of the database or the broker, and starts quickly.
 */
export async function run(args: readonly string[], to: Terminal): Promise<number> {
  let code: number = exitCodes.verified;
  const program = describeCommands(to, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(markThumbprints(args), { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, to);
  }
}

/** One line for people; a stack only for what is our own fault. */
function explain(error: unknown, to: Terminal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.usage;
  if (error instanceof Refused || error instanceof Failed) {
    to.err(`hourseal: ${error.message}\n`);
    return exitCodes.unreadable;
  }
  if (error instanceof Fatal) {
    to.err(`hourseal: stopped, because the stored state cannot be trusted: ${error.message}\n`);
    return exitCodes.failed;
  }
  to.err(`hourseal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return exitCodes.failed;
}

function describeCommands(to: Terminal, done: (code: number) => void): Command {
  const program = new Command('hourseal')
    .description(
      'Signed meter readings become hourly green-energy certificates that anyone can check offline.',
    )
    .exitOverride()
    .configureOutput({ writeOut: to.out, writeErr: to.err });
  addVerify(program, to, done);
  addInstallation(program, to, done);
  addLog(program, to, done);
  addCertificates(program, to, done);
  addEmissions(program, to, done);
  addConsortium(program, to, done);
  addKafka(program, to, done);
  return program;
}

type Done = (code: number) => void;

function addVerify(program: Command, to: Terminal, done: Done): void {
  program
    .command('verify')
    .description('check certificates, and evidence of misbehaviour, offline, in named steps')
    .argument('<file...>', 'proof files (*.hourseal.json), evidence (*.hourseal-evidence.json)')
    .option('--policy <file>', 'whom you trust: a C2SP tlog-policy file')
    .option('--json', 'one JSON line for each file')
    .addHelpText(
      'after',
      '\nEnds with 0 verified, 1 failed, 2 usage, 3 cannot read, 4 nothing failed but not all decided.' +
        '\nFor evidence 0 means that it is proved, 1 that it proves nothing.',
    )
    .action(async (files: string[], options: { policy?: string; json?: boolean }) => {
      const { verifyFiles } = await import('./verify.ts');
      done(await verifyFiles(files, options, to));
    });
}
