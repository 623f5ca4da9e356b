import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Failed } from '#core/errors.ts';
import type { Pool } from '#platform/postgres.ts';
import { describeKafka } from '#support/kafka.ts';
import { mosquitto } from '#support/mosquitto.ts';
import { describeWhereAllowed, describeWith } from '#support/needs.ts';
import { ownPostgres } from '#support/postgres.ts';
import { createSmallDisk, smallDiskNeed, type SmallDisk } from '#support/small-disk.ts';
import { inRounds, rounds, type Round } from '../rounds.ts';
import { seed } from '../seed.ts';
import { startWorld, type World } from './world.ts';

const startLimitMs = 600_000;
const roundLimitMs = 420_000;
const diskMiB = 512;
const fillSql = `
  insert into filler select string_agg(gen_random_uuid()::text, '') from generate_series(1, 10000)`;

/**
 * PostgreSQL on a disk that is full. Whether it refuses to write rows (53100) or, when it is its log
 * that finds no room, ends with PANIC and does not come up before there is some, is up to it; whoever
 * watches over it starts it again, as systemd would.
 */
describeKafka('an installation behind a broker', () => {
  describeWith([mosquitto, ownPostgres], 'whose database has', () => {
    describeWhereAllowed(smallDiskNeed(), 'no room on its disk', () => {
      let disk: SmallDisk;
      let world: World;
      beforeEach(async () => {
        disk = createSmallDisk(diskMiB);
        world = await startWorld({ postgresFolder: disk.folder, answerTimeoutMs: 1_000 });
      }, startLimitMs);
      afterEach(async () => {
        await world.stop();
        disk.remove();
      });

      /** Writes until it is refused; says why. */
      const refusal = async (pool: Pool): Promise<string> => {
        try {
          await pool.run('create table if not exists filler (bytes text)');
          for (;;) await pool.run(fillSql);
        } catch (error) {
          if (!(error instanceof Failed)) throw error;
          return error.code;
        }
      };

      test(
        `${rounds} times: nothing is promised until there is room, then all comes (HOURSEAL_FAULT_SEED=${seed})`,
        async () => {
          const round = async ({ between }: Round): Promise<void> => {
            world.load.resume();
            const before = world.receipted();
            while (world.receipted() === before) await sleep(50);
            await sleep(between(0, 1_500));
            disk.fill();
            expect(await refusal(world.pool)).toMatch(/^database-(resources|down)$/);
            await world.stuck();
            await sleep(between(0, 3_000));
            disk.makeRoom();
            await world.postgres.restart();
            await world.checkNow();
            await world.settleAndCheck();
          };
          await inRounds('full disk', round, world.ingestion.peakRssMiB);
          await world.checkAgain();
        },
        rounds * roundLimitMs,
      );
    });
  });
});
