import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { BrokerLimits } from '#broker/config.ts';
import type { Pool } from '#platform/postgres.ts';
import { quickEngine, startTestPostgres, type TestPostgres } from '#support/postgres.ts';
import { newDevice, until, type Device } from '../ingestion/rig.ts';
import {
  connectPacketOf,
  letIn,
  openRaw,
  startScene,
  type Raw,
  type Scene,
} from './hostile-rig.ts';
import { password } from './rig.ts';

/** While somebody floods the broker, a meter that is in stays in, and one that comes is let in. */
describe('a flood of connections', () => {
  let database: TestPostgres;
  let pool: Pool;
  let scene: Scene;
  let flooding = false;
  let open: Raw[] = [];
  let work: Promise<unknown> = Promise.resolve();
  beforeAll(async () => {
    database = await startTestPostgres(quickEngine);
    ({ pool } = database);
  });
  afterAll(() => database.stop());
  afterEach(async () => {
    flooding = false;
    for (const { socket } of open.splice(0)) socket.destroy();
    await work;
    await scene.stop();
    expect(scene.honest.promised()).toMatchObject({ disconnections: 0, faults: [] });
  });

  const begin = async (limits: Partial<BrokerLimits> = {}): Promise<void> => {
    scene = await startScene(pool, limits);
    await scene.goesOn(1);
  };
  /** So many at a time, each again as soon as it is refused. */
  const flood = (atOnce: number, one: (raw: Raw) => void): void => {
    flooding = true;
    const lane = async (): Promise<void> => {
      while (flooding) {
        const raw = await openRaw(scene.broker.port()).catch(() => undefined);
        if (raw === undefined) continue;
        open = [...open.filter(({ socket }) => !socket.destroyed), raw];
        one(raw);
        await raw.closed;
        // We share one processor with the broker.
        await sleep(250);
      }
    };
    work = Promise.all(Array.from({ length: atOnce }, lane));
  };
  let name = 0;
  const newcomer = (): Promise<Device> => newDevice(pool, `newcomer-${++name}-${Date.now()}`);
  /** As a device does: one that had to give way while it said who it is comes again. */
  const comeIn = async (device: Device): Promise<Raw> => {
    for (let tries = 1; ; tries++) {
      try {
        return await letIn(scene.broker.port(), device);
      } catch (error) {
        if (tries === 20) throw error;
      }
    }
  };
  const expectService = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      const raw = await comeIn(await newcomer());
      await scene.goesOn(20);
      raw.socket.destroy();
    }
  };

  it('that say nothing: the longest silent one gives way', async () => {
    await begin({ connections: 40, connectMs: 600_000 });
    flood(80, () => undefined);
    await until(() => scene.reasons().some((one) => one.includes('gave way')));
    await expectService();
    await until(() => open.filter(({ socket }) => !socket.destroyed).length <= 40);
  });

  it('with passwords that are false', async () => {
    await begin({ connecting: 2 });
    const { honest } = scene;
    const good = password(honest.device.signer, honest.device.of.meter, { aud: 'any' });
    const shown = Buffer.from(`${good.slice(0, -8)}AAAAAAAA`);
    flood(60, (raw) => {
      raw.send(connectPacketOf(honest.device, { password: shown }));
    });
    await until(() => scene.reasons().some((one) => one.includes('may not connect: signature')));
    await expectService();
    // And most of what it did is only counted.
    const second = new Map<string, number>();
    for (const time of scene.times()) second.set(time, (second.get(time) ?? 0) + 1);
    expect(Math.max(...second.values())).toBeLessThanOrEqual(41);
  });

  it('with passwords that are good: a meter that comes again and again', async () => {
    await begin({ connecting: 2 });
    flood(20, (raw) => {
      raw.send(connectPacketOf(scene.hostile));
    });
    await expectService();
    expect(scene.broker.connections()).toBeLessThanOrEqual(3);
  });
});
