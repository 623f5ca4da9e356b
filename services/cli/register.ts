import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHex } from '#core/bytes.ts';
import { identityHash, identitySaltBytes } from '#core/certificate/account-request.ts';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { accountRole, meterBody, plantBody } from '#core/certificate/specs/register.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { object, oneOf, optional, text, type Infer, type Shape } from '#core/shape.ts';
import { addMeter, enterActions, once } from '#ledger/meter-desk.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { fileNameOf } from '#platform/file-name.ts';
import type { Terminal } from '#platform/terminal.ts';
import { atDesk, type OpenDesk, type RegisterOptions } from './entering.ts';

const ownerShape = object({
  custody: oneOf('own', 'operator'),
  /** The legal identity: only its salted hash goes into the log. */
  identity: text(512),
  role: accountRole,
});
type Owner = Infer<typeof ownerShape>;

export async function readJson<T>(file: string, shape: Shape<T>): Promise<T> {
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Refused('unreadable', `${file}: cannot be read (${why})`, { cause });
  }
  try {
    return shape.parse(value);
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Refused(cause.code, `${file}: ${cause.message}`, { cause });
  }
}

/** A plant as its file describes it; `owner` only where the account is new. */
const plantFile = object({ owner: optional(ownerShape), plant: plantBody });

/** `hourseal plant add`: enters the account, where it is new, and the plant. */
export async function addPlant(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const { owner, plant } = await readJson(file, plantFile);
  return atDesk(options, terminal, async (desk) => {
    const { origin } = await desk.ledger.settings();
    const signers = [await desk.keys.issuer(), await desk.keys.account(plant.account)] as const;
    const [, account] = signers;
    const sign = (kind: string, spec: object): SignedDraft =>
      signedDraft({ kind, origin, spec: { ...spec, ...once(desk) } }, signers);
    const drafts: SignedDraft[] = [];
    if (owner !== undefined) {
      const identity = await saltedIdentity(desk, plant.account, owner);
      const { custody, role } = owner;
      const spec = { account: plant.account, custody, identity, jwk: account.jwk, role };
      drafts.push(sign('account', spec));
    }
    return enterActions(desk, [...drafts, sign('plant', plant)]);
  });
}

/** The salt stays with the operator, who can show it to a regulator; the log has the hash. */
async function saltedIdentity(
  { folder }: Pick<OpenDesk, 'folder'>,
  account: string,
  { identity }: Owner,
): Promise<string> {
  const salt = toHex(randomBytes(identitySaltBytes));
  const secrets = join(folder.secrets, 'identities');
  await ensureFolder(secrets, 0o700);
  const content = canonicalBytes({ identity, salt });
  await writeFileDurably(join(secrets, `${fileNameOf(account)}.json`), content);
  return identityHash({ salt, identity });
}

/** `hourseal meter add`: enters a meter at a plant that is in the log. */
export async function enterMeter(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const meter = await readJson(file, meterBody);
  return atDesk(options, terminal, async (desk) => [await addMeter(desk, meter)]);
}
