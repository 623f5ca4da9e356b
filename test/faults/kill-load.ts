import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { toHex, utf8 } from '#core/bytes.ts';
import { buildConnect } from '#core/energy/connect.ts';
import { messagesTopic, parseMessage, receiptsTopic } from '#core/energy/message.ts';
import type { Reading } from '#core/energy/message.ts';
import { emptyChain, extendChain, openReceipt, type Receipt } from '#core/energy/receipt.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { splitReadings } from '#devices/batching.ts';
import { openConnection, type Connection } from '#devices/connection.ts';
import { openFileStore } from '#devices/file-store.ts';
import { createGateway } from '#devices/gateway.ts';
import { systemClock } from '#platform/clock.ts';
import * as people from '#support/log-people.ts';
import { ingestionSigner, testLog } from '#support/register.ts';
import { acceleratedClock, audience, readingEveryS, registerAt } from './kill-world.ts';
import type { World, WorldMeter } from './kill-world.ts';
import type { Random } from './seed.ts';

const ingestionKey = parsePublicJwk(ingestionSigner.jwk);
const tickMs = 120;
const connectTimeoutMs = 15_000;
const reconnectMs = 100;
/** Messages of one bare meter that are published and not acknowledged. */
const windowMessages = 8;
const askEveryMs = 500;
const duplicateShare = 0.02;
const forkAfterSeq = 30;

/** What one meter's key has signed, and what the other side has promised about it. */
export interface Promises {
  readonly of: WorldMeter;
  readonly kid: string;
  /** By seq, the first message under each. */
  readonly signed: ReadonlyMap<number, Uint8Array>;
  readonly acknowledged: ReadonlySet<number>;
  /** A second message under a number, from when it was sent. */
  readonly forked: Uint8Array | undefined;
  /** The highest `throughSeq` of a receipt, and what was wrong with receipts. */
  readonly throughSeq: number;
  readonly faults: readonly string[];
  readonly lastT: number;
}

export interface LoadMeter {
  readonly promises: () => Promises;
  /** Makes no new readings from now on; resolves when everything is acknowledged or receipted. */
  readonly finish: (signal: AbortSignal) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface LoadOptions {
  readonly world: World;
  /** Where gateways keep their stores. */
  readonly folder: string;
  readonly random: Random;
}

export async function startLoad(
  meters: readonly WorldMeter[],
  options: LoadOptions,
): Promise<readonly LoadMeter[]> {
  return Promise.all(
    meters.map((meter) =>
      meter.behaviour === 'gateway' ? startGateway(meter, options) : startBare(meter, options),
    ),
  );
}

/** The readings that are due by now, in messages that the format allows. */
function createReader(meter: WorldMeter, { world }: LoadOptions) {
  const clock = acceleratedClock(world);
  let lastT = -1;
  return {
    lastT: () => lastT,
    due(): readonly (readonly Reading[])[] {
      const now = Math.floor(clock.nowS() / readingEveryS) * readingEveryS;
      const readings: Reading[] = [];
      for (let t = lastT < 0 ? now : lastT + readingEveryS; t <= now; t += readingEveryS) {
        readings.push({ t, registers: { [meter.register]: registerAt(meter, t) } });
        lastT = t;
      }
      return splitReadings(readings);
    },
  };
}

/** A bare MQTT client with the device's duties and none of its comforts: everything is in memory. */
async function startBare(meter: WorldMeter, options: LoadOptions): Promise<LoadMeter> {
  const { world, random } = options;
  const signer = people.meterSigner(meter.meter);
  const clock = acceleratedClock(world);
  const reader = createReader(meter, options);
  const book = createBook(meter);
  const stopping = new AbortController();
  const { signal } = stopping;
  const waiting: number[] = [];
  let finishing = false;
  let seq = 0;
  let silentUntilMs = 0;
  let askedMs = 0;
  let forkAcknowledged = false;
  let connection: Connection | undefined;

  const produce = (): void => {
    if (finishing) return;
    for (const readings of reader.due()) {
      const { plant, meter: name } = meter;
      book.sign(++seq, people.message({ plant, meter: name, seq, readings }));
      waiting.push(seq);
    }
  };
  const connect = (): Promise<Connection> =>
    openConnection({
      url: `mqtt://127.0.0.1:${world.port}`,
      meter: meter.meter,
      password: buildConnect(signer, {
        aud: audience,
        iat: clock.nowS(),
        jti: randomBytes(12).toString('hex'),
        sub: meter.meter,
      }),
      receiptsTopic: receiptsTopic(meter.plant, meter.meter),
      onReceipt: book.receipt,
      connectTimeoutMs,
      keepaliveS: 30,
    });
  const topic = messagesTopic(meter.plant, meter.meter);
  const publish = async (on: Connection, bytes: Uint8Array): Promise<void> => {
    await on.publish({ topic, jws: new TextDecoder().decode(bytes) });
  };

  /** Until the connection breaks, which is what rejects; what is in flight goes back in line. */
  const send = async (on: Connection, alive: AbortSignal): Promise<void> => {
    while (!alive.aborted) {
      produce();
      if (meter.behaviour === 'lazy' && !finishing) {
        if (Date.now() < silentUntilMs) {
          await setTimeout(tickMs);
          continue;
        }
        silentUntilMs = Date.now() + 4_000 + random() * 20_000;
        waiting.sort(() => random() - 0.5);
      }
      while (waiting.length > 0) {
        const flight = waiting.slice(0, windowMessages);
        const results = await Promise.allSettled(
          flight.map(async (of) => {
            await publish(on, book.bytes(of));
            book.acknowledge(of);
            waiting.splice(waiting.indexOf(of), 1);
          }),
        );
        for (const result of results) if (result.status === 'rejected') throw result.reason;
      }
      await extras(on);
      await setTimeout(tickMs);
    }
  };
  /** What a device may do as well: send again what was lost or not, ask, and, one of them, fork. */
  const extras = async (on: Connection): Promise<void> => {
    const { throughSeq } = book.promises();
    const asks = finishing && throughSeq < seq && Date.now() - askedMs > askEveryMs;
    if (asks) {
      askedMs = Date.now();
      await publish(on, book.bytes(seq));
    } else if (seq > 0 && random() < duplicateShare) {
      await publish(on, book.bytes(1 + Math.floor(random() * seq)));
    }
    if (meter.behaviour === 'forking' && seq > forkAfterSeq && !forkAcknowledged) {
      await publish(on, fork());
      forkAcknowledged = true;
    }
  };
  const fork = (): Uint8Array => {
    const { forked } = book.promises();
    if (forked !== undefined) return forked;
    const { plant, meter: name, register } = meter;
    const t = reader.lastT();
    const readings = [{ t, registers: { [register]: registerAt(meter, t) + 1 } }];
    const second = utf8(people.message({ plant, meter: name, seq: forkAfterSeq, readings }));
    book.fork(second);
    return second;
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      // Not AbortSignal.any: Node 20 may collect what only that holds, and then nothing ever aborts.
      const over = new AbortController();
      const follow = (): void => over.abort(signal.reason);
      signal.addEventListener('abort', follow);
      try {
        connection = await connect();
        await Promise.race([send(connection, over.signal), lost(connection)]);
      } catch {
        // The other side was killed, which is what this is about: connect again.
        produce();
        await setTimeout(reconnectMs * (0.5 + random()));
      } finally {
        signal.removeEventListener('abort', follow);
        over.abort();
        await connection?.end('done');
        connection = undefined;
      }
    }
  };
  const running = run();
  return {
    promises: () => ({ ...book.promises(), lastT: reader.lastT() }),
    async finish(limit) {
      produce();
      finishing = true;
      while (waiting.length > 0 || book.promises().throughSeq < seq) {
        await systemClock.sleep(50, limit);
      }
    },
    async stop() {
      stopping.abort();
      await connection?.end('stopped');
      await running;
    },
  };
}

/** A lost connection answers nothing any more; ending it lets go of who waits for an answer. */
async function lost(connection: Connection): Promise<never> {
  throw new Error(await connection.closed);
}

/** Notes what was signed and promised, and checks every receipt against the chain of its own. */
function createBook(meter: WorldMeter) {
  const { kid } = people.meterSigner(meter.meter);
  const signed = new Map<number, Uint8Array>();
  const acknowledged = new Set<number>();
  const chains: Uint8Array[] = [emptyChain];
  const faults: string[] = [];
  let forked: Uint8Array | undefined;
  let throughSeq = 0;
  const check = (receipt: Receipt): void => {
    const chain = chains[receipt.throughSeq];
    if (receipt.kid !== kid) faults.push(`a receipt for ${receipt.kid}`);
    else if (chain === undefined) faults.push(`a receipt through ${receipt.throughSeq}`);
    else if (toHex(chain) !== receipt.chain) faults.push(`the chain at ${receipt.throughSeq}`);
    for (const { code } of receipt.refused) {
      if (code !== 'fork' || forked === undefined) faults.push(`refused: ${code}`);
    }
    throughSeq = Math.max(throughSeq, receipt.throughSeq);
  };
  return {
    sign(seq: number, jws: string): void {
      const bytes = utf8(jws);
      signed.set(seq, bytes);
      chains[seq] = extendChain(chains[seq - 1] ?? emptyChain, parseMessage(bytes).hash);
    },
    bytes: (seq: number): Uint8Array => signed.get(seq) ?? new Uint8Array(0),
    acknowledge: (seq: number): void => {
      acknowledged.add(seq);
    },
    fork(bytes: Uint8Array): void {
      forked = bytes;
    },
    receipt(bytes: Uint8Array): void {
      try {
        check(openReceipt(bytes, ingestionKey));
      } catch (error) {
        faults.push(String(error));
      }
    },
    promises: (): Promises => ({
      of: meter,
      kid,
      signed,
      acknowledged,
      forked,
      throughSeq,
      faults,
      lastT: -1,
    }),
  };
}

/** The product's gateway with its durable store; it checks receipts itself. */
async function startGateway(meter: WorldMeter, options: LoadOptions): Promise<LoadMeter> {
  const { world, folder, random } = options;
  const signer = people.meterSigner(meter.meter);
  const clock = acceleratedClock(world);
  const store = await openFileStore(join(folder, meter.meter), {
    meter: meter.meter,
    kid: signer.kid,
  });
  const reader = createReader(meter, options);
  const signed = new Map<number, Uint8Array>();
  const acknowledged = new Set<number>();
  const faults: string[] = [];
  let throughSeq = 0;
  const gateway = createGateway({
    url: `mqtt://127.0.0.1:${world.port}`,
    plant: meter.plant,
    meter: meter.meter,
    origin: testLog,
    audience,
    signer,
    store,
    ingestionKeys: [ingestionKey],
    clock,
    random,
    tokenId: () => randomBytes(12).toString('hex'),
    networkSleep: systemClock.sleep,
    limits: { backoffFirstMs: 50, backoffMostMs: 500, answerTimeoutMs: 3_000 },
    onEvent(event) {
      if (event.kind === 'acknowledged') acknowledged.add(event.seq);
      if (event.kind === 'settled') throughSeq = Math.max(throughSeq, event.throughSeq);
      if (event.kind === 'failed') faults.push(String(event.error));
      if (event.kind === 'refused' || event.kind === 'receipt-refused') {
        faults.push(JSON.stringify(event));
      }
    },
  });
  gateway.start();
  const stopping = new AbortController();
  let finishing = false;
  const produce = async (): Promise<void> => {
    while (!finishing && !stopping.signal.aborted) {
      for (const readings of reader.due()) {
        for (const { seq, jws } of await gateway.record(readings)) signed.set(seq, utf8(jws));
      }
      await setTimeout(tickMs);
    }
  };
  const producing = produce().catch((error: unknown) => {
    faults.push(String(error));
  });
  const { kid } = signer;
  const forked = undefined;
  return {
    promises: () => ({
      of: meter,
      kid,
      signed,
      acknowledged,
      forked,
      throughSeq,
      faults,
      lastT: reader.lastT(),
    }),
    async finish(limit) {
      finishing = true;
      await producing;
      await gateway.settled('receipted', limit);
    },
    async stop() {
      stopping.abort();
      await producing;
      await gateway.stop();
      await store.close();
    },
  };
}
