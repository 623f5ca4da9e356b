import { buildConnect } from '#core/energy/connect.ts';
import { receiptsTopic, type Reading } from '#core/energy/message.ts';
import { Failed, Refused } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';
import { createChanges } from './changes.ts';
import type { DeviceClock } from './clock.ts';
import { openConnection, type Connection, type Publication } from './connection.ts';
import type { GatewayEvent, GatewayStatus } from './gateway-events.ts';
import { createLink, type Link } from './link.ts';
import { createReceiptDesk, type ReceiptDesk } from './receipt-desk.ts';
import { createRecorder } from './recorder.ts';
import { createSender, type Sender } from './sender.ts';
import type { MessageStore } from './store.ts';
import type { StoredMessage } from './store-contents.ts';

export interface GatewayOptions {
  /** Of the broker: `mqtt://host:1883` or `mqtts://host:8883`. */
  readonly url: string;
  readonly plant: string;
  readonly meter: string;
  /** The origin of the log that the messages are for. */
  readonly origin: string;
  /** The broker's name, as its operator gives it: what a password is good for. */
  readonly audience: string;
  readonly signer: Signer;
  readonly store: MessageStore;
  /**
   * Whose receipts count: the ingestion key that the log names, and before it is changed, as its
   * operator announces, the next one too. Take an old one out once the log has ended it.
   */
  readonly ingestionKeys: readonly [PublicKey, ...PublicKey[]];
  readonly clock: DeviceClock;
  /** A number in [0, 1): spreads reconnecting devices in time. */
  readonly random: () => number;
  /** For meters registered as having no reliable clock: a new id for every attempt to connect. */
  readonly tokenId?: () => string;
  readonly caPem?: string;
  readonly onEvent?: (event: GatewayEvent) => void;
  readonly limits?: Partial<GatewayLimits>;
  /**
   * Waits of the network (backoff, asking for receipts). `clock.sleep` unless given; on a simulated
   * clock that steps only when nothing is in flight they must pass in real time.
   */
  readonly networkSleep?: DeviceClock['sleep'];
  /** For simulations: what really leaves the device for a stored message, itself among it. */
  readonly wire?: (jws: string) => readonly Publication[];
}

export interface GatewayLimits {
  /** Messages published and not yet acknowledged by the broker. */
  readonly windowMessages: number;
  /** Calls of `record` that wait for the store. */
  readonly waitingRecords: number;
  /** Receipts that wait for the store; more are dropped, the next one says it all again. */
  readonly waitingReceipts: number;
  readonly connectTimeoutMs: number;
  readonly keepaliveS: number;
  readonly backoffFirstMs: number;
  readonly backoffMostMs: number;
  /**
   * After this long without an acknowledgement of what is in flight, the connection is given up;
   * without a receipt, the newest acknowledged message is sent once more.
   */
  readonly answerTimeoutMs: number;
}

export const defaultGatewayLimits: GatewayLimits = {
  windowMessages: 16,
  waitingRecords: 64,
  waitingReceipts: 256,
  connectTimeoutMs: 20_000,
  keepaliveS: 60,
  backoffFirstMs: 1000,
  backoffMostMs: 60_000,
  answerTimeoutMs: 60_000,
};

/** `acknowledged`: the broker has everything. `receipted`: the store is empty but for what is aside. */
export type SettledLevel = 'acknowledged' | 'receipted';

export interface Gateway {
  readonly start: () => void;
  /** Ends the connection and all waits. The store stays open: it is its owner's. Safe to call twice. */
  readonly stop: () => Promise<void>;
  /**
   * Signs readings, ascending in `t` and later than all before, and returns once they are stored.
   * Failed('store-full' | 'store-broken' | 'busy'), Refused('time'); and Refused('form' | 'size') for
   * what no message can carry. After an error, `status().lastT` says what was stored before it.
   */
  readonly record: (readings: readonly Reading[]) => Promise<readonly StoredMessage[]>;
  readonly status: () => GatewayStatus;
  /** Goes offline and back: between them the gateway stores and does not send. */
  readonly pause: () => Promise<void>;
  readonly resume: () => void;
  /** Sends what was put aside, after somebody has put the reason right. */
  readonly retryAside: () => Promise<void>;
  /** Resolves when nothing is under way to the level asked for; at once while paused. */
  readonly settled: (level: SettledLevel, signal: AbortSignal) => Promise<void>;
}

/**
 * The client that a real gateway uses: signs, stores, then sends; drops only on receipts. One for
 * each meter key. `options.store` must belong to the same meter and key.
 */
export function createGateway(options: GatewayOptions): Gateway {
  const { meter, signer, store } = options;
  if (store.state().kid !== signer.kid || store.state().meter !== meter) {
    throw new Refused('store', `the store is not that of ${meter} and its key ${signer.kid}`);
  }
  const parts = assemble(options);
  const { changes, link, receipts, recorder, sender, stopping } = parts;
  let running: Promise<unknown> | undefined;

  return {
    start() {
      if (running !== undefined) throw new Error(`${meter}: the gateway was started before`);
      const work = [link.run(stopping.signal), keepAsking(options, parts)];
      running = Promise.all(work.map((part) => part.catch(parts.fail)));
    },
    async stop() {
      stopping.abort(new Failed('stopped', `${meter}: the gateway has stopped`));
      changes.notify();
      await link.end('stopped');
      await running;
      await receipts.idle();
    },
    async record(readings) {
      parts.requireSound();
      await expire(options, parts);
      try {
        return await recorder(readings);
      } finally {
        sender.fill();
      }
    },
    status: () => statusOf(store, parts),
    pause: link.pause,
    resume: link.resume,
    async retryAside() {
      for (const seq of await store.retryAside()) sender.rewind(seq);
      sender.fill();
    },
    async settled(level, signal) {
      signal.throwIfAborted();
      stopping.signal.throwIfAborted();
      while (!isSettled(level, store, parts)) await changes.next(signal, stopping.signal);
    },
  };
}

interface Parts {
  readonly changes: ReturnType<typeof createChanges>;
  readonly link: Link;
  readonly receipts: ReceiptDesk;
  readonly recorder: ReturnType<typeof createRecorder>;
  readonly sender: Sender;
  readonly stopping: AbortController;
  /** Ends everything, aloud, unless `stop` has ended it already. */
  readonly fail: (error: unknown) => void;
  readonly requireSound: () => void;
}

function assemble(options: GatewayOptions): Parts {
  const { origin, plant, signer, store } = options;
  const limits = { ...defaultGatewayLimits, ...options.limits };
  const emit = options.onEvent ?? (() => undefined);
  const stopping = new AbortController();
  const changes = createChanges();
  let failure: Error | undefined;

  const fail = (error: unknown): void => {
    if (stopping.signal.aborted) return;
    failure = error instanceof Error ? error : new Error(String(error));
    stopping.abort(failure);
    changes.notify();
    emit({ kind: 'failed', error: failure });
    link.end('failed').catch(() => undefined);
  };
  const sender = createSender({
    plant,
    store,
    windowMessages: limits.windowMessages,
    emit(event) {
      if (event.kind === 'acknowledged') link.works();
      emit(event);
    },
    onChange: changes.notify,
    wire: options.wire,
  });
  const { ingestionKeys } = options;
  const { waitingReceipts, waitingRecords } = limits;
  const onChange = changes.notify;
  const desk = { store, sender, ingestionKeys, waitingReceipts, emit, onChange };
  const receipts = createReceiptDesk({ ...desk, onFailure: fail });
  const link = createLink({
    open: () => open(options, receipts),
    onOpen: sender.connected,
    onClose: sender.disconnected,
    backoff: {
      firstMs: limits.backoffFirstMs,
      mostMs: limits.backoffMostMs,
      random: options.random,
    },
    sleep: options.networkSleep ?? options.clock.sleep,
    emit,
  });
  const recorder = createRecorder({ plant, origin, signer, store, waitingRecords });
  const requireSound = (): void => {
    if (failure !== undefined) throw failure;
  };
  return { changes, link, receipts, recorder, sender, stopping, fail, requireSound };
}

/** A connection with a password made for it alone. */
function open(options: GatewayOptions, receipts: ReceiptDesk): Promise<Connection> {
  const { audience, caPem, clock, meter, plant, signer, tokenId, url } = options;
  const { connectTimeoutMs, keepaliveS } = { ...defaultGatewayLimits, ...options.limits };
  const password = buildConnect(signer, {
    aud: audience,
    iat: clock.nowS(),
    ...(tokenId === undefined ? {} : { jti: tokenId() }),
    sub: meter,
  });
  return openConnection({
    url,
    meter,
    password,
    receiptsTopic: receiptsTopic(plant, meter),
    onReceipt: receipts.take,
    connectTimeoutMs,
    keepaliveS,
    ...(caPem === undefined ? {} : { caPem }),
  });
}

/**
 * A connection can hold and yet bring nothing: acknowledgements that do not come end it, receipts that
 * do not come are asked for.
 */
async function keepAsking(
  options: GatewayOptions,
  { link, receipts, sender, stopping }: Parts,
): Promise<never> {
  const { answerTimeoutMs } = { ...defaultGatewayLimits, ...options.limits };
  const sleep = options.networkSleep ?? options.clock.sleep;
  for (;;) {
    const [receiptsBefore, before] = [receipts.honoured(), sender.acknowledgements()];
    const wasWaiting = sender.inFlight() > 0;
    await sleep(answerTimeoutMs, stopping.signal);
    const silent = wasWaiting && before === sender.acknowledgements();
    if (silent && sender.inFlight() > 0) await link.end('the broker acknowledges nothing');
    else if (receiptsBefore === receipts.honoured()) sender.ask();
  }
}

async function expire(options: GatewayOptions, { sender }: Parts): Promise<void> {
  const expired = await options.store.expire(options.clock.nowS());
  if (expired === undefined) return;
  sender.settled(expired.to);
  options.onEvent?.({ kind: 'expired', fromSeq: expired.from, toSeq: expired.to });
}

function statusOf(store: MessageStore, { link, sender }: Parts): GatewayStatus {
  const { aside, count, lastSeq, lastT, throughSeq } = store.state();
  return {
    connected: sender.isConnected(),
    paused: link.isPaused(),
    lastSeq,
    lastT,
    throughSeq,
    stored: count,
    inFlight: sender.inFlight(),
    aside: aside.size,
  };
}

function isSettled(level: SettledLevel, store: MessageStore, { link, sender }: Parts): boolean {
  if (link.isPaused()) return true;
  const { aside, count } = store.state();
  return level === 'receipted' ? count === aside.size : sender.isQuiet();
}
