import { describe, expect, it } from 'vitest';
import { computeMeterHour, segmentsLimit, type MeterEvidence } from '#core/energy/meter-hour.ts';
import { verdicts } from '#core/energy/verdicts.ts';
import { auxiliary, co2G, end, evidenceOf, exchange, exportWh, held } from './evidence.ts';
import { importWh, production, start, values } from './evidence.ts';

const ample = { capacityW: 10_000_000 };
const hourOf = (evidence: MeterEvidence, capacity = ample) =>
  computeMeterHour(evidence, start, capacity);
const ends = (evidence: MeterEvidence) =>
  hourOf(evidence).segments.map(({ first, last }) => [first.t - start, last.t - start]);

describe('a meter with several registers', () => {
  const tariffs = { role: 'production', registers: { t1: exportWh, t2: exportWh } } as const;

  it('measures each register by its own readings', () => {
    const readings = held([
      { t: 0, registers: { t1: 10, t2: 20 } },
      { t: 1800, registers: { t1: 15 } },
      { t: 3600, registers: { t1: 17, t2: 50 } },
    ]);
    expect(hourOf(evidenceOf(tariffs, readings)).energy).toEqual({ t1: 7, t2: 30 });
    expect(hourOf(evidenceOf(tariffs, readings.slice(0, 2)))).toMatchObject({
      energy: { t1: 5, t2: 0 },
      quality: 'partial',
    });
  });

  it('makes one segment of what begins and ends in the same messages, and two of what does not', () => {
    const both = { role: 'production', registers: { exportWh, importWh } } as const;
    const readings = held([
      { t: 0, registers: { exportWh: 0, importWh: 0 } },
      { t: 3600, registers: { exportWh: 9, importWh: 2 } },
      { t: 4000, registers: { exportWh: 9, importWh: 3 } },
    ]);
    const [segment, ...others] = hourOf(evidenceOf(both, readings)).segments;
    expect(others).toEqual([]);
    expect(segment?.last.registers).toEqual({ exportWh: 9, importWh: 2 });
    expect(ends(evidenceOf(both, [...readings.slice(0, 1), ...readings.slice(2)]))).toEqual([
      [0, 4000],
    ]);
  });

  it('does not confuse a register with what every object has', () => {
    const spec = { role: 'production', registers: { constructor: exportWh } } as const;
    const readings = held([
      { t: 0, registers: { other: 1 } },
      { t: 60, registers: { constructor: 4 } },
      { t: 3600, registers: { constructor: 9 } },
    ]);
    const hour = hourOf(evidenceOf(spec, readings, { exchanges: [exchange(1800, { x: 1 }, {})] }));
    expect(hour.energy).toEqual({ constructor: 0 });
    expect(hour.verdicts).toContain('break');
  });
});

describe('a reading at one time in two messages', () => {
  it('ends a segment in the earlier message and begins one in the later', () => {
    const [first, middle, last] = values('exportWh', [
      [0, 0],
      [1800, 5],
      [3600, 9],
    ]);
    if (first === undefined || middle === undefined || last === undefined) throw new Error('three');
    const again = [
      { ...first, seq: 0 },
      { ...last, seq: 9 },
    ];
    for (const readings of [
      [first, middle, last, ...again],
      [...again, last, middle, first],
    ]) {
      const [segment] = hourOf(production(readings)).segments;
      expect(segment).toMatchObject({ first: { seq: 1 }, last: { seq: 3 } });
    }
  });
});

describe('a contradiction', () => {
  const falling = (t: number) =>
    production(
      values('exportWh', [
        [0, 100],
        [1800, 150],
        [t, 20],
        [9000, 70],
      ]),
    );

  it('disputes the hours that end after the last agreed reading', () => {
    const hour = hourOf(falling(5000));
    expect(hour).toMatchObject({ quality: 'disputed', contradiction: { fromT: start + 1800 } });
    expect(hour.verdicts).toEqual(['gap', 'monotonic', 'reset']);
    expect(computeMeterHour(falling(5000), start + 3600, ample).quality).toBe('disputed');
    const earlier = computeMeterHour(falling(5000), start - 3600, ample);
    expect(earlier.quality).toBe('partial');
    expect(earlier.contradiction).toBeUndefined();
  });

  it('leaves an hour alone whose end is the last agreed reading', () => {
    const pairs = [
      [0, 0],
      [3600, 50],
      [4000, 3],
    ] as const;
    expect(hourOf(production(values('exportWh', pairs))).quality).toBe('measured');
  });

  it('at the first reading known disputes from the second before', () => {
    const pairs = [
      [3600, 1],
      [3600, 2],
    ] as const;
    expect(hourOf(production(values('exportWh', pairs))).contradiction).toEqual({ fromT: end - 1 });
  });

  it('is over where a decision breaks, and what lies between counts nothing', () => {
    const decided = { ...falling(2000), breaks: [{ t: start + 1900 }] };
    const hour = hourOf({ ...decided, readings: [...decided.readings, ...late] });
    expect(hour).toMatchObject({ quality: 'partial', energy: { exportWh: 50 + 30 } });
    expect(hour.verdicts).toEqual(['break', 'gap']);
    expect(hour.contradiction).toBeUndefined();
  });
  const late = values('exportWh', [[3600, 50]], 'b');

  it('in a register that does not count, or in readings that are not valid, is none', () => {
    const registers = { exportWh, spare: { unit: 'Wh', direction: 'none' } } as const;
    const readings = held([
      { t: 0, registers: { exportWh: 0, spare: 9 } },
      { t: 1800, registers: { exportWh: 900, spare: 9 }, status: 'fault' },
      { t: 1900, registers: { exportWh: 800, spare: 9 }, clock: 'unsynced' },
      { t: 3600, registers: { exportWh: 5, spare: 1 } },
    ]);
    const hour = hourOf(evidenceOf({ role: 'production', registers }, readings));
    expect(hour).toMatchObject({ quality: 'measured', energy: { exportWh: 5 } });
    expect(hour.verdicts).toEqual(['clock', 'status']);
  });
});

describe('an open dispute and a frozen key', () => {
  const sound = values('exportWh', [
    [0, 0],
    [3600, 5],
  ]);

  it('dispute the hour until someone decides', () => {
    const disputed = hourOf(production(sound, { disputedFrom: end - 1 }));
    expect(disputed).toMatchObject({ quality: 'disputed', verdicts: ['dispute'] });
    expect(hourOf(production(sound, { disputedFrom: end })).quality).toBe('measured');
    const frozen = hourOf(production(sound, { frozen: true }));
    expect(frozen).toMatchObject({ quality: 'disputed', verdicts: ['frozen'] });
  });
});

describe('a rollover', () => {
  const six = { ...exportWh, digits: 6 } as const;
  const turned = (pairs: readonly (readonly [number, number])[], digits = six) =>
    evidenceOf({ role: 'production', registers: { exportWh: digits } }, values('exportWh', pairs));

  it('is a segment of its own between the two readings that show it', () => {
    const evidence = turned([
      [0, 999_000],
      [1200, 999_900],
      [2400, 100],
      [3600, 400],
    ]);
    const hour = hourOf(evidence);
    expect(hour).toMatchObject({ energy: { exportWh: 1400 }, verdicts: ['rollover'] });
    expect(hour.segments.map(({ rollover }) => rollover)).toEqual([undefined, true, undefined]);
  });

  it('is booked across an outage as far as capacity reaches', () => {
    const pairs = [
      [0, 999_900],
      [3000, 999_900],
      [3500, 100],
    ] as const;
    expect(hourOf(turned(pairs), { capacityW: 1310 }).energy).toEqual({ exportWh: 200 });
    expect(hourOf(turned(pairs), { capacityW: 1300 }).verdicts).toContain('reset');
  });

  it('is believed of a coarse register that moves by one step between two close readings', () => {
    const coarse = { ...six, multiplier: 1000 };
    const pairs = [
      [1800, 999_999],
      [1801, 0],
    ] as const;
    expect(hourOf(turned(pairs, coarse), { capacityW: 10_000 })).toMatchObject({
      energy: { exportWh: 1000 },
      verdicts: ['gap', 'rollover'],
    });
  });

  it('is none where the value before has more digits than the register', () => {
    const pairs = [
      [0, 1_000_000],
      [3600, 5],
    ] as const;
    expect(hourOf(turned(pairs)).verdicts).toContain('reset');
  });

  it('that may hide in what is subtracted leaves it unbounded', () => {
    const evidence = evidenceOf(
      { role: 'auxiliary', registers: { importWh: { ...importWh, digits: 3 } } },
      values('importWh', [
        [0, 100],
        [3600, 110],
      ]),
    );
    expect(hourOf(evidence, { capacityW: 900 })).toMatchObject({ bounded: true });
    const hidden = hourOf(evidence, { capacityW: 1000 });
    expect(hidden).toMatchObject({ bounded: false, energy: {}, quality: 'partial' });
    expect(hidden.verdicts).toEqual(['gap', 'turns', 'unbounded']);
  });
});

describe('an exchange', () => {
  it('at the very turn of the hour bounds it by its own values', () => {
    const readings = values('exportWh', [
      [-600, 100],
      [1800, 40],
    ]);
    const exchanges = [
      exchange(0, { exportWh: 130 }, { exportWh: 10 }),
      exchange(3600, { exportWh: 75 }, { exportWh: 0 }),
    ];
    expect(hourOf(production(readings, { exchanges }))).toMatchObject({
      energy: { exportWh: 65 },
      quality: 'measured',
    });
  });

  it('several times in the hour adds up what each meter ran', () => {
    const readings = values('exportWh', [
      [0, 100],
      [3600, 7],
    ]);
    const exchanges = [
      exchange(2000, { exportWh: 30 }, { exportWh: 2 }),
      exchange(1000, { exportWh: 120 }, { exportWh: 5 }),
    ];
    const hour = hourOf(production(readings, { exchanges }));
    expect(hour).toMatchObject({ energy: { exportWh: 20 + 25 + 5 }, quality: 'measured' });
    expect(hour.verdicts).toEqual(['exchange']);
    expect(hour.segments[1]).toMatchObject({ first: { registers: { exportWh: 5 } } });
  });

  it.each([
    ['the old meter', 120, 'measured'],
    ['the new meter', 5, 'measured'],
    ['neither', 60, 'disputed'],
  ])('may fall on a reading of %s', (_, value, quality) => {
    const readings = values('exportWh', [
      [0, 100],
      [1000, value],
      [3600, 7],
    ]);
    const exchanges = [exchange(1000, { exportWh: 120 }, { exportWh: 5 })];
    expect(hourOf(production(readings, { exchanges })).quality).toBe(quality);
  });

  it('without a value for the register leaves a gap there', () => {
    const readings = values('exportWh', [
      [0, 100],
      [900, 110],
      [1100, 500],
      [3600, 507],
    ]);
    const exchanges = [exchange(1000, { other: 1 }, { other: 1 })];
    expect(hourOf(production(readings, { exchanges }))).toMatchObject({
      energy: { exportWh: 17 },
      quality: 'partial',
      verdicts: ['break', 'gap'],
    });
  });

  it('whose closing value is below the last reading is a contradiction', () => {
    const exchanges = [exchange(1000, { exportWh: 90 }, { exportWh: 0 })];
    const evidence = production(values('exportWh', [[0, 100]]), { exchanges });
    expect(hourOf(evidence).verdicts).toContain('reset');
  });
});

describe('a break inside a widened interval', () => {
  it('leaves nothing to subtract with', () => {
    const readings = values('importWh', [
      [0, 0],
      [3600, 5],
    ]);
    const breaks = [{ t: start + 60 }];
    expect(hourOf(auxiliary(readings, { breaks }))).toMatchObject({ bounded: false, energy: {} });
    // At the very boundary the reading there belongs to what comes after.
    expect(hourOf(auxiliary(readings, { breaks: [{ t: start }] })).bounded).toBe(true);
    expect(hourOf(auxiliary(readings, { breaks: [{ t: end }] })).bounded).toBe(false);
  });
});

describe('mass and seconds', () => {
  it('are reported over the widened interval and do not make a production meter partial', () => {
    const registers = { co2G, exportWh, operatingS: { unit: 's', direction: 'none' } } as const;
    const readings = held([
      { t: -60, registers: { co2G: 100, exportWh: 0, operatingS: 0 } },
      { t: 0, registers: { exportWh: 1 } },
      { t: 3600, registers: { exportWh: 4 } },
      { t: 3700, registers: { co2G: 900, exportWh: 4, operatingS: 3700 } },
    ]);
    expect(hourOf(evidenceOf({ role: 'production', registers }, readings))).toMatchObject({
      energy: { co2G: 800, exportWh: 3, operatingS: 3700 },
      quality: 'measured',
      bounded: true,
    });
  });

  it('turn over only where a limit shows it: seconds do, mass does not', () => {
    const registers = {
      co2G: { ...co2G, digits: 6 },
      operatingS: { unit: 's', direction: 'none', digits: 6 },
    } as const;
    const pairs = (name: string) =>
      values(name, [
        [0, 999_000],
        [3600, 100],
      ]);
    const hour = (name: keyof typeof registers) =>
      hourOf(evidenceOf({ role: 'emission', registers: { [name]: registers[name] } }, pairs(name)));
    expect(hour('operatingS').energy).toEqual({ operatingS: 1100 });
    expect(hour('co2G').quality).toBe('disputed');
  });
});

describe('values that no meter can have', () => {
  it('dispute the hour and never throw', () => {
    const registers = { exportWh: { ...exportWh, multiplier: 1000 } };
    const readings = values('exportWh', [
      [0, 0],
      [3600, Number.MAX_SAFE_INTEGER],
    ]);
    expect(hourOf(evidenceOf({ role: 'production', registers }, readings))).toMatchObject({
      quality: 'disputed',
      energy: { exportWh: 0 },
      segments: [],
      verdicts: ['capacity'],
    });
  });

  it('make no more segments than a record holds', () => {
    const registers = { exportWh: { ...exportWh, digits: 1 } };
    const pairs = Array.from({ length: segmentsLimit + 2 }, (_, i) => [i, (i % 2) * 9] as const);
    const hour = hourOf(evidenceOf({ role: 'production', registers }, values('exportWh', pairs)), {
      capacityW: 1_000_000_000,
    });
    expect(hour).toMatchObject({ segments: [], energy: { exportWh: 0 }, quality: 'disputed' });
    expect(hour.verdicts).toContain('segments');
  });
});

it('every verdict is explained', () => {
  for (const { text } of Object.values(verdicts)) expect(text).not.toBe('');
});

it('refuses a start that is not that of an hour', () => {
  expect(() => computeMeterHour(production([]), start + 1, ample)).toThrow('not the start');
});
