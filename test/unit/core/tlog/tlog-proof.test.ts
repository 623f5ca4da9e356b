import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { decodeUtf8, fromHex, toBase64, utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import { cosignatureSigner, formatCheckpoint } from '#core/tlog/checkpoint.ts';
import {
  cosignatureType,
  ed25519Type,
  formatNote,
  formatVkey,
  noteSigner,
  signNote,
  verifierKeyOf,
  type NoteSigner,
} from '#core/tlog/note.ts';
import { parsePolicy } from '#core/tlog/policy.ts';
import {
  formatTlogProof,
  maxTlogProofBytes,
  parseTlogProof,
  verifyTlogProof,
} from '#core/tlog/tlog-proof.ts';
import { emptyRoot, inclusionPath, leafHash, treeRoot } from '#core/tlog/tree.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { damagedPaths, flipped } from './reference.ts';

const onPage = examples(formatsPage);
function example(name: string): string {
  const text = onPage.get(name);
  if (text === undefined) throw new Error(`${formatsPage} has no example ${name}`);
  return text;
}

const testSigner = (name: string): ReturnType<typeof signerFromSeed> =>
  signerFromSeed(sha256(utf8(`hourseal test key ${name}`)));
const origin = 'log.example/hourseal/2026';
const leaves = Array.from({ length: 7 }, (_, i) => leafHash(utf8(`entry ${i}`)));
const seven = { origin, size: 7, root: treeRoot(leaves) };
const logSigner = noteSigner(origin, testSigner('log'));
const newLogSigner = noteSigner(origin, testSigner('next log'));
const one = cosignatureSigner('witness.example/one', testSigner('witness one'), 5);
const two = cosignatureSigner('witness.example/two/audit', testSigner('witness two audit'), 6);
const nobody = cosignatureSigner('witness.example/nobody', testSigner('nobody'), 7);
const policy = parsePolicy(example('policy'));
const leafOf = (index: number): Uint8Array => leaves[index] ?? emptyRoot;

function noteOf(signers: readonly NoteSigner[], checkpoint = seven): Uint8Array {
  return formatNote(signNote({ text: formatCheckpoint(checkpoint) }, signers));
}

function proofOf(index: number, checkpoint = noteOf([logSigner, one, two])): Uint8Array {
  return formatTlogProof({ index, path: inclusionPath(leaves, index), checkpoint });
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

const codeOfText = (text: string): string => codeOf(() => parseTlogProof(utf8(text)));

describe('the proof on FORMATS.md', () => {
  const text = example('tlog-proof-2-of-7');

  it('is of entry 2 under the policy of the page, in the bytes that the code writes', () => {
    const proof = parseTlogProof(utf8(text));
    const path = example('inclusion-2-of-7').trimEnd().split('\n');
    expect(proof).toEqual({
      index: 2,
      path: path.map((hash) => fromHex(hash)),
      checkpoint: utf8(example('checkpoint-7')),
      extra: utf8('entry 2'),
    });
    expect(decodeUtf8(formatTlogProof(proof))).toBe(text);
    const verified = verifyTlogProof(utf8(text), { leafHash: leafOf(2), policy });
    expect(verified).toMatchObject({ index: 2, checkpoint: seven });
    expect(verified.checkpoint.cosignatures.map(({ time }) => time)).toEqual([
      1_767_261_610, 1_767_261_611,
    ]);
  });
});

describe('the example of the specification', () => {
  // Its signatures are abridged there, so it is an example of form alone.
  const extra = 'YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ';
  const path = [
    'gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=',
    'B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=',
    'EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=',
    'RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=',
    'AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=',
  ];
  const checkpoint = `example.com/fancylog
109482
sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=

\u2014 example.com/fancylog hI2DJ1roloI=
`;
  const head = `c2sp.org/tlog-proof@v1\nextra ${extra}\nindex 73894\n`;
  const text = `${head}${path.join('\n')}\n\n${checkpoint}`;

  it('has the form that it shows', () => {
    const proof = parseTlogProof(utf8(text));
    expect(proof.index).toBe(73_894);
    expect(proof.path.map(toBase64)).toEqual(path);
    expect(decodeUtf8(proof.checkpoint)).toBe(checkpoint);
    expect(toBase64(proof.extra ?? utf8(''))).toBe(extra);
    expect(decodeUtf8(formatTlogProof(proof))).toBe(text);
  });
});

describe('parseTlogProof', () => {
  const good = example('tlog-proof-2-of-7');
  const short = good.replace(/^extra .*\n/m, '');

  it.each<[string, string]>([
    ['nothing', ''],
    ['one line', 'c2sp.org/tlog-proof@v1\n'],
    ['a later version', good.replace('@v1', '@v2')],
    ['a line before the first', `\n${good}`],
    ['a byte order mark', `\ufeff${good}`],
    ['carriage returns', good.replaceAll('\n', '\r\n')],
    ['no header', good.replace(/^.*\n/, '')],
    ['no index', good.replace(/^index .*\n/m, '')],
    ['two indexes', good.replace('index 2\n', 'index 2\nindex 2\n')],
    ['extra after index', short.replace('index 2\n', 'index 2\nextra ZQ==\n')],
    ['extra twice', good.replace('extra ', 'extra ZQ==\nextra ')],
    ['extra of nothing', good.replace(/^extra .*$/m, 'extra ')],
    ['extra without its space', good.replace(/^extra .*$/m, 'extra')],
    ['extra with another space', good.replace('extra ', 'extra  ')],
    ['extra without padding', good.replace(/^(extra .*?)=+$/m, '$1')],
    ['extra in base64url', good.replace(/^extra .*$/m, 'extra _-__')],
    ['trailing bits in extra', good.replace('extra ZW50cnkgMg==', 'extra ZW50cnkgMh==')],
    ...['02', '+2', '-2', '2.0', '2e0', ' 2', '2 ', '0x2', '', '-0', '9007199254740992'].map(
      (index): [string, string] => [`index ${index}`, good.replace('index 2', `index ${index}`)],
    ),
    ['an index in other digits', good.replace('index 2', 'index \u0662')],
    ['a hash of 31 bytes', good.replace(/^Wkd.*$/m, toBase64(new Uint8Array(31)))],
    ['a hash of 33 bytes', good.replace(/^Wkd.*$/m, toBase64(new Uint8Array(33)))],
    ['a hash in hex', good.replace(/^Wkd.*$/m, '00'.repeat(32))],
    ['a hash without padding', good.replace(/^(Wkd.*)=$/m, '$1')],
    ['a hash with a space after it', good.replace(/^(Wkd.*)$/m, '$1 ')],
    ['trailing bits in a hash', good.replace('bL+CaB7A=', 'bL+CaB7B=')],
    ['no checkpoint', good.slice(0, good.indexOf('\n\n') + 2)],
    ['no empty line', good.slice(0, good.indexOf('\n\n') + 1)],
    ['two empty lines', good.replace('\n\n', '\n\n\n')],
    ['a checkpoint without signatures', good.slice(0, good.indexOf('\u2014'))],
    ['a checkpoint cut short', good.slice(0, -1)],
    ['a checkpoint with an extension line', good.replace('6tYc=\n', '6tYc=\nmore\n')],
    ['a size with a zero before it', good.replace('\n7\n', '\n07\n')],
    ['a byte after the end', `${good}x`],
    ['a line after the end', `${good}\n`],
  ])('refuses %s', (_name, text) => {
    expect(text).not.toBe(good);
    expect(['tlog-proof', 'note', 'checkpoint']).toContain(codeOfText(text));
  });

  it('refuses bytes that are not UTF-8, and more of them than its limit', () => {
    const bytes = utf8(good);
    expect(codeOf(() => parseTlogProof(bytes.with(30, 0xff)))).toBe('utf8');
    const fill = (extraBytes: number): string =>
      codeOf(() =>
        formatTlogProof({ ...parseTlogProof(utf8(short)), extra: new Uint8Array(extraBytes) }),
      );
    const room = Math.floor((maxTlogProofBytes - utf8(short).length - 'extra \n'.length) / 4) * 3;
    expect(fill(room)).toBe('accepted');
    expect(fill(room + 1)).toBe('tlog-proof');
  });

  it('takes a path of 64 hashes and not of 65', () => {
    const proof = parseTlogProof(utf8(good));
    const path = (length: number) => Array.from({ length }, () => leafOf(0));
    expect(codeOf(() => formatTlogProof({ ...proof, path: path(64) }))).toBe('accepted');
    expect(codeOf(() => formatTlogProof({ ...proof, path: path(65) }))).toBe('tlog-proof');
  });

  it('reads no path at all for the only entry of a log', () => {
    const checkpoint = noteOf([logSigner], { origin, size: 1, root: leafOf(0) });
    const bytes = formatTlogProof({ index: 0, path: [], checkpoint });
    expect(decodeUtf8(bytes)).toBe(`c2sp.org/tlog-proof@v1\nindex 0\n\n${decodeUtf8(checkpoint)}`);
    expect(parseTlogProof(bytes)).toEqual({ index: 0, path: [], checkpoint });
  });
});

describe('formatTlogProof', () => {
  it('writes nothing that would not be read', () => {
    const proof = parseTlogProof(utf8(example('tlog-proof-2-of-7')));
    for (const wrong of [
      { index: -1 },
      { index: 2.5 },
      { index: 2 ** 53 },
      { index: Number.NaN },
      { path: [new Uint8Array(31)] },
      { extra: new Uint8Array(0) },
      { checkpoint: utf8('no note\n') },
      { checkpoint: new Uint8Array(0) },
    ]) {
      expect(codeOf(() => formatTlogProof({ ...proof, ...wrong }))).not.toBe('accepted');
    }
  });
});

describe('verifyTlogProof', () => {
  const verify = (bytes: Uint8Array, leafHash: Uint8Array, trusted = policy): string =>
    codeOf(() => verifyTlogProof(bytes, { leafHash, policy: trusted }));

  it('accepts every entry of the log, each at its own index alone', () => {
    for (const [index, leaf] of leaves.entries()) {
      expect(verify(proofOf(index), leaf)).toBe('accepted');
      for (const other of leaves) {
        if (other !== leaf) expect(verify(proofOf(index), other)).toBe('inclusion');
      }
    }
  });

  it('refuses another path, another index, and an index that the size does not hold', () => {
    const proof = parseTlogProof(proofOf(2));
    for (const path of damagedPaths(proof.path)) {
      expect(verify(formatTlogProof({ ...proof, path }), leafOf(2))).toBe('inclusion');
    }
    for (const [index, code] of [
      [0, 'inclusion'],
      [3, 'inclusion'],
      [6, 'inclusion'],
      [7, 'proof'],
      [2 ** 53 - 1, 'proof'],
    ] as const) {
      expect(verify(formatTlogProof({ ...proof, index }), leafOf(2))).toBe(code);
    }
  });

  it('refuses a log that the policy does not name, and a checkpoint that the log did not sign', () => {
    const other = { ...seven, origin: 'log.example/other' };
    const signer = noteSigner(other.origin, testSigner('log'));
    expect(verify(proofOf(2, noteOf([signer, one, two], other)), leafOf(2))).toBe(
      'checkpoint-origin',
    );
    expect(verify(proofOf(2, noteOf([newLogSigner, one, two])), leafOf(2))).toBe(
      'checkpoint-unsigned',
    );
    expect(verify(proofOf(2, noteOf([one, two])), leafOf(2))).toBe('checkpoint-unsigned');
  });

  it('refuses without a quorum: a witness missing, or another in its place', () => {
    for (const signers of [[], [one], [two], [nobody], [one, nobody]]) {
      expect(verify(proofOf(2, noteOf([logSigner, ...signers])), leafOf(2))).toBe('quorum');
    }
    const twice = formatNote({
      text: formatCheckpoint(seven),
      signatures: [logSigner, one, one].map(({ name, keyId, sign }) => ({
        name,
        keyId,
        signature: sign(utf8(formatCheckpoint(seven))),
      })),
    });
    expect(verify(proofOf(2, twice), leafOf(2))).toBe('quorum');
  });

  it('refuses a bad signature by anybody whom the policy names, and ignores strangers', () => {
    const text = utf8(formatCheckpoint(seven));
    const spoiled = ({ name, keyId, sign }: NoteSigner, isBad: boolean) => ({
      name,
      keyId,
      signature: isBad ? flipped(sign(text), 500) : sign(text),
    });
    for (const bad of [logSigner, one, two]) {
      const signatures = [logSigner, one, two].map((signer) => spoiled(signer, signer === bad));
      const note = formatNote({ text: formatCheckpoint(seven), signatures });
      expect(verify(proofOf(2, note), leafOf(2))).toBe('note-signature');
    }
    const signatures = [logSigner, one, two, nobody].map((signer) =>
      spoiled(signer, signer === nobody),
    );
    const note = formatNote({ text: formatCheckpoint(seven), signatures });
    expect(verify(proofOf(2, note), leafOf(2))).toBe('accepted');
  });

  it('takes either key of a log that is changing its own, and no bad one', () => {
    const vkey = formatVkey(verifierKeyOf(origin, ed25519Type, testSigner('next log')));
    const changing = parsePolicy(`log ${vkey}\n${example('policy')}`);
    for (const logs of [[logSigner], [newLogSigner], [logSigner, newLogSigner]]) {
      expect(verify(proofOf(2, noteOf([...logs, one, two])), leafOf(2), changing)).toBe('accepted');
    }
    const text = utf8(formatCheckpoint(seven));
    const signatures = [logSigner, newLogSigner, one, two].map((signer) => ({
      name: signer.name,
      keyId: signer.keyId,
      signature: signer === newLogSigner ? flipped(signer.sign(text), 3) : signer.sign(text),
    }));
    const note = formatNote({ text: formatCheckpoint(seven), signatures });
    expect(verify(proofOf(2, note), leafOf(2), changing)).toBe('note-signature');
    expect(verify(proofOf(2, note), leafOf(2))).toBe('accepted');
  });

  it('counts nested groups, and nobody where the policy asks for nobody', () => {
    const vkeyOf = (name: string, key: string): string =>
      formatVkey(verifierKeyOf(name, cosignatureType, testSigner(key)));
    const lines = example('policy').split('\n').slice(0, 3).join('\n');
    const third = `witness three ${vkeyOf('witness.example/nobody', 'nobody')}`;
    const nested = parsePolicy(
      `${lines}\n${third}\ngroup plain any one three\ngroup both all two plain\nquorum both\n`,
    );
    const codes = [[one, two], [nobody, two], [one, nobody], [two]].map((witnesses) =>
      verify(proofOf(2, noteOf([logSigner, ...witnesses])), leafOf(2), nested),
    );
    expect(codes).toEqual(['accepted', 'accepted', 'quorum', 'quorum']);
    const none = parsePolicy(`${lines}\nquorum none\n`);
    expect(verify(proofOf(2, noteOf([logSigner])), leafOf(2), none)).toBe('accepted');
  });

  it('proves nothing of an empty log', () => {
    const checkpoint = noteOf([logSigner, one, two], { origin, size: 0, root: emptyRoot });
    const bytes = formatTlogProof({ index: 0, path: [], checkpoint });
    expect(verify(bytes, emptyRoot)).toBe('proof');
  });
});
