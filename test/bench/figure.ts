/** One figure (D7); `limit` is measured in the same run, `bar` is what the design asks for. */
export interface Figure {
  readonly case: string;
  readonly value: number;
  readonly unit: string;
  readonly limit?: number;
  /** As the design states it: a share of the limit, or a value in `unit`. */
  readonly bar?: number;
  readonly engine: string;
}

export const scales = ['s', 'm', 'l'] as const;
export type Scale = (typeof scales)[number];

export interface BenchContext {
  readonly scale: Scale;
  readonly report: (figure: Figure) => void;
}

export type Bench = (context: BenchContext) => Promise<void>;

/** Of a part of a benchmark, which does not know the engine. */
export type Say = (figure: Omit<Figure, 'engine'>) => void;
