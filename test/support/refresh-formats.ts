import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { grammarBlocks } from './formats-shapes.ts';
import { formatsPage, replaceFences } from './formats-page.ts';
import { workedExamples, workedLog } from './worked-log.ts';

/**
 * Writes the grammars and the worked log's examples on FORMATS.md anew, and the proof file beside
 * them: `npx tsx test/support/refresh-formats.ts`. Blocks that it does not know it leaves alone.
 */
const worked = workedLog();
const known = new Map([
  ...grammarBlocks(),
  ...[...workedExamples(worked)].map(
    ([name, text]) => [`text example=${name}`, `${text}\n`] as const,
  ),
]);
const page = readFileSync(formatsPage, 'utf8');
writeFileSync(
  formatsPage,
  replaceFences(page, (info, text) => known.get(info) ?? text),
);
const proof = new URL('../vectors/proof-example.hourseal.json', import.meta.url);
writeFileSync(fileURLToPath(proof), worked.proofFile);
