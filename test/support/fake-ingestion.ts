import { createServer, type AddressInfo, type Server } from 'node:net';
import { Aedes, type Client, type PublishPacket } from 'aedes';
import { sha256 } from '#crypto';
import { toHex } from '#core/bytes.ts';
import { parseConnect } from '#core/energy/connect.ts';
import { parseMessage, parseMessagesTopic, receiptsTopic } from '#core/energy/message.ts';
import { buildReceipt, emptyChain, extendChain, type SeqRange } from '#core/energy/receipt.ts';
import { Refused } from '#core/errors.ts';
import { verifyJws } from '#core/jws.ts';
import type { PublicKey } from '#core/keys.ts';
import type { Signer } from '#core/signer.ts';

/** What the fake does with one publication; `kill` ends the connection before or after it is kept. */
export type Verdict = 'take' | 'kill-before' | 'kill-after' | 'take-silently';

export interface FakeIngestion {
  readonly url: string;
  /** Every publication that was taken, in order of arrival: its bytes as text. */
  readonly arrived: string[];
  /** The messages kept, by `seq`: the first of each number. */
  readonly kept: Map<number, string>;
  readonly passwords: string[];
  /** Consulted for every publication; the number counts from 1. */
  verdict: (count: number) => Verdict;
  /** May replace what a receipt says, or the bytes of the receipt. */
  forge: (receipt: string) => string;
  /** Codes for messages that are to be refused, by `seq`. */
  readonly refuse: Map<number, string>;
  readonly sendReceipt: (bytes: string) => void;
  readonly connections: () => number;
  readonly close: () => Promise<void>;
  readonly listen: (port: number) => Promise<void>;
  readonly port: () => number;
}

/**
 * A real aedes broker with the least of an ingestion behind it, for one meter: it checks passwords and
 * signatures, keeps messages before it acknowledges them, and answers with receipts.
 */
export async function startFakeIngestion(options: {
  readonly plant: string;
  readonly meterKey: PublicKey;
  readonly meter: string;
  readonly ingestion: Signer;
  readonly port?: number;
}): Promise<FakeIngestion> {
  const { ingestion, meter, meterKey, plant } = options;
  const broker = await Aedes.createBroker();
  let server: Server = createServer(broker.handle);
  let count = 0;
  const hashes = new Map<number, Uint8Array>();
  const refused: { code: string; hash: string }[] = [];
  const fake: FakeIngestion = {
    get url() {
      return `mqtt://127.0.0.1:${fake.port()}`;
    },
    arrived: [],
    kept: new Map(),
    passwords: [],
    verdict: () => 'take',
    forge: (receipt) => receipt,
    refuse: new Map(),
    sendReceipt,
    connections: () => broker.connectedClients,
    port: () => (server.address() as AddressInfo).port,
    listen,
    async close() {
      await new Promise<void>((resolve) => {
        broker.close(() => resolve());
      });
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };

  broker.authenticate = (client, username, password, done) => {
    try {
      const { connect, jws } = parseConnect(password ?? new Uint8Array());
      verifyJws(jws, meterKey);
      fake.passwords.push(String(password));
      done(null, client.id === meter && username === meter && connect.sub === meter);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      done(null, false);
    }
  };
  broker.authorizePublish = (client, packet, done) => {
    if (client === null) return done();
    count++;
    const verdict = fake.verdict(count);
    if (parseMessagesTopic(packet.topic)?.meter !== meter) return done(new Error('not yours'));
    if (verdict === 'kill-before') return kill(client);
    take(packet);
    if (verdict === 'kill-after') return kill(client);
    done();
    if (verdict === 'take') sendReceipt(fake.forge(receipt()));
  };

  await listen(options.port ?? 0);
  return fake;

  function listen(port: number): Promise<void> {
    server = createServer(broker.handle);
    return new Promise((resolve) => {
      server.listen(port, '127.0.0.1', () => resolve());
    });
  }

  function kill(client: Client): void {
    client.conn.destroy();
  }

  function take(packet: PublishPacket): void {
    const bytes = Uint8Array.from(Buffer.from(packet.payload));
    const text = Buffer.from(bytes).toString();
    fake.arrived.push(text);
    const { hash, jws, message } = parseMessage(bytes);
    const code = fake.refuse.get(message.seq) ?? signatureCode(() => verifyJws(jws, meterKey));
    if (code !== undefined) {
      refused.push({ code, hash: toHex(sha256(bytes)) });
      return;
    }
    if (fake.kept.has(message.seq)) return;
    fake.kept.set(message.seq, text);
    hashes.set(message.seq, hash);
  }

  function receipt(): string {
    let chain: Uint8Array = emptyChain;
    let throughSeq = 0;
    for (let hash = hashes.get(1); hash !== undefined; hash = hashes.get(throughSeq + 1)) {
      chain = extendChain(chain, hash);
      throughSeq++;
    }
    const missing: SeqRange[] = [];
    const highest = Math.max(0, ...hashes.keys());
    for (let seq = throughSeq + 1; seq < highest; seq++) {
      if (!hashes.has(seq)) missing.push({ from: seq, to: seq });
    }
    const { kid } = meterKey;
    return buildReceipt(ingestion, { chain: toHex(chain), kid, missing, refused, throughSeq });
  }

  function sendReceipt(bytes: string): void {
    const topic = receiptsTopic(plant, meter);
    const packet = {
      cmd: 'publish',
      topic,
      payload: bytes,
      qos: 1,
      retain: false,
      dup: false,
    } as const;
    broker.publish(packet, (error) => {
      if (error) throw error;
    });
  }
}

function signatureCode(verify: () => void): string | undefined {
  try {
    verify();
    return undefined;
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}
