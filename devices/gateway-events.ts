/** What a gateway tells whoever watches it. Reasons are for people; codes are for programs. */
export type GatewayEvent =
  | { readonly kind: 'connected' }
  | { readonly kind: 'disconnected'; readonly reason: string; readonly retryInMs: number }
  | { readonly kind: 'acknowledged'; readonly seq: number }
  /** `dropped` messages left the store: a receipt proves that everything to `throughSeq` is durable. */
  | { readonly kind: 'settled'; readonly throughSeq: number; readonly dropped: number }
  /** `seq` is missing when the refused bytes are none of ours: somebody altered them on the way. */
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly hash: string;
      readonly seq?: number;
    }
  | { readonly kind: 'receipt-refused'; readonly code: string; readonly reason: string }
  /** Kept for as long as promised and never acknowledged: given up. */
  | { readonly kind: 'expired'; readonly fromSeq: number; readonly toSeq: number }
  /** What only a simulation's wire adds was not acknowledged. */
  | { readonly kind: 'extra-refused'; readonly topic: string; readonly reason: string }
  /** The gateway has stopped for good: its store can no longer be trusted. */
  | { readonly kind: 'failed'; readonly error: Error };

export interface GatewayStatus {
  readonly connected: boolean;
  readonly paused: boolean;
  readonly lastSeq: number;
  /** Of the last reading stored, -1 before the first. */
  readonly lastT: number;
  readonly throughSeq: number;
  /** Messages in the store, those put aside included. */
  readonly stored: number;
  readonly inFlight: number;
  readonly aside: number;
}
