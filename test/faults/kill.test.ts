import { setMaxListeners } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { createLogger } from '#platform/logger.ts';
import type { Pool } from '#platform/postgres.ts';
import { openDataFolder, places } from '#standalone/data-folder.ts';
import { openDatabase } from '#standalone/network.ts';
import { copyEmptyDatabase, onEachEngine } from '#support/postgres.ts';
import { checkAudit, checkEnergy, checkForks, checkMessages } from './kill-checks.ts';
import { checkNothingTwice, checkProjections, replayLog } from './kill-checks.ts';
import { startLoad, type LoadMeter } from './kill-load.ts';
import { freePort, startVictim } from './kill-process.ts';
import { watchCheckpoints, type CheckpointWatch } from './kill-watch.ts';
import { worldMeters, type World } from './kill-world.ts';
import { randomFrom, roundsOr, seed, type Random } from './seed.ts';

const rounds = roundsOr(2);
/** Two hours and more on the accelerated clock. */
const lastLifeMs = 13_000;
const finishLimitMs = 240_000;
const roundLimitMs = 90_000;
const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface Scene {
  readonly world: World;
  readonly watch: CheckpointWatch;
  readonly load: readonly LoadMeter[];
  readonly random: Random;
}

/** Kills in the middle of the work, or, every fourth time, while it starts. */
async function killOnce({ world, random }: Scene): Promise<void> {
  const victim = startVictim(world);
  if (random() < 0.25) await setTimeout(random() * 4_000);
  else {
    await victim.ready;
    await setTimeout(200 + random() * 5_000);
  }
  await victim.kill();
}

/** The last life, in which everything arrives and is worked off. */
async function finish({ world, load }: Scene): Promise<void> {
  const last = startVictim(world);
  try {
    await last.ready;
    await setTimeout(lastLifeMs);
    const limit = AbortSignal.timeout(finishLimitMs);
    setMaxListeners(2 * load.length, limit);
    await Promise.all(load.map((meter) => meter.finish(limit)));
    await last.finish();
  } catch (error) {
    last.end();
    throw error;
  }
}

/** Between two lives: what was promised is kept, and what is signed is not taken back. */
async function checkBetween(pool: Pool, { watch, load }: Scene): Promise<void> {
  const [row] = await pool.rows<{ note: Uint8Array | null }>('select note from checkpoint');
  if (row?.note) watch.note(row.note);
  await checkMessages(
    pool,
    load.map((meter) => meter.promises()),
  );
}

async function checkEverything(pool: Pool, scene: Scene): Promise<void> {
  const promises = scene.load.map((meter) => meter.promises());
  await checkBetween(pool, scene);
  await checkForks(pool, promises);
  const log = await replayLog(pool);
  checkNothingTwice(log.entries);
  await checkProjections(pool, log);
  await checkEnergy(pool, log, promises);
  expect(scene.watch.faults(log.leafHashes)).toEqual([]);
  expect(scene.watch.sizes().length).toBeGreaterThan(1);
}

onEachEngine('killed under load', (start, engine) => {
  test(
    `${rounds} times: nothing acknowledged is lost, nothing is issued twice (HOURSEAL_FAULT_SEED=${seed})`,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'hourseal-kill-'));
      folders.push(folder);
      const data = places(join(folder, 'data'));
      await (await openDataFolder(data.path, { create: 'installation' })).release();
      const server = engine === 'postgres' ? await start() : undefined;
      if (server === undefined) await copyEmptyDatabase(data.database);
      const world: World = {
        folder: data.path,
        port: await freePort(),
        beganMs: Date.now(),
        ...(server !== undefined && { databaseUrl: server.connectionString }),
      };
      const random = randomFrom(seed);
      const watch = watchCheckpoints(data.log);
      const load = await startLoad(worldMeters, { world, folder: join(folder, 'devices'), random });
      const scene: Scene = { world, watch, load, random };
      try {
        for (let round = 0; round < rounds; round++) {
          await killOnce(scene);
          if (server !== undefined) await checkBetween(server.pool, scene);
        }
        await finish(scene);
      } finally {
        await Promise.all(load.map((meter) => meter.stop()));
        await watch.stop();
      }
      const logger = createLogger({ name: 'test', level: 'silent' });
      const database = await openDatabase(data, { databaseUrl: world.databaseUrl, logger });
      try {
        await checkEverything(database.pool, scene);
        await checkAudit(data.log);
      } finally {
        await database.close();
      }
    },
    2 * finishLimitMs + rounds * roundLimitMs,
  );
});
