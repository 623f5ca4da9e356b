import type { Command } from 'commander';
import type { Terminal } from '#platform/terminal.ts';

type Done = (code: number) => void;

interface WitnessFlags {
  readonly folder?: string;
  readonly key?: string;
  readonly name?: string;
  readonly listen?: string;
  readonly logs?: string;
  readonly audit?: boolean;
}

/** What the organisations of a consortium run and agree on: witnesses, keys, policies. */
export function addConsortium(program: Command, to: Terminal, done: Done): void {
  addWitness(program, done);
  addKey(program, to, done);
  addPolicy(program, to, done);
  addReceipt(program, to, done);
}

function addWitness(program: Command, done: Done): void {
  program
    .command('witness')
    .description('run a witness: it checks every new state of a log, then cosigns it')
    .option('--folder <folder>', "the witness's own store (WITNESS_FOLDER)")
    .option('--key <pem>', 'its private key (WITNESS_KEY_FILE); make one with: key new')
    .option('--name <name>', 'its name; of an auditing witness ending in /audit (WITNESS_NAME)')
    .option('--listen <host:port>', 'where it listens (WITNESS_LISTEN)')
    .option('--logs <file>', 'the logs it watches, lines "log <vkey> <url>" (WITNESS_LOGS_FILE)')
    .option('--audit', 'replay every rule and check every signature before cosigning')
    .action(async (flags: WitnessFlags) => {
      const { readWitnessConfig } = await import('#witness/config.ts');
      const { runWitness } = await import('#witness/run.ts');
      done(await runWitness(readWitnessConfig({ ...process.env, ...variablesOf(flags) })));
    });
}

/** Flags win over the environment, and mean the same. */
function variablesOf({ folder, key, name, listen, logs, audit }: WitnessFlags) {
  return {
    ...(folder !== undefined && { WITNESS_FOLDER: folder }),
    ...(key !== undefined && { WITNESS_KEY_FILE: key }),
    ...(name !== undefined && { WITNESS_NAME: name }),
    ...(listen !== undefined && { WITNESS_LISTEN: listen }),
    ...(logs !== undefined && { WITNESS_LOGS_FILE: logs }),
    ...(audit === true && { WITNESS_AUDIT: 'on' }),
  };
}

interface NameFlags {
  readonly log?: string;
  readonly witness?: string;
}

function addKey(program: Command, to: Terminal, done: Done): void {
  const key = program.command('key').description('private keys (PKCS#8 PEM) and their public side');
  key
    .command('new')
    .description('create a key in a new file, mode 0600')
    .argument('<file>', 'a file that is not there yet')
    .option('--alg <alg>', 'Ed25519 or ES256', 'Ed25519')
    .option('--log <origin>', 'print the vkey of a log with that origin')
    .option('--witness <name>', 'print the vkey of a witness with that name')
    .action(async (file: string, options: NameFlags & { alg: string }) => {
      const { newKey } = await import('./key.ts');
      done(await newKey(file, options, to));
    });
  key
    .command('show')
    .description('print the public side of a key: JWK, PEM and, with a name, vkey')
    .argument('<file>', 'a private key')
    .option('--log <origin>', 'print the vkey of a log with that origin')
    .option('--witness <name>', 'print the vkey of a witness with that name')
    .action(async (file: string, options: NameFlags) => {
      const { showKey } = await import('./key.ts');
      done(await showKey(file, options, to));
    });
  key
    .command('rotate')
    .description('create the next key of the log, of ingestion, the issuing body or an account')
    .argument('<what>', 'log, ingestion, issuer or account')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .option('--overlap <duration>', 'how long the old log or ingestion key stays good', '7d')
    .option('--account <id>', 'whose key it is, for an account')
    .option('--lost', "the account's key is lost: the issuing body signs, good in 7 days")
    .action(async (what: string, options: RotateFlags) => {
      const { rotateKey } = await import('./rotate.ts');
      done(await rotateKey(what, options, to));
    });
}

interface RotateFlags {
  readonly data: string;
  readonly overlap: string;
  readonly account?: string;
  readonly lost?: boolean;
}

function addPolicy(program: Command, to: Terminal, done: Done): void {
  const policy = program.command('policy').description('whose cosignatures a checkpoint needs');
  const unaudited = '--without-auditor';
  const unauditedHelp = 'also a policy that can be met without an auditing witness';
  policy
    .command('check')
    .description('say what a policy needs, and how many witnesses must lie to show two histories')
    .argument('<file>', 'a C2SP tlog-policy file')
    .option(unaudited, unauditedHelp)
    .action(async (file: string, options: { withoutAuditor?: boolean }) => {
      const { checkPolicy } = await import('./policy.ts');
      done(await checkPolicy(file, options, to));
    });
  policy
    .command('set')
    .description('enter a policy into the log: the next checkpoints need its quorum')
    .argument('<file>', 'a C2SP tlog-policy file that names this log')
    .requiredOption('--data <folder>', 'the data folder of the installation')
    .option(unaudited, unauditedHelp)
    .action(async (file: string, options: { data: string; withoutAuditor?: boolean }) => {
      const { setPolicy } = await import('./policy.ts');
      done(await setPolicy(file, options, to));
    });
}

interface ReceiptFlags {
  readonly data: string;
  readonly out?: string;
  readonly messages?: string;
  readonly policy?: string;
}

function addReceipt(program: Command, to: Terminal, done: Done): void {
  program
    .command('receipt')
    .description('ask whether a log honours a receipt; if it does not, write the evidence')
    .argument('<receipt>', "a file with one receipt of the log's ingestion, or a gateway's folder")
    .requiredOption('--data <folder>', 'a data folder, or an exported log')
    .option('--out <file>', 'where the evidence goes, if there is any')
    .option('--messages <file>', 'the messages that were sent, one a line, as far as they are kept')
    .option('--policy <file>', 'whom you trust: for a log that has changed its key')
    .addHelpText(
      'after',
      '\nEnds with 0 honoured so far, 1 not honoured (the evidence is written), 2 usage, 3 cannot read,' +
        '\n4 the log does not say enough yet.',
    )
    .action(async (file: string, flags: ReceiptFlags) => {
      const { askReceipt } = await import('./receipt.ts');
      done(await askReceipt(file, flags, to));
    });
}
