import { testKey, testOrigin, testVkey } from './log-builder.ts';
import { testPolicy } from './test-policy.ts';
import { at, issuing, mill, millOwner, notAfter, type Day } from './worked-day-parties.ts';

/** A second key of the issuing body, and what takes the place of other keys at the end of the day. */
const issuingLater = testKey('issuing body 2');
export const logLater = testKey('log 2');
export const ingestionLater = testKey('ingestion 2');

/** 23:30 to the end: a meter has ended, keys are changed, witnesses are named, the log is closed. */
export async function night({ enter, step, moveTo }: Day): Promise<void> {
  const previousUntil = notAfter;
  await moveTo(at('23:30'));
  const end = { closing: { importWh: 52_000 }, endsAt: at('13:00'), meter: mill.meter };
  await enter('meter-change', { ...end, nonce: 'm4' }, [issuing, millOwner]);
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
  await moveTo(at('23:50'));
  const close = { next: 'log.example/hourseal/2027', reason: 'the day is told' };
  await enter('log-close', { ...close, nonce: 'z1' }, [issuing, issuingLater]);
  await step('23:50:10');
}
