import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { signedDraft, type SignedDraft } from '#core/certificate/entry.ts';
import { hourSeconds } from '#core/energy/hours.ts';
import { parsePublicJwk } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { parsePolicy, type Policy } from '#core/tlog/policy.ts';
import type { Fault } from '#devices/faults.ts';
import type { FleetPlant } from '#devices/fleet.ts';
import { manualClock, type ManualClock } from '#platform/clock.ts';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { openDataFolder } from '#standalone/data-folder.ts';
import { enrolmentDrafts } from '#standalone/demo-enrolment.ts';
import { startDemoFleet } from '#standalone/demo-fleet.ts';
import { startWatchedNetwork } from '#standalone/demo-network.ts';
import { demoKeys, demoOrigin, demoStartS } from '#standalone/demo-state.ts';
import { demoPolicy, logVkey, witnessKeys } from '#standalone/demo-witnesses.ts';
import { genesisDraft } from '#standalone/genesis.ts';
import type { Network } from '#standalone/network.ts';
import { createProofFiles, type ProofFiles } from '#standalone/proof-files.ts';

/**
 * Plants of the simulated fleet behind real gateways, a real MQTT broker, ingestion, the ledger and
 * three witnesses of which one audits, on a database of the test's and a clock that the test steps.
 */
export interface FleetNetwork {
  readonly network: Network;
  readonly clock: ManualClock;
  readonly policy: Policy;
  /** Of the log's static files, and of the proof files written at each step. */
  readonly folder: { readonly log: string; readonly proofs: string };
  readonly proofs: ProofFiles;
  /** Steps the clock, by default hour by hour, each time until all that is under way has settled. */
  readonly runTo: (untilS: number, stepS?: number) => Promise<void>;
  /** Enters what the account of a plant signs, or the issuing body; fails when it is refused. */
  readonly enter: (kind: string, spec: object, by: { account?: string }) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export { demoStartS as fleetStartS } from '#standalone/demo-state.ts';

const audience = 'fleet.test';
const settleLimitMs = 120_000;

export async function startFleetNetwork(
  pool: Pool,
  options: {
    readonly plants: readonly FleetPlant[];
    readonly faults?: readonly Fault[];
    readonly root: string;
    readonly deadlineS?: number;
  },
): Promise<FleetNetwork> {
  const { deadlineS = 24 * hourSeconds, faults = [], plants } = options;
  const folder = await openDataFolder(join(options.root, 'data'), { create: 'demo' });
  const ids = plants.map(({ id }) => id);
  const keys = await demoKeys(folder, ids, { create: true });
  const witnesses = await witnessKeys(folder, { create: true });
  const policy = demoPolicy(logVkey(demoOrigin, keys.log), witnesses);
  const logger = createLogger({ name: 'test', level: 'silent' });
  const clock = manualClock(demoStartS * 1000);
  const network = await startWatchedNetwork({
    folder,
    pool,
    clock,
    logger,
    logKey: keys.log,
    ingestionKey: keys.ingestion,
    listen: { host: '127.0.0.1', port: 0 },
    audience,
    // On a clock that stands still while something is in flight everything waits for receipts.
    ingestionLimits: { receiptEveryMs: 20, receiptTurnMs: 20, rollupEveryMs: 50 },
  });
  const { ledger, ingestion, broker } = network;
  const parties = { ...keys, origin: demoOrigin };
  const submit = async (drafts: readonly SignedDraft[]): Promise<void> => {
    for (const outcome of await ledger.submit(drafts)) {
      if (outcome.result === 'refused') throw new Error(`${outcome.code} ${outcome.message}`);
    }
  };
  await submit([
    genesisDraft(parties, demoStartS, {
      policy,
      rules: { deadlineS, stateEveryS: hourSeconds },
    }),
    ...plants.flatMap((plant) => enrolmentDrafts(parties, plant, demoStartS)),
  ]);
  const fleet = await startDemoFleet({
    plants,
    startS: demoStartS,
    faults,
    folder: folder.devices,
    url: `mqtt://127.0.0.1:${broker.port()}`,
    audience,
    origin: demoOrigin,
    ingestionKey: parsePublicJwk(keys.ingestion.jwk),
    clock,
    onEvent: () => undefined,
  });
  const proofs = createProofFiles({ ledger, pool, folder: folder.proofs });
  const step = async (nowS: number): Promise<void> => {
    await clock.advance(nowS * 1000);
    await fleet.produceUntil(nowS);
    await fleet.settled('receipted', AbortSignal.timeout(settleLimitMs));
    await ingestion.whenIdle();
    await ledger.step();
    await proofs.write();
  };
  return {
    network,
    clock,
    policy: parsePolicy(policy),
    folder,
    proofs,
    async runTo(untilS, stepS = hourSeconds) {
      while (clock.nowS() < untilS) await step(Math.min(untilS, clock.nowS() + stepS));
    },
    async enter(kind, spec, { account }) {
      const signer: Signer = account === undefined ? keys.issuer : keys.account(account);
      const life = { nonce: randomUUID(), notAfter: clock.nowS() + hourSeconds };
      const action = { kind, origin: demoOrigin, spec: { ...spec, ...life } };
      await submit([signedDraft(action, [signer])]);
    },
    async stop() {
      await fleet.stop();
      await network.stop();
      await folder.release();
    },
  };
}
