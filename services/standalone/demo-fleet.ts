import { join } from 'node:path';
import type { PublicKey } from '#core/keys.ts';
import { createWire, type Fault } from '#devices/faults.ts';
import { openFileStore } from '#devices/file-store.ts';
import type { FleetMeter, FleetPlant } from '#devices/fleet.ts';
import { createGateway, type Gateway } from '#devices/gateway.ts';
import type { GatewayEvent } from '#devices/gateway-events.ts';
import { createPump, type Pump } from '#devices/pump.ts';
import { demoSchedule } from '#devices/schedule.ts';
import type { MessageStore } from '#devices/store.ts';
import { systemClock, type Clock } from '#platform/clock.ts';

export interface DemoFleetOptions {
  readonly plants: readonly FleetPlant[];
  /** When the registers began to count: the demo's first start, also when it goes on. */
  readonly startS: number;
  readonly faults: readonly Fault[];
  /** Where each gateway keeps what it has not seen receipted. */
  readonly folder: string;
  readonly url: string;
  readonly audience: string;
  readonly origin: string;
  readonly ingestionKey: PublicKey;
  readonly clock: Clock;
  readonly onEvent: (meter: string, event: GatewayEvent) => void;
}

/** The demo's meters, each behind a gateway of its own that speaks real MQTT. */
export interface DemoFleet extends Pump {
  readonly stop: () => Promise<void>;
}

interface Running {
  readonly meter: FleetMeter;
  readonly gateway: Gateway;
  readonly store: MessageStore;
}

export async function startDemoFleet(options: DemoFleetOptions): Promise<DemoFleet> {
  const running: Running[] = [];
  const stop = async (): Promise<void> => {
    await Promise.all(running.map(({ gateway }) => gateway.stop()));
    for (const { store } of running) await store.close();
  };
  try {
    for (const plant of options.plants) {
      for (const meter of plant.meters) running.push(await startMeter(options, plant, meter));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const schedule = { startS: options.startS, ...demoSchedule };
  return { ...createPump({ meters: running, schedule, faults: options.faults }), stop };
}

async function startMeter(
  options: DemoFleetOptions,
  plant: FleetPlant,
  meter: FleetMeter,
): Promise<Running> {
  const { signer } = meter;
  const owner = { meter: meter.id, kid: signer.kid };
  const store = await openFileStore(join(options.folder, meter.id), owner);
  const gateway = createGateway({
    url: options.url,
    plant: plant.id,
    meter: meter.id,
    origin: options.origin,
    audience: options.audience,
    signer,
    store,
    ingestionKeys: [options.ingestionKey],
    clock: options.clock,
    random: Math.random,
    onEvent: (event) => {
      options.onEvent(meter.id, event);
    },
    limits: { backoffFirstMs: 50, backoffMostMs: 1000, answerTimeoutMs: 5000 },
    // The demo's clock stands still while something is in flight: waits for the network are real.
    networkSleep: systemClock.sleep,
    wire: createWire({ plant: plant.id, meter: meter.id, signer }, options.faults),
  });
  gateway.start();
  return { meter, gateway, store };
}
