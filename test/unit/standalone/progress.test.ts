import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { styleOf } from '#platform/terminal.ts';
import { describeRefused, renderScreen, type DemoProgress } from '#standalone/progress.ts';

const progress: DemoProgress = {
  nowS: 1_750_464_000,
  plants: [
    {
      name: 'Xining Charging Park',
      source: 'none',
      sealedHours: 6,
      last: { state: 'committed', energyWh: undefined },
      certifiedWh: 0,
    },
    {
      name: 'Gonghe Solar',
      source: 'solar',
      sealedHours: 123_456,
      last: { state: 'disputed', energyWh: 99_000_000 },
      certifiedWh: 999_999_999_999,
    },
  ],
  messages: 1_000_000,
  messagesPerS: 12.3,
  sealedHours: 123_462,
  disputedHours: 3,
  certifiedWh: 999_999_999_999,
  treeSize: 5_000_000,
  proofFiles: 4_000,
  refused: new Map([
    ['signature', 12],
    ['fork', 1],
    ['future', 240],
    ['topic', 2],
    ['never-heard-of', 1],
  ]),
  notes: ['a note that is long enough to need more than one line on a narrow terminal'],
};
const colours = styleOf({ isTTY: true }, {});

describe('the picture of the demo', () => {
  test.each([40, 80, 110, 200])('has no line longer than a terminal of %i columns', (columns) => {
    const lines = renderScreen(progress, { columns, style: colours });
    const lengths = lines.map((line) => stripVTControlCharacters(line).length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(columns);
  });

  test('shows whole figures and every reason on 80 columns', () => {
    const lines = renderScreen(progress, { columns: 80, style: colours });
    const text = stripVTControlCharacters(lines.join(' ')).replaceAll(/ +/g, ' ');
    expect(text).toContain('Gonghe Solar solar 123456 disputed 99 000 000 999 999 999 999');
    expect(text).toContain(describeRefused(progress));
    expect(text).toContain('2 on another meter');
    expect(text).toContain('1 never-heard-of; 3 hours disputed');
  });

  test('says so when nothing was refused', () => {
    expect(describeRefused({ refused: new Map(), disputedHours: 0 })).toBe('nothing refused');
  });
});
