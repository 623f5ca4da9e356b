import { describe, expect, it } from 'vitest';
import { concat, fromHex, utf8 } from '#core/bytes.ts';
import type { Judgement } from '#core/certificate/fold.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { detachedJws } from '#core/jws.ts';
import { cosignatureType, ed25519Type, formatVkey, parseVkey } from '#core/tlog/note.ts';
import {
  createBusyLog,
  createLog,
  snapshot,
  soundPart,
  testHash,
  testKey,
  testRules,
  testStartS,
  testVkey,
  type LogBuilder,
} from '#support/log-builder.ts';

type Breach = readonly [name: string, code: string, enter: (log: LogBuilder) => Judgement];

const start = testStartS;
const hourS = 3600;
const solarKid = testKey('SOLAR-1 key 0').kid;
const issuing = testKey('issuing body');
const stranger = testKey('nobody');
const energy = 'energy/solar';
const reason = { evidence: [testHash('evidence')], reason: 'because' };
/** The solar plant has 1,000 Wh in its first hour, units 1 to 1,000. */
const certified = (log: LogBuilder): LogBuilder => {
  log.hour('solar', start, 1000);
  return log;
};
const flipLast = (auth: readonly string[]): readonly string[] =>
  auth.map((text, i) => (i === 0 ? flipped(text) : text));
const flipped = (text: string): string =>
  `${text.slice(0, -20)}${text.at(-20) === 'A' ? 'B' : 'A'}${text.slice(-19)}`;

const envelope: readonly Breach[] = [
  ['bytes that are no text', 'utf8', (log) => log.append(fromHex('ff'))],
  ['bytes that are no JSON', 'json', (log) => log.append(utf8('{'))],
  ['no bytes', 'json', (log) => log.append(new Uint8Array(0))],
  [
    'an entry in a second spelling',
    'jcs',
    (log) => log.append(concat(log.encode('account', {}), utf8(' '))),
  ],
  ['an entry of 65,536 bytes', 'size', (log) => log.append(new Uint8Array(65_536))],
  [
    'a member more',
    'form',
    (log) =>
      log.append(
        canonicalBytes({
          apiVersion: 'hourseal/v1',
          auth: [],
          extra: 1,
          kind: 'void',
          spec: {},
          time: start,
        }),
      ),
  ],
  [
    'another apiVersion',
    'form',
    (log) =>
      log.append(
        canonicalBytes({
          apiVersion: 'hourseal/v2',
          auth: [],
          kind: 'void',
          spec: {},
          time: start,
        }),
      ),
  ],
  [
    '33 signatures',
    'form',
    (log) =>
      log.append(
        canonicalBytes({
          apiVersion: 'hourseal/v1',
          auth: Array<string>(33).fill(`a..${'A'.repeat(86)}`),
          kind: 'void',
          spec: {},
          time: start,
        }),
      ),
  ],
  ['time that goes backwards', 'time', (log) => log.account('late', {}, { time: start - 1 })],
  ['a kind that is not in force', 'kind', (log) => log.enter('charge', { a: 1 })],
  ['a second genesis', 'kind', (log) => log.genesis()],
  ['a spec that is not that of its kind', 'form', (log) => log.enter('void', { index: -1 })],
  ['a spec with a member more', 'form', (log) => log.account('more', { extra: 1 })],
  [
    'an unsigned kind that says a nonce',
    'form',
    (log) => log.enter('fork', { evidence: testHash('e'), kid: solarKid, seq: 1, ...log.once() }),
  ],
];

const signatures: readonly Breach[] = [
  ['nobody signed', 'auth', (log) => log.account('new', {}, { signedBy: [] })],
  [
    'the issuing body is missing',
    'auth',
    (log) => log.account('new', {}, { signedBy: [testKey('new account')] }),
  ],
  ['the account is missing', 'auth', (log) => log.account('new', {}, { signedBy: [issuing] })],
  [
    'a stranger signed besides',
    'auth',
    (log) => log.account('new', {}, { signedBy: [issuing, testKey('new account'), stranger] }),
  ],
  [
    'a stranger signed instead',
    'auth',
    (log) => log.account('new', {}, { signedBy: [stranger, testKey('new account')] }),
  ],
  [
    'somebody signed twice',
    'auth',
    (log) => log.account('new', {}, { signedBy: [issuing, issuing, testKey('new account')] }),
  ],
  ['a signature was altered', 'signature', (log) => log.account('new', {}, { auth: flipLast })],
  [
    'it was signed as another kind',
    'signature',
    (log) => log.account('new', {}, { signedAs: { kind: 'plant' } }),
  ],
  [
    'it was signed for another log',
    'signature',
    (log) => log.account('new', {}, { signedAs: { origin: 'other.example' } }),
  ],
  [
    'another spec was signed',
    'signature',
    (log) => log.account('new', {}, { signedAs: { spec: { account: 'old' } } }),
  ],
  [
    'the signature came after notAfter',
    'expired',
    (log) => log.account('new', { notAfter: log.time - 1 }),
  ],
  [
    'a nonce was used before by the account',
    'nonce',
    (log) => {
      certified(log);
      const item = (from: number, to: number) => [{ series: energy, from, to }];
      const spec = {
        account: 'solar',
        beneficiary: 'b',
        period: { from: 0, to: 1 },
        purpose: 'p',
        nonce: 'same',
        notAfter: log.time,
      };
      log.enter('cancel', { ...spec, items: item(1, 1) });
      return log.enter('cancel', { ...spec, items: item(2, 2) });
    },
  ],
  [
    'the same entry again',
    'nonce',
    (log) => {
      certified(log);
      const spec = { ...reason, ...log.once(), effect: 'break', meter: 'SOLAR-1', t: start };
      log.enter('decision', spec);
      return log.enter('decision', spec);
    },
  ],
  [
    'a signature of another type stands in auth',
    'form',
    (log) =>
      log.account(
        'new',
        {},
        { auth: () => [detachedJws(issuing, 'hourseal-message', utf8('{}'))] },
      ),
  ],
  [
    'an hour is signed',
    'auth',
    (log) => log.hour('solar', start, { generation: 1, entry: { signedBy: [issuing] } }),
  ],
  [
    'a void is signed',
    'auth',
    (log) =>
      log.enter(
        'void',
        { code: 'time', index: 0, leafHash: testHash('x') },
        { signedBy: [issuing] },
      ),
  ],
];

const register: readonly Breach[] = [
  [
    'an account that exists',
    'account',
    (log) =>
      log.account(
        'solar',
        { jwk: testKey('new account').jwk },
        { signedBy: [issuing, testKey('new account')] },
      ),
  ],
  [
    'an account with the key of another',
    'key-used',
    (log) =>
      log.account(
        'new',
        { jwk: testKey('wind account').jwk },
        { signedBy: [issuing, testKey('wind account')] },
      ),
  ],
  [
    'an account with a meter key',
    'key-used',
    (log) =>
      log.account(
        'new',
        { jwk: testKey('SOLAR-1 key 0').jwk },
        { signedBy: [issuing, testKey('SOLAR-1 key 0')] },
      ),
  ],
  [
    'an account with the ingestion key',
    'key-used',
    (log) =>
      log.account(
        'new',
        { jwk: testKey('ingestion').jwk },
        { signedBy: [issuing, testKey('ingestion')] },
      ),
  ],
  [
    'an account with the log key',
    'key-used',
    (log) =>
      log.account('new', { jwk: testKey('log').jwk }, { signedBy: [issuing, testKey('log')] }),
  ],
  [
    'an account with the issuing key',
    'auth',
    (log) => log.account('new', { jwk: issuing.jwk }, { signedBy: [issuing] }),
  ],
  [
    'an account with a key for which signatures can be made up',
    'key',
    (log) => log.account('new', { jwk: { crv: 'Ed25519', kty: 'OKP', x: 'A'.repeat(43) } }),
  ],
  ['a plant of an account that is not there', 'account', (log) => log.plant('new')],
  ['a plant that exists', 'plant', (log) => log.plant('solar')],
  [
    'a plant entered for somebody else',
    'auth',
    (log) =>
      log.plant('new', { account: 'wind' }, { signedBy: [issuing, testKey('solar account')] }),
  ],
  [
    'a production plant with committed hours',
    'disclosure',
    (log) => log.plant('new', { account: 'solar', disclosure: 'committed' }),
  ],
  [
    'a storage plant with committed hours',
    'disclosure',
    (log) => log.plant('new', { account: 'solar', disclosure: 'committed', type: 'storage' }),
  ],
  [
    'an official id that another plant has',
    'official-id',
    (log) => {
      log.plant('one', { account: 'solar', official: { EIC: '11WX-1', GSRN: '57' } });
      return log.plant('two', { account: 'wind', official: { GSRN: '57' } });
    },
  ],
  [
    'an official id in other letters',
    'official-id',
    (log) => {
      log.plant('one', { account: 'solar', official: { EIC: '11WX-a' } });
      return log.plant('two', { account: 'wind', official: { eic: '11wx-A' } });
    },
  ],
  [
    'an official id with a space',
    'form',
    (log) => log.plant('one', { account: 'solar', official: { EIC: '11WX ' } }),
  ],
  [
    'more than 100 GW',
    'form',
    (log) => log.plant('one', { account: 'solar', capacityW: 100_000_000_001 }),
  ],
  [
    'a change of a plant that is not there',
    'plant',
    (log) => log.enter('plant-change', { plant: 'none', ...log.once() }),
  ],
  [
    'a change signed by another account',
    'auth',
    (log) =>
      log.enter(
        'plant-change',
        { plant: 'solar', capacityW: 9, ...log.once() },
        { signedBy: [issuing, testKey('wind account')] },
      ),
  ],
  [
    'a plant that ends before it began',
    'plant',
    (log) =>
      log.enter('plant-change', { plant: 'solar', endsAt: start - 30 * 86_400, ...log.once() }),
  ],
  ['a meter at a plant that is not there', 'plant', (log) => log.meter('new', { plant: 'none' })],
  [
    'a meter id of another plant',
    'meter',
    (log) => log.meter('SOLAR-1', { plant: 'wind', serial: 'other' }),
  ],
  [
    'a serial that another meter has',
    'serial',
    (log) => log.meter('new', { plant: 'wind', serial: 'serial-SOLAR-1' }),
  ],
  [
    'a serial in other letters',
    'serial',
    (log) => log.meter('new', { plant: 'wind', serial: 'SERIAL-solar-1' }),
  ],
  [
    'a meter entered for another plant',
    'auth',
    (log) => log.meter('new', {}, { signedBy: [issuing, testKey('wind account')] }),
  ],
  ['an exchange of a meter that is not there', 'meter', (log) => exchange(log, { meter: 'none' })],
  [
    'an exchange that forgets a register',
    'exchange',
    (log) => exchange(log, { closing: { importWh: 5 } }),
  ],
  [
    'an exchange that names a register more',
    'exchange',
    (log) => exchange(log, { opening: { exportWh: 0, importWh: 0 } }),
  ],
  [
    'an exchange before the last one',
    'exchange',
    (log) => {
      exchange(log, { serial: 'second' });
      return exchange(log, { serial: 'third', t: start });
    },
  ],
  [
    'an exchange for a device that is at another meter',
    'serial',
    (log) => exchange(log, { serial: 'serial-WIND-1' }),
  ],
  [
    'an exchange signed by another account',
    'auth',
    (log) => exchange(log, {}, [issuing, testKey('wind account')]),
  ],
  ['a change of a meter that is not there', 'meter', (log) => end(log, { meter: 'none' })],
  ['an end without its closing values', 'form', (log) => end(log, { closing: undefined })],
  ['an end with a change of something else', 'form', (log) => end(log, { clock: 'unreliable' })],
  [
    'a change of what energy rests on',
    'form',
    (log) => log.enter('meter-change', { meter: 'SOLAR-1', role: 'check', ...log.once() }),
  ],
  ['an end that forgets a register', 'end', (log) => end(log, { closing: { importWh: 5 } })],
  [
    'an end that names a register more',
    'end',
    (log) => end(log, { closing: { exportWh: 5, importWh: 0 } }),
  ],
  ['an end that is still to come', 'end', (log) => end(log, { endsAt: log.time + 1 })],
  [
    'an end before the meter was entered',
    'end',
    (log) => end(log, { endsAt: (log.state.meters.get('SOLAR-1')?.sinceS ?? 0) - 1 }),
  ],
  [
    'an end at the latest exchange',
    'end',
    (log) => {
      const t = log.time;
      exchange(log, { t });
      return end(log, { endsAt: t });
    },
  ],
  [
    'an end in an hour that is sealed',
    'sealed',
    (log) => end(certified(log), { endsAt: start + hourS - 1 }),
  ],
  [
    'an end long before a sealed hour',
    'sealed',
    (log) => {
      log.hour('solar', start + 3 * hourS, 1000);
      return end(log, { endsAt: start + hourS });
    },
  ],
  ['a second end', 'ended', (log) => (end(log), end(log))],
  [
    'a change after the end',
    'ended',
    (log) => {
      end(log);
      return log.enter('meter-change', { meter: 'SOLAR-1', clock: 'reliable', ...log.once() });
    },
  ],
  ['an exchange after the end', 'ended', (log) => (end(log), exchange(log, {}))],
  ['a key after the end', 'ended', (log) => (end(log), log.key('SOLAR-1'))],
  ['an end that nobody signed', 'auth', (log) => end(log, {}, [])],
  ['an end signed by the issuing body alone', 'auth', (log) => end(log, {}, [issuing])],
  [
    'an end signed by another account',
    'auth',
    (log) => end(log, {}, [issuing, testKey('wind account')]),
  ],
  ['a meter of the id of one that ended', 'meter', (log) => (end(log), log.meter('SOLAR-1'))],
  ['a key for a meter that is not there', 'meter', (log) => log.key('none', { plant: 'solar' })],
  ['a key for a meter of another plant', 'plant', (log) => log.key('SOLAR-1', { plant: 'wind' })],
  [
    'a key that was used before',
    'key-used',
    (log) => log.key('SOLAR-1', { jwk: testKey('WIND-1 key 0').jwk }),
  ],
  [
    'a key that ended and comes back',
    'key-used',
    (log) => {
      log.enter('key-end', { kid: solarKid, lastSeq: 1, lastT: start, ...log.once() });
      return log.key('SOLAR-1', { jwk: testKey('SOLAR-1 key 0').jwk });
    },
  ],
  [
    'an issuing key as a meter key',
    'auth',
    (log) =>
      log.key('SOLAR-1', { jwk: issuing.jwk }, { signedBy: [issuing, testKey('solar account')] }),
  ],
  [
    'a key that does not sign for itself',
    'auth',
    (log) => log.key('SOLAR-1', {}, { signedBy: [issuing, testKey('solar account')] }),
  ],
  [
    'the end of a key that is not there',
    'key',
    (log) => log.enter('key-end', { kid: stranger.kid, lastSeq: 1, lastT: start, ...log.once() }),
  ],
  [
    'a second end of a key',
    'key',
    (log) => {
      log.enter('key-end', { kid: solarKid, lastSeq: 1, lastT: start, ...log.once() });
      return log.enter('key-end', { kid: solarKid, lastSeq: 2, lastT: start, ...log.once() });
    },
  ],
];

function exchange(
  log: LogBuilder,
  change: object,
  signedBy?: readonly (typeof issuing)[],
): Judgement {
  const spec = {
    closing: { exportWh: 5 },
    meter: 'SOLAR-1',
    opening: { exportWh: 0 },
    serial: 'new',
    t: start + 1,
    ...log.once(),
    ...change,
  };
  return log.enter('exchange', spec, signedBy === undefined ? {} : { signedBy });
}

function end(
  log: LogBuilder,
  change: object = {},
  signedBy?: readonly (typeof issuing)[],
): Judgement {
  const spec = { closing: { exportWh: 5 }, endsAt: log.time, meter: 'SOLAR-1', ...log.once() };
  const given = Object.entries<unknown>({ ...spec, ...change }).filter(
    ([, value]) => value !== undefined,
  );
  const options = signedBy === undefined ? {} : { signedBy };
  return log.enter('meter-change', Object.fromEntries(given), options);
}

const freeze = (log: LogBuilder, what: string, id: string): Judgement =>
  log.enter('freeze', { ...reason, what, id, ...log.once() });
const unfreeze = (log: LogBuilder, what: string, id: string): Judgement =>
  log.enter('unfreeze', { ...reason, what, id, ...log.once() });
const fork = (log: LogBuilder, kid = solarKid): Judgement =>
  log.enter('fork', { evidence: testHash('two messages'), kid, seq: 3 });
const decide = (log: LogBuilder, spec: object): Judgement =>
  log.enter('decision', { ...reason, ...log.once(), ...spec });

const oversight: readonly Breach[] = [
  ['a fork of a key that is not there', 'key', (log) => fork(log, stranger.kid)],
  ['the same fork twice', 'fork', (log) => (fork(log), fork(log))],
  [
    'freezing what is frozen',
    'freeze',
    (log) => (freeze(log, 'plant', 'solar'), freeze(log, 'plant', 'solar')),
  ],
  ['freezing a forked key', 'freeze', (log) => (fork(log), freeze(log, 'key', solarKid))],
  ['freezing an account that is not there', 'account', (log) => freeze(log, 'account', 'none')],
  ['freezing a plant that is not there', 'plant', (log) => freeze(log, 'plant', 'none')],
  ['freezing a meter that is not there', 'meter', (log) => freeze(log, 'meter', 'none')],
  ['freezing a key that is not there', 'key', (log) => freeze(log, 'key', 'none')],
  [
    'freezing by an account',
    'auth',
    (log) =>
      log.enter(
        'freeze',
        { ...reason, what: 'plant', id: 'wind', ...log.once() },
        { signedBy: [testKey('solar account')] },
      ),
  ],
  ['unfreezing what is not frozen', 'freeze', (log) => unfreeze(log, 'meter', 'SOLAR-1')],
  [
    'unfreezing a key whose fork is undecided',
    'fork',
    (log) => (fork(log), unfreeze(log, 'key', solarKid)),
  ],
  [
    'deciding a fork that is not on record',
    'fork',
    (log) => decide(log, { effect: 'keep-fork', hash: testHash('a'), kid: solarKid, seq: 4 }),
  ],
  [
    'deciding about a key that is not there',
    'key',
    (log) => decide(log, { effect: 'accept-late', from: 1, kid: stranger.kid, to: 2 }),
  ],
  [
    'deciding about an empty range',
    'range',
    (log) => decide(log, { effect: 'set-aside', from: 2, kid: solarKid, to: 1 }),
  ],
  [
    'a break of a meter that is not there',
    'meter',
    (log) => decide(log, { effect: 'break', meter: 'none', t: start }),
  ],
  [
    'a decision by the plant itself',
    'auth',
    (log) =>
      log.enter(
        'decision',
        { ...reason, ...log.once(), effect: 'accept-late', from: 1, kid: solarKid, to: 9 },
        { signedBy: [testKey('solar account')] },
      ),
  ],
  ['a void of a sound entry', 'void', (log) => log.void(log.account('sound'))],
  [
    'a void of an entry to come',
    'void',
    (log) =>
      log.enter('void', { code: 'time', index: log.state.size + 1, leafHash: testHash('x') }),
  ],
  [
    'a void of itself',
    'void',
    (log) => log.enter('void', { code: 'void', index: log.state.size, leafHash: testHash('x') }),
  ],
  ['a void with another reason', 'void', (log) => log.void(log.account('solar'), { code: 'time' })],
  [
    'a void with another hash',
    'void',
    (log) => log.void(log.account('solar'), { leafHash: testHash('x') }),
  ],
  [
    'a second void',
    'void',
    (log) => {
      const bad = log.account('solar');
      log.void(bad);
      return log.void(bad);
    },
  ],
  [
    'rules that do not follow',
    'rules',
    (log) => log.enter('rules', { ...testRules, ...log.once() }),
  ],
  [
    'rules without void',
    'rules',
    (log) => log.enter('rules', { ...testRules, kinds: ['rules'], version: 2, ...log.once() }),
  ],
  [
    'rules without rules',
    'rules',
    (log) => log.enter('rules', { ...testRules, kinds: ['void'], version: 2, ...log.once() }),
  ],
  [
    'rules by an account',
    'auth',
    (log) =>
      log.enter(
        'rules',
        { ...testRules, version: 2, ...log.once() },
        { signedBy: [testKey('solar account')] },
      ),
  ],
];

const hours: readonly Breach[] = [
  ['a plant that is not there', 'plant', (log) => log.hour('none', start, 1)],
  ['a start within the hour', 'interval', (log) => log.hour('solar', start + 60, 1)],
  ['an hour that has not ended', 'interval', (log) => log.hour('solar', start + 24 * hourS, 1)],
  [
    'an hour before the plant was entered',
    'interval',
    (log) => log.hour('solar', start - hourS, 1),
  ],
  [
    'an hour after the plant ended',
    'interval',
    (log) => {
      log.enter('plant-change', { plant: 'solar', endsAt: start + hourS, ...log.once() });
      return log.hour('solar', start + hourS, 1);
    },
  ],
  [
    'an interval of another length',
    'form',
    (log) =>
      log.hour('solar', start, { generation: 1, spec: { interval: { seconds: 7200, start } } }),
  ],
  ['a public plant that hides', 'disclosure', (log) => log.enter('hour', committed(log, 'solar'))],
  ['a committed site that tells', 'disclosure', (log) => log.hour('factory', start, 0)],
  [
    'no prev where there is one',
    'prev',
    (log) =>
      certified(log).hour('solar', start + hourS, { generation: 1, spec: { prev: undefinedPrev } }),
  ],
  [
    'a prev where there is none',
    'prev',
    (log) =>
      log.hour('solar', start, {
        generation: 1,
        spec: { prev: { index: 1, leafHash: testHash('x') } },
      }),
  ],
  [
    'a prev with another hash',
    'prev',
    (log) =>
      certified(log).hour('solar', start + hourS, {
        generation: 1,
        spec: { prev: { index: log.state.size - 1, leafHash: testHash('x') } },
      }),
  ],
  [
    'the hour of another plant as prev',
    'prev',
    (log) => {
      const { ref } = log.hour('wind', start, 5);
      certified(log);
      return log.hour('solar', start + hourS, { generation: 1, spec: { prev: ref } });
    },
  ],
  ['an hour twice', 'sealed', (log) => certified(log).hour('solar', start, 1000)],
  ['more than the capacity allows', 'capacity', (log) => log.hour('solar', start, 1_100_001)],
  ['a huge generation', 'capacity', (log) => log.hour('solar', start, Number.MAX_SAFE_INTEGER)],
  [
    'a negative generation',
    'form',
    (log) => log.hour('solar', start, { generation: 1, spec: { generation: -1 } }),
  ],
  [
    'a generation of 2^53',
    'form',
    (log) => log.hour('solar', start, { generation: 1, spec: { generation: 2 ** 53 } }),
  ],
  [
    'an empty issued range',
    'issued',
    (log) =>
      certified(log).hour('solar', start + hourS, {
        generation: 0,
        certificates: { issued: { from: 1001, to: 1000 } },
      }),
  ],
  [
    'a unit more than was generated',
    'issued',
    (log) =>
      log.hour('solar', start, { generation: 10, certificates: { issued: { from: 1, to: 11 } } }),
  ],
  [
    'a unit less than was generated',
    'issued',
    (log) =>
      log.hour('solar', start, { generation: 10, certificates: { issued: { from: 1, to: 9 } } }),
  ],
  [
    'no units for a generation',
    'issued',
    (log) =>
      log.hour('solar', start, {
        generation: 10,
        spec: { certificates: { deficit: 0, netted: 0 } },
      }),
  ],
  [
    'units that are numbered from elsewhere',
    'issued',
    (log) =>
      log.hour('solar', start, { generation: 10, certificates: { issued: { from: 2, to: 11 } } }),
  ],
  [
    'units that were issued before',
    'issued',
    (log) =>
      certified(log).hour('solar', start + hourS, {
        generation: 10,
        certificates: { issued: { from: 991, to: 1000 } },
      }),
  ],
  [
    'the numbering of another hour',
    'issued',
    (log) =>
      certified(log).hour('solar', start + hourS, {
        generation: 10,
        certificates: { issued: { from: 1002, to: 1011 } },
      }),
  ],
  [
    'netting where nothing is owed',
    'deficit',
    (log) =>
      log.hour('solar', start, {
        generation: 10,
        certificates: { issued: { from: 1, to: 5 }, netted: 5 },
      }),
  ],
  [
    'a deficit made up',
    'deficit',
    (log) => log.hour('solar', start, { generation: 10, certificates: { deficit: 1 } }),
  ],
  [
    'issuing although something is owed',
    'deficit',
    (log) =>
      indebted(log).hour('solar', start + hourS, {
        generation: 500,
        certificates: { deficit: 400, issued: { from: 1001, to: 1500 }, netted: 0 },
      }),
  ],
  [
    'netting less than is owed',
    'deficit',
    (log) =>
      indebted(log).hour('solar', start + hourS, {
        generation: 500,
        certificates: { deficit: 1, issued: { from: 1001, to: 1101 }, netted: 399 },
      }),
  ],
  [
    'forgetting what is owed',
    'deficit',
    (log) =>
      indebted(log).hour('solar', start + hourS, { generation: 500, certificates: { deficit: 1 } }),
  ],
  [
    'issuing for a disputed hour',
    'issued',
    (log) =>
      log.hour('solar', start, {
        generation: 10,
        quality: 'disputed',
        certificates: { issued: { from: 1, to: 10 } },
      }),
  ],
  [
    'issuing for a consumption site',
    'issued',
    (log) => {
      log.plant('depot', { account: 'factory', type: 'consumption' }, { time: start });
      log.meter('DEPOT-1', { plant: 'depot', role: 'production' });
      const at = start + 24 * hourS;
      log.time = at + hourS;
      return log.hour('depot', at, {
        generation: 10,
        certificates: { issued: { from: 1, to: 10 } },
      });
    },
  ],
  ['issuing for storage', 'issued', (log) => issueAt(log, { type: 'storage' })],
  [
    'issuing for a source that is not eligible',
    'issued',
    (log) => issueAt(log, { source: 'coal' }),
  ],
  [
    'issuing for a frozen plant',
    'issued',
    (log) => {
      freeze(log, 'plant', 'solar');
      return log.hour('solar', start, {
        generation: 10,
        certificates: { issued: { from: 1, to: 10 } },
      });
    },
  ],
];

const undefinedPrev = { index: 0, leafHash: testHash('none') };

function committed(log: LogBuilder, plant: string): object {
  const latest = log.state.plants.get(plant)?.latest;
  return {
    batchRoot: testHash('b'),
    commitment: testHash('c'),
    interval: { seconds: 3600, start },
    metersRoot: testHash('m'),
    plant,
    ...(latest === undefined ? {} : { prev: latest }),
  };
}

function issueAt(log: LogBuilder, change: object): Judgement {
  log.plant('other', { account: 'solar', ...change });
  const at = start + 24 * hourS;
  log.time = at + hourS;
  return log.hour('other', at, { generation: 10, certificates: { issued: { from: 1, to: 10 } } });
}

/** 1,000 Wh issued, 900 of them cancelled, then corrected to 500: 100 withdrawn, 400 owed. */
function indebted(log: LogBuilder): LogBuilder {
  certified(log);
  log.cancel('solar', [{ series: energy, from: 1, to: 900 }]);
  log.correct('solar', start, 500);
  return log;
}

const corrections: readonly Breach[] = [
  ['an hour that is not sealed', 'amends', (log) => log.correct('solar', start, 1)],
  [
    'a version that is not the latest',
    'amends',
    (log) => {
      const { ref } = log.hour('solar', start, 10);
      log.correct('solar', start, 20);
      return log.correct('solar', start, { generation: 30, spec: { amends: ref } });
    },
  ],
  [
    'the hour of another plant',
    'amends',
    (log) => {
      const { ref } = log.hour('wind', start, 10);
      return certified(log).correct('solar', start, { generation: 30, spec: { amends: ref } });
    },
  ],
  [
    'another hour',
    'amends',
    (log) => {
      const { ref } = certified(log).hour('solar', start + hourS, 10);
      return log.correct('solar', start, { generation: 30, spec: { amends: ref } });
    },
  ],
  [
    'a break in the chain',
    'prev',
    (log) =>
      certified(log).correct('solar', start, { generation: 2000, spec: { prev: undefinedPrev } }),
  ],
  [
    'more than the capacity allows',
    'capacity',
    (log) => certified(log).correct('solar', start, 1_100_001),
  ],
  [
    'issuing more than the difference',
    'issued',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 1500,
        certificates: { issued: { from: 1001, to: 2500 } },
      }),
  ],
  [
    'issuing after 45 days',
    'issued',
    (log) => {
      certified(log).time = start + hourS + 45 * 86_400 + 1;
      return log.correct('solar', start, {
        generation: 1500,
        certificates: { issued: { from: 1001, to: 1500 } },
      });
    },
  ],
  [
    'issuing for what became disputed',
    'issued',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 1500,
        quality: 'disputed',
        certificates: { issued: { from: 1001, to: 1500 } },
      }),
  ],
  [
    'withdrawing nothing',
    'withdrawn',
    (log) =>
      certified(log).correct('solar', start, { generation: 900, certificates: { withdrawn: [] } }),
  ],
  [
    'owing instead of withdrawing',
    'deficit',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 900,
        certificates: { deficit: 100, withdrawn: [] },
      }),
  ],
  [
    'withdrawing the lowest numbers',
    'withdrawn',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 900,
        certificates: { withdrawn: [{ from: 1, to: 100 }] },
      }),
  ],
  [
    'withdrawing a unit more',
    'withdrawn',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 900,
        certificates: { withdrawn: [{ from: 900, to: 1000 }] },
      }),
  ],
  [
    'withdrawing in pieces that belong together',
    'withdrawn',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 900,
        certificates: {
          withdrawn: [
            { from: 901, to: 950 },
            { from: 951, to: 1000 },
          ],
        },
      }),
  ],
  [
    'withdrawing units of another hour',
    'withdrawn',
    (log) => {
      certified(log).hour('solar', start + hourS, 100);
      return log.correct('solar', start, {
        generation: 900,
        certificates: { withdrawn: [{ from: 1001, to: 1100 }] },
      });
    },
  ],
  [
    'withdrawing while disputed',
    'withdrawn',
    (log) =>
      certified(log).correct('solar', start, {
        generation: 900,
        quality: 'disputed',
        certificates: { withdrawn: [{ from: 901, to: 1000 }] },
      }),
  ],
  [
    'withdrawing what was cancelled',
    'deficit',
    (log) => {
      certified(log).cancel('solar', [{ series: energy, from: 901, to: 1000 }]);
      const all = { withdrawn: [{ from: 1, to: 1000 }], deficit: 0 };
      return log.correct('solar', start, { generation: 0, certificates: all });
    },
  ],
  [
    'a committed correction of a public plant',
    'disclosure',
    (log) =>
      log.enter('hour-correction', {
        ...committed(certified(log), 'solar'),
        amends: log.state.plants.get('solar')?.latest,
      }),
  ],
  [
    'an open correction of a committed site',
    'disclosure',
    (log) => {
      log.enter('hour', committed(log, 'factory'));
      return log.correct('factory', start, 0);
    },
  ],
];

const item = (
  from: number,
  to: number,
  series = energy,
): { series: string; from: number; to: number } => ({ series, from, to });
const life: readonly Breach[] = [
  ['a series that is not there', 'series', (log) => log.cancel('solar', [item(1, 1)])],
  [
    'units that were never issued',
    'range',
    (log) => certified(log).cancel('solar', [item(1000, 1001)]),
  ],
  [
    'units that begin beyond all',
    'range',
    (log) => certified(log).cancel('solar', [item(1001, 1001)]),
  ],
  ['an empty range', 'range', (log) => certified(log).cancel('solar', [item(2, 1)])],
  ['a unit twice', 'range', (log) => certified(log).cancel('solar', [item(1, 5), item(5, 9)])],
  [
    'a unit twice, the larger range last',
    'range',
    (log) => certified(log).cancel('solar', [item(5, 6), item(1, 9)]),
  ],
  ['what belongs to another', 'owner', (log) => certified(log).cancel('wind', [item(1, 1)])],
  [
    'what is cancelled',
    'state',
    (log) => {
      certified(log).cancel('solar', [item(10, 20)]);
      return log.cancel('solar', [item(1, 10)]);
    },
  ],
  [
    'what is withdrawn',
    'state',
    (log) => {
      certified(log).correct('solar', start, 900);
      return log.cancel('solar', [item(900, 901)]);
    },
  ],
  [
    'an account that is frozen',
    'frozen',
    (log) => {
      freeze(certified(log), 'account', 'solar');
      return log.cancel('solar', [item(1, 1)]);
    },
  ],
  ['an account that is not there', 'account', (log) => certified(log).cancel('none', [item(1, 1)])],
  [
    'a period that ends before it begins',
    'range',
    (log) =>
      certified(log).enter('cancel', {
        account: 'solar',
        beneficiary: 'b',
        items: [item(1, 1)],
        period: { from: 2, to: 1 },
        purpose: 'p',
        ...log.once(),
      }),
  ],
  [
    '501 items',
    'form',
    (log) =>
      certified(log).append(
        canonicalBytes({
          apiVersion: 'hourseal/v1',
          auth: [],
          kind: 'cancel',
          spec: {
            account: 'solar',
            beneficiary: 'b',
            items: Array.from({ length: 501 }, (_, i) => item(i + 1, i + 1)),
            period: { from: 1, to: 1 },
            purpose: 'p',
            ...log.once(),
          },
          time: log.time,
        }),
      ),
  ],
  [
    'what the operator signed itself',
    'auth',
    (log) => certified(log).cancel('solar', [item(1, 1)], { signedBy: [testKey('log')] }),
  ],
];

describe.each([
  ['an entry', envelope],
  ['signatures', signatures],
  ['the register', register],
  ['oversight', oversight],
  ['hours', hours],
  ['corrections', corrections],
  ['the life of units', life],
])('%s: void', (_group, breaches) => {
  it.each(breaches)('%s (%s)', (_name, code, enter) => {
    const log = createBusyLog();
    let before = '';
    // The breach is the last entry that the case appends; what it prepares must be sound.
    const { append } = log;
    const watched = Object.assign(log, {
      append: (...given: Parameters<LogBuilder['append']>) => {
        before = JSON.stringify(soundPart(log.state));
        return append(...given);
      },
    });
    const last = enter(watched);
    expect(last.violation?.code, last.violation?.message).toBe(code);
    expect(last.ref.index).toBe(log.entries.length - 1);
    expect(JSON.stringify(soundPart(log.state))).toBe(before);
    const { index } = last.ref;
    expect(log.state.size).toBe(index + 1);
    expect(log.state.violations.get(index)).toMatchObject({ code, voided: false });
    // Whatever was broken can be put right: nothing may stop the log (D3.3).
    expect(log.void(last).violation).toBeUndefined();
    expect(log.state.violations.get(index)?.voided).toBe(true);
  });
});

describe('a genesis', () => {
  const sharedKey = testKey('ingestion');
  it.each([
    ['a threshold above its keys', 'auth', { issuers: { keys: [issuing.jwk], threshold: 2 } }],
    [
      'an issuing key twice',
      'key-used',
      { issuers: { keys: [issuing.jwk, issuing.jwk], threshold: 1 } },
    ],
    ['an issuing key that takes in messages', 'key-used', { ingestionKey: issuing.jwk }],
    ['a log key that takes in messages', 'key-used', { ingestionKey: testKey('log').jwk }],
    ['an issuing key as log key', 'key-used', { logKey: testVkey(undefined, 'issuing body') }],
    ['a log key under another name', 'vkey', { logKey: testVkey('other.example') }],
    ['a cosigner’s key as log key', 'vkey', { logKey: cosignerKey() }],
    ['a log key that is none', 'vkey', { logKey: 'log' }],
    [
      'an ingestion key that proves nothing',
      'key',
      { ingestionKey: { ...sharedKey.jwk, x: 'A'.repeat(43) } },
    ],
    ['rules without void', 'rules', { rules: { ...testRules, kinds: ['rules'] } }],
    ['rules without rules', 'rules', { rules: { ...testRules, kinds: ['void'] } }],
    ['another format version', 'form', { formatVersion: 2 }],
    ['a note that is not NFC', 'form', { follows: 'e\u0301\n' }],
  ])('is void with %s', (_name, code, change) => {
    const log = createLog();
    const before = JSON.stringify(soundPart(log.state));
    expect(log.genesis(change).violation?.code).toBe(code);
    expect(JSON.stringify(soundPart(log.state))).toBe(before);
    // Without a genesis nothing more counts.
    expect(log.account('solar').violation?.code).toBe('genesis');
  });

  it('is void unless the issuing body signs its own appointment', () => {
    expect(createLog().genesis({}, { signedBy: [stranger] }).violation?.code).toBe('auth');
    expect(createLog().genesis({}, { signedBy: [] }).violation?.code).toBe('auth');
    expect(createLog().genesis({}, { auth: flipLast }).violation?.code).toBe('signature');
  });

  it('is the first entry, and no other is', () => {
    const log = createLog();
    expect(log.account('solar').violation?.code).toBe('kind');
    expect(log.genesis().violation?.code).toBe('genesis');
  });

  it('is refused at index 5 even where the rules have the kind in force', () => {
    const log = createBusyLog({ rules: { kinds: [...testRules.kinds, 'genesis'] } });
    const before = snapshot(log.state.genesis);
    expect(log.genesis().violation?.code).toBe('genesis');
    const own = log.genesis(
      { issuers: { keys: [stranger.jwk], threshold: 1 } },
      { signedBy: [stranger] },
    );
    expect(own.violation?.code).toBe('auth');
    expect(snapshot(log.state.genesis)).toEqual(before);
  });

  it('may name the log that it follows', () => {
    const note = 'origin\n1\nAAAA\n\n\u2014 origin AAAA\n';
    expect(createLog().genesis({ follows: note }).violation).toBeUndefined();
  });

  function cosignerKey(): string {
    const { name, publicKey } = parseVkey(testVkey());
    expect(parseVkey(testVkey()).type).toBe(ed25519Type);
    return formatVkey({ name, publicKey, type: cosignatureType });
  }
});
