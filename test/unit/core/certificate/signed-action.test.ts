import { describe, expect, test } from 'vitest';
import { decodeUtf8, utf8 } from '#core/bytes.ts';
import { parseEntry, signAction } from '#core/certificate/entry.ts';
import {
  encodeSignedAction,
  parseSignedAction,
  signedActionLimitBytes,
  withSignature,
  type SignedAction,
} from '#core/certificate/signed-action.ts';
import { refusalCode } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { examples } from '#support/formats-examples.ts';
import { formatsPage } from '#support/formats-page.ts';
import { testSigner } from '#support/register.ts';

const page = examples(formatsPage);
const example = (name: string): string => (page.get(name) ?? '').slice(0, -1);
const good = utf8(example('signed-action'));
const action = parseSignedAction(good);
const other = testSigner('somebody else');

const made = (members: object): Uint8Array => canonicalBytes({ ...action, ...members });

describe('a signed action', () => {
  test('is what the entry will be', () => {
    const { auth, kind, spec } = parseEntry(utf8(example('entry-cancel')));
    expect(action).toEqual({ auth, kind, origin: 'log.example/hourseal/2026', spec });
    expect(decodeUtf8(encodeSignedAction(action))).toBe(example('signed-action'));
  });

  test('takes one signature after the other, each once', () => {
    const unsigned: SignedAction = { ...action, auth: [] };
    const once = withSignature(unsigned, other);
    expect(once.auth).toEqual([signAction(other, action)]);
    const twice = withSignature(withSignature(action, other), testSigner('a third'));
    expect(twice.auth).toHaveLength(3);
    expect(parseSignedAction(encodeSignedAction(twice))).toEqual(twice);
    expect(codeOf(() => withSignature(once, other))).toBe('auth');
  });

  const bad: [string, string, Uint8Array][] = [
    ['a kind that nobody signs', 'kind', made({ kind: 'state' })],
    ['a kind that is not known', 'kind', made({ kind: 'gift' })],
    ['the spec of another kind', 'form', made({ kind: 'account' })],
    ['no spec', 'form', made({ spec: {} })],
    ['a member too many', 'form', made({ time: 1 })],
    ['one signer twice', 'auth', made({ auth: [...action.auth, ...action.auth] })],
    ['a signature that is none', 'form', made({ auth: ['x'] })],
    ['a second spelling', 'jcs', utf8(` ${decodeUtf8(good)}`)],
    ['no JSON', 'json', utf8('noise')],
    ['too many bytes', 'size', new Uint8Array(signedActionLimitBytes + 1)],
  ];
  test.each(bad)('is refused with %s', (_what, code, bytes) => {
    expect(codeOf(() => parseSignedAction(bytes))).toBe(code);
  });

  test('that grew beyond what an entry holds is not made', () => {
    const items = Array.from({ length: 500 }, (_, i) => ({
      from: 9_000_000_000_000_000 + i,
      series: `energy/${'x'.repeat(64)}`,
      to: 9_000_000_000_000_000 + i,
    }));
    const large = { ...action, spec: { ...action.spec, items } };
    expect(codeOf(() => encodeSignedAction(large))).toBe('size');
  });
});

function codeOf(work: () => unknown): string {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return refusalCode(error);
  }
}
