import { messagesTopic } from '#core/energy/message.ts';
import type { SeqRange } from '#core/energy/receipt.ts';
import type { Connection, Publication } from './connection.ts';
import type { GatewayEvent } from './gateway-events.ts';
import { createSendWindow } from './send-window.ts';
import type { MessageStore } from './store.ts';
import type { StoredMessage } from './store-contents.ts';

export interface SenderOptions {
  readonly plant: string;
  readonly store: MessageStore;
  readonly windowMessages: number;
  readonly emit: (event: GatewayEvent) => void;
  readonly onChange: () => void;
  /** For simulations: what really leaves the device for a stored message, itself among it. */
  readonly wire: ((jws: string) => readonly Publication[]) | undefined;
}

/** Sends what a store holds over whatever connection there is. */
export interface Sender {
  readonly connected: (connection: Connection) => void;
  readonly disconnected: () => void;
  /** Sends in `seq` order for as long as there are a connection and room in the window. */
  readonly fill: () => void;
  /** Sends the newest acknowledged message again, the same bytes, to be told what has arrived. */
  readonly ask: () => void;
  readonly settled: (throughSeq: number) => void;
  readonly resend: (ranges: readonly SeqRange[]) => void;
  readonly rewind: (seq: number) => void;
  readonly isConnected: () => boolean;
  readonly inFlight: () => number;
  /** How many acknowledgements have come: whether any came at all since one last looked. */
  readonly acknowledgements: () => number;
  readonly isQuiet: () => boolean;
}

export function createSender(options: SenderOptions): Sender {
  const { emit, onChange, plant, store } = options;
  const window = createSendWindow(options.windowMessages, store.state().throughSeq);
  const topic = messagesTopic(plant, store.state().meter);
  const wire = options.wire ?? ((jws: string) => [{ topic, jws }]);
  let connection: Connection | undefined;
  let acknowledgements = 0;

  function maySend(seq: number): boolean {
    return store.get(seq) !== undefined && !store.state().aside.has(seq);
  }

  function fill(): void {
    while (connection !== undefined) {
      const seq = window.take(store.state().lastSeq, maySend);
      const message = seq === undefined ? undefined : store.get(seq);
      if (message === undefined) return;
      for (const publication of wire(message.jws)) send(connection, message, publication);
    }
  }

  function send(over: Connection, message: StoredMessage, publication: Publication): void {
    const genuine = publication.jws === message.jws && publication.topic === topic;
    over.publish(publication).then(
      () => {
        if (genuine) acknowledged(over, message.seq);
      },
      (error: unknown) => {
        // Without its acknowledgement a genuine message is sent again on the next connection.
        if (genuine) return;
        const reason = error instanceof Error ? error.message : String(error);
        emit({ kind: 'extra-refused', topic: publication.topic, reason });
      },
    );
  }

  function acknowledged(over: Connection, seq: number): void {
    if (over !== connection) return;
    acknowledgements++;
    window.acknowledged(seq);
    emit({ kind: 'acknowledged', seq });
    fill();
    onChange();
  }

  return {
    connected(opened) {
      connection = opened;
      fill();
    },
    disconnected() {
      connection = undefined;
      window.lost();
      onChange();
    },
    fill,
    ask() {
      if (connection !== undefined && window.probe()) fill();
    },
    settled: window.settled,
    resend: window.resend,
    rewind: window.rewind,
    isConnected: () => connection !== undefined,
    inFlight: window.inFlight,
    acknowledgements: () => acknowledgements,
    isQuiet: () => window.isQuiet(store.state().lastSeq, maySend),
  };
}
