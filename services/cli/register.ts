import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { concat, decodeUtf8, toBase64Url, toHex, utf8 } from '#core/bytes.ts';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { accountRole, meterBody, plantBody } from '#core/certificate/kinds.ts';
import { Refused } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { signingInput } from '#core/jws.ts';
import { id, object, oneOf, optional, text, type Infer, type Shape } from '#core/shape.ts';
import { publicKeyFromPem } from '#core/signer.node.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { readKeyFile } from '#platform/keys.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import type { Installation } from '#standalone/installation.ts';
import { accountKey, enter, inInstallation, issuerKey, once } from './entering.ts';
import type { RegisterOptions } from './entering.ts';
import { writeNewFile } from './read-file.ts';

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
  return inInstallation(options, async (installation) => {
    const { origin } = await installation.ledger.settings();
    const [issuer, account] = [
      await issuerKey(installation),
      await accountKey(installation, plant.account),
    ];
    const sign = (kind: string, spec: object): SignedDraft =>
      signedDraft({ kind, origin, spec: { ...spec, ...once(installation) } }, [issuer, account]);
    const drafts: SignedDraft[] = [];
    if (owner !== undefined) {
      const identity = await saltedIdentity(installation, plant.account, owner);
      const { custody, role } = owner;
      const spec = { account: plant.account, custody, identity, jwk: account.jwk, role };
      drafts.push(sign('account', spec));
    }
    await enter(installation, [...drafts, sign('plant', plant)], terminal);
  });
}

/** The salt stays with the operator, who can show it to a regulator; the log has the hash. */
async function saltedIdentity(
  { folder }: Installation,
  account: string,
  { identity }: Owner,
): Promise<string> {
  const salt = randomBytes(16);
  const secrets = join(folder.secrets, 'identities');
  await ensureFolder(secrets, 0o700);
  const content = canonicalBytes({ identity, salt: toHex(salt) });
  await writeFileDurably(join(secrets, `${account}.json`), content);
  return toHex(sha256(concat(salt, utf8(identity))));
}

/** `hourseal meter add`: enters a meter at a plant that is in the log. */
export async function addMeter(
  file: string,
  options: RegisterOptions,
  terminal: Terminal,
): Promise<number> {
  const meter = await readJson(file, meterBody);
  return inInstallation(options, async (installation) => {
    const { origin, plants } = await installation.ledger.settings();
    const account = await accountKey(installation, ownerOf(plants, meter.plant));
    const spec = { ...meter, ...once(installation) };
    const signers = [await issuerKey(installation), account];
    await enter(installation, [signedDraft({ kind: 'meter', origin, spec }, signers)], terminal);
  });
}

export function ownerOf(plants: ReadonlyMap<string, string>, plant: string): string {
  const account = plants.get(plant);
  if (account === undefined) throw new Refused('plant', `no plant ${plant} is in the log`);
  return account;
}

export interface MeterKeyOptions extends RegisterOptions {
  /** Private key on this machine, PEM: for trying out, and for meters that are programs. */
  readonly private?: string;
  /** Public key of a meter that keeps its private key, PEM. */
  readonly public?: string;
  /** Where what the meter must sign is written, and read again. */
  readonly request?: string;
  /** 64 bytes: what the meter made of the request. */
  readonly signature?: string;
  readonly notBefore?: number;
}

const requestShape = object({
  account: id,
  header: text(512),
  /** The spec as JCS text, so that it is entered as it was signed. */
  spec: text(8192),
});

/**
 * `hourseal meter key`: enters a key of a meter. A key that stays in its meter is entered in two
 * steps: the first writes what the meter must sign, the second brings the signature.
 */
export async function addMeterKey(
  meter: string,
  options: MeterKeyOptions,
  terminal: Terminal,
): Promise<number> {
  const given = [options.private, options.public, options.signature].filter(Boolean).length;
  if (given !== 1 || (options.private === undefined) !== (options.request !== undefined)) {
    terminal.err(
      'hourseal: give --private FILE, or --public FILE --request FILE, or --request FILE --signature FILE\n',
    );
    return exitCodes.usage;
  }
  return inInstallation(options, async (installation) => {
    if (options.private !== undefined) {
      await enterOwnKey(installation, { meter, options, terminal });
    } else if (options.public !== undefined) {
      await writeRequest(installation, { meter, options, terminal });
    } else await enterSignedKey(installation, { meter, options, terminal });
  });
}

interface MeterKeyWork {
  readonly meter: string;
  readonly options: MeterKeyOptions;
  readonly terminal: Terminal;
}

async function keySpecOf(
  installation: Installation,
  { meter, options }: MeterKeyWork,
  jwk: object,
): Promise<{ origin: string; account: string; spec: object }> {
  const { origin, plants, meters } = await installation.ledger.settings();
  const plant = meters.get(meter);
  if (plant === undefined) throw new Refused('meter', `no meter ${meter} is in the log`);
  const notBefore = options.notBefore ?? installation.clock.nowS();
  const spec = { jwk, meter, notBefore, plant, ...once(installation) };
  return { origin, account: ownerOf(plants, plant), spec };
}

async function enterOwnKey(installation: Installation, work: MeterKeyWork): Promise<void> {
  const own = await readKeyFile(work.options.private ?? '');
  const { origin, account, spec } = await keySpecOf(installation, work, own.jwk);
  const signers = [await issuerKey(installation), await accountKey(installation, account), own];
  const draft = signedDraft({ kind: 'key', origin, spec }, signers);
  await enter(installation, [draft], work.terminal);
}

async function writeRequest(installation: Installation, work: MeterKeyWork): Promise<void> {
  const { options, terminal } = work;
  const request = options.request ?? '';
  const key = publicKeyFromPem(await readFile(options.public ?? '', 'utf8'));
  const { origin, account, spec } = await keySpecOf(installation, work, key.jwk);
  const header = { alg: key.alg, kid: key.kid, typ: 'hourseal-auth' } as const;
  const input = signingInput(header, canonicalBytes({ kind: 'key', origin, spec }));
  const saved = {
    account,
    header: toBase64Url(canonicalBytes(header)),
    spec: decodeUtf8(canonicalBytes(spec)),
  };
  await writeNewFile(request, canonicalBytes(saved));
  await writeNewFile(`${request}.sign`, input);
  terminal.out(
    `Let the meter sign ${request}.sign, for example\n` +
      `  openssl pkeyutl -sign -rawin -inkey meter.pem -in ${request}.sign -out ${request}.sig\n` +
      `then enter it with\n` +
      `  hourseal meter key ${work.meter} --request ${request} --signature ${request}.sig --data ${options.data}\n`,
  );
}

async function enterSignedKey(installation: Installation, work: MeterKeyWork): Promise<void> {
  const { options, terminal } = work;
  const request = await readJson(options.request ?? '', requestShape);
  const signature = await readFile(options.signature ?? '');
  const { origin } = await installation.ledger.settings();
  const spec = JSON.parse(request.spec) as object;
  const others = [await issuerKey(installation), await accountKey(installation, request.account)];
  const draft = signedDraft({ kind: 'key', origin, spec }, others);
  const auth = [...draft.auth, `${request.header}..${toBase64Url(signature)}`];
  await enter(installation, [{ ...draft, auth }], terminal);
}
