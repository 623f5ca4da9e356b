import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  configurationRows,
  configurationTables,
  namedInWords,
  pathOf,
  tableBelow,
} from '#support/configuration-page.ts';

const readme = readFileSync('README.md', 'utf8');
const rooms = ['services', 'devices'];
const sources = rooms.flatMap((room) =>
  readdirSync(room, { recursive: true, encoding: 'utf8' })
    .filter((name) => /[.]m?[jt]s$/.test(name))
    .map((name) => join(room, name)),
);

describe('the tables of variables', () => {
  it.each(configurationTables)(
    'say of each its meaning, unit and default: $page, $heading',
    (table) => {
      const page = readFileSync(pathOf(table.page), 'utf8');
      // `npm run formats` writes them.
      expect(tableBelow(page, table.heading)).toEqual(configurationRows(table));
    },
  );

  it('are of every set of variables that the code exports', async () => {
    const exported: string[] = [];
    for (const path of sources) {
      if (!/^export const \w+Variables\b/m.test(readFileSync(path, 'utf8'))) continue;
      const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
      exported.push(...Object.keys(module).filter((name) => name.endsWith('Variables')));
    }
    const listed = configurationTables.flatMap(({ variables }) => Object.keys(variables));
    expect(exported.sort()).toEqual(listed.sort());
  });

  it('name what is read of the environment without such a set', () => {
    const names = new Set(
      configurationTables.flatMap(configurationRows).map(([name = '']) => name.slice(1, -1)),
    );
    for (const path of sources) {
      const text = readFileSync(path, 'utf8');
      const read = [...text.matchAll(/\b(?:process[.]env|environment)(?:[.](\w+)|\[)/g)];
      const taken = [...text.matchAll(/\{([^{}]*)\} = process[.]env\b/g)].flatMap(([, list = '']) =>
        list.split(',').map((one) => one.split(':')[0]?.trim()),
      );
      for (const name of [...read.map(([, one]) => one), ...taken]) {
        // `environment[name]` of `readConfig` reads what the tables have.
        if (name === undefined && path === join('services', 'platform', 'config.ts')) continue;
        const page = namedInWords[name ?? ''];
        if (page === undefined) expect([...names], path).toContain(name);
        else expect(readFileSync(pathOf(page), 'utf8')).toContain(`\`${name ?? ''}\``);
      }
    }
  });
});

describe('CONTRIBUTING', () => {
  it('names what tests read of the environment', () => {
    const contributing = readFileSync('CONTRIBUTING.md', 'utf8');
    const texts = readdirSync('test', { recursive: true, encoding: 'utf8' })
      .filter((name) => /[.]m?[jt]s$/.test(name))
      .map((name) => readFileSync(join('test', name), 'utf8'));
    const read = texts.flatMap((text) => [...text.matchAll(/process[.]env[.](\w+)/g)]);
    // What begins so, a test tells its own children.
    const names = read
      .map(([, name = '']) => name)
      .filter((name) => !name.startsWith('HOURSEAL_TEST_'));
    const own = new Set(names.filter((name) => /^(?:HOURSEAL|TEST)_/.test(name)));
    expect(own.size).toBeGreaterThan(0);
    for (const name of own) expect(contributing).toContain(`\`${name}\``);
  });
});

describe('the README', () => {
  it('shows the two commands that do everything', () => {
    expect(readme).toContain('npm ci && npm run demo');
    expect(readme).toContain('npm ci && npm test');
  });

  it('leads to the page of each service', () => {
    expect(readme).toContain('(services/README.md)');
  });
});
