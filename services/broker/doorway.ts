import type { Socket } from 'node:net';

/**
 * Who keeps a connection where there are more than there may be. Of those that have not proved a
 * meter's key the one that has been here longest gives way: connections that say nothing push out
 * each other, and none that was let in.
 */
export interface Doorway {
  readonly enter: (socket: Socket) => void;
  /** That `connection`, which may be let in, runs on a socket that has entered: TLS on TCP. */
  readonly carries: (socket: Socket, connection: object) => void;
  /** It has proved who it is, and stays. */
  readonly letIn: (connection: object) => void;
  readonly sockets: () => Iterable<Socket>;
}

export function createDoorway({ connections }: { readonly connections: number }): Doorway {
  const here = new Set<Socket>();
  /** In the order of their coming, which a Map keeps. */
  const waiting = new Map<object, Socket>();
  const carriedBy = new WeakMap<object, Socket>();

  const leave = (socket: Socket): void => {
    here.delete(socket);
    waiting.delete(socket);
  };
  return {
    enter: (socket) => {
      here.add(socket);
      waiting.set(socket, socket);
      socket.once('close', () => leave(socket));
      if (here.size <= connections) return;
      const [oldest = socket] = waiting.values();
      leave(oldest);
      oldest.destroy(new Error('gave way: more connections than there may be'));
    },
    carries: (socket, connection) => {
      carriedBy.set(connection, socket);
    },
    letIn: (connection) => {
      waiting.delete(carriedBy.get(connection) ?? connection);
    },
    sockets: () => here,
  };
}
