import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toHex, utf8 } from '#core/bytes.ts';
import { accessFreshS, accessToken } from '#core/certificate/access.ts';
import { Failed } from '#core/errors.ts';
import { canonicalBytes } from '#core/jcs.ts';
import { compactJws } from '#core/jws.ts';
import { parsePublicJwk } from '#core/keys.ts';
import { sha256 } from '#crypto';
import { createFileServer, type FileServer, type FileServerContext } from '#ledger/file-server.ts';
import { manualClock } from '#platform/clock.ts';
import { testKey } from '../witness/rig.ts';

/** The static files of a log over real sockets: what is shown, how, and what is nobody's business. */

const origin = 'log.example/served';
const nowS = 1_767_261_600;
const auditor = testKey('auditor');
const clock = manualClock(nowS * 1000);
const hash = toHex(sha256(utf8('a batch')));
const secret = `private/batch/${hash}`;
const files = {
  checkpoint: 'a checkpoint\n',
  'tile/0/000': 'f'.repeat(8192),
  'tile/0/001.p/7': 'p'.repeat(224),
  'tile/entries/000': 'entries',
  [`batch/${hash}`]: 'public batch',
  [secret]: 'what only an auditor may read',
  '.checkpoint.abc.tmp': 'temporary',
  '.publishing/lock': 'lock',
  'tile/.0123.tmp': 'temporary',
} as const;

let root = '';
let server: FileServer;

async function serve(change: Partial<FileServerContext> = {}): Promise<void> {
  server = createFileServer({
    folder: join(root, 'log'),
    listen: { host: '127.0.0.1', port: 0 },
    clock,
    readers: () => Promise.resolve({ origin, keys: [parsePublicJwk(auditor.jwk)] }),
    ...change,
  });
  await server.start();
}

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'hourseal-files-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, 'log', path)), { recursive: true });
    await writeFile(join(root, 'log', path), text);
  }
  await writeFile(join(root, 'outside'), 'outside of the log');
  await serve();
});
afterEach(async () => {
  await server.stop();
  rmSync(root, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

function open(): Socket {
  const { hostname, port } = new URL(server.url());
  return connect({ host: hostname, port: Number(port) });
}

/** Sends a request line as it is: an ordinary client would put a path right before it asks. */
function ask(target: string, headers: readonly string[] = [], method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = open();
    let heard = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (heard += text));
    socket.on('error', reject);
    socket.on('close', () => {
      const [head = '', ...rest] = heard.split('\r\n\r\n');
      const [line = '', ...fields] = head.split('\r\n');
      const pairs = fields.map((field) => {
        const at = field.indexOf(': ');
        return [field.slice(0, at).toLowerCase(), field.slice(at + 2)] as const;
      });
      const status = Number(line.split(' ')[1]);
      resolve({ status, headers: Object.fromEntries(pairs), body: rest.join('\r\n\r\n') });
    });
    const lines = [`${method} ${target} HTTP/1.1`, 'Host: log', 'Connection: close', ...headers];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
}

const bearing = (token: string): string[] => [`Authorization: Bearer ${token}`];
const token = (change: { origin?: string; nowS?: number } = {}, signer = auditor): string =>
  accessToken(signer, { origin, nowS, ...change });

describe('what is served', () => {
  it.each([
    ['tile/0/000', 'public, max-age=31536000, immutable', 'application/octet-stream'],
    ['tile/0/001.p/7', 'public, max-age=31536000, immutable', 'application/octet-stream'],
    ['tile/entries/000', 'public, max-age=31536000, immutable', 'application/octet-stream'],
    [`batch/${hash}`, 'public, max-age=31536000, immutable', 'application/octet-stream'],
    ['checkpoint', 'public, max-age=2, must-revalidate', 'text/plain; charset=utf-8'],
  ] as const)('%s, with how long it may be kept', async (path, cached, type) => {
    const { status, headers, body } = await ask(`/${path}`);
    expect([status, body]).toEqual([200, files[path]]);
    expect(headers).toMatchObject({
      'cache-control': cached,
      'content-type': type,
      'content-length': String(files[path]?.length),
      'x-content-type-options': 'nosniff',
      'access-control-allow-origin': '*',
    });
    expect(headers).not.toHaveProperty('x-powered-by');
    expect(headers).not.toHaveProperty('etag');
    expect(headers).not.toHaveProperty('last-modified');
  });

  it('to HEAD with the same headers and nothing after them', async () => {
    for (const path of ['checkpoint', 'tile/0/000'] as const) {
      const got = await ask(`/${path}`);
      const { status, headers, body } = await ask(`/${path}`, [], 'HEAD');
      const { date: _sent, ...expected } = got.headers;
      expect([status, body]).toEqual([200, '']);
      expect(headers).toMatchObject(expected);
    }
  });

  it('in ranges, and never beyond the file', async () => {
    const range = (bytes: string) => ask('/tile/0/000', [`Range: bytes=${bytes}`]);
    const part = await range('32-63');
    expect(part).toMatchObject({ status: 206, body: 'f'.repeat(32) });
    expect(part.headers['content-range']).toBe('bytes 32-63/8192');
    expect((await range('8190-9000')).headers['content-range']).toBe('bytes 8190-8191/8192');
    const beyond = await range('8192-8200');
    expect(beyond.status).toBe(416);
    expect(beyond.headers['cache-control']).toBe('no-store');
    expect(beyond.body).not.toContain(root);
    expect(beyond.body).not.toContain('Error');
    expect((await range('x')).status).toBe(200);
  });

  it('anew where a file of the same name was replaced', async () => {
    await writeFile(join(root, 'log', 'checkpoint'), 'b checkpoint\n');
    expect((await ask('/checkpoint')).body).toBe('b checkpoint\n');
  });

  it('whole where a partial tile is beside the full one, each under its own name', async () => {
    await mkdir(join(root, 'log', 'tile', '0', '000.p'), { recursive: true });
    await writeFile(join(root, 'log', 'tile', '0', '000.p', '3'), 'f'.repeat(96));
    expect((await ask('/tile/0/000.p/3')).body).toHaveLength(96);
    expect((await ask('/tile/0/000')).body).toHaveLength(8192);
    expect((await ask('/tile/0/000.p/4')).status).toBe(404);
    expect((await ask('/tile/0/001')).status).toBe(404);
  });
});

describe('what is not there', () => {
  it.each([
    '/',
    '/nothing',
    '/tile',
    '/tile/',
    '/tile/0/000/',
    '/tile/0/000.p/7',
    '/checkpoint/x',
    '/checkpoint%00',
    '/%',
    '/%E0%A4',
    `/${'a/'.repeat(2000)}a`,
    `/${'a'.repeat(300)}`,
  ])('is 404, nothing to be kept: %s', async (target) => {
    const { status, headers, body } = await ask(target);
    expect([status, body]).toEqual([404, 'not found\n']);
    expect(headers['cache-control']).toBe('no-store');
  });

  it.each(['/.publishing/lock', '/.checkpoint.abc.tmp', '/tile/.0123.tmp', '/%2epublishing/lock'])(
    'nor are files with a dot: %s',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 404, body: 'not found\n' });
    },
  );

  it.each([
    '/../outside',
    '/tile/../../outside',
    '/%2e%2e/outside',
    '/..%2foutside',
    '/%2e%2e%2foutside',
    '/tile/..%5c..%5coutside',
    '/....//outside',
    '//outside',
    'http://log/../outside',
  ])('nor is anything outside of the folder: %s', async (target) => {
    const { status, body } = await ask(target);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(body).not.toContain('outside of the log');
    expect(body).not.toContain(root);
  });

  it('nor where a path goes through a file or ends at a folder', async () => {
    await symlink(join(root, 'log', 'tile'), join(root, 'log', 'linked'));
    expect((await ask('/linked')).status).toBe(404);
    expect((await ask('/checkpoint/../checkpoint')).status).toBe(404);
  });

  it('and nothing is written, whatever is asked', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const { status, headers, body } = await ask('/checkpoint', ['Content-Length: 0'], method);
      expect([status, headers.allow, body]).toEqual([405, 'GET, HEAD', 'read only\n']);
    }
    expect((await ask('/checkpoint')).body).toBe(files.checkpoint);
  });
});

describe('what is private', () => {
  it('is for an auditing witness of the log, and is kept by no one on the way', async () => {
    const { status, headers, body } = await ask(`/${secret}`, bearing(token()));
    expect([status, body]).toEqual([200, files[secret]]);
    expect(headers['cache-control']).toMatch(/^private, /);
    const missing = await ask(`/private/batch/${'0'.repeat(64)}`, bearing(token()));
    expect([missing.status, missing.body]).toEqual([404, 'not found\n']);
  });

  it('is open as long as the token is fresh, by the clock of the server', async () => {
    for (const off of [-accessFreshS, accessFreshS]) {
      const answer = await ask(`/${secret}`, bearing(token({ nowS: nowS + off })));
      expect(answer.status).toBe(200);
    }
  });

  const forged = compactJws(
    { ...testKey('forger'), kid: auditor.kid },
    'hourseal-access',
    canonicalBytes({ aud: origin, iat: nowS }),
  );
  it.each([
    ['no token', []],
    ['an empty one', ['Authorization: Bearer ']],
    ['another scheme', [`Authorization: Basic ${token()}`]],
    ['something after it', [`Authorization: Bearer ${token()} more`]],
    ['an old one', bearing(token({ nowS: nowS - accessFreshS - 1 }))],
    ['one of the future', bearing(token({ nowS: nowS + accessFreshS + 1 }))],
    ['one for another log', bearing(token({ origin: 'log.example/other' }))],
    ['one by a key that is no auditor', bearing(token({}, testKey('stranger')))],
    ["one that bears the auditor's name", bearing(forged)],
    ['one that is too long', bearing('a'.repeat(2049))],
    ['garbage', bearing('a.b.c')],
  ])('is refused to %s', async (_what, headers) => {
    const { status, headers: said, body } = await ask(`/${secret}`, headers);
    expect(status).toBe(401);
    expect(said['www-authenticate']).toBe('Bearer');
    expect(said['cache-control']).toBe('no-store');
    expect(body).not.toContain(files[secret]);
    // Nor does it say whether there is such a file.
    const nothing = await ask(`/private/batch/${'0'.repeat(64)}`, headers);
    expect([nothing.status, nothing.body]).toEqual([status, body]);
  });

  it.each([
    `//${secret}`,
    `/%70rivate/batch/${hash}`,
    `/private%2fbatch%2f${hash}`,
    `/./${secret}`,
    `/tile/../${secret}`,
    `/tile/%2e%2e/${secret}`,
    `/PRIVATE/batch/${hash}`,
    `/Private/batch/${hash}`,
    `/private//batch/${hash}`,
    `/private/./batch/${hash}`,
    `/${secret}?x`,
    `/${secret}/`,
    `http://log/${secret}`,
    `http://log//${secret}`,
    `http://log/%70rivate/batch/${hash}`,
    `/private;x/../${secret}`,
    `/\\private/batch/${hash}`,
  ])('is not reached by another spelling of its path: %s', async (target) => {
    const { status, body } = await ask(target);
    expect(body).not.toContain(files[secret]);
    expect([400, 401, 404]).toContain(status);
  });

  it("is nobody's where no reader is named", async () => {
    await server.stop();
    await serve({ readers: undefined });
    expect((await ask(`/${secret}`, bearing(token()))).status).toBe(401);
    await server.stop();
    await serve({ readers: () => Promise.resolve({ origin, keys: [] }) });
    expect((await ask(`/${secret}`, bearing(token()))).status).toBe(401);
  });

  it.each([
    ['for now', 503, new Failed('database', 'the database is away')],
    ['at all', 500, new Error('the database is broken')],
  ])('is not given where nobody can say who may read %s', async (_how, status, failure) => {
    await server.stop();
    const heard: unknown[] = [];
    const logger = { error: (about: unknown) => heard.push(about) };
    await serve({ readers: () => Promise.reject(failure), logger });
    const answer = await ask(`/${secret}`, bearing(token()));
    expect([answer.status, answer.body]).toEqual([status, 'not answered\n']);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(heard).toEqual([{ err: failure }]);
    expect((await ask('/checkpoint')).status).toBe(200);
  });
});

describe('many who ask', () => {
  /** Undefined for a connection that was cut off. */
  const checkpointStatus = async (): Promise<number | undefined> => {
    const answer = await ask('/checkpoint').catch(() => undefined);
    return Number.isNaN(answer?.status) ? undefined : answer?.status;
  };

  it('are all answered, each with the file that it wanted', async () => {
    const paths = ['checkpoint', 'tile/0/000', 'tile/0/001.p/7', 'tile/entries/000'] as const;
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const path = paths[i % paths.length] ?? 'checkpoint';
        return [(await ask(`/${path}`)).body, files[path]] as const;
      }),
    );
    for (const [body, expected] of answers) expect(body).toBe(expected);
  });

  it('are cut off beyond the number that is allowed, and let in again', async () => {
    await server.stop();
    await serve({ limits: { connections: 2 } });
    const held = [open(), open()];
    await Promise.all(held.map((socket) => new Promise((done) => socket.once('connect', done))));
    // Each is known to be accepted once it was answered.
    for (const socket of held) {
      socket.write('HEAD /checkpoint HTTP/1.1\r\nHost: log\r\n\r\n');
      await new Promise((done) => socket.once('data', done));
    }
    expect(await checkpointStatus()).toBeUndefined();
    const closed = held.map((socket) => new Promise((done) => socket.once('close', done)));
    for (const socket of held) socket.destroy();
    await Promise.all(closed);
    await expect.poll(checkpointStatus, { timeout: 20_000 }).toBe(200);
  });

  it('and then read nothing are let go of, so that others come in', async () => {
    await server.stop();
    await writeFile(join(root, 'log', 'tile', '0', '002'), new Uint8Array(64 * 1024 * 1024));
    await serve({ limits: { idleMs: 200, connections: 1 } });
    const socket = open();
    socket.on('error', () => undefined);
    socket.write('GET /tile/0/002 HTTP/1.1\r\nHost: log\r\n\r\n');
    await once(socket, 'readable');
    expect(await checkpointStatus()).toBeUndefined();
    await expect.poll(checkpointStatus, { timeout: 20_000 }).toBe(200);
    socket.destroy();
  });
});
