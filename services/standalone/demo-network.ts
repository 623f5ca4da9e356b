import { Refused } from '#core/errors.ts';
import type { Signer } from '#core/signer.ts';
import { createFileServer } from '#ledger/file-server.ts';
import { createAnswerOpen } from '#ledger/open-leaves.ts';
import type { Ledger } from '#ledger/service.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { DataFolder } from './data-folder.ts';
import { demoOrigin } from './demo-state.ts';
import { logVkey, startWitnesses, witnessKeys } from './demo-witnesses.ts';
import { startNetwork, type Network, type NetworkOptions } from './network.ts';

/** The demo's log on HTTP, and the three witnesses that watch it there. */
export interface DemoWatch {
  readonly witnessUrls: ReadonlyMap<string, string>;
  readonly died: Promise<Error>;
  /** Tells it the ledger, which needs the URLs before it can be made. */
  readonly show: (ledger: Ledger) => void;
  readonly stop: () => Promise<void>;
}

export interface DemoWatchOptions {
  readonly folder: DataFolder;
  readonly pool: Pool;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly logKey: Signer;
}

export async function startDemoWatch(options: DemoWatchOptions): Promise<DemoWatch> {
  const { folder, pool, clock, logger, logKey } = options;
  const running: { ledger?: Ledger } = {};
  const readers = async () => {
    if (running.ledger === undefined) throw new Refused('access', 'the ledger is not there yet');
    return { origin: demoOrigin, keys: await running.ledger.auditors() };
  };
  const keys = await witnessKeys(folder, { create: false });
  const listen = { host: '127.0.0.1', port: 0 };
  const open = createAnswerOpen(pool);
  const files = createFileServer({ folder: folder.log, listen, clock, readers, open, logger });
  await files.start();
  try {
    const watched = { clock, logger, log: logVkey(demoOrigin, logKey), logUrl: files.url() };
    const witnesses = await startWitnesses(keys, watched);
    return {
      witnessUrls: witnesses.urls,
      died: witnesses.died,
      show: (ledger) => {
        running.ledger = ledger;
      },
      stop: async () => {
        await witnesses.stop();
        await files.stop();
      },
    };
  } catch (error) {
    await files.stop();
    throw error;
  }
}

/** A network whose log is watched by the demo's three witnesses. */
export async function startWatchedNetwork(
  options: Omit<NetworkOptions, 'logKey' | 'witnessUrls'> & { readonly logKey: Signer },
): Promise<Network> {
  const watch = await startDemoWatch(options);
  try {
    const network = await startNetwork({ ...options, witnessUrls: watch.witnessUrls });
    watch.show(network.ledger);
    return {
      ...network,
      died: Promise.race([network.died, watch.died]),
      stop: async () => {
        await network.stop();
        await watch.stop();
      },
    };
  } catch (error) {
    await watch.stop();
    throw error;
  }
}
