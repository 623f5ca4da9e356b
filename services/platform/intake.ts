/** One message as it came from a broker. `sender` is who sent it, as far as the broker knows. */
export interface Arrival {
  readonly sender: string;
  readonly topic: string;
  readonly bytes: Uint8Array;
  /** Unix seconds by the clock of whoever received it. */
  readonly receivedAt: number;
}

/**
 * Resolves once the outcome is committed: acknowledge. Rejects: do not acknowledge; the device sends
 * again (D4.1, durable first, acknowledged second).
 */
export type Intake = (arrival: Arrival) => Promise<void>;

/** Sends a signed receipt down to a device. Resolves when it was handed over, rejects when not. */
export type SendReceipt = (topic: string, bytes: Uint8Array) => Promise<void>;
