import { fromBase64, fromHex, toHex, utf8 } from '../../bytes.ts';
import { encodeMessageLeaf } from '../../energy/batch.ts';
import type { ParsedMessage } from '../../energy/message.ts';
import { parseMeterRecord, type MeterRecord } from '../../energy/meter-record.ts';
import { isPlacedOcmf } from '../../energy/ocmf.ts';
import { parseSigned, requireRegistered } from '../../energy/signed.ts';
import { Refused, within } from '../../errors.ts';
import { verifyJws } from '../../jws.ts';
import { verifyInclusion } from '../../tlog/proof.ts';
import { leafHash } from '../../tlog/tree.ts';
import { whyNotCounted, type NotCounted } from '../hour-evidence.ts';
import type { Finding } from './ladder.ts';
import { decodePath, type Proof } from './proof.ts';
import type { LogState } from '../state/state.ts';
import type { SealedHour, ToldEntry } from './story.ts';

/** The messages and meter records of a proof file, parsed. */
export interface ProofEvidence {
  readonly messages: ReadonlyMap<number, ProofMessage>;
  readonly records: readonly {
    readonly index: number;
    readonly leafHash: Uint8Array;
    readonly path: readonly string[];
    readonly record: MeterRecord;
  }[];
}

interface ProofMessage {
  readonly leafHash: Uint8Array;
  readonly path: readonly string[];
  readonly receivedAt: number;
  readonly parsed: ParsedMessage;
}

/** Parses the evidence by its form. Throws Refused. */
export function openEvidence({ messages, records }: Proof): ProofEvidence {
  return {
    messages: new Map(
      messages.map((shown) => {
        const { index, path, receivedAt } = shown;
        const bytes = within(`message ${index}`, () => bytesOf(shown));
        const parsed = within(`message ${index}`, () => parseSigned(bytes));
        const hash = leafHash(encodeMessageLeaf({ receivedAt, bytes }));
        return [index, { leafHash: hash, path, receivedAt, parsed }];
      }),
    ),
    records: records.map(({ index, data, path }) => {
      const bytes = fromBase64(data);
      const record = within(`meter record ${index}`, () => parseMeterRecord(bytes));
      return { index, leafHash: leafHash(bytes), path, record };
    }),
  };
}

function bytesOf({ jws, ocmf }: Proof['messages'][number]): Uint8Array {
  if ((jws === undefined) === (ocmf === undefined)) throw new Refused('form', 'not jws or ocmf');
  const bytes = ocmf === undefined ? utf8(jws ?? '') : fromBase64(ocmf);
  if (isPlacedOcmf(bytes) !== (ocmf !== undefined))
    throw new Refused('form', 'not what it is called');
  return bytes;
}

/** Step 5: every message is in the batch tree, and the records are all that the hour has. */
export function verifyRoots(
  { messages, records }: ProofEvidence,
  { spec }: SealedHour,
  { index: entryIndex }: Pick<ToldEntry, 'index'>,
): Finding<undefined> {
  const batchRoot = fromHex(spec.batchRoot, 32);
  const metersRoot = fromHex(spec.metersRoot, 32);
  for (const [index, { leafHash: hash, path }] of messages) {
    within(`message ${index}`, () => {
      const claim = { leafHash: hash, index, size: spec.messages, root: batchRoot };
      verifyInclusion({ ...claim, path: decodePath(path) });
    });
  }
  // Proving each of n records in a tree of n leaves proves that there is no further one.
  for (const { index, leafHash: hash, path } of records) {
    within(`meter record ${index}`, () => {
      const claim = { leafHash: hash, index, size: records.length, root: metersRoot };
      verifyInclusion({ ...claim, path: decodePath(path) });
    });
  }
  if (records.length === 0) throw new Refused('evidence', 'no meter record');
  const shown = `${messages.size} of the hour's ${spec.messages} messages`;
  const reason = `${shown} and all ${records.length} of its meter records are in the roots of entry ${entryIndex}`;
  return { value: undefined, reason };
}

/** Step 6: every message was signed by a key that the log names for that meter, within its span. */
export function verifyMessages(
  { messages }: ProofEvidence,
  { spec }: SealedHour,
  state: LogState,
): Finding<undefined> {
  for (const [index, message] of messages) {
    within(`message ${index}`, () => {
      verifyMessage(message, spec.plant, state);
    });
  }
  const meters = new Set([...messages.values()].map(({ parsed }) => parsed.message.meter));
  const whose = [...meters].sort().join(', ') || 'no meter';
  const reason = `${messages.size} messages are signed by the keys that the log names for ${whose}`;
  return { value: undefined, reason };
}

function verifyMessage({ parsed, receivedAt }: ProofMessage, plant: string, state: LogState): void {
  const { message, jws, hash } = parsed;
  const key = state.keys.get(jws.header.kid);
  if (key === undefined) throw new Refused('key', 'the log names no such key');
  const meter = state.meters.get(key.spec.meter);
  if (meter === undefined) throw new Refused('meter', 'the log names no such meter');
  const rules = state.genesis?.rules;
  if (rules === undefined) throw new Refused('genesis', 'the file shows no genesis');
  requireRegistered(parsed, key.spec, state.genesis?.origin);
  if (message.plant !== plant) throw new Refused('plant', `it is for ${message.plant}`);
  verifyJws(jws, key.key);
  const { seq, readings } = message;
  const notCounted = whyNotCounted({ key, meter }, { seq, receivedAt, readings }, rules);
  if (notCounted !== undefined) throw new Refused(notCounted, notCountedTexts[notCounted]);
  const { keep } = key.forks.get(seq) ?? {};
  if (keep !== undefined && keep !== toHex(hash)) {
    throw new Refused('fork', 'a decision keeps another message of that number');
  }
}

/** Stored, but it proves nothing (D4.1). */
const notCountedTexts: Readonly<Record<NotCounted, string>> = {
  future: 'a reading from the future',
  late: 'it arrived too late',
  'set-aside': 'a decision set it aside',
  span: 'outside the span of its key, or after the end of its meter',
};
