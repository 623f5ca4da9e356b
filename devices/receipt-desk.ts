import { decodeUtf8 } from '#core/bytes.ts';
import { openReceipt } from '#core/energy/receipt.ts';
import { Refused } from '#core/errors.ts';
import type { PublicKey } from '#core/keys.ts';
import type { GatewayEvent } from './gateway-events.ts';
import type { Sender } from './sender.ts';
import type { MessageStore } from './store.ts';

export interface ReceiptDeskOptions {
  readonly store: MessageStore;
  readonly sender: Sender;
  /** Whose receipts count. */
  readonly ingestionKeys: readonly [PublicKey, ...PublicKey[]];
  /** Receipts that may wait for the store; more are dropped, the next one says it all again. */
  readonly waitingReceipts: number;
  readonly emit: (event: GatewayEvent) => void;
  readonly onChange: () => void;
  /** The store cannot be trusted or written any more. */
  readonly onFailure: (error: unknown) => void;
}

/** Where receipts arrive: verifies them one after the other, and acts on those that hold. */
export interface ReceiptDesk {
  readonly take: (bytes: Uint8Array) => void;
  /** How many have been honoured: whether any came at all since one last looked. */
  readonly honoured: () => number;
  readonly idle: () => Promise<void>;
}

export function createReceiptDesk(options: ReceiptDeskOptions): ReceiptDesk {
  const { emit, sender, store } = options;
  let waiting = 0;
  let honoured = 0;
  let queue: Promise<void> = Promise.resolve();

  return {
    take(bytes) {
      if (waiting >= options.waitingReceipts) return;
      waiting++;
      queue = queue.then(() => handle(bytes)).finally(() => waiting--);
    },
    honoured: () => honoured,
    idle: () => queue,
  };

  async function handle(bytes: Uint8Array): Promise<void> {
    try {
      await honour(bytes);
    } catch (error) {
      if (error instanceof Refused) {
        emit({ kind: 'receipt-refused', code: error.code, reason: error.message });
      } else options.onFailure(error);
    }
  }

  async function honour(bytes: Uint8Array): Promise<void> {
    const receipt = openReceipt(bytes, ...options.ingestionKeys);
    // Another key's receipts come by the same topic while a meter changes keys.
    if (receipt.kid !== store.state().kid) return;
    for (const { hash, code } of receipt.refused) await putAside(hash, code);
    const outcome = await store.settle(receipt, decodeUtf8(bytes));
    if (outcome.kind === 'stale') return;
    honoured++;
    const { dropped } = outcome;
    if (dropped > 0) emit({ kind: 'settled', throughSeq: receipt.throughSeq, dropped });
    sender.settled(receipt.throughSeq);
    sender.resend(outcome.resend);
    sender.fill();
    options.onChange();
  }

  async function putAside(hash: string, code: string): Promise<void> {
    const before = store.state().aside.size;
    const seq = await store.setAside(hash, code);
    if (seq === undefined) emit({ kind: 'refused', code, hash });
    else if (store.state().aside.size > before) emit({ kind: 'refused', code, hash, seq });
  }
}
