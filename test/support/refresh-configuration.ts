import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { configurationRows, configurationTables, pathOf, withTable } from './configuration-page.ts';

/** Writes the tables of variables anew from the code: part of `npm run formats`. */
for (const table of configurationTables) {
  const path = pathOf(table.page);
  const page = withTable(readFileSync(path, 'utf8'), table.heading, configurationRows(table));
  const options = await resolveConfig(path, { editorconfig: true });
  writeFileSync(path, await format(page, { ...options, parser: 'markdown' }));
}
