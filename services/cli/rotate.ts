import { join } from 'node:path';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { ed25519Type, vkeyOf } from '#core/tlog/note.ts';
import { parseDuration } from '#devices/fault-plan.ts';
import type { Terminal } from '#platform/terminal.ts';
import type { Installation } from '#standalone/installation.ts';
import { addToKeyRing, readKeyRing } from '#standalone/key-ring.ts';
import { once } from '#ledger/meter-desk.ts';
import { inInstallation, issuerKey, publish, submit } from './entering.ts';
import type { RegisterOptions } from './entering.ts';

/** The parties whose keys `hourseal key rotate` changes; meters have `meter key`, witnesses policies. */
export const rotatable = ['log', 'ingestion', 'issuer', 'account'] as const;
export type Rotatable = (typeof rotatable)[number];

export interface RotateOptions extends RegisterOptions {
  /** How long the old key stays good beside the new one, such as 7d; of log and ingestion keys. */
  readonly overlap: string;
  readonly account?: string;
  /** The account's old key is lost: the issuing body signs, and it holds 7 days later. */
  readonly lost?: boolean;
}

/**
 * `hourseal key rotate`: creates the party's next key beside its old one and enters it. After a crash
 * in between the key that was created is the one that is entered.
 */
export async function rotateKey(
  what: string,
  options: RotateOptions,
  terminal: Terminal,
): Promise<number> {
  const party = rotatable.find((known) => known === what);
  if (party === undefined) throw new Refused('key', `${what}: one of ${rotatable.join(', ')}`);
  if ((party === 'account') !== (options.account !== undefined)) {
    throw new Refused('key', '--account names whose key it is, where that is an account');
  }
  let size = 0;
  await inInstallation(options, async (installation) => {
    const turn = await turnOf(installation, party, options);
    terminal.out(`${turn.file ?? 'the key made before'}: the next key\n`);
    const draft = await draftOf(installation, { party, turn, options });
    size = await submit(installation, [draft], terminal);
  });
  // Opened anew, so that the log is signed with all the keys that it names by now.
  return inInstallation(options, async (installation) => {
    await publish(installation, size, terminal);
    if (party === 'log' || party === 'ingestion') {
      terminal.out(`both keys are good for ${options.overlap}\n`);
    }
  });
}

interface Turn {
  readonly old: Signer;
  readonly next: Signer;
  /** Undefined where an earlier attempt made the key. */
  readonly file: string | undefined;
}

/** The newest key that the log names is the old one; a newer one was made and never entered. */
async function turnOf(
  { folder, ledger }: Installation,
  party: Rotatable,
  { account = '' }: RotateOptions,
): Promise<Turn> {
  const { keys } = await ledger.settings();
  const place = party === 'account' ? join(folder.keys, 'accounts') : folder.keys;
  const name = { log: 'log', ingestion: 'ingestion', issuer: 'issuing-body', account }[party];
  const named = {
    log: keys.log,
    ingestion: keys.ingestion,
    issuer: keys.issuers,
    account: [keys.accounts.get(account) ?? ''],
  }[party];
  const ring = await readKeyRing(place, name);
  const at = ring.findLastIndex(({ kid }) => named.includes(kid));
  const [old, made] = [ring[at], ring[at + 1]];
  if (old === undefined) throw new Refused('key', `none of the keys ${name} is in the log`);
  if (made !== undefined) return { old, next: made, file: undefined };
  const { signer, file } = await addToKeyRing(place, name);
  return { old, next: signer, file };
}

async function draftOf(
  installation: Installation,
  { party, turn, options }: { party: Rotatable; turn: Turn; options: RotateOptions },
): Promise<SignedDraft> {
  const { origin } = await installation.ledger.settings();
  const { old, next } = turn;
  const previousUntil = installation.clock.nowS() + parseDuration(options.overlap);
  const sign = (kind: string, spec: object, signers: readonly Signer[]): SignedDraft =>
    signedDraft({ kind, origin, spec: { ...spec, ...once(installation) } }, signers);
  switch (party) {
    case 'log': {
      const logKey = vkeyOf(origin, ed25519Type, next);
      return sign('log-key', { logKey, previousUntil }, [await issuerKey(installation)]);
    }
    case 'ingestion':
      return sign('ingestion-key', { jwk: next.jwk, previousUntil }, [
        await issuerKey(installation),
      ]);
    case 'issuer':
      return sign('issuer-key', { add: next.jwk, remove: old.kid, threshold: 1 }, [old, next]);
    case 'account': {
      const { account, lost = false } = options;
      const cause = lost ? 'loss' : 'change';
      const signer = lost ? await issuerKey(installation) : old;
      return sign('account-key', { account, cause, jwk: next.jwk }, [signer]);
    }
  }
}
