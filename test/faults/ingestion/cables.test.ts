import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, test } from 'vitest';
import { describeKafka } from '#support/kafka.ts';
import { mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { ownPostgres } from '#support/postgres.ts';
import { randomFrom, roundsOr, seed } from '../seed.ts';
import { cables, startWorld, type Cable, type World } from './world.ts';

const rounds = roundsOr(1);
/** In the full form each stall is as long as a bad minute's, and some connections are left half open. */
const isFull = rounds >= 20;
const stallMs = isFull ? 30_000 : 3_000;
/** Every time limit of the product's passes in it, one after the other. */
const roundLimitMs = 420_000;

describeKafka('an installation behind a broker', () => {
  describeWith([mosquitto, ownPostgres], 'whose cables are cut under load', () => {
    const random = randomFrom(seed);
    const between = (lowMs: number, highMs: number): number => lowMs + random() * (highMs - lowMs);
    let world: World;
    beforeAll(async () => {
      world = await startWorld({ answerTimeoutMs: isFull ? 10_000 : 1_000 });
    });
    afterAll(() => world.stop());

    const cuts: Readonly<Record<string, (cable: Cable) => Promise<void>>> = {
      reset: async (cable) => {
        for (let i = 0; i < 3; i++) {
          world.cable(cable).reset();
          await sleep(between(50, 700));
        }
      },
      stalled: async (cable) => {
        world.cable(cable).stall();
        await sleep(stallMs);
        world.cable(cable).flow();
      },
      // Found out by keep-alives and time limits of a minute and more: too long for the short form.
      ...(isFull && {
        'left half open': (cable: Cable) => {
          world.cable(cable).abandon(random() < 0.5 ? 'client' : 'target');
          return Promise.resolve();
        },
      }),
    };
    const cases = cables.flatMap((cable) =>
      Object.entries(cuts).map(([how, cut]) => ({ cable, how, cut })),
    );

    test.each(cases)(
      `$cable $how, ${rounds} times: all arrives and counts once (HOURSEAL_FAULT_SEED=${seed})`,
      async ({ cable, how, cut }) => {
        for (let round = 0; round < rounds; round++) {
          world.load.resume();
          await sleep(between(200, 1_500));
          await cut(cable);
          await world.checkNow();
          await world.settleAndCheck();
        }
        const heldMiB = Math.round(world.ingestion.peakRssMiB());
        process.stdout.write(`${cable} ${how}: ${rounds} rounds, ingestion held ${heldMiB} MiB\n`);
      },
      rounds * roundLimitMs,
    );
  });
});
