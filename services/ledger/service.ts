import { Refused } from '#core/errors.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { ed25519Type, formatVkey } from '#core/tlog/note.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { defaultLedgerLimits, type LedgerLimits } from './config.ts';
import { faultOf } from './fault.ts';
import { createFollower } from './follow.ts';
import { openLogFolder, type LogFolder } from './log-folder.ts';
import { createLoop } from './loop.ts';
import { openProofSource, type ProofSource } from './proof-source.ts';
import { createPublisher } from './publish.ts';
import { createSealer, type Sealed } from './seal.ts';
import { createSequencer, type Outcome } from './sequence.ts';
import { openSiteSecrets } from './site-secrets.ts';

export interface LedgerContext {
  readonly pool: Pool;
  readonly clock: Clock;
  /** The log key, as genesis names it: it signs checkpoints and nothing else. */
  readonly signer: Signer;
  /** Where the static files of the log lie: checkpoint, tiles, batch files, evidence. */
  readonly folder: string | LogFolder;
  /** Where the secrets of committed sites lie. */
  readonly secretsFolder: string;
  readonly logger: Logger;
  readonly limits?: Partial<LedgerLimits>;
}

export interface LedgerStep {
  /** Entries under the signed checkpoint. */
  readonly treeSize: number;
  readonly sealed: readonly Sealed[];
  /** Forks and voids entered. */
  readonly reported: number;
}

export interface LedgerSettings {
  readonly origin: string;
  /** Plant to the account that owns it. */
  readonly plants: ReadonlyMap<string, string>;
  /** Meter to its plant. */
  readonly meters: ReadonlyMap<string, string>;
}

export interface Ledger extends Required<Service> {
  /** Seals, corrects, reports and publishes all that is ready by the clock. */
  readonly step: () => Promise<LedgerStep>;
  /** Enters signed actions in their order; one that breaks a rule is reported and not entered. */
  readonly submit: (actions: readonly SignedDraft[]) => Promise<Outcome[]>;
  /** Appends bytes that nobody judges. For tests and tools: what is wrong with them, a `void` says. */
  readonly appendUnchecked: (entries: readonly Uint8Array[]) => Promise<Outcome[]>;
  readonly isEmpty: () => Promise<boolean>;
  /** Refused('genesis') as long as the log is empty. */
  readonly settings: () => Promise<LedgerSettings>;
  /** What proof files are made of, as of the checkpoint that is published now. */
  readonly proofs: () => Promise<ProofSource>;
}

export function createLedger(context: LedgerContext): Ledger {
  const { pool, clock, signer, logger } = context;
  const limits = { ...defaultLedgerLimits, ...context.limits };
  const folder =
    typeof context.folder === 'string' ? openLogFolder(context.folder) : context.folder;
  const sequencer = createSequencer({ pool, clock, follower: createFollower() });
  /** Asked before anything is signed: with another key the log would have two voices. */
  const origin = async (): Promise<string | undefined> => {
    const { genesis } = await sequencer.state();
    if (genesis === undefined) return undefined;
    const publicKey = parsePublicJwk(signer.jwk).raw;
    const vkey = formatVkey({ name: genesis.origin, type: ed25519Type, publicKey });
    if (vkey !== genesis.spec.logKey) {
      throw new Refused('log-key', 'the log key is not the one that genesis names');
    }
    return genesis.origin;
  };
  const publisher = createPublisher({ pool, folder, signer, origin });
  const secrets = openSiteSecrets(context.secretsFolder);
  const sealer = createSealer({ pool, clock, folder, sequencer, secrets, logger, limits });

  const work = async (): Promise<LedgerStep> => {
    // First of all, so that what an earlier process signed is seen before anything new happens.
    let treeSize = await publisher.publish();
    const sealed: Sealed[] = [];
    const reported = await sealer.report();
    for (let groups = 0; groups < limits.groupsPerStep; groups++) {
      const group = await sealer.sealGroup();
      sealed.push(...group.sealed);
      treeSize = await publisher.publish();
      if (!group.more) break;
    }
    return { treeSize, sealed, reported };
  };

  let stepping: Promise<unknown> = Promise.resolve();
  const step = (): Promise<LedgerStep> => {
    const turn = stepping.then(work, work);
    stepping = turn.catch(() => undefined);
    return turn;
  };

  return {
    step,
    ...createLoop({ step, clock, logger, ...limits }),
    submit: (actions) =>
      sequencer.sequence(actions.map((action) => ({ type: 'action', ...action }))),
    appendUnchecked: (entries) =>
      sequencer.sequence(
        entries.map((bytes) => ({ type: 'unchecked', bytes })),
        { faultOf: (state, bytes) => faultOf(folder, { state, bytes }) },
      ),
    isEmpty: async () => (await sequencer.state()).size === 0,
    async settings() {
      const { genesis, plants, meters } = await sequencer.state();
      if (genesis === undefined) throw new Refused('genesis', 'the log has no genesis yet');
      return {
        origin: genesis.origin,
        plants: new Map([...plants].map(([plant, { spec }]) => [plant, spec.account])),
        meters: new Map([...meters].map(([meter, { spec }]) => [meter, spec.plant])),
      };
    },
    proofs: () => openProofSource({ pool, folder, state: sequencer.state }),
  };
}
