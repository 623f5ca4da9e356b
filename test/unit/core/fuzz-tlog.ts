import { concat, fromHex, uint32BE, utf8 } from '#core/bytes.ts';
import { encodeFramed, parseFramed } from '#core/energy/evidence-file.ts';
import { Fatal, Refused } from '#core/errors.ts';
import {
  formatAddCheckpoint,
  parseAddCheckpoint,
  formatConflict,
  parseConflict,
  parseSubmitted,
} from '#core/tlog/add-checkpoint.ts';
import { formatCheckpoint, parseCheckpoint } from '#core/tlog/checkpoint.ts';
import { openSignedState } from '#core/tlog/equivocation.ts';
import {
  formatNote,
  formatSignatures,
  formatVkey,
  parseNote,
  parseSignatures,
  parseVkey,
} from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import {
  encodeBundle,
  encodeHashTile,
  parseBundle,
  parseHashTile,
  parseTilePath,
  tilePath,
} from '#core/tlog/tile.ts';
import { encodeTileEdge, growTileEdge, openTileEdge, rootOfEdge } from '#core/tlog/tile-edge.ts';
import { formatTlogProof, parseTlogProof } from '#core/tlog/tlog-proof.ts';
import { leafHash } from '#core/tlog/tree.ts';
import { example, lines, whole, text, type Target } from './fuzz-formats.ts';

const note = whole('checkpoint-7');
const hashes = example('roots-7')
  .split('\n')
  .map((hash) => fromHex(hash));
const policy = parsePolicy(`${example('policy')}\n`);

function edgeOfSize(size: number): Uint8Array {
  const grown = Array.from({ length: size }, (_, i) => leafHash(uint32BE(i)));
  const { edge } = growTileEdge({ size: 0, rows: [] }, grown);
  return encodeFramed([uint32BE(size), rootOfEdge(edge), ...encodeTileEdge(edge)]);
}

export const transparency: readonly Target[] = [
  { name: 'note', seeds: [note], parse: (input) => formatNote(parseNote(input)) },
  {
    name: 'signature lines',
    seeds: [note.subarray(note.indexOf(0xe2)), whole('cosignature-line')],
    parse: text((read) => formatSignatures(parseSignatures(read))),
  },
  { name: 'vkey', seeds: lines('vkeys'), parse: text((read) => formatVkey(parseVkey(read))) },
  {
    name: 'checkpoint',
    seeds: [note.subarray(0, note.indexOf(0xe2) - 1)],
    parse: text((read) => formatCheckpoint(parseCheckpoint(read))),
  },
  { name: 'policy', seeds: [whole('policy')], parse: text((read) => void parsePolicy(read)) },
  {
    name: 'tile path',
    seeds: [...lines('partial-tiles-70000'), utf8('tile/0/x001/x234/067'), utf8('tile/63/000')],
    parse: text((read) => tilePath(parseTilePath(read))),
  },
  {
    name: 'hash tile',
    seeds: [concat(...hashes)],
    parse: (input) => encodeHashTile(parseHashTile(input, hashes.length)),
  },
  {
    name: 'bundle',
    seeds: [fromHex(example('bundle-2')), encodeBundle([note, utf8('')])],
    parse: (input) => encodeBundle(parseBundle(input, 2)),
  },
  {
    name: 'tlog-proof',
    seeds: [whole('tlog-proof-2-of-7')],
    parse: (input) => formatTlogProof(parseTlogProof(input)),
  },
  {
    name: 'add-checkpoint',
    seeds: [whole('add-checkpoint-3-to-7')],
    parse(input) {
      const request = parseAddCheckpoint(input);
      const again = formatAddCheckpoint(request);
      // Its note is for a second parser, whose refusal says nothing of the first.
      try {
        parseSubmitted(request.note);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
      }
      return again;
    },
  },
  {
    name: 'signed state',
    seeds: [note],
    parse(input) {
      const logs = policy.logs.map(({ key }) => key);
      const witnesses = policy.witnesses.map(({ key }) => key);
      const state = openSignedState(input, { logs, witnesses });
      if (state.signers.length === 0) throw new Error('a state that nobody signed');
      return state.note;
    },
  },
  {
    // The size, the root and the rows, framed: they are columns of a table.
    name: 'stored edge',
    seeds: [0, 1, 7, 256, 300].map(edgeOfSize),
    parse(input) {
      const [size = utf8(''), root = utf8(''), ...edge] = parseFramed(input, 10);
      if (size.length !== 4) throw new Refused('form', 'no size');
      const count = new DataView(size.buffer, size.byteOffset).getUint32(0);
      try {
        const stored = openTileEdge(count, { edge, root });
        return encodeFramed([size, root, ...encodeTileEdge(stored)]);
      } catch (error) {
        if (error instanceof Fatal) throw new Refused(error.code, error.message);
        throw error;
      }
    },
  },
  {
    name: 'conflict',
    seeds: [whole('conflict-3')],
    parse: (input) => utf8(formatConflict(parseConflict(input))),
  },
];
