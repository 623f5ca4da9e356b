import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sha256 } from '#crypto';
import { decodeUtf8, toHex, utf8 } from '#core/bytes.ts';
import { evidenceLimitBytes } from '#core/certificate/misbehaviour/misbehaviour.ts';
import { checkReceipt, type ReceiptAnswer } from '#core/certificate/misbehaviour/receipt-check.ts';
import { parseMessage } from '#core/energy/message.ts';
import { Refused, within } from '#core/errors.ts';
import { receiptInFile, storeFileName } from '#devices/file-store.ts';
import { writeFileDurably } from '#platform/durable-file.ts';
import { folderLogReader } from '#platform/log-reader.ts';
import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { logFolderOf } from './log.ts';
import { readLimited, readPolicy } from './read-file.ts';

export interface ReceiptOptions {
  /** A data folder, or an exported log. */
  readonly data: string;
  /** Where evidence goes; by default into the working folder, under a name of its own. */
  readonly out?: string;
  /** A file of messages that were sent, one compact JWS a line. */
  readonly messages?: string;
  readonly policy?: string;
}

const receiptLimitBytes = 65_000;
/** Of a gateway's store, what it keeps (64 MiB) and what it has yet to throw away. */
const storeLimitBytes = 256 * 1024 * 1024;

/**
 * `hourseal receipt`: compares a receipt, in a file or the newest in the folder of a gateway, with what a log states of the same meter key. Ends with 0 where
 * the log states as many messages and agrees, 1 where it states others (the evidence is written), 4
 * where it does not say enough. Refused where a file is none, or the receipt is not of this log.
 */
export async function askReceipt(
  file: string,
  { data, out, messages, policy: policyFile }: ReceiptOptions,
  terminal: Terminal,
): Promise<number> {
  const receipt = await receiptAt(file);
  const policy = policyFile === undefined ? undefined : await readPolicy(policyFile);
  const answer = await checkReceipt({
    receipt,
    read: folderLogReader(logFolderOf(data)),
    ...(messages !== undefined && { sent: await hashesIn(messages) }),
    policy,
  });
  const { contradiction } = answer;
  terminal.out(describe(answer, terminal));
  if (contradiction === undefined)
    return isHonoured(answer) ? exitCodes.verified : exitCodes.undecided;
  const name = toHex(sha256(contradiction.evidence)).slice(0, 16);
  const to = out ?? `dishonoured-receipt-${name}.hourseal-evidence.json`;
  await writeFileDurably(to, contradiction.evidence);
  terminal.out(`  ${to}: check it with  npx hourseal verify --policy POLICY ${to}\n`);
  return exitCodes.failed;
}

async function receiptAt(path: string): Promise<string> {
  const file = join(path, storeFileName);
  if (!existsSync(file)) return oneLine(path, await readLimited(path, receiptLimitBytes + 1));
  const bytes = await readLimited(file, storeLimitBytes);
  const newest = within(file, () => receiptInFile(bytes));
  if (newest === undefined) throw new Refused('receipt', `${path}: no receipt has come yet`);
  return newest.jws;
}

function oneLine(file: string, bytes: Uint8Array): string {
  const [line = '', ...rest] = within(file, () => decodeUtf8(bytes)).split('\n');
  if (line === '' || rest.join('') !== '') throw new Refused('form', `${file}: not one receipt`);
  return line;
}

/** Of several messages under one number the first counts, as at ingestion. */
async function hashesIn(file: string): Promise<ReadonlyMap<number, string>> {
  const lines = decodeUtf8(await readLimited(file, evidenceLimitBytes)).split('\n');
  const hashes = new Map<number, string>();
  lines.forEach((line, i) => {
    if (line === '') return;
    const { message, hash } = within(`${file}, line ${i + 1}`, () => parseMessage(utf8(line)));
    if (!hashes.has(message.seq)) hashes.set(message.seq, toHex(hash));
  });
  return hashes;
}

function isHonoured({ confirmedSeq, statements, receipt }: ReceiptAnswer): boolean {
  return statements > 0 && confirmedSeq === receipt.throughSeq;
}

function describe(answer: ReceiptAnswer, { style }: Terminal): string {
  const { receipt, size, statements, unopened, confirmedSeq, withheld, takenBack } = answer;
  const lines = [
    style.bold(`messages 1 to ${receipt.throughSeq} of the key ${receipt.kid}, ${size} entries`),
    `  ${statements} meter records state this key; they agree with the receipt up to message ${confirmedSeq}`,
  ];
  if (unopened > 0) {
    lines.push(
      `  ${unopened} of them could not be compared: the messages that would tell are not in these files (see --messages)`,
    );
  }
  if (withheld > 0)
    lines.push(`  ${withheld} hours of committed sites: their records are not here`);
  for (const entry of takenBack) {
    lines.push(`  entry ${entry} stated other messages; it is void, or was corrected since`);
  }
  lines.push(`  ${verdict(answer, style)}`);
  return `${lines.join('\n')}\n`;
}

function verdict(answer: ReceiptAnswer, style: Terminal['style']): string {
  const { contradiction } = answer;
  if (contradiction !== undefined) {
    return style.red(`NOT HONOURED: entry ${contradiction.entry} states other messages`);
  }
  if (isHonoured(answer)) return style.green('honoured so far');
  return style.amber('undecided: the log does not state as many messages of this key yet');
}
