import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Failed, Refused } from '#core/errors.ts';
import { addressOf, listenOn, parseListen, urlOf } from '#platform/listen.ts';

const servers: Server[] = [];
function server(): Server {
  const made = createServer();
  servers.push(made);
  return made;
}
afterEach(async () => {
  for (const one of servers.splice(0)) await new Promise((resolve) => one.close(resolve));
});
const anyPort = { host: '127.0.0.1', port: 0 };

describe('an address to listen on', () => {
  it.each([
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ['[::1]:80', { host: '::1', port: 80 }],
  ])('is %s', (text, address) => {
    expect(parseListen(text)).toEqual(address);
  });

  it.each(['', '80', ':80', 'a', 'a:', 'a:07', 'a:-1', 'a:1e3', 'a: 80', 'a:80 ', 'a:80\n'])(
    'is not %j',
    (text) => {
      expect(() => parseListen(text)).toThrow(Refused);
    },
  );
  it.each(['::1:80', '[::1]', '[::1', '[a.example]:80', 'a:65536', 'a:99999', 'a:100000'])(
    'is not %s either',
    (text) => {
      expect(() => parseListen(text)).toThrow('not host:port, a port from 0 to 65535');
    },
  );
});

describe('a server', () => {
  it('is at a free port when it is told none, and says so as a URL', async () => {
    const one = server();
    await listenOn(one, anyPort);
    const { port } = addressOf(one);
    expect(port).toBeGreaterThan(0);
    expect(urlOf(one)).toBe(`http://127.0.0.1:${port}`);
  });

  it('is nowhere before it listens, and after it has closed', async () => {
    expect(() => urlOf(undefined)).toThrow('not started');
    const one = server();
    expect(() => urlOf(one)).toThrow('not started');
    await listenOn(one, anyPort);
    await new Promise((resolve) => one.close(resolve));
    expect(() => urlOf(one)).toThrow('not started');
  });

  it('cannot listen where another one does, and can elsewhere then', async () => {
    const [one, two] = [server(), server()];
    await listenOn(one, anyPort);
    const taken = { host: '127.0.0.1', port: addressOf(one).port };
    await expect(listenOn(two, taken)).rejects.toThrow(
      `cannot listen on 127.0.0.1:${taken.port}: listen EADDRINUSE`,
    );
    await expect(listenOn(two, taken)).rejects.toBeInstanceOf(Failed);
    await listenOn(two, anyPort);
    expect(addressOf(two).port).not.toBe(taken.port);
    // A failed start leaves nothing that would swallow a later error of the server.
    expect([one, two].map((each) => each.listenerCount('error'))).toEqual([0, 0]);
  });

  it('writes an IPv6 address in brackets', () => {
    const address = () => ({ family: 'IPv6', address: '::1', port: 80 });
    expect(urlOf({ address })).toBe('http://[::1]:80');
  });
});
