import { createServer, type Server } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Failed } from '#core/errors.ts';
import { DeadlinePassed, withDeadline } from '#platform/deadline.ts';
import { listenOn, urlOf } from '#platform/listen.ts';
import { httpLogReader } from '#platform/log-reader.ts';
import { readMonitored } from '#platform/witness-client.ts';
import { httpOpenReader } from '#witness/open-reader.ts';

const forever = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
    if (signal.aborted) reject(signal.reason as Error);
  });
const reasonOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => error,
  );

describe('work with a deadline', () => {
  test('is told when its time is up', async () => {
    expect(await reasonOf(withDeadline(10, forever))).toBeInstanceOf(DeadlinePassed);
  });

  test('is told why it was stopped, before and while it works', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const work = reasonOf(withDeadline(60_000, forever, first.signal, second.signal));
    const reason = new Error('enough');
    second.abort(reason);
    first.abort(new Error('too late'));
    expect(await work).toBe(reason);
    expect(await reasonOf(withDeadline(60_000, forever, second.signal))).toBe(reason);
  });

  test('gives what the work gives, and nothing is left of it', async () => {
    const stop = new AbortController().signal;
    let listeners = 0;
    const counted = Object.assign(stop, {
      addEventListener: () => (listeners += 1),
      removeEventListener: () => (listeners -= 1),
    });
    const given: AbortSignal[] = [];
    const work = async (signal: AbortSignal): Promise<number> => {
      given.push(signal);
      expect(listeners).toBe(1);
      return 7;
    };
    expect(await withDeadline(5, work, counted)).toBe(7);
    expect(listeners).toBe(0);
    await setTimeout(20);
    expect(given.map(({ aborted }) => aborted)).toEqual([false]);
  });
});

/** Node 20 collects the timeouts behind AbortSignal.any: with them, these waited for ever. */
describe('a server that says nothing is given up, though memory is collected meanwhile', () => {
  let server: Server;
  let collecting: NodeJS.Timeout;

  beforeEach(async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collecting = setInterval(collect, 20);
    server = createServer(() => undefined);
    await listenOn(server, { host: '127.0.0.1', port: 0 });
  });
  afterEach(() => {
    clearInterval(collecting);
    server.closeAllConnections();
    server.close();
  });

  const stop = new AbortController().signal;
  const readers: [string, (url: string) => Promise<unknown>][] = [
    ['files of a log', (url) => httpLogReader(url, { timeoutMs: 200 })('checkpoint')],
    [
      'leaves of open hours',
      (url) =>
        httpOpenReader(url, { authorization: () => '', timeoutMs: 200 })(
          { plant: 'p1', after: '', isPrivate: false },
          stop,
        ),
    ],
    [
      'what a witness says',
      (url) => readMonitored(url, 'log.example/a', { timeoutMs: 200, signal: stop }),
    ],
  ];
  test.each(readers)('%s', async (_what, read) => {
    expect(await reasonOf(read(urlOf(server)))).toBeInstanceOf(Failed);
  });
});
