import { decodeFile } from '#core/record-file.ts';
import { openAppendLog } from '#platform/append-log.ts';
import { ensureFolder } from '#platform/durable-file.ts';
import { lockFolder } from '#platform/folder-lock.ts';
import { openStore, type MessageStore, type StoreLimits } from './store.ts';
import { receiptAfter, type StoreOwner } from './store-contents.ts';
import {
  decodeRecord,
  encodeRecord,
  type KeptReceipt,
  type StoreJournal,
  type StoreRecord,
} from './store-journal.ts';

/** In the folder of each store. */
export const storeFileName = 'messages';

/**
 * The store of a real gateway: a folder of its own for each meter key, held by one process, every
 * change fsynced before it counts (D6). Refused('folder-in-use') when another process has it,
 * Refused('record-file') when the file is damaged in its middle, and what `openStore` throws.
 */
export async function openFileStore(
  folder: string,
  owner: StoreOwner,
  limits?: StoreLimits,
): Promise<MessageStore> {
  const journal = await openFileJournal(folder);
  try {
    return await openStore(journal, owner, limits);
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/**
 * The newest receipt in the bytes of a store's file; undefined where none has come yet. A gateway may be
 * writing to the file: what is not whole at its end counts as not yet written.
 * Refused('record-file') when it is damaged, Fatal('store') when another program wrote it.
 */
export function receiptInFile(file: Uint8Array): KeptReceipt | undefined {
  return decodeFile(file)
    .records.map(decodeRecord)
    .reduce<KeptReceipt | undefined>(receiptAfter, undefined);
}

async function openFileJournal(folder: string): Promise<StoreJournal> {
  await ensureFolder(folder, 0o700);
  const lock = await lockFolder(folder);
  try {
    let found: StoreRecord[] = [];
    const onRecord = (payload: Uint8Array): void => {
      found.push(decodeRecord(payload));
    };
    const log = await openAppendLog({ lock, name: storeFileName, onRecord });
    return {
      read() {
        const records = found;
        found = [];
        return Promise.resolve(records);
      },
      append: (record) => log.append(encodeRecord(record)),
      replace: (records) => log.compact(() => records.map(encodeRecord)),
      async close() {
        await log.close();
        await lock.release();
      },
    };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
