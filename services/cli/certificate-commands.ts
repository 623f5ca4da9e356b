import type { Command } from 'commander';
import type { Terminal } from '#platform/terminal.ts';
import type { AskAccountOptions } from './account.ts';
import type { EnterOptions } from './certificate.ts';
import type { RegisterOptions } from './entering.ts';
import type { SignOptions } from './sign.ts';

type Done = (code: number) => void;

const where = '--data <folder>';
const whereHelp = 'the data folder of the installation';

/** What owners of certificates do, and what an operator does for them. */
export function addCertificates(program: Command, to: Terminal, done: Done): void {
  addAccounts(program, to, done);
  program
    .command('sign')
    .description('sign an action, by a key that stays where it is')
    .argument('<file>', 'JSON of its kind and spec, or an action that others have signed')
    .requiredOption('--private <pem>', 'the private key of the account')
    .requiredOption('--out <file>', 'where the signed action goes')
    .option('--origin <name>', "the log's name, where the file does not say it")
    .option('--valid <duration>', 'how long the signature may wait to be entered', '1d')
    .action(async (file: string, options: SignOptions) => {
      const { signFile } = await import('./sign.ts');
      done(await signFile(file, options, to));
    });
  program
    .command('certificate')
    .description('certificates as property')
    .command('enter')
    .description('hand in actions that their accounts have signed')
    .argument('<file...>', 'what `hourseal sign` wrote')
    .requiredOption(where, whereHelp)
    .option('--request-key <key>', 'the same key again has the same answer; by default the content')
    .option('--wait <duration>', 'how long a running ledger may take', '30s')
    .action(async (files: string[], options: EnterOptions) => {
      const { enterSigned } = await import('./certificate.ts');
      done(await enterSigned(files, options, to));
    });
}

function addAccounts(program: Command, to: Terminal, done: Done): void {
  const account = program.command('account').description('accounts in the log, and their keys');
  account
    .command('key')
    .description('create the private key of an account (PKCS#8 PEM, mode 0600)')
    .argument('<file>', 'where it goes')
    .option('--alg <name>', 'Ed25519 or ES256', 'Ed25519')
    .action(async (file: string, options: { readonly alg: string }) => {
      const { newKey } = await import('./key.ts');
      done(await newKey(file, options, to));
    });
  account
    .command('ask')
    .description('write a request for an account, signed by its key')
    .requiredOption('--private <pem>', 'the private key, which stays there')
    .requiredOption('--origin <name>', "the log's name")
    .requiredOption('--account <id>', 'what the account is called in the log')
    .requiredOption('--role <role>', 'plant, trader, buyer or regulator')
    .requiredOption('--identity <text>', 'the legal identity; the log has a salted hash of it')
    .option('--custody <who>', 'who keeps the key: own, or operator', 'own')
    .option('--valid <duration>', 'how long the request is good', '7d')
    .requiredOption('--out <file>', 'where the request goes')
    .action(async (options: AskAccountOptions) => {
      const { askAccount } = await import('./account.ts');
      done(await askAccount(options, to));
    });
  account
    .command('add')
    .description('enter an account that somebody asked for')
    .argument('<file>', 'what `hourseal account ask` wrote')
    .requiredOption(where, whereHelp)
    .action(async (file: string, options: RegisterOptions) => {
      const { addAccount } = await import('./account.ts');
      done(await addAccount(file, options, to));
    });
  account
    .command('list')
    .description('accounts in the log: role, key, id, and who keeps the key')
    .requiredOption(where, whereHelp)
    .action(async (options: RegisterOptions) => {
      const { showAccounts } = await import('./account.ts');
      done(await showAccounts(options, to));
    });
}
