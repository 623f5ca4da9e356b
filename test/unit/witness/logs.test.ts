import { describe, expect, it } from 'vitest';
import { sha256 } from '#crypto';
import { utf8 } from '#core/bytes.ts';
import { refusalCode } from '#core/errors.ts';
import { signerFromSeed } from '#core/signer.node.ts';
import {
  cosignatureType,
  ed25519Type,
  formatVkey,
  verifierKeyOf,
  type SignatureType,
} from '#core/tlog/note.ts';
import { parseLogs, watchedLogs } from '#witness/logs.ts';

function vkey(name: string, seed = name, type: SignatureType = ed25519Type): string {
  return formatVkey(verifierKeyOf(name, type, signerFromSeed(sha256(utf8(seed)))));
}

function codeOf(text: string): string {
  try {
    watchedLogs(parseLogs(text));
  } catch (error) {
    return refusalCode(error);
  }
  return 'accepted';
}

describe('the file of the logs that a witness watches', () => {
  it('has log lines as a policy has, comments and empty lines', () => {
    const text = `# ours\nlog ${vkey('a.example')} https://a.example/log/\n\nlog ${vkey('b.example')}\n`;
    for (const one of [text, text.slice(0, -1)]) {
      const watched = watchedLogs(parseLogs(one));
      expect([...watched.keys()]).toEqual(['a.example', 'b.example']);
      expect(watched.get('a.example')).toMatchObject({ url: 'https://a.example/log/' });
      expect(watched.get('b.example')?.url).toBeUndefined();
    }
  });

  it('names both keys of a log that changes its key, and its URL at one of them', () => {
    const text = `log ${vkey('a.example')}\nlog ${vkey('a.example', 'next')} https://a.example\n`;
    const watched = watchedLogs(parseLogs(text)).get('a.example');
    expect(watched?.keys.map(formatVkey)).toEqual([vkey('a.example'), vkey('a.example', 'next')]);
    expect(watched?.url).toBe('https://a.example');
    expect(codeOf(text.replace('\n', ' https://b.example\n'))).toBe('witness-logs');
  });

  it.each([
    ['nothing', ''],
    ['only a comment', '# none yet\n'],
    ['a witness', `log ${vkey('a')}\nwitness w ${vkey('w', 'w', cosignatureType)}\n`],
    ['a quorum', `log ${vkey('a')}\nquorum none\n`],
    ['a key of a witness', `log ${vkey('a', 'a', cosignatureType)}\n`],
    ['a key twice', `log ${vkey('a')}\nlog ${vkey('a')}\n`],
    ['one key for two logs', `log ${vkey('a', 'k')}\nlog ${vkey('b', 'k')}\n`],
    ['a word too many', `log ${vkey('a')} https://a.example more\n`],
    ['a carriage return', `log ${vkey('a')}\r\n`],
    ['no vkey', 'log a.example\n'],
  ])('is refused with %s', (_what, text) => {
    expect(codeOf(text)).toBe('witness-logs');
  });

  it('is not made of keys that are no log keys by a program either', () => {
    const key = verifierKeyOf('w', cosignatureType, signerFromSeed(sha256(utf8('w'))));
    expect(() => watchedLogs([{ key }])).toThrow('not a log');
    const own = verifierKeyOf('a', ed25519Type, signerFromSeed(sha256(utf8('a'))));
    expect(() => watchedLogs([{ key: own }, { key: own }])).toThrow('twice');
  });
});
