import { createServer, type RequestListener, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { concat, utf8 } from '#core/bytes.ts';
import { formatAddCheckpoint, maxRequestBytes } from '#core/tlog/add-checkpoint.ts';
import { addCheckpoint, readMonitored } from '#platform/witness-client.ts';
import { createRig, history, post, rawExchange } from './rig.ts';

const rig = createRig();
const patience = { timeoutMs: 10_000 };
const a = history('a');
const servers: Server[] = [];

afterEach(async () => {
  await rig.clear();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

describe('a witness is not harmed by', () => {
  it('bytes that are no HTTP, and bodies that are nothing', async () => {
    const witness = await rig.start();
    const random = Uint8Array.from({ length: 5_000 }, (_, i) => (i * 7919 + (i >> 3)) % 256);
    expect(await rawExchange(witness, concat(random, utf8('\r\n\r\n')))).toMatch(/^HTTP\/1.1 400/);
    for (let from = 0; from < random.length; from += 500) {
      expect(await post(witness, random.subarray(from))).toMatchObject({ status: 400 });
    }
    const body = formatAddCheckpoint(await a.request(0, 5));
    for (let at = 0; at < body.length; at += 3) {
      const turned = body.with(at, (body[at] ?? 0) ^ (1 << (at % 8)));
      const { status } = await post(witness, turned);
      expect([400, 403, 404, 409, 422]).toContain(status);
    }
    expect(await post(witness, body)).toMatchObject({ status: 200 });
  });

  it('a body that never ends, or comes a byte at a time', async () => {
    const witness = await rig.start({ limits: { requestMs: 300 } });
    const head = 'POST /add-checkpoint HTTP/1.1\r\nhost: x\r\n';
    const waiting = rawExchange(witness, `${head}content-length: 1000\r\n\r\nold 0\n`);
    const noHead = rawExchange(witness, head);
    expect(await waiting).toMatch(/^HTTP\/1.1 408/);
    expect(await noHead).toMatch(/^HTTP\/1.1 408/);
    const chunk = `3e8\r\n${'x'.repeat(1_000)}\r\n`;
    const chunks = chunk.repeat(2 * Math.ceil(maxRequestBytes / 1_000));
    const endless = await rawExchange(
      witness,
      `${head}transfer-encoding: chunked\r\n\r\n${chunks}`,
    );
    expect(endless).toMatch(/^HTTP\/1.1 4(08|13)/);
    expect(await addCheckpoint(witness.url(), await a.request(0, 5), patience)).toMatchObject({
      result: 'cosigned',
    });
  });

  it('more connections than it takes', async () => {
    const witness = await rig.start({ limits: { connections: 3, requestMs: 500 } });
    const held = Array.from({ length: 8 }, () => rawExchange(witness, 'POST /add'));
    const ends = await Promise.all(held);
    expect(ends.filter((heard) => heard.startsWith('HTTP/1.1 408'))).toHaveLength(3);
    expect(ends.filter((heard) => heard === '')).toHaveLength(5);
    expect(await addCheckpoint(witness.url(), await a.request(0, 5), patience)).toMatchObject({
      result: 'cosigned',
    });
  });

  it('clients that go away while they wait: the head stays where it was', async () => {
    const judged: (() => void)[] = [];
    let calls = 0;
    const witness = await rig.start({
      name: 'witness.example/one/audit',
      auditorOf: async () => ({
        judge: () => {
          calls += 1;
          return calls > 1 ? Promise.resolve() : new Promise((resolve) => judged.push(resolve));
        },
      }),
    });
    const leaving = new AbortController();
    const request = await a.request(0, 5);
    const gone = addCheckpoint(witness.url(), request, { ...patience, signal: leaving.signal });
    while (calls === 0) await new Promise(setImmediate);
    leaving.abort(new Error('tired of waiting'));
    await expect(gone).rejects.toThrow('tired of waiting');
    const next = addCheckpoint(witness.url(), request, patience);
    // The connection's end is seen before the answer to anything that was asked after it.
    await fetch(`${witness.url()}/vkey`);
    for (const release of judged) release();
    expect(await next).toMatchObject({ result: 'cosigned' });
    expect(calls).toBe(2);
  });

  it('an auditor that takes longer than clients wait: they are told to come again', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const witness = await rig.start({
      name: 'witness.example/one/audit',
      auditorOf: async () => ({ judge: () => held }),
      limits: { answerMs: 50 },
    });
    const body = formatAddCheckpoint(await a.request(0, 5));
    expect(await post(witness, body)).toMatchObject({ status: 503, retryAfter: '1' });
    release();
    expect(await post(witness, body)).toMatchObject({ status: 200 });
  });
});

async function standIn(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a client is not harmed by a witness that', () => {
  const good = '\u2014 w.example AoorZQAAAABpVkWqkcscZwnGIh9z\n';
  const garbage: [string, [number, Record<string, string>, string]][] = [
    ['answers 200 with nothing', [200, {}, '']],
    ['answers 200 with a page', [200, { 'content-type': 'text/html' }, '<html></html>\n']],
    ['answers 200 with a line that does not end', [200, {}, good.trimEnd()]],
    ['answers 200 with too many lines', [200, {}, good.repeat(101)]],
    ['answers 200 with too many bytes', [200, {}, good.repeat(10_000)]],
    ['answers 409 without the type', [409, { 'content-type': 'text/plain' }, '7\n']],
    ['answers 409 with another spelling', [409, { 'content-type': 'text/x.tlog.size' }, '07\n']],
    ['answers 409 with words', [409, { 'content-type': 'text/x.tlog.size' }, 'seven\n']],
    ['fails', [500, {}, 'sorry']],
    ['is busy', [503, { 'retry-after': '1' }, 'busy']],
    ['sends it elsewhere', [307, { location: 'http://127.0.0.1:1/add-checkpoint' }, '']],
    ['has too much to do', [429, {}, 'slow down']],
    ['answers what nobody knows', [299, {}, good]],
  ];

  it.each(garbage)('%s', async (_what, [status, headers, body]) => {
    const url = await standIn((_request, response) => {
      response.writeHead(status, headers).end(body);
    });
    await expect(addCheckpoint(url, await a.request(0, 5), patience)).rejects.toMatchObject({
      name: 'Failed',
      code: 'witness',
    });
  });

  const listeners: [string, RequestListener][] = [
    ['never answers', () => undefined],
    ['never ends its answer', (_request, response) => response.write(good)],
    ['hangs up', (request) => request.socket.destroy()],
    [
      'promises more than it sends',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '1000' }).write(good);
        setImmediate(() => response.destroy());
      },
    ],
  ];

  it.each(listeners)('%s', async (_what, listener) => {
    const url = await standIn(listener);
    const hasty = { timeoutMs: 200 };
    const failed = { name: 'Failed', code: 'witness' };
    await expect(addCheckpoint(url, await a.request(0, 5), hasty)).rejects.toMatchObject(failed);
    await expect(readMonitored(url, 'a log', hasty)).rejects.toMatchObject(failed);
  });

  it('writes pages of reasons: one short line of them is kept', async () => {
    const url = await standIn((_request, response) => {
      response.writeHead(403).end(`no\r\n\u001b[31m${'\u2014'.repeat(20_000)}`);
    });
    const answer = await addCheckpoint(url, await a.request(0, 5), patience);
    if (answer.result !== 'refused') throw new Error(answer.result);
    expect(answer.reason).toMatch(/^no \[31m\u2014+$/);
    expect(answer.reason.length).toBeLessThanOrEqual(500);
  });

  it('is not there, or is no place', async () => {
    const request = await a.request(0, 5);
    for (const url of ['http://127.0.0.1:1', 'nonsense', 'ftp://witness.example']) {
      await expect(addCheckpoint(url, request, patience)).rejects.toMatchObject({ name: 'Failed' });
    }
    const signal = AbortSignal.abort(new Error('not now'));
    await expect(
      addCheckpoint('http://127.0.0.1:1', request, { ...patience, signal }),
    ).rejects.toThrow('not now');
  });
});
