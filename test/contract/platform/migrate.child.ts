import { migrate } from '#platform/migrate.ts';

const [connection, folder] = process.argv.slice(2);
if (connection === undefined || folder === undefined) throw new Error('usage: URL FOLDER');
console.log(JSON.stringify(await migrate(connection, { folder })));
