import { utf8 } from '../../bytes.ts';
import { openReceipt, type Receipt } from '../../energy/receipt.ts';
import { Refused } from '../../errors.ts';
import { parseCompactJws } from '../../jws.ts';
import type { Policy } from '../../tlog/policy.ts';
import { proveInclusion } from '../../tlog/proof.ts';
import { tileHashReader } from '../../tlog/tile.ts';
import { inclusionPath, leafHash } from '../../tlog/tree.ts';
import type { LogRead } from '../audit/audit-files.ts';
import { encodeDishonoured } from './misbehaviour.ts';
import type { IncludedLeaf } from '../proof/proof.ts';
import { chainsOver, compareStated, type Compared } from './receipt-chains.ts';
import { findStatements, messagesOfHours, type RecordStatement } from './receipt-statements.ts';
import type { StatedOfKey } from './receipt-statements.ts';
import { verifyMisbehaviour } from './verify-misbehaviour.ts';

/**
 * Whether a log honours a receipt: compares it with every meter record that states a chain of the same
 * key (D3.1). Nothing in the log's files is believed; what comes out as evidence has been verified.
 */
export interface ReceiptQuestion {
  /** A compact JWS. */
  readonly receipt: string;
  readonly read: LogRead;
  /**
   * Hashes of the messages that the receipt is for, by `seq`, in lowercase hex, as far as the asker has
   * kept them. They are needed only where the log says nothing of as many messages as the receipt does.
   */
  readonly sent?: ReadonlyMap<number, string>;
  /** The asker's own; without it evidence is held against the log's first key. */
  readonly policy?: Policy | undefined;
}

export interface ReceiptAnswer {
  readonly receipt: Receipt;
  /** Entries under the checkpoint that was asked. */
  readonly size: number;
  /** The highest message up to which a record agrees with the receipt; 0 where none does. */
  readonly confirmedSeq: number;
  /** Records that state this key, and those of them that could not be compared. */
  readonly statements: number;
  readonly unopened: number;
  /** Hours of committed sites, whose records are not in these files. */
  readonly withheld: number;
  /** Entries that said otherwise and are void, or were corrected: taken back, and held against nobody. */
  readonly takenBack: readonly number[];
  /** An entry that contradicts the receipt to this day, and the file that proves it. */
  readonly contradiction: { readonly entry: number; readonly evidence: Uint8Array } | undefined;
}

interface Found extends Compared {
  readonly statement: RecordStatement;
}

/**
 * Throws Refused: as `openReceipt`; `key` where the log names no ingestion key that signed it; `log` where
 * its files do not prove what they say. Failed('evidence-missing') without the entries.
 */
export async function checkReceipt(question: ReceiptQuestion): Promise<ReceiptAnswer> {
  const { read } = question;
  const bytes = utf8(question.receipt);
  const stated = await findStatements(read, {
    signer: parseCompactJws(bytes, 'hourseal-receipt').header.kid,
    open: (key) => openReceipt(bytes, key),
  });
  const { receipt, size, statements, withheld, mended } = stated;
  const found = await compareAll(question, stated);
  const against = found.filter(({ agree }) => !agree);
  const isTakenBack = ({ statement }: Found): boolean => mended.has(statement.index);
  const worst = against.findLast((one) => !isTakenBack(one));
  return {
    receipt,
    size,
    confirmedSeq: Math.max(0, ...found.flatMap(({ agree, seq }) => (agree ? [seq] : []))),
    statements: statements.length,
    unopened: statements.length - found.length,
    withheld,
    takenBack: against.filter(isTakenBack).map(({ statement }) => statement.index),
    contradiction: worst && {
      entry: worst.statement.index,
      evidence: await evidenceOf(question, stated, worst),
    },
  };
}

/** Messages are read only where something must be opened. */
async function compareAll(
  { read, sent = new Map() }: ReceiptQuestion,
  { receipt, statements, hours, forks }: StatedOfKey,
): Promise<Found[]> {
  const isEqual = statements.every(({ throughSeq }) => throughSeq === receipt.throughSeq);
  const shown = isEqual
    ? new Map<number, string>()
    : await messagesOfHours(read, receipt.kid, { hours, forks });
  const sources = [shown, new Map([...shown, ...sent])].map((hashes) =>
    chainsOver(hashes, statements),
  );
  sources.push(chainsOver(sent));
  return statements.flatMap((statement) => {
    const compared = compareStated(receipt, statement, sources);
    return compared === undefined ? [] : [{ ...compared, statement }];
  });
}

async function evidenceOf(
  { read, receipt, policy }: ReceiptQuestion,
  { checkpoint, size, keyEntries, recordsOf }: StatedOfKey,
  { statement, opened }: Found,
): Promise<Uint8Array> {
  const hashes = tileHashReader(read, size);
  const { index, data, place } = statement;
  const entries: IncludedLeaf[] = [];
  for (const one of [...keyEntries, { index, data }].sort((a, b) => a.index - b.index)) {
    entries.push({ ...one, path: await proveInclusion({ index: one.index, size }, hashes) });
  }
  const records = await recordsOf(statement);
  const leaves = records.map(leafHash);
  const evidence = encodeDishonoured({
    checkpoint,
    entries,
    hour: index,
    receipt,
    record: {
      data: records[place] ?? new Uint8Array(0),
      index: place,
      path: inclusionPath(leaves, place),
    },
    records: records.length,
    ...(opened !== undefined && { opened }),
  });
  const { result, steps } = verifyMisbehaviour(evidence, policy === undefined ? {} : { policy });
  if (result !== 'unproved') return evidence;
  const failed = steps.find((step) => step.result === 'fail');
  throw new Refused(
    'log',
    `entry ${index} contradicts the receipt, and the log's files do not prove it: ${failed?.name ?? 'form'}: ${failed?.reason ?? ''}`,
  );
}
