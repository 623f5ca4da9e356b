import { describe, expect, it } from 'vitest';
import { testHash, testKey, testStartS, type LogBuilder } from '#support/log-builder.ts';
import {
  act,
  createTradeLog,
  done,
  euros,
  hourS,
  reason,
  solar,
  told,
} from '#support/trade-log.ts';

const all = solar(1, 1000);
const code = (judgement: { violation?: { code: string } | undefined }): string | undefined =>
  judgement.violation?.code;

function offered(terms?: object, said: object = {}) {
  const log = createTradeLog();
  const spec = { account: 'solar', items: [all], ...(terms && { terms }), ...said };
  const offer = done(act(log, 'offer', spec));
  const buy = (said: object = {}) =>
    act(log, 'accept', { account: 'factory', offer, items: [all], ...said });
  const refuse = (account: string, items?: readonly object[]) =>
    act(log, 'refuse', { account, offer, ...(items && { items }) });
  return { log, offer, buy, refuse };
}

function reserved(change: object = {}) {
  const payBy = testStartS + 3 * hourS;
  const made = offered(euros(payBy, change));
  const accept = done(made.buy({ items: [solar(1, 400)] }));
  const settle = (said: object = {}, by?: string) =>
    act(made.log, 'settle', {
      ...{ account: 'solar', accept, reference: 'payment 1', ...said },
      ...(by !== undefined && { signedBy: [testKey(by)] }),
    });
  return { ...made, accept, settle, payBy };
}

describe('an offer without a price', () => {
  it('is accepted in parts, each at once its owner’s', () => {
    const { log, buy } = offered();
    done(buy({ items: [solar(1, 250)] }));
    done(buy({ account: 'wind', items: [solar(251, 251), solar(999, 1000)] }));
    expect(told(log, all)).toEqual([
      '1-250 factory active',
      '251-251 wind active',
      '252-998 solar offered',
      '999-1000 wind active',
    ]);
    expect(code(log.cancel('factory', [solar(1, 250)]))).toBeUndefined();
    expect(code(log.cancel('solar', [solar(252, 252)]))).toBe('state');
  });

  it('goes to its counterparty alone, who is another account of the log', () => {
    const { buy } = offered(undefined, { counterparty: 'wind' });
    expect(code(buy())).toBe('counterparty');
    expect(code(buy({ account: 'wind' }))).toBeUndefined();
    const log = createTradeLog();
    for (const counterparty of ['solar', 'nobody']) {
      expect(code(act(log, 'offer', { account: 'solar', items: [all], counterparty }))).toBe(
        'counterparty',
      );
    }
    expect(code(offered().buy({ account: 'solar' }))).toBe('counterparty');
  });

  it('holds own active units, each named once, and no offer is accepted twice', () => {
    const { log, offer, buy } = offered(undefined, { items: [solar(1, 500)] });
    const again = { account: 'solar', items: [solar(500, 501)] };
    expect(code(act(log, 'offer', again))).toBe('state');
    expect(code(act(log, 'offer', { ...again, items: [solar(501, 502), solar(502, 503)] }))).toBe(
      'range',
    );
    expect(code(act(log, 'offer', { ...again, items: [solar(1000, 1001)] }))).toBe('range');
    const other = [{ series: 'energy/wind', from: 1, to: 1 }];
    expect(code(act(log, 'offer', { ...again, items: other }))).toBe('series');
    expect(code(act(log, 'offer', { account: 'wind', items: [solar(501, 502)] }))).toBe('owner');
    expect(code(buy({ items: [solar(500, 501)] }))).toBe('state');
    const wrong = { ...offer, leafHash: testHash('other') };
    for (const ref of [wrong, { ...offer, index: 0 }]) {
      expect(code(buy({ offer: ref, items: [solar(1, 1)] }))).toBe('offer');
    }
    const second = done(act(log, 'offer', { account: 'solar', items: [solar(501, 600)] }));
    expect(code(buy({ items: [solar(501, 501)] }))).toBe('state');
    expect(code(buy({ offer: second, items: [solar(501, 501)] }))).toBeUndefined();
    expect(code(buy({ offer: second, items: [solar(501, 501)] }))).toBe('state');
  });

  it('is signed by who acts, and by nobody else', () => {
    const log = createTradeLog();
    const said = { account: 'solar', items: [all] };
    const by = { signedBy: [testKey('wind account')] };
    expect(code(act(log, 'offer', { ...said, ...by }))).toBe('auth');
    const { offer, ...made } = offered();
    const take = { account: 'factory', offer, items: [all] };
    for (const kind of ['accept', 'refuse']) {
      expect(code(act(made.log, kind, { ...take, ...by }))).toBe('auth');
    }
    for (const kind of ['lock', 'unlock', 'withdraw']) {
      const judgement = act(log, kind, { items: [all], ...reason, ...by });
      expect(code(judgement)).toBe('auth');
    }
  });
});

describe('an offer at a price', () => {
  it('reserves what is accepted, the seller’s until it is settled', () => {
    const { log, settle } = reserved();
    expect(told(log, all)).toEqual(['1-400 solar reserved', '401-1000 solar offered']);
    expect(code(log.cancel('solar', [solar(1, 1)]))).toBe('state');
    expect(code(log.cancel('factory', [solar(1, 1)]))).toBe('owner');
    done(settle({ items: [solar(100, 200)] }));
    done(settle());
    expect(told(log, all)).toEqual(['1-400 factory active', '401-1000 solar offered']);
    expect(code(settle())).toBe('items');
    expect(code(settle({ items: [solar(1, 1)] }))).toBe('state');
  });

  it('is over at the second after payBy, for accept and settle, and the units are the seller’s', () => {
    const { log, buy, settle, refuse, payBy } = reserved();
    log.time = payBy;
    done(buy({ items: [solar(401, 401)] }));
    done(settle({ items: [solar(1, 1)] }));
    log.time = payBy + 1;
    expect(code(buy({ items: [solar(402, 402)] }))).toBe('pay-by');
    expect(code(settle())).toBe('pay-by');
    expect(code(refuse('factory'))).toBe('items');
    expect(code(refuse('factory', [solar(2, 2)]))).toBe('state');
    done(log.cancel('solar', [solar(2, 10), solar(500, 600)]));
    done(act(log, 'offer', { account: 'solar', items: [solar(11, 499)] }));
    expect(told(log, all)).toEqual([
      '1-1 factory active',
      '2-10 solar cancelled',
      '11-499 solar offered',
      '500-600 solar cancelled',
      '601-1000 solar offered',
    ]);
    const late = { account: 'solar', items: [solar(601, 601)], terms: euros(payBy) };
    expect(code(act(log, 'offer', late))).toBe('pay-by');
  });

  it('is settled by the seller or by the key of its terms, and by nobody else', () => {
    const payKey = testKey('payment provider').jwk;
    const { settle, accept } = reserved({ payKey });
    expect(code(settle({}, 'factory account'))).toBe('auth');
    expect(code(settle({ account: 'factory' }, 'payment provider'))).toBe('owner');
    expect(code(settle({ accept: { ...accept, leafHash: testHash('x') } }))).toBe('accept');
    done(settle({ items: [solar(1, 10)] }, 'payment provider'));
    done(settle({ items: [solar(11, 20)] }, 'solar account'));
    expect(code(reserved().settle({}, 'payment provider'))).toBe('auth');
  });

  it('names no key that the log has for something else, nor one that can sign nothing', () => {
    const log = createTradeLog();
    const terms = (payKey: unknown) => ({ ...euros(log.time + 60), payKey });
    const said = { account: 'solar', items: [all] };
    const used = terms(testKey('factory account').jwk);
    expect(code(act(log, 'offer', { ...said, terms: used }))).toBe('key-used');
    const zero = { crv: 'Ed25519', kty: 'OKP', x: 'A'.repeat(43) };
    expect(code(act(log, 'offer', { ...said, terms: terms(zero) }))).toBe('key');
  });

  it('has nothing to settle where it was accepted without a price', () => {
    const { log, buy } = offered();
    const accept = done(buy());
    expect(code(act(log, 'settle', { account: 'solar', accept, reference: 'nothing' }))).toBe(
      'accept',
    );
  });
});

describe('refusing', () => {
  it('gives back what is offered, by the counterparty or the seller', () => {
    for (const account of ['factory', 'solar']) {
      const { log, refuse } = offered(undefined, { counterparty: 'factory' });
      done(refuse(account, [solar(1, 10)]));
      expect(told(log, all)).toEqual(['1-10 solar active', '11-1000 solar offered']);
      done(refuse(account));
      expect(told(log, all)).toEqual(['1-1000 solar active']);
      expect(code(refuse(account))).toBe('items');
    }
  });

  it('lets a third account refuse nothing, nor the seller what is reserved', () => {
    const { log, refuse } = reserved();
    expect(code(refuse('wind'))).toBe('items');
    expect(code(refuse('wind', [solar(401, 401)]))).toBe('state');
    expect(code(refuse('wind', [solar(1, 1)]))).toBe('state');
    expect(code(refuse('factory', [solar(401, 401)]))).toBe('state');
    expect(code(refuse('solar', [solar(400, 401)]))).toBe('state');
    done(refuse('solar'));
    expect(told(log, all)).toEqual(['1-400 solar reserved', '401-1000 solar active']);
    done(refuse('factory', [solar(1, 1)]));
    done(refuse('factory'));
    expect(told(log, all)).toEqual(['1-1000 solar active']);
  });

  it('touches nothing under another offer', () => {
    const { log, refuse } = offered(undefined, { items: [solar(1, 10)] });
    done(act(log, 'offer', { account: 'solar', items: [solar(11, 20)] }));
    expect(code(refuse('solar', [solar(11, 11)]))).toBe('state');
  });
});

describe('a frozen account', () => {
  it('gives back, and does nothing else; nobody takes or settles its units', () => {
    const { log, buy, settle, refuse } = reserved();
    const freeze = (id: string) => done(act(log, 'freeze', { what: 'account', id, ...reason }));
    freeze('solar');
    expect(code(act(log, 'offer', { account: 'solar', items: [solar(1, 1)] }))).toBe('frozen');
    expect(code(buy({ items: [solar(401, 401)] }))).toBe('frozen');
    expect(code(settle())).toBe('frozen');
    done(refuse('solar'));
    done(act(log, 'unfreeze', { what: 'account', id: 'solar', ...reason }));
    freeze('factory');
    expect(code(buy({ items: [solar(1, 1)] }))).toBe('frozen');
    done(settle({ items: [solar(1, 100)] }));
    done(refuse('factory'));
    expect(told(log, all)).toEqual(['1-100 factory active', '101-1000 solar active']);
  });
});

describe('a lock', () => {
  const holding =
    (log: LogBuilder) =>
    (kind: string, ...[from, to]: [number, number]) =>
      act(log, kind, { items: [solar(from, to)], ...reason });

  it('holds any unit but a withdrawn one, once, and gives it back as it was', () => {
    const { log, buy, settle, refuse } = reserved();
    const hold = holding(log);
    done(refuse('solar', [solar(601, 1000)]));
    done(log.cancel('solar', [solar(801, 1000)]));
    done(hold('withdraw', 951, 1000));
    const before = told(log, all);
    expect(code(hold('lock', 950, 951))).toBe('state');
    done(hold('lock', 350, 950));
    expect(told(log, solar(300, 1000))).toEqual([
      '300-349 solar reserved',
      '350-950 solar locked',
      '951-1000 solar withdrawn',
    ]);
    expect(code(hold('lock', 1, 350))).toBe('state');
    expect(code(settle({ items: [solar(350, 350)] }))).toBe('state');
    expect(code(buy({ items: [solar(401, 401)] }))).toBe('state');
    expect(code(refuse('factory', [solar(350, 350)]))).toBe('state');
    expect(code(log.cancel('solar', [solar(700, 700)]))).toBe('state');
    expect(code(hold('unlock', 349, 350))).toBe('state');
    done(hold('unlock', 350, 500));
    done(hold('unlock', 501, 950));
    expect(told(log, all)).toEqual(before);
    done(settle({ items: [solar(1, 400)] }));
    done(buy({ items: [solar(401, 600)] }));
  });

  it('does not stop the time of what it holds', () => {
    const { log, settle, payBy } = reserved();
    const hold = holding(log);
    done(hold('lock', 1, 1000));
    log.time = payBy + 1;
    done(hold('unlock', 1, 1000));
    expect(code(settle())).toBe('pay-by');
    done(log.cancel('solar', [all]));
  });

  it('holds what is settled or refused as a whole no longer than itself', () => {
    const { log, settle, refuse } = reserved();
    const hold = holding(log);
    done(hold('lock', 1, 100));
    done(settle());
    done(hold('lock', 401, 500));
    done(refuse('solar'));
    done(hold('unlock', 1, 100));
    expect(told(log, all)).toEqual([
      '1-100 solar reserved',
      '101-400 factory active',
      '401-500 solar locked',
      '501-1000 solar active',
    ]);
  });
});

describe('expiry', () => {
  const expireAfterS = 10 * hourS;
  const last = testStartS + hourS + expireAfterS;

  it('leaves the last second, and nothing after it but what was reserved before', () => {
    const log = createTradeLog({ rules: { expireAfterS } });
    const said = { account: 'solar', items: [solar(1, 200)] };
    const priced = done(act(log, 'offer', { ...said, terms: euros(last + hourS) }));
    const free = done(act(log, 'offer', { ...said, items: [solar(201, 300)] }));
    const buy = (offer: object, from: number, to: number) =>
      act(log, 'accept', { account: 'factory', offer, items: [solar(from, to)] });
    log.time = last;
    const accept = done(buy(priced, 1, 100));
    done(buy(free, 201, 210));
    done(log.cancel('factory', [solar(201, 201)]));
    done(act(log, 'offer', { ...said, items: [solar(301, 310)] }));
    log.time = last + 1;
    expect(code(buy(priced, 101, 101))).toBe('state');
    expect(code(buy(free, 211, 211))).toBe('state');
    expect(code(log.cancel('factory', [solar(202, 202)]))).toBe('state');
    expect(code(act(log, 'offer', { ...said, items: [solar(401, 401)] }))).toBe('state');
    const settle = { account: 'solar', accept, reference: 'payment 1' };
    done(act(log, 'settle', { ...settle, items: [solar(1, 50)] }));
    expect(code(log.cancel('factory', [solar(1, 1)]))).toBe('state');
    done(act(log, 'refuse', { account: 'solar', offer: free }));
    done(act(log, 'lock', { items: [solar(401, 401)], ...reason }));
    done(act(log, 'unlock', { items: [solar(401, 401)], ...reason }));
    done(act(log, 'withdraw', { items: [solar(401, 401)], ...reason }));
  });

  it('comes of the rules in force, and never without', () => {
    const log = createTradeLog();
    log.time = testStartS + 400 * 86_400;
    done(log.cancel('solar', [solar(1, 1)]));
    const rules = { ...log.state.genesis?.rules, expireAfterS: 0, version: 2 };
    done(act(log, 'rules', rules));
    expect(code(log.cancel('solar', [solar(2, 2)]))).toBe('state');
  });
});

describe('a correction', () => {
  it('withdraws no unit that is offered, reserved or locked, until their time is over', () => {
    const { log, refuse, payBy } = reserved();
    done(refuse('solar', [solar(901, 1000)]));
    done(act(log, 'lock', { items: [solar(951, 1000)], ...reason }));
    done(log.correct('solar', testStartS, 900));
    expect(told(log, solar(900, 1000))).toEqual([
      '900-900 solar offered',
      '901-950 solar withdrawn',
      '951-1000 solar locked',
    ]);
    expect(log.state.plants.get('solar')?.deficitWh).toBe(50);
    log.time = payBy + 1;
    done(log.correct('solar', testStartS, 0));
    expect(told(log, all)).toEqual(['1-950 solar withdrawn', '951-1000 solar locked']);
    expect(log.state.plants.get('solar')?.deficitWh).toBe(50);
  });
});
