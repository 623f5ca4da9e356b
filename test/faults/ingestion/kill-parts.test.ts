import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { describeKafka } from '#support/kafka.ts';
import { mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { ownPostgres } from '#support/postgres.ts';
import { inRounds, rounds, type Round } from '../rounds.ts';
import { seed } from '../seed.ts';
import { startWorld, type World } from './world.ts';

const startLimitMs = 600_000;
const roundLimitMs = 360_000;
const backendSql = `select pid from pg_stat_activity where application_name = 'hourseal ingestion'`;

/** Each part of the installation in turn is killed, and comes back: what does that by itself is not ours. */
describeKafka('an installation behind a broker', () => {
  describeWith([mosquitto, ownPostgres], 'whose parts are killed with kill -9 under load', () => {
    let world: World;
    beforeAll(async () => {
      world = await startWorld();
      return world.stop;
    }, startLimitMs);

    const kills: Readonly<Record<string, (round: Round) => Promise<void>>> = {
      ingestion: async ({ random, between }) => {
        await world.ingestion.kill();
        if (random() < 0.3) {
          // Once more while it starts.
          world.ingestion.launch();
          await sleep(between(100, 2_500));
          await world.ingestion.kill();
        }
        await sleep(between(0, 1_000));
        await world.ingestion.start();
      },
      postgres: async ({ random, between }) => {
        if (random() < 0.3) {
          // One of its processes: it ends all the others and recovers by itself.
          const [backend] = await world.pool.rows<{ pid: number }>(backendSql);
          world.postgres.killBackend(backend?.pid ?? 0);
          return;
        }
        await world.postgres.kill();
        await sleep(between(0, 3_000));
        await world.postgres.restart();
      },
      mosquitto: async ({ between }) => {
        await world.broker.halt('SIGKILL');
        await sleep(between(0, 2_000));
        await world.broker.resume();
      },
      kafka: async ({ between }) => {
        await world.kafka.kill();
        await sleep(between(0, 2_000));
        await world.kafka.restart();
      },
    };

    test.each(Object.entries(kills))(
      `%s, ${rounds} times: all arrives and counts once (HOURSEAL_FAULT_SEED=${seed})`,
      async (part, killAndRestart) => {
        const round = async (moments: Round): Promise<void> => {
          const { size } = world.load.promised[0]?.signed ?? new Map();
          world.load.resume();
          await sleep(moments.between(300, 3_000));
          await killAndRestart(moments);
          await sleep(moments.between(0, 1_500));
          await world.checkNow();
          await world.settleAndCheck();
          expect(world.load.promised[0]?.signed.size).toBeGreaterThan(size);
        };
        await inRounds(`kill -9 of ${part}`, round, world.ingestion.peakRssMiB);
        await world.checkAgain();
      },
      rounds * roundLimitMs,
    );
  });
});
