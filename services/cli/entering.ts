import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { toBase64Url } from '#core/bytes.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { manualClock, systemClock } from '#platform/clock.ts';
import { createPool } from '#platform/postgres.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readDemoState } from '#standalone/demo-state.ts';
import { openInstallation, type Installation } from '#standalone/installation.ts';
import { readNewestKey } from '#standalone/key-ring.ts';

/** What every command that enters something into the log of an installation shares. */
export interface RegisterOptions {
  readonly data: string;
}

/** How long a signature made by these commands may wait to be entered, seconds. */
const signatureLifeS = 86_400;

export async function inInstallation(
  { data }: RegisterOptions,
  work: (installation: Installation) => Promise<void>,
): Promise<number> {
  const databaseUrl = process.env.DATABASE_URL;
  const installation = await openInstallation(data, { databaseUrl });
  try {
    await work(installation);
    return exitCodes.verified;
  } finally {
    await installation.close();
  }
}

/**
 * For what needs the tables alone: beside a running service where the database is a server of its
 * own, on the stopped installation where it is embedded.
 */
export async function inDatabase(
  options: RegisterOptions,
  work: (tables: Pick<Installation, 'pool' | 'clock'>) => Promise<void>,
): Promise<number> {
  const databaseUrl = process.env.DATABASE_URL;
  if (databaseUrl === undefined) return inInstallation(options, work);
  const demo = await readDemoState({ path: options.data });
  const pool = createPool(databaseUrl, { applicationName: 'hourseal' });
  try {
    await work({ pool, clock: demo === undefined ? systemClock : manualClock(demo.nowS * 1000) });
    return exitCodes.verified;
  } finally {
    await pool.close();
  }
}

/** Everything of a spec that a signature adds: a nonce of its own and a short life. */
export function once({ clock }: Installation): { nonce: string; notAfter: number } {
  return { nonce: toBase64Url(randomBytes(16)), notAfter: clock.nowS() + signatureLifeS };
}

/** Enters all or nothing, a second draft may rest on the first, and publishes what it entered. */
export async function enter(
  installation: Installation,
  drafts: readonly SignedDraft[],
  terminal: Terminal,
): Promise<void> {
  const size = await submit(installation, drafts, terminal);
  await publish(installation, size, terminal);
}

/** Enters without publishing. Resolves to the size of the log with all of them. */
export async function submit(
  { ledger }: Installation,
  drafts: readonly SignedDraft[],
  terminal: Terminal,
): Promise<number> {
  let size = 0;
  for (const outcome of await ledger.submit(drafts)) {
    if (outcome.result === 'refused') {
      throw new Refused(outcome.code, `not entered: ${outcome.message}`);
    }
    terminal.out(`entry ${outcome.ref.index}: ${outcome.kind}\n`);
    size = outcome.ref.index + 1;
  }
  return size;
}

/** Publishes a log of at least `size` entries, or says why that has to wait. */
export async function publish(
  { ledger }: Installation,
  size: number,
  terminal: Terminal,
): Promise<void> {
  const { publishedSize } = await ledger.step();
  if (publishedSize >= size) return;
  terminal.out('entered, and published as soon as a quorum of witnesses has cosigned it\n');
}

export function issuerKey({ folder }: Installation): Promise<Signer> {
  return readNewestKey(folder.keys, 'issuing-body');
}

export function accountKey({ folder }: Installation, account: string): Promise<Signer> {
  return readNewestKey(join(folder.keys, 'accounts'), account);
}
