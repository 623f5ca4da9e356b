import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fromHex, toHex } from '#core/bytes.ts';
import { Fatal } from '#core/errors.ts';
import { siteSecretBytes } from '#core/certificate/commitment.ts';
import { ensureFolder, writeFileDurably } from '#platform/durable-file.ts';
import { fileNameOf } from '#platform/file-name.ts';

/** The secrets of committed sites (D3.3), one file each in a folder of mode 0700. */
export interface SiteSecrets {
  /** Makes those that are missing, durably, before anything is committed to by them. */
  readonly load: (plants: readonly string[]) => Promise<void>;
  readonly of: (plant: string) => Uint8Array | undefined;
}

/** Whoever has it can open every commitment of the site. */
const fileMode = 0o600;
const folderMode = 0o700;

export function openSiteSecrets(folder: string): SiteSecrets {
  const known = new Map<string, Uint8Array>();
  return {
    async load(plants) {
      for (const plant of plants) {
        if (!known.has(plant)) known.set(plant, await readOrMake(folder, plant));
      }
    },
    of: (plant) => known.get(plant),
  };
}

async function readOrMake(folder: string, plant: string): Promise<Uint8Array> {
  const path = join(folder, `site-${fileNameOf(plant)}.hex`);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
    const secret = Uint8Array.from(randomBytes(siteSecretBytes));
    await ensureFolder(folder, folderMode);
    await writeFileDurably(path, `${toHex(secret)}\n`, { mode: fileMode });
    return secret;
  }
  try {
    return fromHex(text.trim(), siteSecretBytes);
  } catch (cause) {
    throw new Fatal('site-secret', `${path} is not a site's secret`, { cause });
  }
}
