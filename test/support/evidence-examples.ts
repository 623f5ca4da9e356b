import { utf8 } from '#core/bytes.ts';
import {
  encodeDishonoured,
  encodeEquivocation,
} from '#core/certificate/misbehaviour/misbehaviour.ts';
import { parseMessage } from '#core/energy/message.ts';
import { emptyChain, extendChain } from '#core/energy/receipt.ts';
import { signCheckpoint } from '#core/tlog/checkpoint.ts';
import { boundaryAt } from '#core/tlog/equivocation.ts';
import { noteSigner, parseVkey } from '#core/tlog/note.ts';
import type { HashReader } from '#core/tlog/proof.ts';
import { emptyEdge, growEdge, inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { testKey, testOrigin } from './log-builder.ts';

/**
 * The evidence files that FORMATS.md shows, made from its other examples, which `example` finds without
 * their last newline.
 */
type Example = (name: string) => string;

/** Reads the stored hashes of a small tree in memory. */
export function memoryReader(leaves: readonly Uint8Array[]): HashReader {
  const { completed } = growEdge(emptyEdge, leaves);
  const byName = new Map(completed.map(({ level, index, hash }) => [`${level} ${index}`, hash]));
  return (coordinates) =>
    Promise.resolve(
      coordinates.map(({ level, index }) => {
        const hash = byName.get(`${level} ${index}`);
        if (hash === undefined) throw new Error(`no hash (${level}, ${index})`);
        return hash;
      }),
    );
}

/** The little log of seven entries, which at size 3 had signed another third entry. */
export async function equivocationExample(example: Example): Promise<Uint8Array> {
  const leaves = Array.from({ length: 7 }, (_, i) => leafHash(utf8(`entry ${i}`)));
  const other = ['entry 0', 'entry 1', 'another entry 2'].map((text) => leafHash(utf8(text)));
  const [vkey = ''] = example('vkeys').split('\n');
  const checkpoint = { origin: testOrigin, size: 3, root: treeRoot(other) };
  return encodeEquivocation({
    first: signCheckpoint(checkpoint, [noteSigner(testOrigin, testKey('log'))]),
    second: utf8(`${example('checkpoint-7')}\n`),
    boundary: await boundaryAt({ size: 3, total: 7 }, memoryReader(leaves)),
    keys: [parseVkey(vkey)],
  });
}

/**
 * The receipt of the page is for two messages that the log of the worked day does not have: the record of
 * its first hour is over three others.
 */
export function dishonouredExample(example: Example): Uint8Array {
  const names = example('worked-day')
    .split('\n')
    .map((line) => line.trim().split(' ')[2] ?? '');
  const hour = names.indexOf('hour');
  const log = names.slice(0, hour + 1).map((name) => utf8(example(`entry-${name}`)));
  const hashes = log.map(leafHash);
  const included = (index: number) => ({
    data: log[index] ?? utf8(''),
    index,
    path: inclusionPath(hashes, index),
  });
  const checkpoint = { origin: testOrigin, size: log.length, root: treeRoot(hashes) };
  const records = example('hour-records').split('\n').map(utf8);
  const [first, second, third] = example('hour-messages')
    .split('\n')
    .map((jws) => parseMessage(utf8(jws)).hash);
  if (first === undefined || second === undefined || third === undefined) {
    throw new Error('the first hour has not the messages that the example rests on');
  }
  return encodeDishonoured({
    checkpoint: signCheckpoint(checkpoint, [noteSigner(testOrigin, testKey('log'))]),
    entries: [included(0), included(hour)],
    hour,
    receipt: example('receipt-jws'),
    record: {
      data: records[0] ?? utf8(''),
      index: 0,
      path: inclusionPath(records.map(leafHash), 0),
    },
    records: records.length,
    opened: { chain: extendChain(extendChain(emptyChain, first), second), hashes: [third] },
  });
}
