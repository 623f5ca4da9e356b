import { Fatal, Refused } from '#core/errors.ts';
import { canonicalBytes, parseCanonical } from '#core/jcs.ts';
import {
  either,
  hashHex,
  id,
  integer,
  object,
  oneOf,
  optional,
  pattern,
  thumbprint,
  type Infer,
} from '#core/shape.ts';
import { reasonCode } from '#core/energy/receipt.ts';

const compactJws = pattern('[A-Za-z0-9_.-]{1,65000}');
/** A receipt as it was received, and the number of messages that it is for. */
const keptReceipt = object({ jws: compactJws, seq: integer(1) });
export type KeptReceipt = Infer<typeof keptReceipt>;

const owner = object({ kid: thumbprint, kind: oneOf('owner'), meter: id, v: oneOf(1) });
const base = object({
  chain: hashHex,
  kind: oneOf('base'),
  lastT: integer(-1),
  receipt: optional(keptReceipt),
  throughSeq: integer(0),
});
const message = object({ jws: compactJws, kind: oneOf('message') });
/** With the receipt that says so; without one where messages were given up for their age. */
const through = object({
  chain: hashHex,
  kind: oneOf('through'),
  receipt: optional(compactJws),
  seq: integer(1),
});
const aside = object({ code: reasonCode, kind: oneOf('aside'), seq: integer(1) });
const retry = object({ kind: oneOf('retry') });

const storeRecord = either(
  message,
  either(through, either(aside, either(retry, either(owner, base)))),
);

/** One change of a store: JCS, one record of the journal. */
export type StoreRecord = Infer<typeof storeRecord>;

/** Where a store's changes are kept: a file (file-store.ts) or, for the simulated fleet, memory. */
export interface StoreJournal {
  /** All records, oldest first. Called once, before anything else. */
  readonly read: () => Promise<readonly StoreRecord[]>;
  /** Resolves when the record is as durable as this journal makes it; records keep their order. */
  readonly append: (record: StoreRecord) => Promise<void>;
  /** Puts these records in place of all; a crash leaves the old ones or the new ones. */
  readonly replace: (records: readonly StoreRecord[]) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** A journal that keeps nothing: for simulated meters, which can derive everything again. */
export function createMemoryJournal(): StoreJournal {
  const done = Promise.resolve();
  return {
    read: () => Promise.resolve([]),
    append: () => done,
    replace: () => done,
    close: () => done,
  };
}

export function encodeRecord(record: StoreRecord): Uint8Array {
  return canonicalBytes(record);
}

/** Fatal('store'): the checksum was right and the content is not ours, so a program wrote it wrongly. */
export function decodeRecord(bytes: Uint8Array): StoreRecord {
  try {
    return storeRecord.parse(parseCanonical(bytes));
  } catch (cause) {
    if (!(cause instanceof Refused)) throw cause;
    throw new Fatal('store', 'a record of the store is not one', { cause });
  }
}
