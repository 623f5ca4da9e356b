import { connect, type Socket } from 'node:net';
import { buildConnect } from '#core/energy/connect.ts';
import { buildMessage, messagesTopic } from '#core/energy/message.ts';
import { testSigner } from '#support/register.ts';
import { connectPacket, publishPacket, readAnswers } from './mqtt-wire.ts';

/** What the load generator, a process of its own, is asked for. */
export interface Load {
  readonly port: number;
  readonly audience: string;
  readonly log: string;
  readonly keys: number;
  readonly messagesPerKey: number;
  readonly readingsPerMessage: number;
  /** Where the seqs of this load begin, since the keys have sent before. */
  readonly fromSeq: number;
  readonly startS: number;
  /** Messages of one connection that wait for their acknowledgement. */
  readonly window: number;
  /** Messages a second over all connections; 0 is as fast as they are acknowledged. */
  readonly ratePerS: number;
}

export interface LoadResult {
  readonly messages: number;
  readonly elapsedMs: number;
  readonly cpuMs: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
}

export const meterName = (key: number): string => `BENCH-${key}`;
export const plantName = (key: number): string => `bench-${Math.floor(key / 4)}`;

interface Line {
  readonly packets: Buffer[];
  readonly sentMs: Float64Array;
  socket: Socket | undefined;
  next: number;
  acknowledged: number;
}

const secondsPerMessage = 60;

function prepare(load: Load): Line[] {
  return Array.from({ length: load.keys }, (_, key) => {
    const signer = testSigner(meterName(key));
    const [plant, meter] = [plantName(key), meterName(key)];
    const packets = Array.from({ length: load.messagesPerKey }, (_, i) => {
      const startS = load.startS + (load.fromSeq + i) * secondsPerMessage;
      const everyS = Math.floor(secondsPerMessage / load.readingsPerMessage);
      const readings = Array.from({ length: load.readingsPerMessage }, (_, k) => {
        const t = startS + k * everyS;
        return { t, registers: { exportWh: t - load.startS, importWh: 3 } };
      });
      const seq = load.fromSeq + i;
      const jws = buildMessage(signer, { v: 1, log: load.log, plant, meter, seq, readings });
      return publishPacket(messagesTopic(plant, meter), i + 1, jws);
    });
    const sentMs = new Float64Array(load.messagesPerKey);
    return { packets, sentMs, socket: undefined, next: 0, acknowledged: 0 };
  });
}

function open(
  load: Load,
  { key, line }: { readonly key: number; readonly line: Line },
  onAck: (id: number) => void,
): Promise<void> {
  const nowS = Math.floor(Date.now() / 1000);
  const meter = meterName(key);
  const password = buildConnect(testSigner(meter), { aud: load.audience, iat: nowS, sub: meter });
  const socket = connect({ host: '127.0.0.1', port: load.port, noDelay: true });
  line.socket = socket;
  return new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('the broker closed a connection'));
    });
    socket.on(
      'data',
      readAnswers((type, id) => {
        if (type === 2 && id === 0) resolve();
        else if (type === 4) onAck(id);
        else reject(new Error(`unexpected packet ${type}, ${id}`));
      }),
    );
    socket.write(connectPacket(meter, password));
  });
}

function send(line: Line, count: number): void {
  const now = performance.now();
  const until = Math.min(line.packets.length, line.next + count);
  const parts = line.packets.slice(line.next, until);
  for (; line.next < until; line.next++) line.sentMs[line.next] = now;
  if (parts.length > 0)
    line.socket?.write(parts.length === 1 ? (parts[0] ?? '') : Buffer.concat(parts));
}

async function run(load: Load, onStart: () => void): Promise<LoadResult> {
  const lines = prepare(load);
  const total = load.keys * load.messagesPerKey;
  const latencies = new Float64Array(total);
  let done = 0;
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  for (let at = 0; at < lines.length; at += 50) {
    await Promise.all(
      lines.slice(at, at + 50).map((line, i) =>
        open(load, { key: at + i, line }, (id) => {
          latencies[done++] = performance.now() - (line.sentMs[id - 1] ?? 0);
          line.acknowledged++;
          if (load.ratePerS === 0) send(line, 1);
          if (done === total) finish();
        }),
      ),
    );
  }
  onStart();
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  let pacer: NodeJS.Timeout | undefined;
  if (load.ratePerS === 0) for (const line of lines) send(line, load.window);
  else pacer = pace(lines, load.ratePerS);
  await finished;
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(cpu);
  clearInterval(pacer);
  for (const { socket } of lines) socket?.removeAllListeners('close').destroy();
  latencies.sort();
  return {
    messages: total,
    elapsedMs,
    cpuMs: (user + system) / 1000,
    latencyP50Ms: latencies[Math.floor(total * 0.5)] ?? 0,
    latencyP99Ms: latencies[Math.floor(total * 0.99)] ?? 0,
  };
}

/** Round robin over the connections, at the asked rate; what is late is caught up at once. */
function pace(lines: readonly Line[], ratePerS: number): NodeJS.Timeout {
  const startMs = performance.now();
  let sent = 0;
  return setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) / 1000) * ratePerS);
    for (; sent < due; sent++) {
      const line = lines[sent % lines.length];
      if (line !== undefined) send(line, 1);
    }
  }, 1);
}

if (process.send !== undefined) {
  process.once('message', (load: Load) => {
    void run(load, () => process.send?.({ started: true })).then(
      (result) => process.send?.({ result }, () => process.disconnect()),
      (error: unknown) => process.send?.({ error: String(error) }, () => process.disconnect()),
    );
  });
}
