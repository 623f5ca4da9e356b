import type { Command } from 'commander';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { addMeters, count } from './meter-commands.ts';

type Done = (code: number) => void;

/** What the operator of a log runs: the demo, an installation, and what is entered into it. */
export function addInstallation(program: Command, to: Terminal, done: Done): void {
  addDemo(program, done);
  addInit(program, to, done);
  addServe(program, done);
  addIngestion(program, done);
  addProof(program, to, done);
  addPlants(program, to, done);
  addMeters(program, to, done);
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

function addInit(program: Command, to: Terminal, done: Done): void {
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
}

function addServe(program: Command, done: Done): void {
  program
    .command('serve')
    .description('run broker, ingestion and ledger of an installation; see the README for settings')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .option(
      '--sign-without-witnesses',
      'your word that the disk was not rolled back to an old state',
    )
    .action(async (options: { data: string; signWithoutWitnesses?: boolean }) => {
      const { serve } = await import('#standalone/serve.ts');
      const { data, signWithoutWitnesses = false } = options;
      done(await serve(data, process.env, { signWithoutWitnesses }));
    });
}

function addIngestion(program: Command, done: Done): void {
  program
    .command('ingestion')
    .description('take messages from an external MQTT 5 broker; see the README for settings')
    .action(async () => {
      const { readIngestionConfig } = await import('#ingestion/config.ts');
      const { runIngestion } = await import('#ingestion/run.ts');
      done(await runIngestion(await readIngestionConfig(process.env)));
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

function addPlants(program: Command, to: Terminal, done: Done): void {
  const plant = program.command('plant').description('plants in the log');
  plant
    .command('add')
    .description('enter an account and its plant, from a JSON file')
    .argument('<file>', 'the plant, as FORMATS.md describes it')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .action(async (file: string, options: { data: string }) => {
      const { addPlant } = await import('./register.ts');
      done(await addPlant(file, options, to));
    });
}
