import { testKey, testOrigin, testVkey } from './log-builder.ts';
import { testPolicy } from './test-policy.ts';
import { at, issuing, mill, millOwner, notAfter, own, type Day } from './worked-day-parties.ts';

/** What a solar plant emits over its life, by the hour's energy. */
const lifecycleFactors = {
  rows: [
    {
      gas: 'CO2e',
      mg: 45_000,
      per: 'kWh',
      scope: 'solar',
      source: 'IPCC 2014 medians',
      year: 2021,
      zone: '*',
    },
  ],
  set: 'lifecycle',
  validity: { from: at('00:00') },
  version: '2021',
};

/** A second key of the issuing body, and what takes the place of other keys at the end of the day. */
const issuingLater = testKey('issuing body 2');
export const logLater = testKey('log 2');
export const ingestionLater = testKey('ingestion 2');

/** 23:30 to midnight: a meter has ended, keys are changed, witnesses are named. */
export async function night({ enter, step, moveTo }: Day): Promise<void> {
  const previousUntil = notAfter;
  await moveTo(at('23:30'));
  const end = { closing: { importWh: 52_000 }, endsAt: at('13:00'), meter: mill.meter };
  await enter('meter-change', { ...end, nonce: 'm4' }, [issuing, millOwner]);
  await enter('factors', { ...lifecycleFactors, nonce: 'e1' }, [issuing]);
  const logKey = testVkey(testOrigin, 'log 2');
  await enter('log-key', { logKey, previousUntil, nonce: 'l1' }, [issuing]);
  await enter('ingestion-key', { jwk: ingestionLater.jwk, previousUntil, nonce: 'i1' }, [issuing]);
  const logs = [testVkey(), logKey];
  await enter('policy', { policy: testPolicy({ logs, quorum: 'none' }), nonce: 'w1' }, [issuing]);
  await step('23:30:10');
  await moveTo(at('23:40'));
  const changed = { account: 'mill', cause: 'change', jwk: testKey('mill account 2').jwk };
  await enter('account-key', { ...changed, nonce: 'a3' }, [millOwner]);
  const lost = { account: 'solar', cause: 'loss', jwk: testKey('solar account 2').jwk };
  await enter('account-key', { ...lost, nonce: 'a4' }, [issuing]);
  const added = { add: issuingLater.jwk, threshold: 2, nonce: 's1' };
  await enter('issuer-key', added, [issuing, issuingLater]);
  await step('23:40:10');
}

/** After midnight: the day has its emission record, a late message corrects it, the log is closed. */
export async function midnight({ enter, step, moveTo }: Day): Promise<void> {
  await step('24:00:10');
  await moveTo(at('24:10'));
  const late = { effect: 'accept-late', evidence: [], from: 11, kid: own.key.kid, to: 11 };
  const why = { reason: 'the gateway was replaced; its store was read on site', nonce: 'd4' };
  await enter('decision', { ...late, ...why }, [issuing, issuingLater]);
  await step('24:10:10');
  await moveTo(at('24:20'));
  const close = { next: 'log.example/hourseal/2027', reason: 'the day is told' };
  await enter('log-close', { ...close, nonce: 'z1' }, [issuing, issuingLater]);
  await step('24:20:10');
}
