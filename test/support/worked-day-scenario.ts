import { toHex, utf8 } from '#core/bytes.ts';
import { encodeEntry, signedDraft } from '#core/certificate/entry.ts';
import { parseMessage } from '#core/energy/message.ts';
import { testHash, testOrigin } from './log-builder.ts';
import { replayLog } from './replay-log.ts';
import { at, issuing, messageOf, mill, millOwner, notAfter } from './worked-day-parties.ts';
import { own, solar, solarLater, solarOwner, type Day } from './worked-day-parties.ts';

/** What happens on the worked day, once everybody is enrolled. */

/** 10:00 to 12:00: an ordinary hour, and one in which the key is changed at 11:30. */
export async function morning({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solar, 1, { '10:00': 1000 });
  await send(own, 1, { '10:00': 500 });
  await send(solar, 2, { '10:30': 1600 });
  await send(solar, 3, { '11:00': 3000 });
  await send(own, 2, { '11:00': 600 });
  await send(mill, 1, { '10:00': 50_000, '11:00': 50_700 });
  await step('11:00:10');
  await moveTo(at('11:05'));
  const cancelled = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 1, series: 'energy/solar', to: 1500 }],
    period: { from: at('10:00'), to: at('13:00') },
    purpose: 'the consumption of the mill',
  };
  await enter('cancel', { ...cancelled, nonce: 'c1' }, [solarOwner]);
  await send(solar, 4, { '11:15': 3400, '11:30': 3800 });
  await moveTo(at('11:31'));
  const { key, meter, plant } = solarLater;
  const next = { jwk: key.jwk, meter, notBefore: at('11:30'), plant };
  await enter('key', { ...next, nonce: 'k4' }, [issuing, solarOwner, key]);
  const end = { kid: solar.key.kid, lastSeq: 4, lastT: at('11:30') };
  await enter('key-end', { ...end, nonce: 'k5' }, [issuing, solarOwner]);
  await send(solarLater, 1, { '11:45': 4200 });
  await send(solarLater, 2, { '12:00': 4600 });
  await send(own, 3, { '12:00': 700 });
  await step('12:00:10');
}

/** 12:00 to 15:05: of the solar meter nothing is heard from 12:20 on, of the mill's one message is lost. */
export async function outage({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solarLater, 3, { '12:10': 4800, '12:20': 5000 });
  await moveTo(at('12:30'));
  const ends = { endsAt: at('13:00'), plant: 'mill' };
  await enter('plant-change', { ...ends, nonce: 'p3' }, [issuing, millOwner]);
  await send(own, 4, { '13:00': 800 });
  await send(mill, 3, { '12:30': 51_700, '13:00': 52_000 });
  await step('13:00:10');
  await send(own, 5, { '14:00': 900 });
  await step('14:00:10');
  await moveTo(at('14:20'));
  await send(mill, 2, { '11:30': 51_000, '12:00': 51_300 });
  await step('14:20:10');
  await send(own, 6, { '15:00': 1000 });
  await step('15:00:10');
  await moveTo(at('15:05'));
  await send(solarLater, 4, { '12:40': 5500, '13:00': 6000 });
  await send(solarLater, 5, { '13:30': 6400, '14:00': 6800 });
  await send(solarLater, 6, { '14:30': 7300, '15:00': 7800 });
  await step('15:05:10');
}

/** A reading of the morning is set aside, whose certificates are gone; the next two hours pay for it. */
export async function setAside({ enter, send, step, moveTo }: Day): Promise<void> {
  await moveTo(at('15:30'));
  const decision = {
    effect: 'set-aside',
    evidence: [testHash('the inspection report')],
    from: 3,
    kid: solar.key.kid,
    reason: 'the inspector found the reading of 11:00 to be mistaken',
    to: 3,
  };
  await enter('decision', { ...decision, nonce: 'd1' }, [issuing]);
  await step('15:30:10');
  await send(solarLater, 7, { '15:30': 8200, '16:00': 8600 });
  await send(own, 7, { '16:00': 1100 });
  await step('16:00:10');
  await moveTo(at('16:35'));
  const exchange = {
    closing: { exportWh: 9100 },
    meter: 'SOLAR-1',
    opening: { exportWh: 0 },
    serial: 'SN-0003',
    t: at('16:30'),
  };
  await enter('exchange', { ...exchange, nonce: 'x1' }, [issuing, solarOwner]);
  await moveTo(at('16:36'));
  await send(solarLater, 8, { '16:20': 8900 });
  await send(solarLater, 9, { '17:00': 800 });
  await send(own, 8, { '17:00': 1200 });
  await step('17:00:10');
}

/** Under number 10 there are two messages; the hour that they prove waits for a decision. */
export async function fork({ enter, send, step, moveTo }: Day): Promise<void> {
  const kept = { '17:30': 1300 };
  await send(solarLater, 10, { '17:30': 2100 });
  await moveTo(at('17:31'));
  await send(solarLater, 10, kept);
  await step('17:31:10');
  await send(solarLater, 11, { '18:00': 1700 });
  await send(own, 9, { '18:00': 1300 });
  await step('18:00:10');
  await moveTo(at('18:20'));
  const { kid } = solarLater.key;
  const decision = {
    effect: 'keep-fork',
    evidence: [],
    hash: toHex(parseMessage(utf8(messageOf(solarLater, 10, kept))).hash),
    kid,
    reason: 'the gateway sent a value of its own making; the meter itself shows 1300',
    seq: 10,
  };
  await enter('decision', { ...decision, nonce: 'd2' }, [issuing]);
  const thaw = { evidence: [], id: kid, reason: 'the fork is decided', what: 'key' };
  await enter('unfreeze', { ...thaw, nonce: 'u1' }, [issuing]);
  await step('18:20:10');
}

/** 18:00 to 19:00: the register falls, and a decision says why. */
export async function reset({ enter, send, step, moveTo }: Day): Promise<void> {
  await send(solarLater, 12, { '18:30': 2200 });
  await send(solarLater, 13, { '18:40': 40, '19:00': 540 });
  await send(own, 10, { '19:00': 1400 });
  await step('19:00:10');
  await moveTo(at('19:10'));
  const decision = {
    effect: 'break',
    evidence: [],
    meter: 'SOLAR-1',
    reason: 'the meter was reset on site',
    t: at('18:40'),
  };
  await enter('decision', { ...decision, nonce: 'd3' }, [issuing]);
  await step('19:10:10');
}

/** 19:00 to the end: the plant's last two hours, two entries that break rules, and a late message. */
export async function evening(day: Day): Promise<void> {
  const { enter, send, step, moveTo } = day;
  await moveTo(at('19:30'));
  const ends = { endsAt: at('21:00'), plant: 'solar', support: 'none' };
  await enter('plant-change', { ...ends, nonce: 'p4' }, [issuing, solarOwner]);
  await send(solarLater, 14, { '20:00': 940 });
  await step('20:00:10');
  await moveTo(at('20:10'));
  const freeze = { evidence: [], id: 'solar', what: 'account' };
  const asked = { reason: 'at the request of the regulator', nonce: 'f1' };
  await enter('freeze', { ...freeze, ...asked }, [issuing]);
  await moveTo(at('20:20'));
  await day.ledger.appendUnchecked(await brokenEntries(day));
  await step('20:20:10');
  await moveTo(at('20:40'));
  const thaw = { ...freeze, reason: 'the regulator has what it needs', nonce: 'u2' };
  await enter('unfreeze', thaw, [issuing]);
  await send(solarLater, 15, { '21:00': 1240 });
  await send(own, 12, { '21:00': 1600 });
  await step('21:00:10');
  await step('22:00:10');
  await step('23:00:10');
  await moveTo(at('23:10'));
  await send(own, 11, { '20:00': 1500 });
  await step('23:10:10');
}

/** What no ledger of ours would enter: a frozen account's `cancel`, and an `hour` without messages. */
async function brokenEntries({ entries, clock }: Day): Promise<Uint8Array[]> {
  const { state } = replayLog((await entries()).map(({ jcs }) => utf8(jcs)));
  const found = state.plants.get('solar');
  if (found?.latest === undefined) throw new Error('no hour to go on from');
  const spec = {
    account: 'solar',
    beneficiary: 'mill',
    items: [{ from: 6301, series: 'energy/solar', to: 6400 }],
    nonce: 'c2',
    notAfter,
    period: { from: at('16:00'), to: at('17:00') },
    purpose: 'more of the consumption of the mill',
  };
  const cancel = signedDraft({ kind: 'cancel', origin: testOrigin, spec }, [solarOwner]);
  const next = found.issuedWh + 1;
  const hour = {
    batchRoot: testHash('no batch'),
    certificates: { deficit: 0, issued: { from: next, to: next + 4999 }, netted: 0 },
    generation: 5000,
    interval: { seconds: 3600, start: at('19:00') },
    messages: 2,
    metersRoot: testHash('no records'),
    plant: 'solar',
    prev: found.latest,
    quality: 'measured',
  };
  const time = clock.nowS();
  return [
    encodeEntry({ ...cancel, time }),
    encodeEntry({ auth: [], kind: 'hour', spec: hour, time }),
  ];
}
