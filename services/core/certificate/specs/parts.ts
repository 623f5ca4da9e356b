import { instant, integer, object, pattern } from '../../shape.ts';
import type { Infer } from '../../shape.ts';

/**
 * The `spec` of every kind of entry (D3.3). A signed spec carries `nonce`, used once per signer for
 * ever, and `notAfter`, so that no signature counts twice or late.
 */
export const signed = { nonce: pattern('[A-Za-z0-9_-]{1,64}'), notAfter: instant } as const;

/** A range of a series, both ends inclusive, from 1 (D3). */
export const rangeShape = object({ from: integer(1), to: integer(1) });
export type Range = Infer<typeof rangeShape>;

export const seriesShape = pattern('energy/[A-Za-z0-9][A-Za-z0-9._-]{0,63}');
export const itemShape = object({ from: integer(1), series: seriesShape, to: integer(1) });
export type Item = Infer<typeof itemShape>;
