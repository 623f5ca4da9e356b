import { btree_gist } from '@electric-sql/pglite/contrib/btree_gist';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import { parentPort, workerData } from 'node:worker_threads';
import { SharedSession } from './embedded-postgres.session.ts';
import type { EmbeddedPostgresWork } from './embedded-postgres.ts';

/**
 * The thread in which embedded Postgres runs: WebAssembly blocks it for the length of a statement.
 * It says 'ready' once, and 'stopped' after it was told to stop; anything else it says by dying.
 */
const { data } = workerData as { data: EmbeddedPostgresWork };
const port = parentPort;
if (port === null) throw new Error('embedded-postgres.worker.ts runs as a worker thread only');

const database = new SharedSession({
  dataDir: data.databaseFolder,
  extensions: { btree_gist },
});
await database.waitReady;
const server = new PGLiteSocketServer({
  db: database,
  path: data.socketPath,
  maxConnections: data.maximumConnections,
});
await server.start();

port.once('message', () => {
  void (async (): Promise<void> => {
    await server.stop();
    await database.close();
    port.postMessage('stopped');
  })();
});
port.postMessage('ready');
