import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { parseMessage } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, openReceipt } from '#core/energy/receipt.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import type { DeviceClock } from '#devices/clock.ts';
import { createWire } from '#devices/faults.ts';
import { openFileStore } from '#devices/file-store.ts';
import { createGateway, type Gateway, type GatewayOptions } from '#devices/gateway.ts';
import type { GatewayEvent } from '#devices/gateway-events.ts';
import { createMemoryJournal } from '#devices/store-journal.ts';
import { openStore, type MessageStore } from '#devices/store.ts';
import { startFakeIngestion, type FakeIngestion } from '#support/fake-ingestion.ts';

const signer = signerFromSeed(new Uint8Array(32).fill(7));
const meterKey = parsePublicJwk(signer.jwk);
const ingestion = signerFromSeed(new Uint8Array(32).fill(9));
const ingestionKey = parsePublicJwk(ingestion.jwk);
const stranger = signerFromSeed(new Uint8Array(32).fill(11));
const owner = { meter: 'M-1', kid: signer.kid };
const startS = 1_780_002_000 - (1_780_002_000 % 3600);
const patience = (): AbortSignal => AbortSignal.timeout(20_000);

const clock: DeviceClock = {
  nowS: () => startS,
  sleep: async (ms, signal) => sleep(ms, undefined, signal === undefined ? {} : { signal }),
};

let fake: FakeIngestion;
let store: MessageStore;
let gateway: Gateway;
let events: GatewayEvent[];
let nextT = startS;

function open(changes: Partial<GatewayOptions> = {}): Gateway {
  return createGateway({
    url: fake.url,
    plant: 'p',
    meter: 'M-1',
    origin: 'log.example',
    audience: 'broker.example',
    signer,
    store,
    ingestionKeys: [ingestionKey],
    clock,
    random: () => 0.5,
    onEvent: (event) => events.push(event),
    ...changes,
    limits: { backoffFirstMs: 20, backoffMostMs: 100, answerTimeoutMs: 300, ...changes.limits },
  });
}

async function measure(count: number, by = gateway): Promise<void> {
  for (let i = 0; i < count; i++) {
    nextT += 60;
    await by.record([{ t: nextT, registers: { exportWh: nextT - startS } }]);
  }
}

function listen(port = 0): Promise<FakeIngestion> {
  const options = { plant: 'p', meter: 'M-1', meterKey, ingestion, port };
  return startFakeIngestion({ ...options, nowS: () => startS });
}

function kinds(): string[] {
  return events.map(({ kind }) => kind);
}

async function until(condition: () => boolean): Promise<void> {
  const signal = patience();
  while (!condition()) {
    signal.throwIfAborted();
    await sleep(5);
  }
}

/** Nothing lost, nothing invented: each number once, and what came twice came as the same bytes. */
function expectAll(count: number): void {
  const seqs = Array.from({ length: count }, (_, i) => i + 1);
  expect([...fake.kept.keys()].sort((a, b) => a - b)).toEqual(seqs);
  for (const jws of fake.arrived) {
    expect(fake.kept.get(parseMessage(utf8(jws)).message.seq)).toBe(jws);
  }
}

beforeEach(async () => {
  fake = await listen();
  store = await openStore(createMemoryJournal(), owner);
  events = [];
  nextT = startS;
  gateway = open();
});
afterEach(async () => {
  await gateway.stop();
  await fake.close();
});

describe('a gateway', () => {
  it('delivers everything in order, once, and empties its store on receipts', async () => {
    gateway.start();
    await measure(40);
    await gateway.settled('receipted', patience());
    expectAll(40);
    expect(fake.arrived).toHaveLength(40);
    expect(gateway.status()).toMatchObject({ stored: 0, throughSeq: 40, lastSeq: 40, inFlight: 0 });
  });

  it('takes receipts by any of the ingestion keys that it is told of', async () => {
    await gateway.stop();
    gateway = open({ ingestionKeys: [parsePublicJwk(stranger.jwk), ingestionKey] });
    gateway.start();
    await measure(3);
    await gateway.settled('receipted', patience());
    expect(gateway.status()).toMatchObject({ stored: 0, throughSeq: 3 });
  });

  it('keeps what only a key covers that it is not told of', async () => {
    await gateway.stop();
    gateway = open({ ingestionKeys: [parsePublicJwk(stranger.jwk), meterKey] });
    gateway.start();
    await measure(1);
    await until(() => kinds().includes('receipt-refused'));
    expect(events.find(({ kind }) => kind === 'receipt-refused')).toMatchObject({ code: 'key' });
    expect(gateway.status()).toMatchObject({ stored: 1, throughSeq: 0 });
    expect(store.receipt()).toBeUndefined();
  });

  it('keeps its newest receipt, whatever else is sent as one', async () => {
    gateway.start();
    await measure(3);
    await gateway.settled('receipted', patience());
    const kept = store.receipt();
    expect(kept?.seq).toBe(3);
    const { chain } = openReceipt(utf8(kept?.jws ?? ''), ingestionKey);
    fake.verdict = () => 'take-silently';
    await measure(2);
    await gateway.settled('acknowledged', patience());
    const own = { kid: signer.kid, missing: [], refused: [] };
    const older = buildReceipt(ingestion, { ...own, chain: toHex(emptyChain), throughSeq: 0 });
    const wrong = [
      older,
      buildReceipt(stranger, { ...own, chain, throughSeq: 4 }),
      buildReceipt({ ...stranger, kid: ingestion.kid }, { ...own, chain, throughSeq: 4 }),
      buildReceipt(ingestion, { ...own, chain, throughSeq: 5 }),
      buildReceipt(ingestion, { ...own, kid: stranger.kid, chain, throughSeq: 9 }),
      'no receipt',
    ];
    for (const receipt of wrong) await fake.sendReceipt(receipt);
    const refused = (): number => kinds().filter((kind) => kind === 'receipt-refused').length;
    await until(() => refused() === 4);
    expect(store.receipt()).toEqual(kept);
  });

  it('keeps what it records while nobody listens, and delivers it later', async () => {
    const { port } = fake;
    await fake.close();
    gateway.start();
    await measure(5);
    await until(() => kinds().filter((kind) => kind === 'disconnected').length >= 3);
    expect(gateway.status()).toMatchObject({ connected: false, stored: 5 });
    fake = await listen(port);
    await gateway.settled('receipted', patience());
    expectAll(5);
  });

  it('loses nothing when connections die before and after messages are kept', async () => {
    fake.verdict = (count) => {
      if (count % 7 === 3) return 'kill-before';
      return count % 7 === 6 ? 'kill-after' : 'take';
    };
    gateway.start();
    await measure(40);
    await gateway.settled('receipted', patience());
    expectAll(40);
    expect(fake.arrived.length).toBeGreaterThan(40);
    expect(kinds()).toContain('disconnected');
  });

  it('makes a new password for every attempt: an old one would be refused', async () => {
    let nowS = startS - 1000;
    await gateway.stop();
    // The broker takes what is at most 300 s old by its own clock.
    gateway = open({ clock: { ...clock, nowS: () => (nowS += 500) } });
    gateway.start();
    await until(() => kinds().includes('connected'));
    expect(events[0]?.kind).toBe('disconnected');
    await gateway.pause();
    gateway.resume();
    await until(() => fake.connects() > 3);
    expect(kinds().filter((kind) => kind === 'connected')).toHaveLength(1);
  });

  it('never has more in flight than its window', async () => {
    let most = 0;
    await gateway.stop();
    gateway = open({
      limits: { windowMessages: 3, backoffFirstMs: 20, answerTimeoutMs: 300 },
      onEvent: () => {
        most = Math.max(most, gateway.status().inFlight);
      },
    });
    await measure(30);
    gateway.start();
    await gateway.settled('receipted', patience());
    expectAll(30);
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(3);
  });

  it('asks again with the same bytes when a receipt is lost', async () => {
    fake.verdict = (count) => (count <= 5 ? 'take-silently' : 'take');
    gateway.start();
    await measure(5);
    await gateway.settled('acknowledged', patience());
    expect(gateway.status().stored).toBe(5);
    await gateway.settled('receipted', patience());
    expectAll(5);
    expect(fake.arrived).toHaveLength(6);
    expect(fake.arrived[5]).toBe(fake.arrived[4]);
  });

  it('sends again what a receipt says is missing', async () => {
    fake.verdict = (count) => (count === 2 ? 'drop' : 'take');
    gateway.start();
    await measure(4);
    await gateway.settled('receipted', patience());
    expectAll(4);
  });

  it('gives up a connection that acknowledges nothing, and sends again on another', async () => {
    fake.verdict = (count) => (count === 3 ? 'hold' : 'take');
    gateway.start();
    await measure(4);
    await gateway.settled('receipted', patience());
    expectAll(4);
    expect(events).toContainEqual(
      expect.objectContaining({ reason: 'the broker acknowledges nothing' }),
    );
  });

  it('keeps everything on a receipt by another key, with another chain, or that is none', async () => {
    const chain = '0'.repeat(64);
    const { kid } = signer;
    const body = { chain, kid, missing: [], refused: [], throughSeq: 2 };
    fake.verdict = () => 'take-silently';
    gateway.start();
    await measure(2);
    await gateway.settled('acknowledged', patience());
    await fake.sendReceipt(buildReceipt(stranger, body));
    await fake.sendReceipt(buildReceipt(ingestion, body));
    await fake.sendReceipt('not a receipt');
    await until(() => kinds().filter((kind) => kind === 'receipt-refused').length === 3);
    const codes = events.flatMap((event) => (event.kind === 'receipt-refused' ? [event.code] : []));
    expect(codes).toEqual(['key', 'chain', 'form']);
    expect(gateway.status().stored).toBe(2);
  });

  it('puts a refused message aside, sends it no more, and again when told to', async () => {
    fake.refuse.set(2, 'key');
    gateway.start();
    await measure(3);
    await until(() => kinds().includes('refused'));
    await gateway.settled('acknowledged', patience());
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'refused', code: 'key', seq: 2 }),
    );
    const sent = fake.arrived.filter((jws) => parseMessage(utf8(jws)).message.seq === 2);
    expect(sent).toHaveLength(1);
    expect(gateway.status()).toMatchObject({ aside: 1, throughSeq: 1 });
    fake.refuse.clear();
    await gateway.retryAside();
    await until(() => gateway.status().throughSeq === 3);
    expectAll(3);
  });

  it('tells altered copies apart from its own messages', async () => {
    await gateway.stop();
    const wire = createWire({ plant: 'p', meter: 'M-1', signer }, [
      { kind: 'tamper', meter: 'M-1', atS: startS + 120 },
      {
        kind: 'replay',
        meter: 'M-1',
        atS: startS + 180,
        other: { plant: 'q', meter: 'M-2' },
      },
    ]);
    gateway = open({ wire });
    gateway.start();
    await measure(5);
    await gateway.settled('receipted', patience());
    expect([...fake.kept.keys()].sort()).toEqual([1, 2, 3, 4, 5]);
    const refused = events.filter((event) => event.kind === 'refused');
    expect(refused[0]).toMatchObject({ code: 'signature' });
    expect(refused[0]).not.toHaveProperty('seq');
    await until(() => kinds().includes('disconnected'));
  });

  it('stays offline while paused, and calls that settled', async () => {
    gateway.start();
    await measure(1);
    await gateway.settled('receipted', patience());
    await gateway.pause();
    await measure(3);
    await gateway.settled('receipted', patience());
    expect(gateway.status()).toMatchObject({ connected: false, paused: true, stored: 3 });
    expect(fake.arrived).toHaveLength(1);
    gateway.resume();
    await gateway.settled('receipted', patience());
    expectAll(4);
  });

  it('stops for good when a receipt proves that its store was rolled back', async () => {
    gateway.start();
    await measure(1);
    await gateway.settled('receipted', patience());
    const body = { chain: '1'.repeat(64), kid: signer.kid, missing: [], refused: [] };
    await fake.sendReceipt(buildReceipt(ingestion, { ...body, throughSeq: 7 }));
    await until(() => kinds().includes('failed'));
    await expect(measure(1)).rejects.toMatchObject({ code: 'store-rolled-back' });
    await expect(gateway.settled('receipted', patience())).rejects.toMatchObject({ name: 'Fatal' });
  });

  it('refuses readings that are not later than those before, and too many calls at once', async () => {
    await measure(2);
    await expect(gateway.record([{ t: nextT, registers: { exportWh: 1 } }])).rejects.toMatchObject({
      code: 'time',
    });
    await gateway.stop();
    gateway = open({ limits: { waitingRecords: 1 } });
    const one = gateway.record([{ t: nextT + 60, registers: { exportWh: 1 } }]);
    const two = gateway.record([{ t: nextT + 120, registers: { exportWh: 1 } }]);
    await expect(two).rejects.toMatchObject({ name: 'Failed', code: 'busy' });
    await one;
  });

  it('cuts readings that no one message can carry', async () => {
    const names = Array.from({ length: 16 }, (_, i) => `register-with-a-long-name-${i}`);
    const registers = Object.fromEntries(names.map((name) => [name, 123_456_789]));
    const readings = Array.from({ length: 900 }, (_, i) => ({ t: startS + i, registers }));
    const stored = await gateway.record(readings);
    expect(stored.length).toBeGreaterThan(8);
    const all = stored.flatMap(({ jws }) => parseMessage(utf8(jws)).message.readings);
    expect(all).toEqual(readings);
  });

  it('refuses the store of another key', () => {
    expect(() => open({ signer: stranger })).toThrow(expect.objectContaining({ code: 'store' }));
  });
});

describe('a gateway with a store on disk', () => {
  it('goes on after a crash between storing and sending, and between sending and the receipt', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hourseal-gateway-'));
    try {
      let disk = await openFileStore(folder, owner);
      const before = open({ store: disk });
      await measure(3, before);
      await disk.close();

      disk = await openFileStore(folder, owner);
      fake.verdict = () => 'take-silently';
      const during = open({ store: disk });
      during.start();
      await during.settled('acknowledged', patience());
      await during.stop();
      await disk.close();

      disk = await openFileStore(folder, owner);
      fake.verdict = () => 'take';
      const after = open({ store: disk });
      after.start();
      await measure(2, after);
      await after.settled('receipted', patience());
      expectAll(5);
      expect(fake.arrived).toHaveLength(8);
      await after.stop();
      await disk.close();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
