import { describe, expect, test } from 'vitest';
import { utf8 } from '#core/bytes.ts';
import { encodeEntry, type SignedDraft } from '#core/certificate/entry.ts';
import { advance } from '#core/certificate/fold.ts';
import { validAtOf } from '#core/certificate/hour-evidence.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import { encodeMessageLeaf } from '#core/energy/batch.ts';
import { parseMeterRecord } from '#core/energy/meter-record.ts';
import { parseMessage, type Reading } from '#core/energy/message.ts';
import { leafHash } from '#core/tlog/tree.ts';
import type { LatestHour } from '#ledger/hour-store.ts';
import { registerMark } from '#ledger/draft.ts';
import {
  planHour,
  type HeldKey,
  type HeldMessage,
  type HourInput,
  type HourPlan,
} from '#ledger/plan.ts';
import * as people from '#support/log-people.ts';

const hour = 3600;
const t0 = 1_767_225_600;
const dayS = 86_400;

function logOf(...drafts: readonly SignedDraft[]): LogState {
  const state = emptyState();
  for (const draft of drafts) {
    const { violation } = advance(state, encodeEntry({ ...draft, time: t0 }));
    if (violation !== undefined) throw new Error(`${violation.code}: ${violation.message}`);
  }
  return state;
}

const at = (t: number, exportWh: number): Reading => ({ registers: { exportWh }, t });

interface Held {
  readonly seq: number;
  readonly readings: readonly Reading[];
  readonly counts?: boolean;
}

/** What is stored of the key of `p1-m`; `throughSeq` by default as far as there is no gap. */
function keyOf(state: LogState, held: readonly Held[], meter = 'p1-m'): [string, HeldKey] {
  const { kid } = people.meterSigner(meter);
  const found = state.meters.get(meter);
  if (found === undefined) throw new Error(`no meter ${meter}`);
  const messages = held.map(({ seq, readings, counts = true }): HeldMessage => {
    const jws = utf8(people.message({ plant: 'p1', meter, seq, readings }));
    const { hash } = parseMessage(jws);
    const validAt = validAtOf(found, readings);
    const leaf = encodeMessageLeaf({ receivedAt: t0, bytes: jws });
    const [tFirst, tLast] = [readings[0]?.t ?? 0, readings.at(-1)?.t ?? 0];
    const message = { meter, kid, seq, receivedAt: t0, readings, validAt, hash, counts };
    return { ...message, tFirst, tLast, leaf, leafHash: leafHash(leaf) };
  });
  const seqs = held.map(({ seq }) => seq);
  let throughSeq = 0;
  while (seqs.includes(throughSeq + 1)) throughSeq++;
  const seenBeyond = seqs.filter((seq) => seq > throughSeq);
  return [
    kid,
    { kid, messages, throughSeq, seenBeyond, chainAt: (seq) => new Uint8Array(32).fill(seq) },
  ];
}

function plan(
  state: LogState,
  keys: readonly [string, HeldKey][],
  { nowS, latest, secret }: { nowS: number; latest?: LatestHour; secret?: Uint8Array },
): HourPlan {
  const input: HourInput = {
    plant: 'p1',
    start: t0,
    register: registerMark(state, 'p1'),
    latest,
    keys: new Map(keys),
    disputes: new Map(),
  };
  return planHour(input, { state, nowS, secretOf: () => secret });
}

const complete: Held[] = [{ seq: 1, readings: [at(t0, 0), at(t0 + hour, 500)] }];
const lacking: Held[] = [{ seq: 1, readings: [at(t0, 0), at(t0 + 1800, 200)] }];
const simple = (): LogState => logOf(people.genesis(), ...people.simplePlant('p1'));

describe('when an hour is sealed', () => {
  test('not before it has ended', () => {
    const state = simple();
    expect(plan(state, [keyOf(state, complete)], { nowS: t0 + hour - 1 }).action).toBe('none');
    expect(plan(state, [keyOf(state, complete)], { nowS: t0 + hour }).action).toBe('seal');
  });

  test('once all meters are complete, else at the deadline with what is proved', () => {
    const state = simple();
    const keys = [keyOf(state, lacking)];
    const dueAt = t0 + hour + dayS;
    expect(plan(state, keys, { nowS: dueAt - 1 })).toMatchObject({ action: 'wait', dueAt });
    expect(plan(state, keys, { nowS: dueAt })).toMatchObject({
      action: 'seal',
      facts: { complete: false, generationWh: 200, quality: 'partial' },
    });
  });

  test('a plant without meters waits for the deadline', () => {
    const state = logOf(people.genesis(), people.account('p1'), people.plant('p1', 'p1'));
    expect(plan(state, [], { nowS: t0 + 2 * hour }).action).toBe('wait');
    expect(plan(state, [], { nowS: t0 + hour + dayS })).toMatchObject({
      action: 'seal',
      facts: { generationWh: 0, messages: 0, complete: false },
    });
  });

  test('a meter that only checks holds nothing up; a second that counts does', () => {
    const by = { at: 'p1', owner: 'p1' };
    const withMeter = (role: string): LogState =>
      logOf(people.genesis(), ...people.simplePlant('p1'), people.meter('other', { ...by, role }));
    const checked = withMeter('check');
    expect(plan(checked, [keyOf(checked, complete)], { nowS: t0 + hour }).action).toBe('seal');
    const two = withMeter('production');
    expect(plan(two, [keyOf(two, complete)], { nowS: t0 + hour }).action).toBe('wait');
  });

  test('a frozen meter holds nothing up', () => {
    const state = simple();
    const frozen = state.meters.get('p1-m');
    if (frozen !== undefined) frozen.frozen = true;
    // It is the only one, so nobody is left who could complete the hour.
    expect(plan(state, [keyOf(state, complete)], { nowS: t0 + hour }).action).toBe('wait');
    expect(plan(state, [keyOf(state, complete)], { nowS: t0 + hour + dayS })).toMatchObject({
      facts: { quality: 'disputed', generationWh: 0 },
    });
  });

  test("never outside the plant's life", () => {
    const state = logOf(
      people.genesis(),
      ...people.simplePlant('p1', { endsAt: t0, commissionedAt: t0 - dayS }),
    );
    expect(plan(state, [keyOf(state, complete)], { nowS: t0 + 2 * dayS }).action).toBe('none');
  });
});

describe('when a sealed hour is corrected', () => {
  /** The latest version as if it had been sealed from `held`. */
  const sealedFrom = (held: Held[], time: number, isComplete: boolean) => {
    const state = simple();
    const planned = plan(state, [keyOf(state, held)], { nowS: t0 + 3 * dayS });
    if (planned.action !== 'seal') throw new Error('not sealed');
    const { facts } = planned;
    const ref = { index: 9, leafHash: '00' };
    const nothing = { certifiedWh: 0, revokedWh: 0, issued: [] };
    const hourState = { ref, quality: facts.quality, ...nothing, versions: [9] };
    state.plants.get('p1')?.hours.set(t0, hourState);
    const latest: LatestHour = { ...facts, plantId: 1, entryIndex: 9, time, complete: isComplete };
    return { state, latest };
  };

  test('never when nothing has changed', () => {
    const { state, latest } = sealedFrom(lacking, t0, false);
    const keys = [keyOf(state, lacking)];
    expect(plan(state, keys, { nowS: t0 + 9 * dayS, latest })).toMatchObject({
      action: 'none',
      complete: false,
    });
  });

  test('at once when it becomes complete', () => {
    const { state, latest } = sealedFrom(lacking, t0 + dayS, false);
    const keys = [keyOf(state, [...lacking, { seq: 2, readings: [at(t0 + hour, 500)] }])];
    expect(plan(state, keys, { nowS: t0 + dayS + 1, latest })).toMatchObject({
      action: 'seal',
      facts: { version: 2, complete: true, generationWh: 500, amends: { index: 9 } },
    });
  });

  test('at most daily while it stays incomplete', () => {
    const sealedAt = t0 + hour + dayS;
    const { state, latest } = sealedFrom(lacking, sealedAt, false);
    const keys = [keyOf(state, [...lacking, { seq: 3, readings: [at(t0 + 2400, 300)] }])];
    const dueAt = sealedAt + dayS;
    expect(plan(state, keys, { nowS: dueAt - 1, latest })).toMatchObject({ action: 'wait', dueAt });
    expect(plan(state, keys, { nowS: dueAt, latest })).toMatchObject({
      action: 'seal',
      facts: { complete: false, generationWh: 300 },
    });
  });

  test('not for one more leaf once it was complete, but for other figures', () => {
    const { state, latest } = sealedFrom(complete, t0 + hour, true);
    const again = [...complete, { seq: 2, readings: [at(t0 + hour, 500), at(t0 + 5000, 600)] }];
    expect(plan(state, [keyOf(state, again)], { nowS: t0 + 2 * hour, latest }).action).toBe('none');
    const differs = [...complete, { seq: 2, readings: [at(t0 + hour, 501)] }];
    expect(plan(state, [keyOf(state, differs)], { nowS: t0 + 2 * hour, latest })).toMatchObject({
      action: 'seal',
      facts: { quality: 'disputed' },
    });
  });
});

describe('what a meter record says of a key', () => {
  const keysOf = (held: Held[]) => {
    const state = simple();
    const planned = plan(state, [keyOf(state, held)], { nowS: t0 + 3 * dayS });
    if (planned.action !== 'seal') throw new Error('not sealed');
    return planned.facts.records.map((bytes) => parseMeterRecord(bytes).keys)[0];
  };

  test('is as of its last message of the hour, whatever came later', () => {
    const later = { seq: 2, readings: [at(t0 + 2 * hour, 900)] };
    const chain = '01'.repeat(32);
    const expected = [{ chain, kid: people.meterSigner('p1-m').kid, missing: [], throughSeq: 1 }];
    expect(keysOf(complete)).toEqual(expected);
    expect(keysOf([...complete, later])).toEqual(expected);
  });

  test('names the gaps below that message', () => {
    const held = [
      { seq: 1, readings: [at(t0, 0)] },
      { seq: 4, readings: [at(t0 + 1000, 100)] },
      { seq: 6, readings: [at(t0 + hour, 500)] },
      { seq: 9, readings: [at(t0 + 3 * hour, 900)] },
    ];
    expect(keysOf(held)).toMatchObject([
      {
        throughSeq: 1,
        missing: [
          { from: 2, to: 3 },
          { from: 5, to: 5 },
        ],
      },
    ]);
  });

  test('a message that does not count takes its seq and proves nothing', () => {
    const state = simple();
    const held: Held[] = [
      { seq: 1, readings: [at(t0, 0)] },
      { seq: 2, readings: [at(t0 + 1000, 999_999)], counts: false },
      { seq: 3, readings: [at(t0 + hour, 500)] },
    ];
    expect(plan(state, [keyOf(state, held)], { nowS: t0 + hour })).toMatchObject({
      action: 'seal',
      facts: { complete: true, generationWh: 500, messages: 2 },
    });
  });
});
