import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, decodeUtf8, toHex, uint32BE, utf8 } from '#core/bytes.ts';
import {
  batchPath,
  compareLeaves,
  encodeBatchFile,
  encodeMessageLeaf,
  parseBatchFile,
  parseMessageLeaf,
  type Quarantined,
} from '#core/energy/batch.ts';
import { Refused } from '#core/errors.ts';
import { leafHash, treeRoot } from '#core/tlog/tree.ts';

interface Vectors {
  readonly batch: {
    readonly messages: readonly {
      readonly meter: string;
      readonly kid: string;
      readonly seq: number;
      readonly receivedAt: number;
      readonly jws: string;
    }[];
    readonly order: readonly (readonly [string, string, number])[];
    readonly leafHashes: readonly string[];
    readonly root: string;
    readonly firstLeafData: string;
  };
}
const { batch } = JSON.parse(readFileSync('test/vectors/trees.json', 'utf8')) as Vectors;
const codeOf = (work: () => unknown): string => {
  try {
    work();
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
};

describe('the batch of the vectors', () => {
  const sorted = batch.messages.toSorted(compareLeaves);
  const leaves = sorted.map(({ receivedAt, jws }) =>
    encodeMessageLeaf({ receivedAt, bytes: utf8(jws) }),
  );

  it('is ordered by meter, key and seq, seq by number', () => {
    expect(sorted.map(({ meter, kid, seq }) => [meter, kid, seq])).toEqual(batch.order);
  });

  it('has those leaves and that root', () => {
    expect(decodeUtf8(leaves[0] ?? new Uint8Array(0))).toBe(batch.firstLeafData);
    expect(leaves.map((data) => toHex(leafHash(data)))).toEqual(batch.leafHashes);
    expect(toHex(treeRoot(leaves.map(leafHash)))).toBe(batch.root);
  });

  it('gives the messages back from its leaves', () => {
    for (const [i, data] of leaves.entries()) {
      const { receivedAt, bytes, parsed } = parseMessageLeaf(data);
      expect(receivedAt).toBe(sorted[i]?.receivedAt);
      expect(decodeUtf8(bytes)).toBe(sorted[i]?.jws);
      expect(parsed.message.seq).toBe(sorted[i]?.seq);
    }
  });
});

describe('a message leaf', () => {
  const jws = batch.messages[0]?.jws ?? '';
  const parse = (text: string): string => codeOf(() => parseMessageLeaf(utf8(text)));

  it.each(['0', '1767261601', '9007199254740991'])('may have arrived at %s', (time) => {
    expect(parse(`hourseal/message/v1\n${time}\n${jws}`)).toBe('accepted');
  });

  it.each(['', '-1', '+1', '01', '1e3', '1.0', ' 1', '1 ', '0x1', '9007199254740992', '-0', '1\r'])(
    'has no arrival spelled %j',
    (time) => {
      expect(parse(`hourseal/message/v1\n${time}\n${jws}`)).toBe('leaf');
    },
  );

  it('has its prefix and its newline', () => {
    expect(parse('')).toBe('leaf');
    expect(parse('hourseal/message/v1')).toBe('leaf');
    expect(parse('hourseal/message/v1\n1')).toBe('leaf');
    expect(parse(`hourseal/message/v2\n1\n${jws}`)).toBe('leaf');
    expect(parse(`hourseal/message/v1\n1\n${jws}\n`)).toBe('form');
    expect(parse('hourseal/message/v1\n1\n')).toBe('form');
  });
});

describe('a batch file', () => {
  const quarantined: Quarantined = {
    kid: 'A'.repeat(43),
    seq: 3,
    hash: '0'.repeat(64),
    code: 'future',
  };
  const leaf = fc.uint8Array({ minLength: 1, maxLength: 40 });

  it('is read as it is written', () => {
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 8 }), fc.nat(3), (leaves, count) => {
        const file = { leaves, quarantined: Array<Quarantined>(count).fill(quarantined) };
        const bytes = encodeBatchFile(file);
        expect(parseBatchFile(bytes)).toEqual(file);
        expect(parseBatchFile(concat(Uint8Array.of(9), bytes).subarray(1))).toEqual(file);
      }),
    );
  });

  it('has a length and the data of each leaf, then the list', () => {
    const bytes = encodeBatchFile({ leaves: [utf8('one')], quarantined: [] });
    expect(toHex(bytes)).toBe('000000036f6e65000000025b5d');
  });

  it('may hold more leaves than a function takes arguments', () => {
    const leaves = Array<Uint8Array>(300_000).fill(Uint8Array.of(1));
    const bytes = encodeBatchFile({ leaves, quarantined: [] });
    expect(parseBatchFile(bytes).leaves).toHaveLength(300_000);
  });

  it('is refused when cut off anywhere, or with anything behind it', () => {
    const bytes = encodeBatchFile({
      leaves: [utf8('one'), utf8('two')],
      quarantined: [quarantined],
    });
    for (let end = 0; end < bytes.length; end++) {
      expect(codeOf(() => parseBatchFile(bytes.subarray(0, end)))).not.toBe('accepted');
    }
    for (const more of ['00', '00000000', '0000000100']) {
      const longer = concat(bytes, Buffer.from(more, 'hex'));
      expect(codeOf(() => parseBatchFile(longer))).not.toBe('accepted');
    }
  });

  const framed = (...parts: readonly Uint8Array[]): Uint8Array =>
    concat(...parts.flatMap((data) => [uint32BE(data.length), data]));

  it.each([
    ['no list', framed(utf8('leaf')), 'json'],
    ['a list in a second spelling', framed(utf8('[ ]')), 'jcs'],
    ['a list of something else', framed(utf8('[1]')), 'form'],
    ['an object as list', framed(utf8('{}')), 'form'],
    ['a leaf of no bytes', framed(new Uint8Array(0), utf8('[]')), 'form'],
    ['a leaf larger than a message', framed(new Uint8Array(65_065), utf8('[]')), 'size'],
    ['a length beyond the file', concat(uint32BE(0xffffffff), utf8('[]')), 'form'],
  ])('is refused with %s', (_name, bytes, code) => {
    expect(codeOf(() => parseBatchFile(bytes))).toBe(code);
  });

  it('takes the largest leaf that a message can be', () => {
    const largest = encodeMessageLeaf({
      receivedAt: Number.MAX_SAFE_INTEGER,
      bytes: new Uint8Array(65_000),
    });
    expect(parseBatchFile(framed(largest, utf8('[]'))).leaves).toHaveLength(1);
  });

  it('is served under its root', () => {
    expect(batchPath(batch.root)).toBe(`batch/${batch.root}`);
  });
});
