import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeKafka } from '#support/kafka.ts';
import { mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { ownPostgres } from '#support/postgres.ts';
import { randomFrom, roundsOr, seed } from '../seed.ts';
import { startWorld, type World } from './world.ts';

const rounds = roundsOr(1);
const roundLimitMs = 360_000;
const backendSql = `select pid from pg_stat_activity where application_name = 'hourseal ingestion'`;

/** Each part of the installation in turn is killed, and comes back: what does that by itself is not ours. */
describeKafka('an installation behind a broker', () => {
  describeWith([mosquitto, ownPostgres], 'whose parts are killed with kill -9 under load', () => {
    const random = randomFrom(seed);
    const between = (lowMs: number, highMs: number): number => lowMs + random() * (highMs - lowMs);
    let world: World;
    beforeAll(async () => {
      world = await startWorld();
    });
    afterAll(() => world.stop());

    const kills = {
      ingestion: async () => {
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
      postgres: async () => {
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
      mosquitto: async () => {
        await world.broker.halt('SIGKILL');
        await sleep(between(0, 2_000));
        await world.broker.resume();
      },
      kafka: async () => {
        await world.kafka.kill();
        await sleep(between(0, 2_000));
        await world.kafka.restart();
      },
    };

    test.each(Object.entries(kills))(
      `%s, ${rounds} times: all arrives and counts once (HOURSEAL_FAULT_SEED=${seed})`,
      async (part, killAndRestart) => {
        for (let round = 0; round < rounds; round++) {
          world.load.resume();
          await sleep(between(300, 3_000));
          await killAndRestart();
          await sleep(between(0, 1_500));
          await world.checkNow();
          await world.settleAndCheck();
        }
        const { size } = world.load.promised[0]?.signed ?? new Map();
        expect(size).toBeGreaterThan(rounds);
        process.stdout.write(
          `${part}: ${rounds} rounds, ingestion held ${Math.round(world.ingestion.peakRssMiB())} MiB\n`,
        );
      },
      rounds * roundLimitMs,
    );
  });
});
