import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex, uint32BE, utf8 } from '#core/bytes.ts';
import { encodeMessageLeaf, leafLimitBytes, parseMessageLeaf } from '#core/energy/batch.ts';
import { encodeFramed } from '#core/energy/evidence-file.ts';
import {
  encodeOpenLeaves,
  openAnswerLimitBytes,
  openCursorLimitCharacters,
  openLeavesLimit,
  openLeavesLimitBytes,
  openLeavesPath,
  parseOpenLeaves,
} from '#core/energy/open-leaves.ts';
import { parseMessage } from '#core/energy/message.ts';
import { Refused } from '#core/errors.ts';
import { exampleOnPage } from '#support/formats-page.ts';

const leaf = utf8('a leaf');
const most = Array.from({ length: openLeavesLimit }, () => leaf);
const end = utf8('{"more":false,"next":"12-2"}');

function codeOf(bytes: Uint8Array): string {
  try {
    parseOpenLeaves(bytes);
    return 'accepted';
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
}

describe('an answer with leaves of open hours', () => {
  it('is as FORMATS.md shows it', () => {
    const bytes = fromHex(exampleOnPage('open-leaves'));
    const { leaves, next, more } = parseOpenLeaves(bytes);
    expect([next, more]).toEqual(['12-2', false]);
    expect(toHex(encodeOpenLeaves({ leaves, next, more }))).toBe(toHex(bytes));
    const messages = ['message-jws', 'message-jws-2'].map((name) => utf8(exampleOnPage(name)));
    expect(leaves).toEqual(
      messages.map((jws) => {
        const last = parseMessage(jws).message.readings.at(-1)?.t ?? 0;
        return encodeMessageLeaf({ receivedAt: last + 5, bytes: jws });
      }),
    );
    expect(leaves.map((one) => parseMessageLeaf(one).parsed.message.seq)).toEqual([1, 2]);
  });

  it('comes back as it was, also without a leaf and with as many as there can be', () => {
    const cursor = '1'.repeat(openCursorLimitCharacters);
    for (const [leaves, next, more] of [
      [[], '', false],
      [[leaf], '1-1.2-2', true],
      [most, cursor, true],
    ] as const) {
      const bytes = encodeOpenLeaves({ leaves, next, more });
      expect(parseOpenLeaves(bytes)).toEqual({ leaves, next, more });
    }
  });

  it('of all that may be in one stays below its limit', () => {
    const leaves = Array.from({ length: 16 }, () => new Uint8Array(openLeavesLimitBytes / 16 - 4));
    const next = '1'.repeat(openCursorLimitCharacters);
    expect(codeOf(encodeOpenLeaves({ leaves, next, more: false }))).toBe('size');
    const small = leaves.map((one) => one.subarray(0, leafLimitBytes));
    const bytes = encodeOpenLeaves({ leaves: small, next, more: false });
    expect(codeOf(bytes)).toBe('accepted');
    expect(bytes.length).toBeLessThanOrEqual(openAnswerLimitBytes);
  });

  it.each([
    ['of nothing', new Uint8Array(), 'form'],
    ['without an end', encodeFramed([leaf]), 'json'],
    ['cut off', encodeFramed([leaf, end]).subarray(0, -1), 'form'],
    ['cut off in a length', concat(encodeFramed([leaf, end]), Uint8Array.of(0, 0)), 'form'],
    ['with an end twice', encodeFramed([end, end]), 'accepted'],
    ['with an empty leaf', encodeFramed([new Uint8Array(), end]), 'size'],
    ['with too long a leaf', encodeFramed([new Uint8Array(leafLimitBytes + 1), end]), 'size'],
    ['with too many leaves', encodeFramed([...most, leaf, end]), 'form'],
    ['with a length beyond it', concat(uint32BE(0xffff_ffff), leaf), 'form'],
    ['too long', new Uint8Array(openAnswerLimitBytes + 1), 'size'],
    ['in another spelling', encodeFramed([utf8('{"next":"","more":false}')]), 'jcs'],
    ['that says more', encodeFramed([utf8('{"a":1,"more":false,"next":""}')]), 'form'],
    ['that says less', encodeFramed([utf8('{"more":false}')]), 'form'],
    ['with a cursor of words', encodeFramed([utf8('{"more":false,"next":"a"}')]), 'form'],
    [
      'with too long a cursor',
      encodeFramed([utf8(`{"more":false,"next":"${'1'.repeat(openCursorLimitCharacters + 1)}"}`)]),
      'form',
    ],
  ])('%s', (_what, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  it('is asked for below the prefix of what is public, or is not', () => {
    const query = { plant: 'A-1_b.c', isPrivate: false, after: '' };
    expect(openLeavesPath(query)).toBe('open/A-1_b.c');
    expect(openLeavesPath({ ...query, after: '1-2.3-4' })).toBe('open/A-1_b.c?after=1-2.3-4');
    expect(openLeavesPath({ ...query, isPrivate: true })).toBe('private/open/A-1_b.c');
  });
});
