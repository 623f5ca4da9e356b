import { describe, expect, it } from 'vitest';
import { openPlantsOf } from '#core/certificate/audit/open-plants.ts';
import type { LogState } from '#core/certificate/state/state.ts';
import * as people from '#support/log-people.ts';
import { encodeEntry } from '#core/certificate/entry.ts';
import type { SignedDraft } from '#core/certificate/entry.ts';
import { replayLog } from '#support/replay-log.ts';

const t0 = 1_767_225_600;

/** The state after these, one entry a second. */
function stateAfter(...drafts: readonly SignedDraft[]): LogState {
  const entries = drafts.map((draft, i) => encodeEntry({ ...draft, time: t0 + i }));
  const { state, judgements } = replayLog(entries);
  expect(judgements.flatMap(({ violation }) => violation ?? [])).toEqual([]);
  return state;
}

describe('plants whose open hours are read ahead', () => {
  const site = [
    people.account('c1'),
    people.plant('c1', 'c1', { disclosure: 'committed', type: 'consumption', source: 'none' }),
    people.meter('c1-m', {
      at: 'c1',
      owner: 'c1',
      role: 'consumption',
      registers: { importWh: { direction: 'import', unit: 'Wh' } },
    }),
  ];
  const bare = [people.account('b1'), people.plant('b1', 'b1')];
  const state = stateAfter(people.genesis(), ...people.simplePlant('p1'), ...site, ...bare);

  it('are those with meters, each with its disclosure', () => {
    expect(openPlantsOf(state, 10)).toEqual([
      { plant: 'p1', isPrivate: false },
      { plant: 'c1', isPrivate: true },
    ]);
    expect(openPlantsOf(state, 1)).toHaveLength(1);
  });

  it('are none of a log without a genesis, and of one that is closed', () => {
    expect(openPlantsOf(replayLog([]).state, 10)).toEqual([]);
    const genesis = state.genesis && {
      ...state.genesis,
      closed: { index: 1, leafHash: '0'.repeat(64) },
    };
    expect(openPlantsOf({ ...state, genesis }, 10)).toEqual([]);
  });

  it('are not those that ended long ago', () => {
    const endsAt = t0 + 7_200;
    const ended = stateAfter(people.genesis(), ...people.simplePlant('p1', { endsAt }));
    const at = (time: number) => openPlantsOf({ ...ended, time }, 10).map(({ plant }) => plant);
    expect(at(endsAt + 3_600)).toEqual(['p1']);
    expect(at(endsAt + 86_400)).toEqual([]);
  });
});
