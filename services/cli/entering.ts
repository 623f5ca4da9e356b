import { join } from 'node:path';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { manualClock, systemClock } from '#platform/clock.ts';
import { createPool } from '#platform/postgres.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { readDemoState } from '#standalone/demo-state.ts';
import type { Entered, MeterDesk } from '#ledger/meter-desk.ts';
import type { DataFolder } from '#standalone/data-folder.ts';
import { attachInstallation, openInstallation } from '#standalone/installation.ts';
import type { Installation } from '#standalone/installation.ts';
import { readNewestKey } from '#standalone/key-ring.ts';

/** What every command that enters something into the log of an installation shares. */
export interface RegisterOptions {
  readonly data: string;
}

export async function inInstallation(
  { data }: RegisterOptions,
  work: (installation: Installation) => Promise<void>,
  explain: (inUse: Refused) => Refused = needsStopped,
): Promise<number> {
  const databaseUrl = process.env.DATABASE_URL;
  const installation = await openInstallation(data, { databaseUrl }).catch((error: unknown) => {
    throw isInUse(error) ? explain(error) : error;
  });
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
  if (databaseUrl === undefined) return inInstallation(options, work, explainInUse);
  const demo = await readDemoState({ path: options.data });
  const pool = createPool(databaseUrl, { applicationName: 'hourseal' });
  try {
    await work({ pool, clock: demo === undefined ? systemClock : manualClock(demo.nowS * 1000) });
    return exitCodes.verified;
  } finally {
    await pool.close();
  }
}

function needsStopped(cause: Refused): Refused {
  return new Refused(cause.code, `${cause.message}: this command needs it stopped`, { cause });
}

export function isInUse(error: unknown): error is Refused {
  return error instanceof Refused && error.code === 'folder-in-use';
}

/** What enters into the log of an installation, stopped or running. */
export interface OpenDesk extends MeterDesk {
  readonly folder: Pick<DataFolder, 'keys' | 'secrets'>;
}

/**
 * Enters into the log, and says what. A stopped installation is opened, and what was entered is
 * published. Beside a running one the database's own lock gives the entries their place, and whoever
 * runs publishes them; that needs a database server, since an embedded one belongs to its process.
 */
export async function atDesk(
  { data }: RegisterOptions,
  terminal: Terminal,
  work: (desk: OpenDesk) => Promise<readonly Entered[]>,
): Promise<number> {
  const databaseUrl = process.env.DATABASE_URL;
  const say = (entered: readonly Entered[]): number => {
    for (const { index, kind } of entered) terminal.out(`entry ${index}: ${kind}\n`);
    return (entered.at(-1)?.index ?? -1) + 1;
  };
  try {
    const installation = await openInstallation(data, { databaseUrl });
    try {
      await publish(installation, say(await work(deskOf(installation))), terminal);
    } finally {
      await installation.close();
    }
  } catch (error) {
    if (!isInUse(error)) throw error;
    if (databaseUrl === undefined) throw explainInUse(error);
    const beside = await attachInstallation(data, databaseUrl);
    try {
      say(await work(deskOf(beside)));
    } finally {
      await beside.close();
    }
  }
  return exitCodes.verified;
}

function deskOf(installation: Omit<OpenDesk, 'keys'>): OpenDesk {
  const { clock, folder, ledger, pool } = installation;
  return {
    ...{ clock, folder, ledger, pool },
    keys: {
      issuer: () => issuerKey({ folder }),
      account: (account) => accountKey({ folder }, account),
    },
  };
}

/** For a command that works beside a running installation on a database server. */
export function explainInUse(cause: Refused): Refused {
  const advice =
    'stop it first, or run the installation on a database server (DATABASE_URL), beside which this works';
  return new Refused(cause.code, `${cause.message}: ${advice}`, { cause });
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
  if (size === 0) return;
  const { publishedSize } = await ledger.step();
  if (publishedSize >= size) return;
  terminal.out('entered, and published as soon as a quorum of witnesses has cosigned it\n');
}

interface WithKeys {
  readonly folder: Pick<DataFolder, 'keys'>;
}

export function issuerKey({ folder }: WithKeys): Promise<Signer> {
  return readNewestKey(folder.keys, 'issuing-body');
}

export function accountKey({ folder }: WithKeys, account: string): Promise<Signer> {
  return readNewestKey(join(folder.keys, 'accounts'), account);
}
