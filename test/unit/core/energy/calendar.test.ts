import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  calendarOf,
  chinaCalendar,
  dateAt,
  dateText,
  fixedCalendar,
} from '#core/energy/calendar.ts';
import { daySeconds, startOfDate, yearsLater } from '#core/energy/calendar.ts';
import { hourSeconds } from '#core/energy/hours.ts';

const utc = (text: string) => Date.parse(`${text}Z`) / 1000;
const dayOf = (timeZone: string) => {
  const calendar = calendarOf(timeZone);
  return (t: number) => dateText(dateAt(calendar, t), 'day');
};

/** How many hours start on each day, in their order. */
function hoursByDay(timeZone: string, from: string, to: string): Record<string, number> {
  const day = dayOf(timeZone);
  const counts: Record<string, number> = {};
  for (let t = utc(from); t < utc(to); t += hourSeconds) {
    counts[day(t)] = (counts[day(t)] ?? 0) + 1;
  }
  return counts;
}

describe('hours of a named time zone', () => {
  it('are 23 on the day that clocks go forward, and 25 on the day that they go back', () => {
    const spring = hoursByDay('Europe/Berlin', '2026-03-27T23:00', '2026-03-30T22:00');
    expect(spring).toEqual({ '2026-03-28': 24, '2026-03-29': 23, '2026-03-30': 24 });
    const autumn = hoursByDay('Europe/Berlin', '2026-10-23T22:00', '2026-10-26T23:00');
    expect(autumn).toEqual({ '2026-10-24': 24, '2026-10-25': 25, '2026-10-26': 24 });
  });

  it('belong to the day in which they start where a zone is half an hour off', () => {
    const day = dayOf('Asia/Kolkata');
    expect(day(utc('2026-01-01T18:00'))).toBe('2026-01-01');
    expect(day(utc('2026-01-01T19:00'))).toBe('2026-01-02');
    const days = hoursByDay('Asia/Kolkata', '2026-01-01T19:00', '2026-01-03T19:00');
    expect(days).toEqual({ '2026-01-02': 24, '2026-01-03': 24 });
  });

  it('stay 24 where clocks change by half an hour', () => {
    const days = hoursByDay('Australia/Lord_Howe', '2026-04-03T13:00', '2026-04-06T14:00');
    expect(Object.values(days)).toEqual([24, 25, 24]);
  });

  it('are 8,784 in a leap year', () => {
    const day = calendarOf('America/New_York');
    const from = startOfDate(day, { year: 2028, month: 1, day: 1 });
    const to = startOfDate(day, { year: 2029, month: 1, day: 1 });
    expect((to - from) / hourSeconds).toBe(8784);
    expect(dateText(dateAt(day, utc('2028-02-29T12:00')), 'day')).toBe('2028-02-29');
  });

  it('know a change that is at no quarter of an hour', () => {
    const { offsetAt } = calendarOf('America/St_Johns');
    // 2010-03-14, 00:01 local time.
    expect([utc('2010-03-14T03:30:59'), utc('2010-03-14T03:31')].map(offsetAt)).toEqual([
      -3.5 * 3600,
      -2.5 * 3600,
    ]);
  });

  it('know changes less than seven days apart', () => {
    const { offsetAt } = calendarOf('America/Recife');
    const times = ['2000-10-08T02:59:59', '2000-10-08T03:00', '2000-10-15T01:59:59'];
    expect(times.map((text) => offsetAt(utc(text)) / 3600)).toEqual([-3, -2, -2]);
    expect(offsetAt(utc('2000-10-15T02:00')) / 3600).toBe(-3);
  });

  it.each(['Europe/Berlin', 'Asia/Kathmandu', 'America/Sao_Paulo', 'Pacific/Apia', 'UTC'])(
    'agree with the engine, asked for each alone: %s',
    (timeZone) => {
      const calendar = calendarOf(timeZone);
      const engine = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' });
      fc.assert(
        fc.property(fc.integer({ min: 0, max: utc('2045-01-01') }), (t) => {
          expect(dateText(dateAt(calendar, t), 'day')).toBe(engine.format(t * 1000));
        }),
        { numRuns: 300 },
      );
    },
  );

  it.each(['Nope/No', '', '+05:30', 'Europe/Berlin ', 'x'.repeat(80)])(
    'are none of "%s"',
    (name) => {
      expect(() => calendarOf(name)).toThrow(expect.objectContaining({ code: 'time-zone' }));
    },
  );

  it.each([-1, 0.5, Number.NaN, 253_402_300_800])('are none at %d', (t) => {
    expect(() => calendarOf('UTC').offsetAt(t)).toThrow(expect.objectContaining({ code: 'form' }));
  });
});

describe('the start of a date', () => {
  it('is midnight, or what comes instead of it where clocks skip it', () => {
    const berlin = calendarOf('Europe/Berlin');
    expect(startOfDate(berlin, { year: 2026, month: 7, day: 1 })).toBe(utc('2026-06-30T22:00'));
    expect(startOfDate(berlin, { year: 2026, month: 3, day: 29 })).toBe(utc('2026-03-28T23:00'));
    expect(startOfDate(berlin, { year: 2026, month: 3, day: 30 })).toBe(utc('2026-03-29T22:00'));
    const saoPaulo = calendarOf('America/Sao_Paulo');
    // Clocks went from 24:00 to 01:00.
    const skipped = startOfDate(saoPaulo, { year: 2017, month: 10, day: 15 });
    expect(skipped).toBe(utc('2017-10-15T03:00'));
    expect(dateText(dateAt(saoPaulo, skipped - 1), 'day')).toBe('2017-10-14');
    // Samoa left out a whole day.
    const apia = calendarOf('Pacific/Apia');
    expect(startOfDate(apia, { year: 2011, month: 12, day: 30 })).toBe(utc('2011-12-30T10:00'));
    expect(startOfDate(apia, { year: 2011, month: 12, day: 31 })).toBe(utc('2011-12-30T10:00'));
  });

  it('is the first instant of that date, whatever the zone and the date', () => {
    const zones = ['Asia/Kolkata', 'America/St_Johns', 'Africa/Cairo', 'Asia/Gaza', 'Asia/Tehran'];
    const calendars = zones.map(calendarOf);
    fc.assert(
      fc.property(
        fc.constantFrom(...calendars),
        fc.integer({ min: 2, max: 25_000 }),
        (calendar, days) => {
          const date = dateAt(fixedCalendar(0), days * daySeconds);
          const start = startOfDate(calendar, date);
          const text = dateText(date, 'day');
          expect(dateText(dateAt(calendar, start), 'day') >= text).toBe(true);
          expect(dateText(dateAt(calendar, start - 1), 'day') < text).toBe(true);
        },
      ),
    );
  });

  it('runs over from month 13 into the next year', () => {
    const start = startOfDate(chinaCalendar, { year: 2026, month: 13, day: 1 });
    expect(start).toBe(utc('2026-12-31T16:00'));
  });
});

describe('fixed calendars', () => {
  it('are named by what they are ahead of UTC', () => {
    expect(chinaCalendar.timeZone).toBe('UTC+08:00');
    expect(fixedCalendar(-12_600).timeZone).toBe('UTC-03:30');
    expect(() => fixedCalendar(90)).toThrow(RangeError);
    expect(() => fixedCalendar(daySeconds)).toThrow(RangeError);
  });

  it('have days, months and years', () => {
    const date = dateAt(chinaCalendar, utc('2025-12-31T16:00'));
    const texts = (['day', 'month', 'year'] as const).map((period) => dateText(date, period));
    expect(texts).toEqual(['2026-01-01', '2026-01', '2026']);
  });
});

describe('years later', () => {
  it('is the same second of the calendar, and 28 February where there is no 29th', () => {
    expect(yearsLater(utc('2011-05-01T10:20:30'), 15)).toBe(utc('2026-05-01T10:20:30'));
    expect(yearsLater(utc('2012-02-29T23:59:59'), 15)).toBe(utc('2027-02-28T23:59:59'));
    expect(yearsLater(utc('2012-02-29T12:00'), 4)).toBe(utc('2016-02-29T12:00'));
  });
});
