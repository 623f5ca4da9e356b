import type { SignedDraft } from '#core/certificate/entry.ts';
import { worse } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import type { Clock } from '#platform/clock.ts';
import type { Logger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import type { Service } from '#platform/shutdown.ts';
import { openStateStore } from '#platform/state-store.ts';
import { defaultLedgerLimits, type LedgerLimits } from './config.ts';
import { createEmissionEntries, type EmissionEntries } from './emissions.ts';
import { faultOf } from './fault.ts';
import { createFollower } from './follow.ts';
import { openLogFolder, withFailures, type LogFolder } from './log-folder.ts';
import { createLoop } from './loop.ts';
import { openProofSource, type ProofSource } from './proof-source.ts';
import { createPublisher, type Publisher } from './publish.ts';
import { report } from './report.ts';
import { createSealer, type Sealed, type Sealer } from './seal.ts';
import { createSequencer, type Outcome, type Sequencer } from './sequence.ts';
import { auditorsOf, settingsOf, type LedgerSettings } from './settings.ts';
import { openSiteSecrets } from './site-secrets.ts';
import { createActionIntake, type ActionIntake } from './action-intake.ts';
import { createStateEntries, type StateEntries } from './state-entries.ts';
import { createUnclaims, type Unclaims } from './unclaims.ts';
import type { WitnessUrls } from './witnesses.ts';

export interface LedgerContext {
  readonly pool: Pool;
  readonly clock: Clock;
  /**
   * The log key: it signs checkpoints and nothing else. Several while one takes over from another:
   * those sign that the log names for the time.
   */
  readonly signer: Signer | readonly Signer[];
  /** Where the static files of the log lie: checkpoint, tiles, batch files, evidence. */
  readonly folder: string | LogFolder;
  /** Where the secrets of committed sites lie. */
  readonly secretsFolder: string;
  /** Where the fold over the log is kept, for this process alone; in memory where it is undefined. */
  readonly stateFolder?: string | undefined;
  readonly logger: Logger;
  readonly limits?: Partial<LedgerLimits>;
  /** The operator's word that the disk was not rolled back, whatever witnesses cannot say (D5). */
  readonly signWithoutWitnesses?: boolean;
  /** By vkey, where a policy says nothing of it, or what is not so any more. */
  readonly witnessUrls?: WitnessUrls;
}

export interface LedgerStep {
  /** Entries under the newest checkpoint that we have signed. */
  readonly treeSize: number;
  /** Entries under the published one, which has its quorum: nothing else may be called certified. */
  readonly publishedSize: number;
  readonly sealed: readonly Sealed[];
  /** Forks and voids entered. */
  readonly reported: number;
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
  /** Who may read the evidence of committed sites, by now. Refused('genesis') as `settings`. */
  readonly auditors: () => Promise<readonly PublicKey[]>;
  /** What proof files are made of, as of the checkpoint that is published now. */
  readonly proofs: () => Promise<ProofSource>;
  /** Enters a `state` now, due or not; says whether it did. */
  readonly enterState: () => Promise<boolean>;
  /** Keeps what it has learnt from the log, where it was never started; `stop` does so too. */
  readonly close: () => Promise<void>;
  /** Publisher.complete: the witnesses that have not cosigned the published checkpoint. */
  readonly complete: () => Promise<readonly string[]>;
}

export function createLedger(context: LedgerContext): Ledger {
  const { pool, clock, logger } = context;
  const limits = { ...defaultLedgerLimits, ...context.limits };
  const folder = withFailures(
    typeof context.folder === 'string' ? openLogFolder(context.folder) : context.folder,
  );
  const { stateFolder } = context;
  const follower = createFollower(
    stateFolder === undefined ? undefined : () => openStateStore(stateFolder),
  );
  const sequencer = createSequencer({ pool, clock, follower });
  const publisher = createPublisher({
    pool,
    folder,
    signers: 'kid' in context.signer ? [context.signer] : context.signer,
    state: sequencer.state,
    logger,
    limits,
    signWithoutWitnesses: context.signWithoutWitnesses ?? false,
    witnessUrls: context.witnessUrls ?? new Map(),
  });
  const secrets = openSiteSecrets(context.secretsFolder);
  const sealer = createSealer({ pool, clock, folder, sequencer, secrets, logger, limits });
  const states = createStateEntries({ pool, folder, clock, sequencer, logger });
  const actions = createActionIntake({ pool, clock, sequencer, limits });
  const unclaims = createUnclaims({ sequencer, logger, limits });
  const emissions = createEmissionEntries({ pool, clock, sequencer, logger });

  const step = createStep({
    publisher,
    sequencer,
    sealer,
    emissions,
    states,
    actions,
    unclaims,
    folder,
    limits,
    report: () => report({ pool, folder, sequencer, logger, limits }),
  });
  const loop = createLoop({ step, clock, logger, ...limits });
  return {
    step,
    ...loop,
    async stop() {
      await loop.stop();
      await sequencer.close();
    },
    close: sequencer.close,
    submit: (actions) =>
      sequencer.sequence(actions.map((action) => ({ type: 'action', ...action }))),
    appendUnchecked: (entries) =>
      sequencer.sequence(
        entries.map((bytes) => ({ type: 'unchecked', bytes })),
        { faultOf: (state, bytes) => faultOf(folder, { state, bytes }) },
      ),
    isEmpty: async () => (await sequencer.state()).size === 0,
    settings: async () => settingsOf(await sequencer.state()),
    auditors: async () => auditorsOf(await sequencer.state()),
    enterState: () => states.enter({ now: true }),
    complete: publisher.complete,
    proofs: () => openProofSource({ pool, folder, state: sequencer.state }),
  };
}

interface StepParts {
  readonly publisher: Publisher;
  readonly sequencer: Pick<Sequencer, 'state'>;
  readonly sealer: Sealer;
  readonly emissions: EmissionEntries;
  readonly report: () => Promise<number>;
  readonly states: Pick<StateEntries, 'enter'>;
  readonly actions: ActionIntake;
  readonly unclaims: Unclaims;
  readonly folder: Pick<LogFolder, 'recover' | 'settle'>;
  readonly limits: Pick<LedgerLimits, 'groupsPerStep'>;
}

/** One turn of the ledger's work; turns never overlap. */
function createStep({
  publisher,
  sequencer,
  sealer,
  emissions,
  report,
  states,
  actions,
  unclaims,
  folder,
  limits,
}: StepParts): () => Promise<LedgerStep> {
  /** Seals all that can be; what one group sequenced is signed while the next is decided. */
  const seal = async (signings: Beside<number>): Promise<Omit<LedgerStep, 'publishedSize'>> => {
    await actions.enter();
    signings.start();
    const reported = await report();
    const { genesis } = await sequencer.state();
    const sealed = await sealer.seal({
      groupsAtMost: limits.groupsPerStep,
      // In a closed log nothing is sealed any more; a `void` may still have to say what came in last.
      mayGoOn: () => genesis?.closed === undefined && !signings.hasFailed(),
      onGroup: signings.start,
    });
    await emissions.enter();
    // Whoever acted while hours were sealed does not wait for the next turn.
    await actions.enter();
    await unclaims.enter();
    await states.enter();
    await signings.end();
    signings.start();
    return { treeSize: (await signings.end()) ?? 0, sealed, reported };
  };

  const work = async (): Promise<LedgerStep> => {
    // First of all, so that what an earlier process wrote and signed is seen before anything new happens.
    await folder.recover();
    await publisher.recover();
    const publications = beside(publisher.publish);
    const signings = beside(async () => {
      const treeSize = await publisher.sign();
      publications.start();
      return treeSize;
    });
    let step: Omit<LedgerStep, 'publishedSize'>;
    try {
      step = await seal(signings);
    } catch (error) {
      const [signing] = await Promise.allSettled([signings.end()]);
      const [publication] = await Promise.allSettled([publications.end()]);
      throw worse(worse(error, signing), publication);
    }
    const last = await publications.end();
    const { publishedSize } = last?.newest === step.treeSize ? last : await publisher.publish();
    if (step.sealed.length === 0) await folder.settle();
    return { ...step, publishedSize };
  };

  let stepping: Promise<unknown> = Promise.resolve();
  return () => {
    const turn = stepping.then(work, work);
    stepping = turn.catch(() => undefined);
    return turn;
  };
}

/** Work that is done beside other work, once at a time. */
interface Beside<Result> {
  /** Does nothing where it is being done. */
  readonly start: () => void;
  readonly hasFailed: () => boolean;
  /** Resolves to what came of the last time, or rejects with what one of them threw. */
  readonly end: () => Promise<Result | undefined>;
}

/**
 * Signing waits for the database and publishing for witnesses, who may take their time: hours do not
 * wait for them.
 */
function beside<Result>(work: () => Promise<Result>): Beside<Result> {
  let isRunning = false;
  let hasFailed = false;
  let last: Promise<Result | undefined> = Promise.resolve(undefined);
  return {
    start() {
      if (isRunning) return;
      isRunning = true;
      last = last.then(work).finally(() => {
        isRunning = false;
      });
      // It is thrown by `end`.
      last.catch(() => {
        hasFailed = true;
      });
    },
    hasFailed: () => hasFailed,
    end: () => last,
  };
}
