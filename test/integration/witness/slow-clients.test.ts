import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createFileServer } from '#ledger/file-server.ts';
import { systemClock } from '#platform/clock.ts';
import { addCheckpoint } from '#platform/witness-client.ts';
import { createRig, history } from './rig.ts';

/** Clients that keep connections busy by sending next to nothing (slowloris). */

const rig = createRig();
const slow: Socket[] = [];
afterEach(async () => {
  for (const socket of slow.splice(0)) socket.destroy();
  await rig.clear();
});

const a = history('a');
const patience = { timeoutMs: 60_000 };
const dripMs = 100;
const heads = {
  'a head': 'POST /add-checkpoint HTTP/1.1\r\nhost: x\r\nx-slow: ',
  'a body': 'POST /add-checkpoint HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\nold 0\n',
  nothing: '',
};

interface Slow {
  readonly isOpen: () => boolean;
  /** What it heard until the other side closed it. */
  readonly ended: Promise<string>;
}

/** Sends the beginning, and then a byte at a time for ever; of nothing, nothing. */
async function drip(url: string, beginning: string): Promise<Slow> {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  slow.push(socket);
  socket.on('error', () => undefined);
  let heard = '';
  socket.setEncoding('utf8').on('data', (text: string) => (heard += text));
  const ended = new Promise<string>((resolve) => {
    socket.once('close', () => {
      resolve(heard);
    });
  });
  await Promise.race([once(socket, 'connect'), ended]);
  if (beginning !== '') {
    socket.write(beginning);
    const timer = setInterval(() => socket.write('x'), dripMs);
    void ended.then(() => {
      clearInterval(timer);
    });
  }
  return { isOpen: () => !socket.destroyed, ended };
}

describe('a witness that clients drip bytes to', () => {
  it.each(Object.entries(heads))('(%s) serves others beside them', async (_what, beginning) => {
    // Long enough that none of them ends before the others were served.
    const witness = await rig.start({ limits: { requestMs: 600_000 } });
    const held = await Promise.all(
      Array.from({ length: 50 }, () => drip(witness.url(), beginning)),
    );
    const request = await a.request(0, 5);
    expect(await addCheckpoint(witness.url(), request, patience)).toMatchObject({
      result: 'cosigned',
    });
    expect(held.every(({ isOpen }) => isOpen())).toBe(true);
  });

  it.each(Object.entries(heads))('(%s) ends each of them', async (_what, beginning) => {
    const witness = await rig.start({ limits: { connections: 10, requestMs: 400 } });
    const held = await Promise.all(
      Array.from({ length: 30 }, () => drip(witness.url(), beginning)),
    );
    const ends = await Promise.all(held.map(({ ended }) => ended));
    // Whoever goes on writing may not hear why.
    expect(ends.filter((heard) => heard !== '' && !heard.startsWith('HTTP/1.1 408'))).toEqual([]);
    const request = await a.request(0, 5);
    expect(await addCheckpoint(witness.url(), request, patience)).toMatchObject({
      result: 'cosigned',
    });
  });
});

describe('the files of a log that clients drip bytes to', () => {
  const serve = async (limits: object) => {
    const folder = rig.folder();
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'checkpoint'), 'a checkpoint\n');
    const listen = { host: '127.0.0.1', port: 0 };
    const server = createFileServer({ folder, listen, clock: systemClock, limits });
    await server.start();
    return server;
  };
  const head = 'GET /checkpoint HTTP/1.1\r\nhost: x\r\nx-slow: ';

  it('are served beside them', async () => {
    const server = await serve({ headersTimeoutMs: 600_000, requestTimeoutMs: 600_000 });
    const held = await Promise.all(Array.from({ length: 50 }, () => drip(server.url(), head)));
    expect(await (await fetch(`${server.url()}/checkpoint`)).text()).toBe('a checkpoint\n');
    expect(held.every(({ isOpen }) => isOpen())).toBe(true);
    await server.stop();
  });

  it('end each of them as soon as it is late, and not half a minute later', async () => {
    const server = await serve({ headersTimeoutMs: 400, requestTimeoutMs: 400, connections: 10 });
    const held = await Promise.all(Array.from({ length: 30 }, () => drip(server.url(), head)));
    const ends = await Promise.all(held.map(({ ended }) => ended));
    expect(ends.filter((heard) => heard !== '' && !heard.startsWith('HTTP/1.1 408'))).toEqual([]);
    expect(await (await fetch(`${server.url()}/checkpoint`)).text()).toBe('a checkpoint\n');
    await server.stop();
  }, 20_000);
});
