import { describe, expect, it } from 'vitest';
import type { Judgement } from '#core/certificate/fold.ts';
import { accountKeyAt, logKeysAt, policiesFor } from '#core/certificate/state/state.ts';
import { parseVkey } from '#core/tlog/note.ts';
import type { Signer } from '#core/signer.ts';
import { createBusyLog, createLog, soundPart, testKey, testRules } from '#support/log-builder.ts';
import { testStartS, testVkey, type LogBuilder } from '#support/log-builder.ts';
import { testPolicy, witnessVkey } from '#support/test-policy.ts';

/** What changes the keys of log, issuing body, ingestion and accounts, and the log's end (D3.3). */

type Breach = readonly [name: string, code: string, enter: (log: LogBuilder) => Judgement];

const dayS = 86_400;
const issuers = ['issuing body', 'issuing b', 'issuing c'] as const;
const [first, second, third] = issuers;
const fresh = testKey('fresh');
const energy = { series: 'energy/solar', from: 1, to: 1 };

/** Two of three keys of the issuing body must sign. */
const ofThree = (): LogBuilder => createBusyLog({ issuers, threshold: 2 });

const issuerKey = (log: LogBuilder, change: object, signedBy?: readonly Signer[]): Judgement =>
  log.enter(
    'issuer-key',
    { threshold: 2, ...change, ...log.once() },
    signedBy === undefined ? {} : { signedBy },
  );

const nextLogKey = (log: LogBuilder, name: string, previousUntil: number): Judgement =>
  log.enter('log-key', { logKey: testVkey(undefined, name), previousUntil, ...log.once() });

const nextIngestionKey = (log: LogBuilder, change: object = {}): Judgement => {
  const spec = { jwk: testKey('ingestion 2').jwk, previousUntil: log.time, ...log.once() };
  return log.enter('ingestion-key', { ...spec, ...change });
};

const enterPolicy = (log: LogBuilder, policy: string): Judgement =>
  log.enter('policy', { policy, ...log.once() });

const accountKey = (
  log: LogBuilder,
  [cause, key]: readonly ['change' | 'loss', string],
  signedBy?: readonly Signer[],
): Judgement =>
  log.enter(
    'account-key',
    { account: 'solar', cause, jwk: testKey(key).jwk, ...log.once() },
    signedBy === undefined ? {} : { signedBy },
  );

/** An action of the solar account alone, signed by a key of that name. */
const cancelBy = (log: LogBuilder, key: string): string | undefined => {
  log.hour('solar', testStartS, 1);
  return log.cancel('solar', [energy], { signedBy: [testKey(key)] }).violation?.code;
};

const close = (log: LogBuilder): Judgement =>
  log.enter('log-close', { reason: 'its year is over', ...log.once() });

function requireSound(...judgements: readonly Judgement[]): void {
  for (const { entry, violation } of judgements) {
    expect(violation?.message, entry?.kind).toBeUndefined();
  }
}

const issuing: readonly Breach[] = [
  ['a key that does not sign itself', 'auth', (log) => issuerKey(log, { add: fresh.jwk }, keys(2))],
  [
    'one old key and the new one, where two old ones must sign',
    'auth',
    (log) => issuerKey(log, { add: fresh.jwk }, [testKey(first), fresh]),
  ],
  ['a key by nobody but itself', 'auth', (log) => issuerKey(log, { add: fresh.jwk }, [fresh])],
  [
    'the word of a key that is not added',
    'auth',
    (log) => issuerKey(log, { threshold: 1 }, [...keys(2), fresh]),
  ],
  ['a lower threshold by one key', 'auth', (log) => issuerKey(log, { threshold: 1 }, keys(1))],
  ['a key that nobody can use', 'key', (log) => issuerKey(log, { add: weak() }, keys(2))],
  ['the end of a key that it has not', 'key', (log) => issuerKey(log, { remove: fresh.kid })],
  [
    'the end of the very key that it adds',
    'key',
    (log) => issuerKey(log, { add: fresh.jwk, remove: fresh.kid }),
  ],
  ['more signatures than it has keys', 'threshold', (log) => issuerKey(log, { threshold: 4 })],
  [
    'fewer keys than must sign',
    'threshold',
    (log) => issuerKey(log, { remove: testKey(third).kid, threshold: 3 }),
  ],
  ['no signature at all', 'form', (log) => issuerKey(log, { threshold: 0 })],
  [
    'a key that it has had',
    'key-used',
    (log) => {
      requireSound(issuerKey(log, { remove: testKey(third).kid }));
      return issuerKey(log, { add: testKey(third).jwk });
    },
  ],
  [
    'a key of its own, which has signed already',
    'auth',
    (log) => issuerKey(log, { add: testKey(first).jwk }, keys(2)),
  ],
  [
    'a removed key',
    'auth',
    (log) => {
      requireSound(issuerKey(log, { remove: testKey(first).kid }));
      return log.enter('rules', rulesOf(log), { signedBy: keys(2) });
    },
  ],
  [
    'fewer than its new threshold',
    'auth',
    (log) => {
      requireSound(issuerKey(log, { threshold: 3 }));
      return log.enter('rules', rulesOf(log), { signedBy: keys(2) });
    },
  ],
  [
    'a nonce that it used before its keys changed',
    'nonce',
    (log) => {
      const spec = rulesOf(log);
      requireSound(log.enter('rules', spec), issuerKey(log, { remove: testKey(first).kid }));
      return log.enter('rules', { ...spec, version: 3 });
    },
  ],
];

const keys = (count: number): readonly Signer[] => issuers.slice(0, count).map((n) => testKey(n));
const rulesOf = (log: LogBuilder) => ({ ...testRules, version: 2, ...log.once() });
const weak = (): object => ({ ...fresh.jwk, x: 'A'.repeat(43) });

const logAndIngestion: readonly Breach[] = [
  [
    'a log key under another name',
    'vkey',
    (log) => logKeyOf(log, testVkey('other.example', 'log 2')),
  ],
  ["a log key of a witness's type", 'vkey', (log) => logKeyOf(log, witnessVkey('one'))],
  ['a log key that is none', 'vkey', (log) => logKeyOf(log, 'log')],
  ['a log key that the log itself asks for', 'auth', (log) => logKeyOf(log, testVkey(), 'log')],
  ['an ingestion key that is none', 'key', (log) => nextIngestionKey(log, { jwk: weak() })],
  [
    'an ingestion key that the old one asks for',
    'auth',
    (log) =>
      log.enter(
        'ingestion-key',
        { jwk: fresh.jwk, previousUntil: log.time, ...log.once() },
        { signedBy: [testKey('ingestion')] },
      ),
  ],
];

function logKeyOf(log: LogBuilder, logKey: string, signedBy?: string): Judgement {
  const spec = { logKey, previousUntil: log.time, ...log.once() };
  return log.enter(
    'log-key',
    spec,
    signedBy === undefined ? {} : { signedBy: [testKey(signedBy)] },
  );
}

const policies: readonly Breach[] = [
  ['a policy that is none', 'policy', (log) => enterPolicy(log, 'quorum\n')],
  [
    'a policy of another log',
    'policy',
    (log) => enterPolicy(log, testPolicy({ logs: [testVkey('other.example')] })),
  ],
  [
    'a policy by a key that the log never had',
    'policy',
    (log) => enterPolicy(log, testPolicy({ logs: [testVkey(undefined, 'log 2')] })),
  ],
  [
    'a policy by a key that signs no more',
    'policy',
    (log) => {
      requireSound(nextLogKey(log, 'log 2', log.time));
      log.time += 1;
      return enterPolicy(log, testPolicy());
    },
  ],
  [
    'the log as its own witness',
    'key-used',
    (log) => enterPolicy(log, testPolicy({ witnesses: { one: witnessVkey('one', 'log') } })),
  ],
  [
    "the issuing body's key as a witness",
    'key-used',
    (log) => enterPolicy(log, testPolicy({ witnesses: { one: witnessVkey('one', first) } })),
  ],
  [
    "an account's key as a witness",
    'key-used',
    (log) =>
      enterPolicy(log, testPolicy({ witnesses: { one: witnessVkey('one', 'solar account') } })),
  ],
  [
    'a policy by the witnesses themselves',
    'auth',
    (log) =>
      log.enter(
        'policy',
        { policy: testPolicy(), ...log.once() },
        { signedBy: [testKey('witness one')] },
      ),
  ],
];

const accounts: readonly Breach[] = [
  [
    'a change by the issuing body',
    'auth',
    (log) => accountKey(log, ['change', 'fresh'], [testKey(first)]),
  ],
  ['a change by the new key', 'auth', (log) => accountKey(log, ['change', 'fresh'], [fresh])],
  [
    'a change by another account',
    'auth',
    (log) => accountKey(log, ['change', 'fresh'], [testKey('wind account')]),
  ],
  [
    'a change by the old key and the issuing body',
    'auth',
    (log) => accountKey(log, ['change', 'fresh'], [testKey('solar account'), testKey(first)]),
  ],
  [
    'a loss by the account',
    'auth',
    (log) => accountKey(log, ['loss', 'fresh'], [testKey('solar account')]),
  ],
  [
    'a change at no account',
    'account',
    (log) =>
      log.enter('account-key', {
        account: 'none',
        cause: 'change',
        jwk: fresh.jwk,
        ...log.once(),
      }),
  ],
  [
    'a loss at no account',
    'account',
    (log) =>
      log.enter('account-key', { account: 'none', cause: 'loss', jwk: fresh.jwk, ...log.once() }),
  ],
  [
    'another cause',
    'form',
    (log) =>
      log.enter('account-key', { account: 'solar', cause: 'x', jwk: fresh.jwk, ...log.once() }),
  ],
  [
    'a key that nobody can use',
    'key',
    (log) =>
      log.enter('account-key', {
        account: 'solar',
        cause: 'change',
        jwk: weak(),
        ...log.once(),
      }),
  ],
  [
    'an action by a key that was changed',
    'auth',
    (log) => {
      requireSound(accountKey(log, ['change', 'solar account 2']));
      return accountKey(log, ['change', 'fresh'], [testKey('solar account')]);
    },
  ],
  [
    'a change by the key that a loss has taken the place of',
    'auth',
    (log) => {
      requireSound(accountKey(log, ['loss', 'solar account 2']));
      log.time += 7 * dayS;
      return accountKey(log, ['change', 'fresh'], [testKey('solar account')]);
    },
  ],
  [
    'a change by the new key before its seven days are over',
    'auth',
    (log) => {
      requireSound(accountKey(log, ['loss', 'solar account 2']));
      log.time += 7 * dayS - 1;
      return accountKey(log, ['change', 'fresh'], [testKey('solar account 2')]);
    },
  ],
  [
    'the key of a loss that was turned down',
    'auth',
    (log) => {
      requireSound(accountKey(log, ['loss', 'solar account 2']));
      requireSound(accountKey(log, ['change', 'solar account 3']));
      log.time += 30 * dayS;
      return accountKey(log, ['change', 'fresh'], [testKey('solar account 2')]);
    },
  ],
  [
    'the key of a loss that was turned down, once more',
    'key-used',
    (log) => {
      requireSound(accountKey(log, ['loss', 'solar account 2']));
      requireSound(accountKey(log, ['change', 'solar account 3']));
      return accountKey(log, ['loss', 'solar account 2']);
    },
  ],
];

describe.each([
  ['the issuing body', issuing],
  ['log and ingestion keys', logAndIngestion],
  ['policies', policies],
  ["accounts' keys", accounts],
])('%s: void', (_group, breaches) => {
  it.each(breaches)('%s (%s)', (_name, code, enter) => {
    const log = breaches === issuing ? ofThree() : createBusyLog();
    let before = '';
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
    expect(log.void(last).violation).toBeUndefined();
  });
});

/** Every key that serves in a log, and every entry that can name a key: no key serves twice (D2). */
describe('a key that serves already', () => {
  const used = [
    ...['issuing body', 'log', 'ingestion', 'solar account', 'SOLAR-1 key 0', 'witness one'],
    ...['log 0', 'ingestion 0', 'issuing 0', 'wind account 0', 'wind account lost', 'SOLAR-1 old'],
  ];
  const entering: Readonly<Record<string, (log: LogBuilder, name: string) => Judgement>> = {
    account: (log, name) =>
      log.account('new', { jwk: testKey(name).jwk }, { signedBy: [testKey(first), testKey(name)] }),
    'account-key change': (log, name) => accountKey(log, ['change', name]),
    'account-key loss': (log, name) => accountKey(log, ['loss', name]),
    'ingestion-key': (log, name) => nextIngestionKey(log, { jwk: testKey(name).jwk }),
    'issuer-key': (log, name) => {
      const signedBy = [...new Set([testKey(first), testKey(name)])];
      return issuerKey(log, { add: testKey(name).jwk, threshold: 1 }, signedBy);
    },
    key: (log, name) => {
      const by = [testKey(first), testKey('solar account'), testKey(name)];
      return log.key('SOLAR-1', { jwk: testKey(name).jwk }, { signedBy: [...new Set(by)] });
    },
    'log-key': (log, name) => nextLogKey(log, name, log.time),
    policy: (log, name) =>
      enterPolicy(log, testPolicy({ witnesses: { w: witnessVkey('w', name) } })),
  };

  /** A log in which every kind of key was changed once: ended keys stay used. */
  function rotated(): LogBuilder {
    const log = createLog();
    const { once } = log;
    requireSound(
      log.genesis({
        ingestionKey: testKey('ingestion 0').jwk,
        issuers: { keys: [testKey(first).jwk, testKey('issuing 0').jwk], threshold: 1 },
        logKey: testVkey(undefined, 'log 0'),
      }),
      log.account('solar'),
      log.account('wind', { jwk: testKey('wind account 0').jwk }, { signedBy: windOpens }),
      log.plant('solar'),
      log.meter('SOLAR-1'),
      log.key('SOLAR-1', { jwk: testKey('SOLAR-1 old').jwk }),
      log.key('SOLAR-1', { jwk: testKey('SOLAR-1 key 0').jwk }),
      log.enter('key-end', { kid: testKey('SOLAR-1 old').kid, lastSeq: 1, lastT: 1, ...once() }),
      issuerKey(log, { remove: testKey('issuing 0').kid, threshold: 1 }),
      nextLogKey(log, 'log', 0),
      nextIngestionKey(log, { jwk: testKey('ingestion').jwk }),
    );
    const change = { account: 'wind', cause: 'change', jwk: testKey('wind account 1').jwk };
    const loss = { account: 'wind', cause: 'loss', jwk: testKey('wind account lost').jwk };
    requireSound(
      log.enter('account-key', { ...loss, ...once() }),
      log.enter('account-key', { ...change, ...once() }),
      enterPolicy(log, testPolicy()),
    );
    return log;
  }
  const windOpens = [testKey(first), testKey('wind account 0')];

  const cases = Object.keys(entering).flatMap((kind) =>
    used
      // A witness may stay one, and an issuing key that signs for itself is counted before.
      .filter((name) => kind !== 'policy' || name !== 'witness one')
      .filter((name) => kind !== 'issuer-key' || name !== first)
      .filter((name) => !['account', 'key'].includes(kind) || name !== first)
      .filter((name) => kind !== 'key' || name !== 'solar account')
      .map((name) => [kind, name] as const),
  );

  it.each(cases)('is refused in %s: %s', (kind, name) => {
    const log = rotated();
    expect(entering[kind]?.(log, name).violation?.code).toBe('key-used');
  });

  it.each(Object.keys(entering))('a fresh one is taken in %s', (kind) => {
    expect(entering[kind]?.(rotated(), 'fresh').violation).toBeUndefined();
  });

  it('lets a policy name the witnesses of the one before', () => {
    const log = rotated();
    requireSound(enterPolicy(log, testPolicy({ witnesses: { one: witnessVkey('one') } })));
  });

  it('is refused in a genesis whose witness has a key of the log', () => {
    for (const name of ['log', 'ingestion', first]) {
      const policy = testPolicy({ witnesses: { one: witnessVkey('one', name) } });
      expect(createLog().genesis({ policy }).violation?.code).toBe('key-used');
    }
  });
});

describe('the issuing body', () => {
  it('signs with its new keys from the next entry on, and with its old threshold until then', () => {
    const log = ofThree();
    const added = { add: fresh.jwk, remove: testKey(first).kid, threshold: 3 };
    requireSound(issuerKey(log, added, [testKey(first), testKey(second), fresh]));
    expect(log.state.genesis?.issuers.map(({ kid }) => kid)).toEqual(
      [testKey(second), testKey(third), fresh].map(({ kid }) => kid),
    );
    const others = [testKey(second), testKey(third)];
    expect(issuerKey(log, { threshold: 1 }, others).violation?.code).toBe('auth');
    requireSound(issuerKey(log, { threshold: 1 }, [...others, fresh]));
    requireSound(log.enter('rules', rulesOf(log), { signedBy: [fresh] }));
  });

  it('may have sixteen keys, and not one more', () => {
    const log = createBusyLog();
    for (let i = 2; i <= 16; i++) {
      requireSound(issuerKey(log, { add: testKey(`issuing ${i}`).jwk, threshold: 1 }));
    }
    const more = { add: fresh.jwk, threshold: 1 };
    expect(issuerKey(log, more).violation?.code).toBe('threshold');
    requireSound(issuerKey(log, { ...more, remove: testKey('issuing 2').kid }));
  });

  it('is found among the entries that every proof brings along', () => {
    const log = createBusyLog();
    const entered = [
      issuerKey(log, { add: fresh.jwk, threshold: 1 }),
      nextLogKey(log, 'log 2', log.time),
      log.enter('rules', rulesOf(log)),
    ];
    requireSound(...entered);
    expect(log.state.genesis?.entries).toEqual([0, ...entered.map(({ ref }) => ref.index)]);
  });
});

describe('the keys of checkpoints', () => {
  const t = testStartS + dayS;
  const names = ['log', 'log 2', 'log 3'];

  /** Three keys, entered at `t`, `t + 100` and `t + 200`, with the ends that each sets. */
  function rotated(untils: readonly [number, number]): { log: LogBuilder; at: readonly number[] } {
    const log = createBusyLog();
    const at = untils.map((until, i) => {
      log.time = t + 100 * (i + 1);
      const entered = nextLogKey(log, names[i + 1] ?? '', until);
      requireSound(entered);
      return entered.ref.index;
    });
    return { log, at: [0, ...at] };
  }

  function signersAt({ state }: LogBuilder, size: number, time: number): string[] {
    if (state.genesis === undefined) throw new Error('no genesis');
    return logKeysAt(state.genesis, { size, time }).map(
      ({ key }) => names.find((name) => testKey(name).kid === key.kid) ?? '?',
    );
  }

  it.each([
    ['before the first change', { change: 1, later: undefined }, ['log']],
    ['at the first change', { change: 1, later: 0 }, ['log', 'log 2']],
    ['when its overlap ends', { change: 1, later: 50 }, ['log', 'log 2']],
    ['after its overlap', { change: 1, later: 51 }, ['log 2']],
    ['at the second change', { change: 2, later: 100 }, ['log 2', 'log 3']],
    ['when that overlap ends', { change: 2, later: 300 }, ['log 2', 'log 3']],
    ['after all', { change: 2, later: 301 }, ['log 3']],
  ])('%s', (_name, { change, later }, expected) => {
    const { log, at } = rotated([t + 100 + 50, t + 100 + 300]);
    const size = (at[change] ?? 0) + (later === undefined ? 0 : 1);
    expect(signersAt(log, size, t + 100 + (later ?? -1))).toEqual(expected);
  });

  it('are all three while both overlaps last', () => {
    const { log } = rotated([t + 1000, t + 2000]);
    expect(signersAt(log, log.state.size, t + 1000)).toEqual(names);
    expect(signersAt(log, log.state.size, t + 1001)).toEqual(['log 2', 'log 3']);
  });

  it('end earlier when a later change says so: a stolen key needs no second one to wait for', () => {
    const { log, at } = rotated([t + 9000, t + 200]);
    expect(signersAt(log, log.state.size, t + 201)).toEqual(['log 3']);
    expect(signersAt(log, at[2] ?? 0, t + 201)).toEqual(['log', 'log 2']);
  });

  it('are never none, whatever the ends are, and an end in the past changes no older checkpoint', () => {
    const { log, at } = rotated([0, 0]);
    expect(signersAt(log, at[1] ?? 0, t)).toEqual(['log']);
    expect(signersAt(log, at[2] ?? 0, t + 199)).toEqual(['log 2']);
    expect(signersAt(log, log.state.size, t + 200)).toEqual(['log 3']);
    for (let size = 1; size <= log.state.size; size++) {
      expect(signersAt(log, size, t + 10_000)).toHaveLength(1);
    }
  });

  it('are those that a policy may name', () => {
    const log = createBusyLog();
    requireSound(nextLogKey(log, 'log 2', log.time + 10), enterPolicy(log, testPolicy()));
    log.time += 11;
    expect(enterPolicy(log, testPolicy()).violation?.code).toBe('policy');
    requireSound(enterPolicy(log, testPolicy({ logs: [testVkey(undefined, 'log 2')] })));
  });

  it('say which key of ingestion came when', () => {
    const log = createBusyLog();
    const { ref } = nextIngestionKey(log, { previousUntil: 5 });
    const held = log.state.genesis?.ingestionKeys.map(({ key, ...rest }) => ({
      ...rest,
      kid: key.kid,
    }));
    expect(held).toEqual([
      { index: 0, kid: testKey('ingestion').kid, previousUntilS: undefined },
      { index: ref.index, kid: testKey('ingestion 2').kid, previousUntilS: 5 },
    ]);
  });
});

describe('the policies of a checkpoint', () => {
  function withPolicies(inGenesis: boolean): { log: LogBuilder; at: readonly number[] } {
    const log = createLog();
    requireSound(log.genesis(inGenesis ? { policy: testPolicy() } : {}));
    const at: number[] = inGenesis ? [0] : [];
    for (const name of ['solar', 'wind']) {
      const { ref } = enterPolicy(log, testPolicy({ witnesses: { one: witnessVkey(name) } }));
      at.push(ref.index);
      requireSound(log.account(name));
    }
    expect(log.state.violations.size).toBe(0);
    return { log, at };
  }

  it.each([
    // Entries: 0 genesis, 1 policy, 2 account, 3 policy, 4 account.
    [true, 0, 1, [0]],
    [true, 0, 2, [0, 1]],
    [true, 0, 5, [0, 1, 3]],
    [true, 1, 2, [0, 1]],
    [true, 1, 5, [0, 1, 3]],
    [true, 2, 3, [1]],
    [true, 2, 4, [1, 3]],
    [true, 3, 4, [1, 3]],
    [true, 4, 5, [3]],
    [true, 5, 5, [3]],
    [false, 0, 1, []],
    [false, 0, 2, [1]],
    [false, 1, 3, [1]],
    [false, 1, 4, [1, 3]],
    [false, 4, 5, [3]],
  ])('genesis names one: %s; published %i, now %i: %j', (...row) => {
    const [inGenesis, publishedSize, size, due] = row;
    const { log } = withPolicies(inGenesis);
    if (log.state.genesis === undefined) throw new Error('no genesis');
    const found = policiesFor(log.state.genesis, { publishedSize, size });
    expect(found.map(({ index }) => index)).toEqual(due);
  });

  it('are held as they were entered', () => {
    const { log } = withPolicies(true);
    const [held] = log.state.genesis?.policies ?? [];
    expect(held?.text).toBe(testPolicy());
    const witnesses = held?.policy.witnesses.map(({ key }) => key.keyId);
    const vkeys = [witnessVkey('one'), witnessVkey('two/audit')];
    expect(witnesses).toEqual(vkeys.map((vkey) => parseVkey(vkey).keyId));
  });
});

describe('the key of an account', () => {
  it('acts from the next entry on after a change', () => {
    const log = createBusyLog();
    requireSound(accountKey(log, ['change', 'solar account 2']));
    expect(cancelBy(log, 'solar account')).toBe('auth');
    expect(cancelBy(log, 'solar account 2')).toBeUndefined();
  });

  it('signs for the plants of the account too', () => {
    const log = createBusyLog();
    requireSound(accountKey(log, ['change', 'solar account 2']));
    const spec = { capacityW: 5, plant: 'solar' };
    const by = (key: string) => ({ signedBy: [testKey(first), testKey(key)] });
    const old = log.enter('plant-change', { ...spec, ...log.once() }, by('solar account'));
    expect(old.violation?.code).toBe('auth');
    requireSound(log.enter('plant-change', { ...spec, ...log.once() }, by('solar account 2')));
  });

  it('is replaced after a loss seven days later to the second, and acts until then', () => {
    const log = createBusyLog();
    const lostAt = log.time;
    requireSound(accountKey(log, ['loss', 'solar account 2']));
    log.time = lostAt + 7 * dayS - 1;
    expect(cancelBy(log, 'solar account 2')).toBe('auth');
    log.time = lostAt + 7 * dayS;
    expect(cancelBy(log, 'solar account')).toBe('auth');
    expect(cancelBy(log, 'solar account 2')).toBeUndefined();
  });

  it('is not lost when it speaks up in the last second', () => {
    const log = createBusyLog();
    requireSound(accountKey(log, ['loss', 'solar account 2']));
    log.time += 7 * dayS - 1;
    requireSound(accountKey(log, ['change', 'solar account 3']));
    log.time += 30 * dayS;
    expect(cancelBy(log, 'solar account 2')).toBe('auth');
    expect(cancelBy(log, 'solar account 3')).toBeUndefined();
  });

  it('does not speak up by anything but a change', () => {
    const log = createBusyLog();
    requireSound(accountKey(log, ['loss', 'solar account 2']));
    log.time += dayS;
    expect(cancelBy(log, 'solar account')).toBeUndefined();
    log.time += 6 * dayS;
    const found = log.state.accounts.get('solar');
    expect(found && accountKeyAt(found, log.time).kid).toBe(testKey('solar account 2').kid);
  });

  it('waits seven days anew where a second loss names another key', () => {
    const log = createBusyLog();
    const lostAt = log.time;
    requireSound(accountKey(log, ['loss', 'solar account 2']));
    log.time = lostAt + 6 * dayS;
    requireSound(accountKey(log, ['loss', 'solar account 3']));
    log.time = lostAt + 8 * dayS;
    expect(cancelBy(log, 'solar account 2')).toBe('auth');
    expect(cancelBy(log, 'solar account')).toBeUndefined();
    log.time = lostAt + 13 * dayS;
    requireSound(accountKey(log, ['change', 'solar account 4'], [testKey('solar account 3')]));
  });

  it('may be lost again once its successor acts', () => {
    const log = createBusyLog();
    requireSound(accountKey(log, ['loss', 'solar account 2']));
    log.time += 8 * dayS;
    requireSound(accountKey(log, ['loss', 'solar account 3']));
    log.time += dayS;
    expect(cancelBy(log, 'solar account')).toBe('auth');
    expect(cancelBy(log, 'solar account 2')).toBeUndefined();
  });

  it('changes nothing by a void entry, however late one looks', () => {
    const log = createBusyLog();
    accountKey(log, ['loss', 'solar account 2'], [testKey('wind account')]);
    log.time += 8 * dayS;
    expect(cancelBy(log, 'solar account')).toBeUndefined();
  });

  it('is found among the entries of the account', () => {
    const log = createBusyLog();
    const entered = accountKey(log, ['change', 'solar account 2']);
    expect(log.state.accounts.get('solar')?.entries).toContain(entered.ref.index);
  });
});

describe('a closed log', () => {
  it('takes a void, and nothing else of any kind in force', () => {
    const log = createBusyLog();
    const broken = log.account('solar');
    requireSound(close(log));
    expect(log.state.genesis?.closed?.index).toBe(log.state.size - 1);
    for (const kind of testRules.kinds.filter((name) => name !== 'void')) {
      const late = log.enter(kind, log.once());
      expect(late.violation?.code, kind).toBe('closed');
      requireSound(log.void(late));
    }
    requireSound(log.void(broken));
    const again = log.void(broken);
    expect(again.violation?.code).toBe('void');
    requireSound(log.void(again));
  });

  it('has been closed by the issuing body', () => {
    const log = createBusyLog();
    const spec = { reason: 'I say so', ...log.once() };
    const by = log.enter('log-close', spec, { signedBy: [testKey('log')] });
    expect(by.violation?.code).toBe('auth');
    expect(log.state.genesis?.closed).toBeUndefined();
    requireSound(log.account('new'));
  });
});

describe('the new kinds', () => {
  const kinds = ['account-key', 'ingestion-key', 'issuer-key', 'log-close', 'log-key', 'policy'];
  it.each([...kinds, 'state'])('%s counts for nothing unless it is in force', (kind) => {
    const rules = { kinds: testRules.kinds.filter((name) => name !== kind) };
    const log = createBusyLog({ rules });
    const before = JSON.stringify(soundPart(log.state));
    expect(log.enter(kind, log.once()).violation?.code).toBe('kind');
    expect(JSON.stringify(soundPart(log.state))).toBe(before);
  });
});
