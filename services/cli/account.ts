import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { toBase64Url, toHex } from '#core/bytes.ts';
import {
  accountRequestLimitBytes,
  encodeAccountRequest,
  identityHash,
  identitySaltBytes,
  parseAccountRequest,
} from '#core/certificate/account-request.ts';
import { withSignature, type SignedAction } from '#core/certificate/signed-action.ts';
import { accountRole } from '#core/certificate/specs/register.ts';
import { Refused, within } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { id, oneOf, origin as originShape, text } from '#core/shape.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import { enterAction } from '#ledger/meter-desk.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { fileNameOf } from '#platform/file-name.ts';
import { readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Style, type Terminal } from '#platform/terminal.ts';
import { accountsPerPage, listAccounts, type Account } from '#registry/accounts.ts';
import { atDesk, inDatabase, type RegisterOptions } from './entering.ts';
import { readLimited, writeNewFile } from './read-file.ts';

/** Accounts (D3.3): whoever wants one asks, signed by its own key; the operator adds it. */

export interface AskAccountOptions {
  readonly private: string;
  readonly origin: string;
  readonly account: string;
  readonly role: string;
  readonly custody: string;
  /** The legal identity, for the operator and regulators; the log has a salted hash of it. */
  readonly identity: string;
  readonly valid: string;
  readonly out: string;
}

/** `hourseal account ask`: where the key is; nothing of an installation is needed. */
export async function askAccount(options: AskAccountOptions, terminal: Terminal): Promise<number> {
  const custodyShape = oneOf('own', 'operator');
  const origin = originShape.parse(options.origin, '--origin');
  const account = id.parse(options.account, '--account');
  const role = accountRole.parse(options.role, '--role');
  const custody = custodyShape.parse(options.custody, '--custody');
  const identity = text(512).parse(options.identity.normalize('NFC'), '--identity');
  const signer = await readKeyFile(options.private);
  const salt = toHex(randomBytes(identitySaltBytes));
  const unsigned: SignedAction = {
    auth: [],
    kind: 'account',
    origin,
    spec: {
      ...{ account, custody, role },
      identity: identityHash({ salt, identity }),
      jwk: signer.jwk,
      nonce: toBase64Url(randomBytes(16)),
      notAfter: Math.floor(Date.now() / 1000) + parseDuration(options.valid),
    },
  };
  const action = withSignature(unsigned, signer);
  await writeNewFile(options.out, encodeAccountRequest({ action, identity, salt }));
  terminal.out(
    `${options.out}: hand it to the operator of ${origin}, who sees the key ${signer.kid}\n` +
      `  hourseal account add ${options.out} --data FOLDER\n`,
  );
  return exitCodes.verified;
}

/**
 * `hourseal account add`: enters the account that somebody asked for, signed by the issuing body too.
 * The identity and its salt stay with the operator, who can show them to a regulator.
 */
export async function addAccount(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const bytes = await readLimited(file, accountRequestLimitBytes);
  const { action, identity, salt } = within(file, () => parseAccountRequest(bytes));
  return atDesk(options, terminal, async (desk) => {
    const { origin } = await desk.ledger.settings();
    if (action.origin !== origin) throw new Refused('origin', `meant for ${action.origin}`);
    const { account } = action.spec as { account: string };
    const identities = join(desk.folder.secrets, 'identities');
    await ensureFolder(identities, 0o700);
    const entered = await enterAction(desk, withSignature(action, await desk.keys.issuer()));
    // Not before: what is refused must not take the place of who is there. Lost, it can be asked for.
    const kept = canonicalBytes({ identity, salt });
    await writeFileDurably(join(identities, `${fileNameOf(account)}.json`), kept);
    return [entered];
  });
}

/** `hourseal account list`: one line each, by id. */
export function showAccounts(options: RegisterOptions, terminal: Terminal): Promise<number> {
  return inDatabase(options, async ({ pool, clock }) => {
    const nowS = clock.nowS();
    let after = '';
    for (;;) {
      const page = await listAccounts(pool, { nowS, after });
      for (const account of page) terminal.out(`${lineOf(account, terminal.style)}\n`);
      after = page.at(-1)?.account ?? '';
      if (page.length < accountsPerPage) break;
    }
    if (after === '') terminal.out('no account is in the log\n');
  });
}

function lineOf({ account, role, custody, frozen, kid }: Account, style: Style): string {
  const marks = [
    ...(custody === 'operator' ? [style.amber('key in the custody of the operator')] : []),
    ...(frozen ? [style.red('frozen')] : []),
  ];
  return [role.padEnd(9), kid, account, ...marks].join('  ');
}
