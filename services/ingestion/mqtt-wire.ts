import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { Failed } from '#core/errors.ts';
import { createPacketReader, encodePacket, type Packet } from './mqtt-packets.ts';

/** Where the broker is, and how it and we prove who we are. */
export interface BrokerAddress {
  /** `mqtt://host:1883` or `mqtts://host:8883`. */
  readonly url: string;
  /** PEM, for `mqtts`: the authority that signed the broker's certificate; ours and its key. */
  readonly ca: string | undefined;
  readonly certificate: string | undefined;
  readonly privateKey: string | undefined;
}

/** Packets over one socket. */
export interface Wire {
  /** In one write. */
  readonly send: (packets: readonly Packet[]) => void;
  /** The first packet. Rejects when the connection ends before it. */
  readonly next: () => Promise<Packet>;
  /** Called with every packet after that one, those included that came before it was set. */
  readonly listen: (onPacket: (packet: Packet) => void) => void;
  /** Reads nothing until `resume`: a broker that sends too much is held up by TCP. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** Asks the broker for a sign of life when all is quiet, and gives it up when none comes. */
  readonly keepAlive: (everyS: number) => void;
  /** Sends what was to be sent, then closes; at once after `closeMs`. The first reason counts. */
  readonly close: (why: Failed) => void;
  readonly closed: Promise<Failed>;
}

const ports = { 'mqtt:': 1883, 'mqtts:': 8883 } as const;
const closeMs = 1_000;
const pingreq: Packet = { cmd: 'pingreq' };

/** Failed('connect') when there is no connection before `signal` aborts. */
export async function openWire(
  address: BrokerAddress,
  { packetBytes, signal }: { readonly packetBytes: number; readonly signal: AbortSignal },
): Promise<Wire> {
  const socket = openSocket(address);
  const abort = (): void => {
    socket.destroy(new Error('the broker does not answer'));
  };
  signal.addEventListener('abort', abort);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once(address.url.startsWith('mqtts:') ? 'secureConnect' : 'connect', () => {
        socket.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new Failed('connect', `no connection to ${address.url}: ${text}`, { cause });
  } finally {
    signal.removeEventListener('abort', abort);
  }
  return overSocket(socket, packetBytes);
}

function openSocket({ url, ca, certificate, privateKey }: BrokerAddress): Socket {
  const { protocol, hostname, port } = new URL(url);
  const isSecure = protocol === 'mqtts:';
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const to = { host, port: Number(port) || ports[isSecure ? 'mqtts:' : 'mqtt:'] };
  if (!isSecure) return connectTcp({ ...to, noDelay: true });
  const socket = connectTls({
    ...to,
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(privateKey !== undefined && { key: privateKey }),
  });
  return socket.setNoDelay(true);
}

function overSocket(socket: Socket, packetBytes: number): Wire {
  let why: Failed | undefined;
  const early: Packet[] = [];
  let welcome: (packet: Packet) => void = () => undefined;
  const first = new Promise<Packet>((resolve) => {
    welcome = resolve;
  });
  let later = (packet: Packet): void => {
    early.push(packet);
  };
  let onPacket = (packet: Packet): void => {
    onPacket = (next) => {
      later(next);
    };
    welcome(packet);
  };
  let heardMs = performance.now();
  let saidMs = heardMs;
  let pulse: NodeJS.Timeout | undefined;
  const fail = (error: unknown): void => {
    why ??= error instanceof Failed ? error : broken(error);
    socket.destroy();
  };
  const reader = createPacketReader(packetBytes, (packet) => {
    // What comes after we have said goodbye is for the next connection.
    if (why === undefined) onPacket(packet);
  });
  socket.on('data', (chunk) => {
    heardMs = performance.now();
    try {
      reader.read(chunk);
    } catch (error) {
      fail(error);
    }
  });
  socket.on('error', fail);
  const closed = new Promise<Failed>((resolve) => {
    socket.once('close', () => {
      clearInterval(pulse);
      resolve((why ??= new Failed('closed', 'the broker closed the connection')));
    });
  });
  const send = (packets: readonly Packet[]): void => {
    if (why !== undefined) return;
    saidMs = performance.now();
    socket.write(Buffer.concat(packets.map(encodePacket)));
  };
  return {
    send,
    next: () => Promise.race([first, closed.then((reason) => Promise.reject(reason))]),
    listen: (handler) => {
      later = handler;
      for (const packet of early.splice(0)) handler(packet);
    },
    pause: () => {
      socket.pause();
    },
    resume: () => {
      socket.resume();
    },
    keepAlive: (everyS) => {
      if (everyS === 0) return;
      const everyMs = everyS * 1000;
      pulse = setInterval(() => {
        const now = performance.now();
        // Its sign of life may lie among what we do not read.
        if (socket.isPaused()) heardMs = now;
        if (now - heardMs > 1.5 * everyMs) fail(new Failed('silent', 'the broker is silent'));
        else if (now - Math.min(saidMs, heardMs) > everyMs / 2) send([pingreq]);
      }, everyMs / 4);
    },
    close: (reason) => {
      why ??= reason;
      socket.end();
      setTimeout(() => {
        socket.destroy();
      }, closeMs).unref();
    },
    closed,
  };
}

function broken(cause: unknown): Failed {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new Failed('broken', `the connection to the broker broke: ${text}`, { cause });
}
