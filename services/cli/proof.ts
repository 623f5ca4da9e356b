import { exitCodes, type Terminal } from '#platform/terminal.ts';
import { openInstallation } from '#standalone/installation.ts';
import { createProofFiles } from '#standalone/proof-files.ts';

/** `hourseal proof`: brings the proof files of an installation up to what is published. */
export async function writeProofs({ data }: { data: string }, terminal: Terminal): Promise<number> {
  const { DATABASE_URL: databaseUrl } = process.env;
  const { folder, pool, ledger, close } = await openInstallation(data, { databaseUrl });
  try {
    const files = createProofFiles({ ledger, pool, folder: folder.proofs });
    await files.write();
    terminal.out(`${folder.proofs}: ${files.count()} proof files\n`);
    return exitCodes.verified;
  } finally {
    await close();
  }
}
