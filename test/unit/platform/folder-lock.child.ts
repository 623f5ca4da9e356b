import { lockFolder } from '#platform/folder-lock.ts';

/** Says 'locked' or the refusal, and then holds the folder until it is killed. */
const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: FOLDER');
try {
  await lockFolder(folder);
  console.log('locked');
  setInterval(() => undefined, 1000);
} catch (error) {
  console.log(String(error));
}
