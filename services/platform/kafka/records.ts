/** What Kafka is to the rest of Hourseal, whichever client is behind it. */

/** A record to be written. */
export interface OutgoingRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

/** A record as it was read. */
export interface IncomingRecord {
  readonly offset: bigint;
  readonly key: Uint8Array | undefined;
  /** Absent in a tombstone. */
  readonly value: Uint8Array | undefined;
  /** The last one of each name. */
  readonly headers: ReadonlyMap<string, Uint8Array>;
}

export interface KafkaProducer {
  /**
   * Resolves when the replicas that the topic asks for have all of `records`, in this order for each
   * key. Rejects with Failed: then some may be there, all, or none, and the producer is spent: under
   * its identity the broker would take other records for a repetition of these, and drop them.
   */
  readonly send: (topic: string, records: readonly OutgoingRecord[]) => Promise<void>;
  /** Waits for nothing longer than `closeMs`. */
  readonly close: () => Promise<void>;
}

/** Records of one partition, in the order of their offsets. */
export interface RecordBatch {
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly IncomingRecord[];
  /**
   * Tells the group that we are alive, if it is time to. Rejects when partitions move to others: what
   * it rejects with must be thrown on.
   */
  readonly heartbeat: () => Promise<void>;
  /** Everything before `offset` is done with. Rejects as `heartbeat`. */
  readonly commit: (offset: bigint) => Promise<void>;
  /** False when the consumer is being closed. */
  readonly goesOn: () => boolean;
}

export interface KafkaReader {
  /** Resolves with the reason when it has ended by itself; it must be closed all the same. */
  readonly ended: Promise<Error>;
  /** Leaves the group, once the batches under way have returned; no longer than `closeMs`. */
  readonly close: () => Promise<void>;
}

export interface ReadOptions {
  readonly topic: string;
  readonly group: string;
  /** Resolves to the offset of the first record that is to be read again: the next one, or before. */
  readonly onBatch: (batch: RecordBatch) => Promise<bigint>;
}

/** A topic as infra/kafka/topics.json describes it, with its full name. */
export interface TopicSettings {
  readonly topic: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly config: Readonly<Record<string, string>>;
}
