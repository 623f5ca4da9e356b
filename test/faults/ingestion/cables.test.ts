import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, test } from 'vitest';
import { describeKafka, startKafka, type TestKafka } from '#support/kafka.ts';
import { mosquitto } from '#support/mosquitto.ts';
import { describeWith } from '#support/needs.ts';
import { ownPostgres } from '#support/postgres.ts';
import type { TcpProxy } from '#support/tcp-proxy.ts';
import { inRounds, isFull, rounds, type Round } from '../rounds.ts';
import { seed } from '../seed.ts';
import { cables, startWorld, type World } from './world.ts';

/** In the full form each stall is as long as a bad minute's. */
const stallMs = isFull ? 30_000 : 3_000;
const startLimitMs = 1_800_000;
/** Every time limit of the product's passes in it, one after the other. */
const roundLimitMs = 420_000;

type Cut = (cable: TcpProxy, round: Round) => Promise<void>;
const cuts: Readonly<Record<string, Readonly<Record<string, Cut>>>> = {
  cut: {
    reset: async (cable, { between }) => {
      for (let i = 0; i < 3; i++) {
        await inUse(cable);
        cable.reset();
        await sleep(between(50, 700));
      }
    },
    stalled: async (cable) => {
      await inUse(cable);
      cable.stall();
      await sleep(stallMs);
      cable.flow();
    },
  },
  // Found out by keep-alives and time limits of a minute and more: too long for the short form.
  ...(isFull && {
    'left hanging': {
      'half open': async (cable: TcpProxy, { random }: Round) => {
        await inUse(cable);
        cable.abandon(random() < 0.5 ? 'client' : 'target');
      },
    },
  }),
};

/** Starts are work: all at once, each would take longer than a server may. */
const oneByOne = createQueue();

function createQueue(): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => undefined);
    return mine;
  };
}

async function inUse(cable: TcpProxy): Promise<void> {
  while (cable.connections() === 0) await sleep(10);
}

describeKafka('an installation behind a broker', () => {
  describeWith([mosquitto, ownPostgres], 'whose cables fail under load', () => {
    let shared: TestKafka | undefined;
    beforeAll(async () => {
      shared = await startKafka();
      return shared.stop;
    }, startLimitMs);

    // An installation for each, and all at once: most of the time is waiting.
    const cases = Object.keys(cuts).flatMap((what) => cables.map((cable) => ({ cable, what })));
    describe.concurrent.each(cases)('$cable $what', ({ cable, what }) => {
      let world: World;
      beforeAll(async () => {
        world = await oneByOne(() =>
          startWorld({
            answerTimeoutMs: isFull ? 10_000 : 1_000,
            // In 30 s it comes to more than ingestion takes in at one time, from either side.
            readingEveryMs: 100,
            ...(cable !== 'ingestion-kafka' && shared !== undefined && { kafka: shared }),
          }),
        );
        return world.stop;
      }, startLimitMs);

      for (const [how, cut] of Object.entries(cuts[what] ?? {})) {
        test(
          `${how}, ${rounds} times: all arrives and counts once (HOURSEAL_FAULT_SEED=${seed})`,
          { concurrent: false, timeout: rounds * roundLimitMs },
          async () => {
            const round = async (moments: Round): Promise<void> => {
              world.load.resume();
              await sleep(moments.between(200, 1_500));
              await cut(world.cable(cable), moments);
              await world.checkNow();
              await world.settleAndCheck();
            };
            await inRounds(`${cable} ${how}`, round, world.ingestion.peakRssMiB);
            await world.checkAgain();
          },
        );
      }
    });
  });
});
