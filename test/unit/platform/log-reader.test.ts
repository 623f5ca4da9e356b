import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeUtf8 } from '#core/bytes.ts';
import { folderLogReader, httpLogReader } from '#platform/log-reader.ts';

const wrongPaths = [
  '',
  '/etc/passwd',
  '../secret',
  'batch/../../secret',
  'a//b',
  'a?b',
  'a#b',
  '.x',
];

describe('a log in a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'hourseal-reader-'));
    mkdirSync(join(folder, 'batch'));
    writeFileSync(join(folder, 'batch', 'aa'), 'bytes');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('gives bytes, and undefined for what is not there', async () => {
    const read = folderLogReader(folder);
    expect(decodeUtf8((await read('batch/aa')) ?? new Uint8Array())).toBe('bytes');
    for (const path of ['batch/bb', 'batch/aa/x', 'nowhere/aa', 'batch']) {
      expect(await read(path)).toBeUndefined();
    }
  });

  test('gives no file above the limit', async () => {
    expect(await folderLogReader(folder, { limitBytes: 5 })('batch/aa')).toHaveLength(5);
    const read = folderLogReader(folder, { limitBytes: 4 });
    await expect(read('batch/aa')).rejects.toMatchObject({ name: 'Failed', code: 'log-file' });
  });

  test.each(wrongPaths)('is not left by the path %j', async (path) => {
    await expect(folderLogReader(folder)(path)).rejects.toThrow(RangeError);
  });
});

describe('a log behind a URL', () => {
  let server: Server;
  let url: string;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const asked: { url: string | undefined; authorization: string | undefined }[] = [];
  beforeEach(async () => {
    asked.length = 0;
    server = createServer((request, response) => {
      asked.push({ url: request.url, authorization: request.headers.authorization });
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs/one`;
  });
  afterEach(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  const failed = { name: 'Failed', code: 'log-file' };

  test.each(['', '/'])('gives bytes below it, with %j at its end', async (end) => {
    answer = (_request, response) => response.end('bytes');
    const bytes = await httpLogReader(`${url}${end}`)('tile/0/x001/234.p/8');
    expect(decodeUtf8(bytes ?? new Uint8Array())).toBe('bytes');
    expect(asked).toEqual([{ url: '/logs/one/tile/0/x001/234.p/8', authorization: undefined }]);
  });

  test.each([404, 410])('has no file where the answer is %d', async (status) => {
    answer = (_request, response) => response.writeHead(status).end('not found');
    expect(await httpLogReader(url)('batch/aa')).toBeUndefined();
  });

  test.each([204, 206, 301, 302, 307, 401, 403, 429, 500, 503])(
    'says nothing of a file where the answer is %d',
    async (status) => {
      answer = (_request, response) => response.writeHead(status, { location: '/else' }).end();
      await expect(httpLogReader(url)('batch/aa')).rejects.toMatchObject(failed);
      expect(asked).toHaveLength(1);
    },
  );

  test('gives no file above the limit, stated or not, packed or not', async () => {
    const read = httpLogReader(url, { limitBytes: 1000 });
    const bytes = new Uint8Array(1001);
    answer = (_request, response) => response.end(bytes.subarray(0, 1000));
    expect(await read('batch/aa')).toHaveLength(1000);
    answer = (_request, response) => response.end(bytes);
    await expect(read('batch/aa')).rejects.toMatchObject(failed);
    answer = (_request, response) => {
      // It never ends: whoever reads on, reads for ever.
      const more = (): void => {
        if (response.write(bytes)) setImmediate(more);
        else response.once('drain', more);
      };
      more();
    };
    await expect(read('batch/aa')).rejects.toMatchObject(failed);
    answer = (_request, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(new Uint8Array(1e6)));
    await expect(read('batch/aa')).rejects.toMatchObject(failed);
  });

  test('waits so long and no longer, for the first byte and for the last', async () => {
    const read = httpLogReader(url, { timeoutMs: 50 });
    answer = () => undefined;
    await expect(read('batch/aa')).rejects.toMatchObject(failed);
    answer = (_request, response) => void response.write('the beginning');
    await expect(read('batch/aa')).rejects.toMatchObject(failed);
  });

  test('is away', async () => {
    answer = (request) => request.socket.destroy();
    await expect(httpLogReader(url)('batch/aa')).rejects.toMatchObject(failed);
    await expect(httpLogReader('http://127.0.0.1:9')('batch/aa')).rejects.toMatchObject(failed);
  });

  test('is cut off', async () => {
    answer = (request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('a part', () => request.socket.destroy());
    };
    await expect(httpLogReader(url)('batch/aa')).rejects.toMatchObject(failed);
  });

  test('is shown who asks for private evidence, and not for anything else', async () => {
    answer = (_request, response) => response.end();
    const read = httpLogReader(url, { authorization: () => 'Bearer me' });
    await read('batch/aa');
    await read('private/batch/aa');
    expect(asked.map(({ authorization }) => authorization)).toEqual([undefined, 'Bearer me']);
  });

  test.each(wrongPaths)('is not left by the path %j', async (path) => {
    await expect(httpLogReader(url)(path)).rejects.toThrow(RangeError);
    expect(asked).toEqual([]);
  });

  test('is not one of another protocol', () => {
    expect(() => httpLogReader('file:///etc')).toThrow(RangeError);
  });
});
