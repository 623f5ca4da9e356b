import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import { Failed } from '#core/errors.ts';

const keepAliveMs = 60_000;

/** Connections of one client: what it is given to open them with, and what ends them all. */
export interface TrackedSockets {
  readonly open: (to: {
    readonly host: string;
    readonly port: number;
    /** Null for plain TCP, whatever the types of kafkajs say. */
    readonly ssl: ConnectionOptions | null;
    readonly onConnect: () => void;
  }) => Socket;
  /** Ends every connection at once, and those that would still be made. */
  readonly cut: () => void;
}

export function trackedSockets(): TrackedSockets {
  const open = new Set<Socket>();
  let isCut = false;
  const end = (socket: Socket): void => {
    socket.destroy(new Failed('kafka-closed', 'the Kafka client was closed'));
  };
  return {
    open: ({ host, port, ssl, onConnect }) => {
      const name = isIP(host) === 0 ? { servername: host } : {};
      const socket: Socket =
        ssl === null
          ? connectTcp({ host, port }, onConnect)
          : connectTls({ host, port, ...name, ...ssl }, onConnect);
      socket.setKeepAlive(true, keepAliveMs);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      if (isCut) setImmediate(end, socket);
      return socket;
    },
    cut: () => {
      isCut = true;
      for (const socket of open) end(socket);
    },
  };
}

/** Waits for an orderly end; what hangs or fails on the way loses its connections. */
export async function endedWithin(
  work: Promise<void>,
  limitMs: number,
  cut: () => void,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([work.catch(() => undefined), limit]);
  clearTimeout(timer);
  cut();
}

/** The part of kafkajs's own queue of requests that `calmRequestQueues` reads. */
interface RequestQueue {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
}

/**
 * Each connection of kafkajs wakes up every millisecond for ever, to see whether it may send what
 * waits (its issue 1751): with four of them that is a twentieth of a core, doing nothing. Where
 * nothing waits and nothing is throttled there is nothing to wake up for, and whoever joins the line
 * asks again. Where the class is not what we know, it is left alone.
 */
export function calmRequestQueues(queueClass: unknown): void {
  const prototype: unknown = typeof queueClass === 'function' ? queueClass.prototype : undefined;
  if (typeof prototype !== 'object' || prototype === null) return;
  const name = 'scheduleCheckPendingRequests';
  const schedule: unknown = Reflect.get(prototype, name);
  if (typeof schedule !== 'function') return;
  Reflect.set(prototype, name, function calm(this: RequestQueue): void {
    if (this.pending.length === 0 && this.throttledUntil <= Date.now()) return;
    Reflect.apply(schedule, this, []);
  });
}
