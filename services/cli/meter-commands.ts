import { InvalidArgumentError, type Command } from 'commander';
import type { Terminal } from '#platform/terminal.ts';
import type { RegisterOptions } from './entering.ts';
import type { AskOptions } from './enrolment.ts';
import type { EndKeyOptions, EndMeterOptions } from './meter-life.ts';
import type { MeterKeyOptions } from './meter-key.ts';
import type { StatusOptions } from './meter-status.ts';
import type { VerdictOptions } from './meter-verdicts.ts';
import { thumbprintMark } from './thumbprint.ts';

type Done = (code: number) => void;

const where = '--data <folder>';
const whereHelp = 'the data folder of the installation';

/** What an operator does with meters and their keys. */
export function addMeters(program: Command, to: Terminal, done: Done): void {
  const meter = program.command('meter').description('meters in the log');
  addRegister(meter, to, done);
  addLife(meter, to, done);
  addEnrolment(meter, to, done);
}

function addRegister(meter: Command, to: Terminal, done: Done): void {
  meter
    .command('add')
    .description('enter a meter of a plant, from a JSON file')
    .argument('<file>', 'the meter, as FORMATS.md describes it')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { enterMeter } = await import('./register.ts');
      done(await enterMeter(file, options, to));
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
    .option('--format <name>', 'what the key signs: hourseal, or ocmf', 'hourseal')
    .option('--serial <device>', 'ocmf: the device as its records name it')
    .option('--after <page>', 'ocmf: the last page that does not count', whole)
    .option('--context <letter>', 'ocmf: pages that count, T (transactions) or F (fiscal)', 'T')
    .action(async (id: string, options: MeterKeyOptions) => {
      const { enterMeterKey } = await import('./meter-key.ts');
      done(await enterMeterKey(id, options, to));
    });
}

function addLife(meter: Command, to: Terminal, done: Done): void {
  meter
    .command('status')
    .description('when each key was last heard, what is missing, how its clock is')
    .argument('[meter]', 'id of a meter; all of them by default')
    .requiredOption(where, whereHelp)
    .option('--silent-after <duration>', 'a key is silent that sent nothing for so long', '2h')
    .option('--json', 'one JSON object a line')
    .action(async (id: string | undefined, options: StatusOptions) => {
      const { showMeterStatus } = await import('./meter-status.ts');
      done(await showMeterStatus(id, options, to));
    });
  meter
    .command('verdicts')
    .description('what validation says of sealed hours')
    .argument('[meter]', 'id of a meter; all of them by default')
    .requiredOption(where, whereHelp)
    .option('--since <duration>', 'how far back', '7d')
    .option('--clean', 'also hours of which nothing is said')
    .option('--json', 'one JSON object a line')
    .action(async (id: string | undefined, options: VerdictOptions) => {
      const { showVerdicts } = await import('./meter-verdicts.ts');
      done(await showVerdicts(id, options, to));
    });
  meter
    .command('exchange')
    .description('enter that a meter was exchanged, with closing and opening values')
    .argument('<file>', 'the exchange, as FORMATS.md describes it')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { enterExchange } = await import('./meter-life.ts');
      done(await enterExchange(file, options, to));
    });
  meter
    .command('change')
    .description('enter what changed of a meter: its class, clock or metering point')
    .argument('<file>', 'the change, as FORMATS.md describes it')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { enterChange } = await import('./meter-life.ts');
      done(await enterChange(file, options, to));
    });
  meter
    .command('end')
    .description('end a meter, for ever: no hour waits for it or counts it any more')
    .argument('<meter>', 'id of the meter')
    .requiredOption(where, whereHelp)
    .requiredOption('--closing <values>', 'what its registers show, as exportWh=1234,importWh=5')
    .option('--at <seconds>', 'Unix time at which they showed it; now by default', whole)
    .action(async (id: string, options: EndMeterOptions) => {
      const { enterEnd } = await import('./meter-life.ts');
      done(await enterEnd(id, options, to));
    });
  meter
    .command('end-key')
    .description("end a meter's key: after a rotation, or after it was stolen")
    .argument('<kid>', 'thumbprint of the key', thumbprint)
    .requiredOption(where, whereHelp)
    .requiredOption('--last-seq <n>', 'number of its last good message; 0 for none', whole)
    .requiredOption('--last-t <seconds>', 'Unix time of its last good reading', whole)
    .action(async (kid: string, options: EndKeyOptions) => {
      const { enterKeyEnd } = await import('./meter-life.ts');
      done(await enterKeyEnd(kid, options, to));
    });
}

function addEnrolment(meter: Command, to: Terminal, done: Done): void {
  meter
    .command('ask')
    .description("on the meter's own machine: write a request to be enrolled, signed by its key")
    .requiredOption('--private <pem>', 'the private key, which stays there')
    .requiredOption('--origin <name>', "the log's name")
    .requiredOption('--plant <id>', 'plant of the meter')
    .requiredOption('--meter <id>', 'id of the meter')
    .requiredOption('--out <file>', 'where the request goes')
    .option('--valid <duration>', 'how long the request is good', '7d')
    .option('--not-before <seconds>', 'Unix time from which the key signs; now by default', count)
    .action(async (options: AskOptions) => {
      const { askEnrolment } = await import('./enrolment.ts');
      done(await askEnrolment(options, to));
    });
  meter
    .command('enrol')
    .description('take in a request of a meter; it waits to be approved')
    .argument('<file>', 'what `hourseal meter ask` wrote')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { takeEnrolment } = await import('./enrolment.ts');
      done(await takeEnrolment(file, options, to));
    });
  meter
    .command('enrolments')
    .description('requests of meters, and what came of them')
    .requiredOption(where, whereHelp)
    .action(async (options: RegisterOptions) => {
      const { showEnrolments } = await import('./enrolment.ts');
      done(await showEnrolments(options, to));
    });
  meter
    .command('approve')
    .description('enter the key that a meter asked for')
    .argument('<kid>', 'thumbprint of the key', thumbprint)
    .requiredOption(where, whereHelp)
    .action(async (kid: string, options: RegisterOptions) => {
      const { approveEnrolment } = await import('./enrolment.ts');
      done(await approveEnrolment(kid, options, to));
    });
  meter
    .command('refuse')
    .description('refuse the key that a meter asked for')
    .argument('<kid>', 'thumbprint of the key', thumbprint)
    .requiredOption(where, whereHelp)
    .requiredOption('--reason <text>', 'why, for those who look at the list')
    .action(async (kid: string, options: RegisterOptions & { reason: string }) => {
      const { refuse } = await import('./enrolment.ts');
      done(await refuse(kid, options, to));
    });
}

function thumbprint(text: string): string {
  return text.startsWith(thumbprintMark) ? text.slice(thumbprintMark.length) : text;
}

function whole(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0 || String(value) !== text) {
    throw new InvalidArgumentError('not a whole number.');
  }
  return value;
}

/** A whole number from 1. */
export function count(text: string): number {
  const value = whole(text);
  if (value === 0) throw new InvalidArgumentError('not a whole number from 1.');
  return value;
}
