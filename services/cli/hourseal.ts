import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { Failed, Fatal, Refused } from '#core/errors.ts';
import { createTerminal, exitCodes, type Terminal } from '#platform/terminal.ts';
import type { MeterKeyOptions } from './register.ts';

/**
 * The command `hourseal`. Each subcommand loads its own module, so that checking a certificate needs
 * nothing of the database or the broker, and starts quickly.
 */
const terminal = createTerminal(process.stdout, process.stderr, process.env);
process.exitCode = await run(process.argv.slice(2), terminal);

async function run(args: readonly string[], to: Terminal): Promise<number> {
  let code: number = exitCodes.verified;
  const program = describeCommands(to, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
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

function count(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || String(value) !== text) {
    throw new InvalidArgumentError('not a whole number from 1.');
  }
  return value;
}

function describeCommands(to: Terminal, done: (code: number) => void): Command {
  const program = new Command('hourseal')
    .description(
      'Signed meter readings become hourly green-energy certificates that anyone can check offline.',
    )
    .exitOverride()
    .configureOutput({ writeOut: to.out, writeErr: to.err });
  addVerify(program, to, done);
  addDemo(program, done);
  addInstallation(program, to, done);
  addProof(program, to, done);
  addRegister(program, to, done);
  addLog(program, to, done);
  return program;
}

type Done = (code: number) => void;

function addVerify(program: Command, to: Terminal, done: Done): void {
  program
    .command('verify')
    .description('check certificates offline, in nine named steps')
    .argument('<file...>', 'proof files (*.hourseal.json)')
    .option('--policy <file>', 'whom you trust: a C2SP tlog-policy file')
    .option('--json', 'one JSON line for each file')
    .addHelpText(
      'after',
      '\nEnds with 0 verified, 1 failed, 2 usage, 3 cannot read, 4 nothing failed but not all decided.',
    )
    .action(async (files: string[], options: { policy?: string; json?: boolean }) => {
      const { verifyFiles } = await import('./verify.ts');
      done(await verifyFiles(files, options, to));
    });
}

interface DemoFlags {
  readonly data: string;
  readonly hours?: number;
  readonly exit?: boolean;
  readonly seed: number;
  readonly pace?: number;
  readonly port: number;
  readonly tamper?: boolean;
  readonly replay?: boolean;
  readonly fork?: boolean;
  readonly registerReset?: boolean;
  readonly offline?: string;
  readonly clockDrift?: string;
}

function addDemo(program: Command, done: Done): void {
  program
    .command('demo')
    .description('six simulated plants, a broker, ingestion and a ledger in one process')
    .option('--data <folder>', 'where everything is kept; goes on from there', '.hourseal')
    .option('--hours <n>', 'simulated hours to run', count)
    .option('--exit', 'end when those hours are sealed')
    .option('--seed <n>', 'of the weather and the meters, for a new data folder', count, 1)
    .option('--pace <ms>', 'real time that a simulated hour takes at least', count)
    .option('--port <n>', 'of the MQTT broker on 127.0.0.1; 0 for any', Number, 0)
    .option('--tamper', 'alter a reading after it was signed')
    .option('--replay', "send an old message again, also on another meter's topic")
    .option('--fork', 'sign two different messages under one number')
    .option('--offline <duration>', 'a meter is cut off, such as 2h')
    .option('--clock-drift <duration>', "a meter's clock runs ahead, such as 5m")
    .option('--register-reset', "a meter's registers start again at 0")
    .action(async (flags: DemoFlags) => {
      const { runDemo } = await import('#standalone/demo.ts');
      const { parseDuration } = await import('#devices/fault-plan.ts');
      const { tamper, replay, fork, registerReset, offline, clockDrift } = flags;
      const faults = {
        ...(tamper === true && { tamper }),
        ...(replay === true && { replay }),
        ...(fork === true && { fork }),
        ...(registerReset === true && { registerReset }),
        ...(offline !== undefined && { offlineS: parseDuration(offline) }),
        ...(clockDrift !== undefined && { clockDriftS: parseDuration(clockDrift) }),
      };
      const options = {
        folder: flags.data,
        hours: flags.hours,
        exit: flags.exit === true,
        seed: flags.seed,
        paceMs: flags.pace,
        port: flags.port,
        databaseUrl: process.env.DATABASE_URL,
        faults,
      };
      done(await runDemo(options, process.stdout));
    });
}

function addInstallation(program: Command, to: Terminal, done: Done): void {
  program
    .command('init')
    .description('make a new installation: its folder, its keys, and the first entry of its log')
    .requiredOption('--data <folder>', 'a new or an empty folder')
    .requiredOption('--origin <name>', "the log's name for ever, such as log.example.org/hourseal")
    .action(async (options: { data: string; origin: string }) => {
      const { initInstallation } = await import('#standalone/init.ts');
      const { data: folder, origin } = options;
      await initInstallation({ folder, origin, databaseUrl: process.env.DATABASE_URL });
      to.out(`${folder}: keys and log of ${origin} made. Next: hourseal plant add\n`);
      done(exitCodes.verified);
    });
  program
    .command('serve')
    .description('run broker, ingestion and ledger of an installation; see the README for settings')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .action(async (options: { data: string }) => {
      const { serve } = await import('#standalone/serve.ts');
      done(await serve(options.data, process.env));
    });
}

function addProof(program: Command, to: Terminal, done: Done): void {
  program
    .command('proof')
    .description('write a proof file for every range of certificates that a checkpoint covers')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .action(async (options: { data: string }) => {
      const { writeProofs } = await import('./proof.ts');
      done(await writeProofs(options, to));
    });
}

function addRegister(program: Command, to: Terminal, done: Done): void {
  const where = '--data <folder>';
  const whereHelp = 'the data folder of the installation';
  const plant = program.command('plant').description('plants in the log');
  plant
    .command('add')
    .description('enter an account and its plant, from a JSON file')
    .argument('<file>', 'the plant, as FORMATS.md describes it')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: { data: string }) => {
      const { addPlant } = await import('./register.ts');
      done(await addPlant(file, options, to));
    });
  const meter = program.command('meter').description('meters in the log');
  meter
    .command('add')
    .description('enter a meter of a plant, from a JSON file')
    .argument('<file>', 'the meter, as FORMATS.md describes it')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: { data: string }) => {
      const { addMeter } = await import('./register.ts');
      done(await addMeter(file, options, to));
    });
  meter
    .command('key')
    .description("enter a meter's key, which proves that it is the meter's by signing once")
    .argument('<meter>', 'id of the meter')
    .requiredOption(where, whereHelp)
    .option('--private <pem>', 'a private key on this machine')
    .option('--public <pem>', 'a public key whose private one stays in the meter')
    .option('--request <file>', 'with --public: where to write what the meter must sign')
    .option('--signature <file>', 'with --request: the 64 bytes that the meter made of it')
    .option('--not-before <seconds>', 'Unix time from which the key signs; now by default', count)
    .action(async (id: string, options: MeterKeyOptions) => {
      const { addMeterKey } = await import('./register.ts');
      done(await addMeterKey(id, options, to));
    });
}

function addLog(program: Command, to: Terminal, done: Done): void {
  const log = program.command('log').description('the transparency log');
  log
    .command('audit')
    .description('recompute every root, replay every rule, check every message, from files alone')
    .requiredOption('--data <folder>', 'a data folder, or an exported log')
    .option('--json', 'machine-readable result')
    .action(async (options: { data: string; json?: boolean }) => {
      const { auditLog } = await import('./log.ts');
      done(await auditLog(options, to));
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
