import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { Failed, Refused } from '#core/errors.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { describeFault } from '#devices/faults.ts';
import { planFaults, type FaultRequest } from '#devices/fault-plan.ts';
import { createFleet, type FleetPlant } from '#devices/fleet.ts';
import { manualClock, systemClock, type ManualClock } from '#platform/clock.ts';
import { createLogger, type Logger } from '#platform/logger.ts';
import { openDataFolder, type DataFolder } from './data-folder.ts';
import { enrolmentDrafts } from './demo-enrolment.ts';
import { startDemoFleet, type DemoFleet } from './demo-fleet.ts';
import { createDemoFigures, type DemoFigures } from './demo-figures.ts';
import {
  demoKeys,
  demoOrigin as origin,
  demoStartS,
  readDemoState,
  writeDemoState,
} from './demo-state.ts';
import type { DemoKeys, DemoState } from './demo-state.ts';
import { startWatchedNetwork } from './demo-network.ts';
import { demoPolicy, logVkey, witnessKeys, writePolicyFile } from './demo-witnesses.ts';
import { openDatabase, type Database, type Network } from './network.ts';
import { createProgressView, describeRefused, formatTime, formatWh } from './progress.ts';
import type { ProgressView } from './progress.ts';
import { demoEmissions } from './demo-emissions.ts';
import { genesisDraft } from './genesis.ts';
import { createProofFiles, type ProofFiles } from './proof-files.ts';

export interface DemoOptions {
  readonly folder: string;
  /** Simulated hours to run; without it the demo goes on until it is asked to stop. */
  readonly hours: number | undefined;
  readonly exit: boolean;
  readonly seed: number;
  /** Real time that a simulated hour takes at least; by default a few seconds on a terminal. */
  readonly paceMs: number | undefined;
  readonly port: number;
  readonly databaseUrl: string | undefined;
  readonly faults: FaultRequest;
}

type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

const audience = 'demo.hourseal.example';
const hourS = 3600;
/** Real time within which one step of the clock must have been receipted. */
const settleLimitMs = 60_000;
const watchedPaceMs = 2_000;

/**
 * The main job on simulated time: meters sign and publish over MQTT, ingestion stores, the ledger
 * seals and issues, proof files are written as hours are sealed. Returns the exit code.
 */
export async function runDemo(options: DemoOptions, out: Output): Promise<number> {
  const view = createProgressView(out);
  const folder = await openDataFolder(options.folder, { create: 'demo' });
  try {
    return await runInFolder(folder, options, { view, watched: out.isTTY === true });
  } finally {
    await folder.release();
  }
}

interface Watcher {
  readonly view: ProgressView;
  readonly watched: boolean;
}

async function runInFolder(
  folder: DataFolder,
  options: DemoOptions,
  { view, watched }: Watcher,
): Promise<number> {
  const found = await readDemoState(folder);
  const state = found ?? { nowS: demoStartS, startS: demoStartS, seed: options.seed };
  const plants = createFleet(state.seed);
  const ids = plants.map(({ id }) => id);
  // Before anything is touched; and never made again for a log that was signed with others.
  const keys = await demoKeys(folder, ids, { create: found === undefined });
  const witnesses = await witnessKeys(folder, { create: found === undefined });
  const logger = createLogger({ name: 'demo', file: join(folder.path, 'demo.log') });
  const where =
    options.databaseUrl === undefined ? 'embedded Postgres' : 'the database of DATABASE_URL';
  view.say(`${found === undefined ? 'Starting' : 'Going on'} in ${folder.path} on ${where} …`);
  const database = await openDatabase(folder, { databaseUrl: options.databaseUrl, logger });
  try {
    if (found === undefined) await writeDemoState(folder, state);
    const clock = manualClock(state.nowS * 1000);
    const policy = demoPolicy(logVkey(origin, keys.log), witnesses);
    await writePolicyFile(folder, policy);
    const network = await startWatchedNetwork({
      folder,
      pool: database.pool,
      clock,
      logger,
      logKey: keys.log,
      ingestionKey: keys.ingestion,
      listen: { host: '127.0.0.1', port: options.port },
      audience,
      // Receipts at once: on the demo's clock everything waits for them.
      ingestionLimits: { receiptEveryMs: 20 },
    });
    const stop = stopOnSignal(logger);
    try {
      const beginning = { plants, nowS: clock.nowS(), folder, isNew: found === undefined, policy };
      await enrol(network, { ...keys, origin }, beginning);
      const world = { folder, state, clock, network, database, plants, view, watched, logger };
      await runFleet(world, { options, ingestionKey: keys.ingestion, signal: stop.signal });
      return 0;
    } finally {
      stop.release();
      await network.stop();
    }
  } finally {
    await database.close();
    view.say(`Everything is in ${folder.path}; the same command goes on from there.`);
  }
}

interface World {
  readonly folder: DataFolder;
  readonly state: DemoState;
  readonly clock: ManualClock;
  readonly network: Network;
  readonly database: Database;
  readonly plants: readonly FleetPlant[];
  readonly view: ProgressView;
  readonly watched: boolean;
  readonly logger: Logger;
}

/** The meters, for as long as they are to run. */
async function runFleet(
  { database, plants, watched, logger, ...world }: World,
  {
    options,
    ingestionKey,
    signal,
  }: { options: DemoOptions; ingestionKey: Signer; signal: AbortSignal },
): Promise<void> {
  const { folder, state, clock, network, view } = world;
  const faults = planFaults(options.faults, plants, state.nowS);
  const figures = createDemoFigures(database.pool, plants);
  for (const fault of faults) view.say(`Fault: ${describeFault(fault)}`);
  const fleet = await startDemoFleet({
    plants,
    startS: state.startS,
    faults,
    folder: folder.devices,
    url: `mqtt://127.0.0.1:${network.broker.port()}`,
    audience,
    origin,
    ingestionKey: parsePublicJwk(ingestionKey.jwk),
    clock,
    onEvent: (meter, event) => {
      logger.info({ meter, event }, event.kind);
      if (event.kind === 'extra-refused') figures.turnedAway();
    },
  });
  try {
    const { ledger } = network;
    const proofs = createProofFiles({ ledger, pool: database.pool, folder: folder.proofs });
    const died = Promise.race([database.died, network.died]);
    const run = { ...world, fleet, figures, proofs, died };
    const paceMs = options.paceMs ?? (watched ? watchedPaceMs : 0);
    await runHours(run, { hours: options.hours, paceMs, signal });
    if (options.hours !== undefined && !options.exit && !signal.aborted) {
      view.say(`${options.hours} hours done; the broker stays up until Ctrl-C.`);
      await unlessDead(run, once(signal, 'abort'));
    }
    await summarise(run);
  } finally {
    await fleet.stop();
  }
}

interface Beginning {
  readonly plants: readonly FleetPlant[];
  readonly nowS: number;
  readonly folder: DataFolder;
  readonly policy: string;
  /** Nothing was ever entered from this folder. */
  readonly isNew: boolean;
}

/** Genesis and enrolment, unless the log has them: entered in one go, so that no half of it stands. */
async function enrol(
  { ledger }: Network,
  parties: DemoKeys & { readonly origin: string },
  { plants, nowS, folder, isNew, policy }: Beginning,
): Promise<void> {
  if (!(await ledger.isEmpty())) {
    if (isNew) throw new Refused('log-exists', 'the database holds another log');
    await ledger.step();
    return;
  }
  if (existsSync(join(folder.log, 'checkpoint'))) {
    throw new Refused('log-lost', `the log of ${folder.path} is not in this database`);
  }
  const drafts = [
    genesisDraft(parties, nowS, {
      policy,
      rules: { emissions: demoEmissions, stateEveryS: hourS },
    }),
    ...plants.flatMap((plant) => enrolmentDrafts(parties, plant, nowS)),
  ];
  for (const outcome of await ledger.submit(drafts)) {
    if (outcome.result === 'refused') throw new Refused(outcome.code, outcome.message);
  }
  await ledger.step();
}

interface Run {
  readonly folder: DataFolder;
  readonly state: DemoState;
  readonly clock: ManualClock;
  readonly fleet: DemoFleet;
  readonly network: Network;
  readonly figures: DemoFigures;
  readonly proofs: ProofFiles;
  readonly view: ProgressView;
  readonly died: Promise<Error>;
}

async function runHours(
  run: Run,
  { hours, paceMs, signal }: { hours: number | undefined; paceMs: number; signal: AbortSignal },
): Promise<void> {
  const untilS = hours === undefined ? Number.POSITIVE_INFINITY : run.clock.nowS() + hours * hourS;
  for (let nowS = run.clock.nowS(); !signal.aborted && nowS < untilS;) {
    const nextS = Math.max(nowS, Math.min(run.fleet.nextAtS(), untilS));
    const began = performance.now();
    await unlessDead(run, step(run, nextS));
    const restMs = (paceMs * (nextS - nowS)) / hourS - (performance.now() - began);
    nowS = nextS;
    // It rejects for one reason only, the signal, which the loop itself looks at.
    await systemClock.sleep(restMs, signal).catch(() => undefined);
  }
}

/** Waiting for a part that has died would be waiting for ever. */
async function unlessDead({ died }: Pick<Run, 'died'>, work: Promise<unknown>): Promise<void> {
  const cause = await Promise.race([died, work.then(() => undefined)]);
  if (cause !== undefined) throw new Failed('died', 'a part of the demo has died', { cause });
}

/** One step of the demo's clock: it moves only when nothing is in flight (D6). */
async function step(run: Run, nowS: number): Promise<void> {
  const { clock, fleet, network, figures, proofs, view, folder, state } = run;
  await writeDemoState(folder, { ...state, nowS });
  await clock.advance(nowS * 1000);
  await fleet.produceUntil(nowS);
  await fleet.settled('receipted', AbortSignal.timeout(settleLimitMs));
  await network.ingestion.whenIdle();
  await network.ledger.step();
  await proofs.write();
  view.show(await figures.read({ nowS, proofFiles: proofs.count() }));
}

async function summarise({ clock, figures, proofs, view, folder }: Run): Promise<void> {
  const end = await figures.read({ nowS: clock.nowS(), proofFiles: proofs.count() });
  view.rest();
  view.say('');
  view.say(
    `${formatTime(end.nowS)} UTC: ${formatWh(end.messages)} messages accepted, ${end.sealedHours} hours sealed, ${formatWh(end.certifiedWh)} Wh certified in a log of ${formatWh(end.treeSize)} entries.`,
  );
  view.say(describeRefused(end));
  const example = proofs.latest();
  if (example !== undefined) {
    view.say(`Check one:  npx hourseal verify ${example} --policy ${join(folder.path, 'policy')}`);
  }
  view.say(
    `Audit all:  npx hourseal log audit --messages --policy ${join(folder.path, 'policy')} --data ${folder.path}`,
  );
}

/** Ctrl-C once: finish this step and stop. Twice: end at once, which the data folder survives. */
function stopOnSignal(logger: Logger): { signal: AbortSignal; release: () => void } {
  const controller = new AbortController();
  const onSignal = (name: NodeJS.Signals): void => {
    if (controller.signal.aborted) process.exit(name === 'SIGINT' ? 130 : 143);
    logger.info({ signal: name }, 'stopping');
    controller.abort();
  };
  const names = ['SIGINT', 'SIGTERM'] as const;
  for (const name of names) process.on(name, onSignal);
  return {
    signal: controller.signal,
    release: () => {
      for (const name of names) process.off(name, onSignal);
    },
  };
}
