import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeUtf8 } from '#core/bytes.ts';
import { encodeProof } from '#core/certificate/proof/proof.ts';
import { dishonouredExample, equivocationExample } from './evidence-examples.ts';
import { grammarBlocks } from './formats-shapes.ts';
import { exampleOnPage, formatsPage, replaceChapter, replaceFences } from './formats-page.ts';
import { startTestPostgres } from './postgres.ts';
import { runWorkedDay } from './worked-day.ts';
import { dayChapter, dayExamples, dayVector, provedBundle } from './worked-day-page.ts';

/**
 * Writes the grammars, the worked day and what is shown of it on FORMATS.md anew, and its vectors:
 * `npm run formats`. Blocks that it does not know it leaves alone.
 */
const vectors = new URL('../vectors/', import.meta.url);
const root = mkdtempSync(join(tmpdir(), 'hourseal-formats-'));
const database = await startTestPostgres('pglite');
try {
  const day = await runWorkedDay(database.pool, root);
  const proofs = await day.ledger.proofs();
  const proof = encodeProof(await proofs.collect(provedBundle));
  const shown = await dayExamples(database.pool, day);
  const known = new Map([
    ...grammarBlocks(),
    ...[...shown].map(([name, text]) => [`text example=${name}`, `${text}\n`] as const),
  ]);
  const page = replaceChapter(
    readFileSync(formatsPage, 'utf8'),
    'A worked day',
    dayChapter(day.entries),
  );
  writeFileSync(
    formatsPage,
    replaceFences(page, (info, text) => known.get(info) ?? text),
  );
  const equivocation = decodeUtf8(await equivocationExample(exampleOnPage));
  writeFileSync(
    formatsPage,
    replaceFences(readFileSync(formatsPage, 'utf8'), (info, text) =>
      info.endsWith(' example=evidence-equivocation') ? `${equivocation}\n` : text,
    ),
  );
  const dishonoured = new URL('dishonoured-receipt.hourseal-evidence.json', vectors);
  writeFileSync(fileURLToPath(dishonoured), dishonouredExample(exampleOnPage));
  writeFileSync(fileURLToPath(new URL('worked-day.json', vectors)), dayVector(day.entries));
  writeFileSync(fileURLToPath(new URL('proof-example.hourseal.json', vectors)), proof);
} finally {
  await database.stop();
  rmSync(root, { recursive: true, force: true });
}
