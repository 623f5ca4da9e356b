import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '#core/bytes.ts';
import { advance, type AdvanceOptions } from '#core/certificate/fold.ts';
import { decodeMemory, encodeMemory } from '#core/certificate/state/state-memory.ts';
import { advanceStateTree, countAsOf } from '#core/certificate/state/state-tree.ts';
import { stateHashReader, stateRoot } from '#core/certificate/state/state-tree.ts';
import { emptyState, type LogState } from '#core/certificate/state/state.ts';
import type { LogTables } from '#core/certificate/state/tables.ts';
import { proveInclusion } from '#core/tlog/proof.ts';
import { createBusyLog, snapshot, testHash, testKey, testOrigin } from '#support/log-builder.ts';
import { testStartS, testVkey, type LogBuilder } from '#support/log-builder.ts';
import {
  correctRecord,
  createEmissionLog,
  emissionDayS,
  enterRecord,
  sealDays,
} from '#support/emission-log.ts';
import { testPolicy } from '#support/test-policy.ts';

const hourS = 3600;

/** Tables that are found again by their names, as on a disk, and can be copied as they are now. */
type Kept = Map<string, Map<unknown, unknown>>;
function tablesIn(kept: Kept): LogTables {
  const table = <Key, Row>(name: string): Map<Key, Row> => {
    const found = kept.get(name) ?? new Map<unknown, unknown>();
    kept.set(name, found);
    return found as Map<Key, Row>;
  };
  return {
    hoursOf: (plant) => table(`hours of ${plant}`),
    emissionsOf: (plant) => table(`emissions of ${plant}`),
    factorRows: table('factor rows'),
    nonces: table('nonces'),
    offers: table('offers'),
    accepts: table('accepts'),
    cancels: table('cancels'),
    claims: table('claims'),
    claimedOf: (point) => table(`claimed of ${point}`),
    ranges: table('ranges'),
    placesOf: (series) => table(`places of ${series}`),
    tilesOf: (level) => table(`tiles ${level}`),
  };
}
const copyOf = (kept: Kept): Kept =>
  new Map([...kept].map(([name, rows]) => [name, new Map(rows)]));

/** All that a state is, with what lies in its tables. */
const said = (state: LogState, kept: Kept): unknown => {
  const { tables: _tables, ...rest } = state;
  return { state: snapshot(rest), tables: snapshot(kept) };
};

const verdictOf = ({ ref, violation }: ReturnType<typeof advance>): unknown => ({ ref, violation });

interface Folding {
  readonly state: LogState;
  readonly kept: Kept;
}

const begun = (): Folding => {
  const kept: Kept = new Map();
  return { state: emptyState({ tables: tablesIn(kept) }), kept };
};

/** As another process finds it. */
function resumed({ state, kept }: Folding): Folding {
  const other = copyOf(kept);
  const extra = { of: 'whoever keeps it', at: new Map([[state.size, new Uint8Array([1, 2])]]) };
  const decoded = decodeMemory(encodeMemory(state, extra), tablesIn(other));
  expect(decoded.extra).toEqual(extra);
  return { state: decoded.state, kept: other };
}

const foldOn = ({ state }: Folding, entries: readonly Uint8Array[], options: AdvanceOptions) =>
  entries.slice(state.size).map((bytes) => verdictOf(advance(state, bytes, options)));

/** Both hashes and proofs, as of the newest state in the levels and the one before it. */
async function proofsOf({ stateTree }: LogState): Promise<unknown> {
  const { asOf, count, previous } = stateTree;
  const proofs: unknown[] = [toHex(stateRoot(stateTree))];
  for (const one of [{ asOf, count }, previous]) {
    const read = stateHashReader(stateTree, one.asOf);
    for (let index = 0; index < one.count; index++) {
      const path = await proveInclusion({ index, size: one.count }, read);
      proofs.push(path.map(toHex));
    }
  }
  return proofs;
}

/** At every size: the same state, and from there on the same judgements and the same end. */
async function requireSameFromEverySize(log: LogBuilder, everyNth = 1): Promise<void> {
  const { entries } = log;
  const whole = begun();
  const verdicts = foldOn(whole, entries, { signatures: 'trust' });
  const end = said(whole.state, whole.kept);
  const one = begun();
  for (let size = 0; size <= entries.length; size++) {
    const other = resumed(one);
    expect(said(other.state, other.kept)).toEqual(said(one.state, one.kept));
    expect(await proofsOf(other.state)).toEqual(await proofsOf(one.state));
    if (size % everyNth === 0) {
      expect(foldOn(other, entries, { signatures: 'trust' })).toEqual(verdicts.slice(size));
      expect(said(other.state, other.kept)).toEqual(end);
      expect(await proofsOf(other.state)).toEqual(await proofsOf(whole.state));
    }
    const bytes = entries[size];
    if (bytes !== undefined) advance(one.state, bytes, { signatures: 'trust' });
  }
}

function enterState(log: LogBuilder, change: object = {}): void {
  const { stateTree, size } = log.state;
  advanceStateTree(stateTree, size);
  const count = countAsOf(stateTree.ranges, size);
  log.enter('state', { asOf: size, count, root: toHex(stateRoot(stateTree)), ...change });
}

const solarKid = testKey('SOLAR-1 key 0').kid;
const reason = { evidence: [], reason: 'a test' };

/** A log in which everything that a state can hold has happened. */
function eventfulLog(): LogBuilder {
  const log = createBusyLog();
  for (const hour of [0, 1, 2]) {
    log.hour('solar', testStartS + hour * hourS, 100);
    log.hour('wind', testStartS + hour * hourS, 50);
  }
  log.enter('policy', { policy: testPolicy(), ...log.once() });
  const lost = { account: 'factory', cause: 'loss', jwk: testKey('factory anew').jwk };
  log.enter('account-key', { ...lost, ...log.once() });
  const next = { logKey: testVkey(testOrigin, 'log anew'), previousUntil: log.time + hourS };
  log.enter('log-key', { ...next, ...log.once() });
  log.cancel('solar', [{ series: 'energy/solar', from: 5, to: 14 }]);
  enterState(log);
  log.cancel('wind', [{ series: 'energy/wind', from: 45, to: 55 }]);
  log.correct('solar', testStartS, 40);
  enterState(log);
  log.void(log.hour('solar', testStartS, 7));
  log.append(Uint8Array.of(1, 2, 3));
  log.enter('hour', { plant: 'wind' });
  enterState(log, { count: 99 });
  log.enter('fork', { evidence: testHash('two messages'), kid: solarKid, seq: 3 });
  const decision = { ...reason, kid: solarKid };
  log.enter('decision', { ...decision, effect: 'accept-late', from: 2, to: 4, ...log.once() });
  log.enter('decision', { ...decision, effect: 'set-aside', from: 6, to: 9, ...log.once() });
  const kept = { effect: 'keep-fork', hash: testHash('the first'), seq: 3 };
  log.enter('decision', { ...decision, ...kept, ...log.once() });
  const broken = { effect: 'break', meter: 'SOLAR-1', t: testStartS };
  log.enter('decision', { ...reason, ...broken, ...log.once() });
  log.enter('key-end', { kid: solarKid, lastSeq: 3, lastT: testStartS + 5, ...log.once() });
  log.key('SOLAR-1');
  log.enter('freeze', { ...reason, id: 'factory', what: 'plant', ...log.once() });
  log.enter('plant-change', { plant: 'wind', capacityW: 7, ...log.once() });
  log.hour('solar', testStartS + 3 * hourS, 30);
  log.cancel('solar', [{ series: 'energy/solar', from: 201, to: 230 }]);
  enterState(log);
  log.cancel('wind', [{ series: 'energy/wind', from: 60, to: 61 }]);
  return log;
}

describe('a state that was kept', () => {
  it('is the same at every size of a log in which everything happened, and folds on', async () => {
    const log = eventfulLog();
    const { state } = log;
    // Else there would be little to lose.
    expect([...state.violations.values()].map(({ voided }) => voided)).toContain(true);
    expect(state.violations.size).toBe(4);
    expect(state.genesis).toMatchObject({ policies: [{}], logKeys: [{}, {}] });
    expect(state.accounts.get('factory')?.successor).toBeDefined();
    expect(state.keys.get(solarKid)).toMatchObject({ end: {}, acceptedLate: [{}], setAside: [{}] });
    expect(state.stateTree.versions.size).toBeGreaterThan(0);
    expect(state.stateTree.previous.nodes.size).toBeGreaterThan(0);
    await requireSameFromEverySize(log);
  });

  it('is the same at every size of a log with factors and emission records', async () => {
    const log = createEmissionLog();
    sealDays(log, 'wind', { hourOf: (hour) => (hour === 12 ? { validS: 0 } : {}) });
    sealDays(log, 'solar');
    for (const plant of ['wind', 'solar']) enterRecord(log, plant);
    const spec = { co2G: 9, operatingS: 9, validS: 9 };
    log.correct('wind', testStartS, { generation: 1000, spec });
    log.void(correctRecord(log, 'wind', { totalG: 1 }));
    correctRecord(log, 'wind');
    expect(log.state.factorSets.size).toBe(1);
    expect(log.state.plants.get('wind')?.emissions.get(emissionDayS)?.versions).toHaveLength(2);
    await requireSameFromEverySize(log, 5);
  });

  it('verifies by its keys what it verified before, and refuses what it refused', () => {
    const log = eventfulLog();
    const at = 14;
    const one = begun();
    foldOn(one, log.entries.slice(0, at), {});
    const other = resumed(one);
    expect(foldOn(other, log.entries, {})).toEqual(foldOn(one, log.entries, {}));
    expect(said(other.state, other.kept)).toEqual(said(one.state, one.kept));
    const stranger = { signedBy: [testKey('a stranger')] };
    const last = resumed(one);
    const items = [{ series: 'energy/wind', from: 70, to: 71 }];
    const forged = createBusyLog();
    forged.time = log.time;
    forged.cancel('wind', items, stranger);
    const bytes = forged.entries.at(-1) ?? new Uint8Array(0);
    expect(advance(last.state, bytes).violation?.code).toBe('auth');
  });

  it('holds the policies as they were parsed from their text', () => {
    const one = begun();
    foldOn(one, eventfulLog().entries, { signatures: 'trust' });
    const [before] = one.state.genesis?.policies ?? [];
    const [after] = resumed(one).state.genesis?.policies ?? [];
    expect(after?.witnessKids).toEqual(before?.witnessKids);
    expect(snapshot(after?.policy)).toEqual(snapshot(before?.policy));
    expect(before?.witnessKids.size).toBe(2);
  });

  it('shares nothing with the one that was kept', () => {
    const log = eventfulLog();
    const one = begun();
    foldOn(one, log.entries.slice(0, 22), { signatures: 'trust' });
    const before = JSON.stringify(said(one.state, one.kept));
    foldOn(resumed(one), log.entries, { signatures: 'trust' });
    expect(JSON.stringify(said(one.state, one.kept))).toBe(before);
  });

  it('is the same after any hours, corrections, cancels and states', async () => {
    const plant = fc.constantFrom('solar', 'wind');
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom('seal', 'correct'), plant, hour: fc.nat(3), wh: fc.nat(40) }),
      fc.record({ do: fc.constant('cancel'), plant, hour: fc.nat(90), wh: fc.nat(9) }),
      fc.record({ do: fc.constant('state'), plant, hour: fc.nat(0), wh: fc.nat(0) }),
    );
    const play = (
      log: LogBuilder,
      given: { do: string; plant: string; hour: number; wh: number },
    ) => {
      const start = testStartS + given.hour * hourS;
      const from = given.hour + 1;
      const items = [{ series: `energy/${given.plant}`, from, to: from + given.wh }];
      if (given.do === 'seal') log.hour(given.plant, start, given.wh);
      else if (given.do === 'correct') log.correct(given.plant, start, given.wh);
      else if (given.do === 'cancel') log.cancel(given.plant, items);
      else if (log.state.size > log.state.stateAsOf) enterState(log);
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const log = createBusyLog();
        for (const given of steps) play(log, given);
        await requireSameFromEverySize(log, 5);
      }),
      { numRuns: 20 },
    );
  });
});
