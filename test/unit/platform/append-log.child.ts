import { utf8 } from '#core/bytes.ts';
import { openAppendLog } from '#platform/append-log.ts';
import { lockFolder } from '#platform/folder-lock.ts';

/** Appends numbers, compacting now and then, and says each when it is durable, until killed. */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: FOLDER');
const lock = await lockFolder(folder);
const kept: Uint8Array[] = [];
const log = await openAppendLog({ lock, name: 'records', onRecord: (record) => kept.push(record) });
for (let n = kept.length; ; n++) {
  const record = utf8(String(n));
  kept.push(record);
  await log.append(record);
  process.stdout.write(`${n}\n`);
  if (n % 50 === 49) await log.compact(() => [...kept]);
}
