import { describe, expect, it } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { parseMessage, type Message } from '#core/energy/message.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import type { Fault } from '#devices/faults.ts';
import { createFleet } from '#devices/fleet.ts';
import { createGateway } from '#devices/gateway.ts';
import { createPump, type Pump, type PumpedMeter } from '#devices/pump.ts';
import { demoSchedule } from '#devices/schedule.ts';
import { createMemoryJournal } from '#devices/store-journal.ts';
import { openStore, type MessageStore } from '#devices/store.ts';

const startS = Date.UTC(2026, 5, 1) / 1000;
const schedule = { startS, ...demoSchedule };
const ingestionKey = parsePublicJwk(signerFromSeed(new Uint8Array(32).fill(9)).jwk);

interface Rig {
  readonly pump: Pump;
  readonly pumped: readonly PumpedMeter[];
  readonly messages: (meter: string) => readonly Message[];
}

/** The demo fleet with gateways that are never started: they sign and store, and send nothing. */
async function rig(
  faults: readonly Fault[] = [],
  stores = new Map<string, MessageStore>(),
): Promise<Rig> {
  const pumped: PumpedMeter[] = [];
  for (const plant of createFleet(1)) {
    for (const meter of plant.meters) {
      const owner = { meter: meter.id, kid: meter.signer.kid };
      const store = stores.get(meter.id) ?? (await openStore(createMemoryJournal(), owner));
      stores.set(meter.id, store);
      const gateway = createGateway({
        url: 'mqtt://127.0.0.1:1',
        plant: plant.id,
        meter: meter.id,
        origin: 'log.example/demo',
        audience: 'broker.example',
        signer: meter.signer,
        store,
        ingestionKeys: [ingestionKey],
        clock: { nowS: () => startS, sleep: () => Promise.resolve() },
        random: () => 0.5,
      });
      pumped.push({ meter, gateway });
    }
  }
  const messages = (meter: string): readonly Message[] => {
    const store = stores.get(meter);
    const { lastSeq = 0 } = store?.state() ?? {};
    return Array.from({ length: lastSeq }, (_, i) => {
      const stored = store?.get(i + 1);
      if (stored === undefined) throw new Error(`${meter}: ${i + 1} is not stored`);
      return parseMessage(utf8(stored.jws)).message;
    });
  };
  return { pump: createPump({ meters: pumped, schedule, faults }), pumped, messages };
}

function every(ofReadings: readonly Message[]): readonly number[] {
  return ofReadings.flatMap(({ readings }) => readings.map(({ t }) => t));
}

describe('the pump', () => {
  it('makes the same messages in one step, in many, and after a restart', async () => {
    const once = await rig();
    expect(await once.pump.produceUntil(startS + 7200)).toBe(9 * 8);

    const stepped = await rig();
    while (stepped.pump.nextAtS() <= startS + 7200) {
      await stepped.pump.produceUntil(stepped.pump.nextAtS());
    }

    const stores = new Map<string, MessageStore>();
    const before = await rig([], stores);
    await before.pump.produceUntil(startS + 2000);
    const after = await rig([], stores);
    await after.pump.produceUntil(startS + 7200);

    for (const { meter } of once.pumped) {
      expect(stepped.messages(meter.id)).toEqual(once.messages(meter.id));
      expect(after.messages(meter.id)).toEqual(once.messages(meter.id));
    }
  });

  it('says when something falls due, and makes nothing before', async () => {
    const { pump } = await rig();
    expect(pump.nextAtS()).toBe(startS);
    expect(await pump.produceUntil(startS - 1)).toBe(0);
    expect(await pump.produceUntil(startS)).toBe(8);
    expect(pump.nextAtS()).toBe(startS + 900);
    expect(await pump.produceUntil(startS + 899)).toBe(0);
  });

  it('takes a meter offline and brings it back, and goes on measuring', async () => {
    const offline = { kind: 'offline', meter: 'WIND-1', atS: startS + 600, untilS: startS + 2000 };
    const { messages, pump, pumped } = await rig([offline as Fault]);
    const gateway = pumped.find(({ meter }) => meter.id === 'WIND-1')?.gateway;
    await pump.produceUntil(startS + 599);
    expect(pump.nextAtS()).toBe(startS + 600);
    expect(gateway?.status().paused).toBe(false);
    await pump.produceUntil(startS + 600);
    expect(gateway?.status().paused).toBe(true);
    await pump.produceUntil(startS + 1999);
    expect(gateway?.status().paused).toBe(true);
    await pump.produceUntil(startS + 2000);
    expect(gateway?.status().paused).toBe(false);
    expect(messages('WIND-1')).toHaveLength(3);
  });

  it('lets a clock run ahead and be put right: time never falls, and a gap remains', async () => {
    const drift = {
      kind: 'clock-drift',
      meter: 'WORKS-1',
      atS: startS + 1800,
      untilS: startS + 3600,
      driftS: 600,
    } as const;
    const { messages, pump } = await rig([drift]);
    await pump.produceUntil(startS + 7200);
    const times = every(messages('WORKS-1'));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(new Set(times).size).toBe(times.length);
    expect(times).not.toContain(startS + 1200);
    expect(times).toContain(startS + 960 + 600);
    expect(times).toContain(startS + 7200);
    const other = every(messages('WIND-1'));
    expect(other).toContain(startS + 1200);
  });

  it('starts registers again at zero, the same after a restart', async () => {
    const reset = { kind: 'register-reset', meter: 'COAL-1', atS: startS + 1800 } as const;
    const stores = new Map<string, MessageStore>();
    await (await rig([reset], stores)).pump.produceUntil(startS + 2700);
    const again = await rig([reset], stores);
    await again.pump.produceUntil(startS + 3600);
    const straight = await rig([reset]);
    await straight.pump.produceUntil(startS + 3600);
    expect(again.messages('COAL-1')).toEqual(straight.messages('COAL-1'));
    const readings = again.messages('COAL-1').flatMap((message) => message.readings);
    const at = (t: number): number =>
      readings.find((reading) => reading.t === t)?.registers.exportWh ?? -1;
    expect(at(startS + 1740)).toBeGreaterThan(0);
    expect(at(startS + 1800)).toBe(0);
    expect(at(startS + 3600)).toBeGreaterThan(0);
  });
});
