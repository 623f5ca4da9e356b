import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeConfig } from '#platform/config.ts';
import { allVariables } from '#standalone/config.ts';

const readme = readFileSync('README.md', 'utf8');

/** The rows of the table that follows a heading, cells trimmed, without head and rule. */
function tableAfter(heading: string): string[][] {
  const after = readme.split(`${heading}\n`)[1] ?? '';
  const lines = after.split('\n').slice(1);
  const table = lines.slice(0, lines.indexOf(''));
  return table.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe('the README', () => {
  it('names every variable of the environment with its unit, default and meaning', () => {
    const expected = describeConfig(allVariables).map(({ name, about, unit, defaultText }) => [
      `\`${name}\``,
      [about, unit].filter((part) => part !== '').join(', in '),
      defaultText === '' ? '' : `\`${defaultText}\``,
    ]);
    expect(tableAfter('## Configuration')).toEqual(expected);
  });

  it('shows the two commands that do everything', () => {
    expect(readme).toContain('npm ci && npm run demo');
    expect(readme).toContain('npm ci && npm test');
  });
});
