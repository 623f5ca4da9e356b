import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createLogger } from '#platform/logger.ts';
import { runUntilSignal, type Host, type Service } from '#platform/shutdown.ts';

const logger = createLogger({ name: 'test', level: 'silent' });

function testHost(): { host: Host; signals: EventEmitter; exits: number[] } {
  const signals = new EventEmitter();
  const exits: number[] = [];
  const host: Host = {
    on: (signal, listener) => signals.on(signal, listener),
    off: (signal, listener) => signals.off(signal, listener),
    exit: (code) => exits.push(code),
  };
  return { host, signals, exits };
}

function listeners(signals: EventEmitter): number {
  return ['SIGINT', 'SIGTERM', 'SIGHUP'].reduce(
    (sum, name) => sum + signals.listenerCount(name),
    0,
  );
}

const nothing = (): Promise<void> => Promise.resolve();

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'])(
  '%s stops gracefully with exit code 0 and leaves no listener',
  async (name) => {
    const { host, signals, exits } = testHost();
    const done: string[] = [];
    const note = (what: string) => (): Promise<void> => {
      done.push(what);
      return Promise.resolve();
    };
    const running = runUntilSignal({ start: note('start'), stop: note('stop') }, { logger, host });
    await setImmediate();
    expect(done).toEqual(['start']);
    expect(listeners(signals)).toBe(3);
    signals.emit(name, name);
    expect(await running).toBe(0);
    expect(done).toEqual(['start', 'stop']);
    expect(listeners(signals)).toBe(0);
    expect(exits).toEqual([]);
  },
);

test('a second signal ends the process at once with its own code', async () => {
  const { host, signals, exits } = testHost();
  let finish: () => void = () => undefined;
  const stop = (): Promise<void> => new Promise((resolve) => (finish = resolve));
  const running = runUntilSignal({ start: nothing, stop }, { logger, host });
  await setImmediate();
  signals.emit('SIGINT', 'SIGINT');
  await setImmediate();
  expect(exits).toEqual([]);
  signals.emit('SIGTERM', 'SIGTERM');
  expect(exits).toEqual([128 + 15]);
  finish();
  await running;
});

test('a stop that takes longer than its limit ends the process with code 1', async () => {
  const { host, signals, exits } = testHost();
  let finish: () => void = () => undefined;
  const stop = (): Promise<void> => new Promise((resolve) => (finish = resolve));
  const exited = new Promise<void>((resolve) => {
    const running = runUntilSignal(
      { start: nothing, stop },
      {
        logger,
        stopLimitMs: 5,
        host: {
          ...host,
          exit: (code) => {
            exits.push(code);
            finish();
            resolve(running.then(() => undefined));
          },
        },
      },
    );
  });
  await setImmediate();
  signals.emit('SIGINT', 'SIGINT');
  await exited;
  expect(exits).toEqual([1]);
});

test('a signal during the start stops after the start', async () => {
  const { host, signals } = testHost();
  const done: string[] = [];
  let started: () => void = () => undefined;
  const service: Service = {
    start: () => new Promise((resolve) => (started = resolve)),
    stop: () => {
      done.push('stop');
      return Promise.resolve();
    },
  };
  const running = runUntilSignal(service, { logger, host });
  signals.emit('SIGTERM', 'SIGTERM');
  await setImmediate();
  expect(done).toEqual([]);
  started();
  expect(await running).toBe(0);
  expect(done).toEqual(['stop']);
});

test('a service that dies is stopped, with exit code 1', async () => {
  const { host, signals } = testHost();
  let stopped = false;
  const stop = (): Promise<void> => {
    stopped = true;
    return Promise.resolve();
  };
  const died = Promise.resolve(new Error('the disk is gone'));
  expect(await runUntilSignal({ start: nothing, stop, died }, { logger, host })).toBe(1);
  expect(stopped).toBe(true);
  expect(listeners(signals)).toBe(0);
});

test('a start or a stop that fails gives exit code 1', async () => {
  const { host, signals } = testHost();
  const fail = (): Promise<void> => Promise.reject(new Error('no'));
  expect(await runUntilSignal({ start: fail, stop: nothing }, { logger, host })).toBe(1);
  const running = runUntilSignal({ start: nothing, stop: fail }, { logger, host });
  await setImmediate();
  signals.emit('SIGINT', 'SIGINT');
  expect(await running).toBe(1);
  expect(listeners(signals)).toBe(0);
});
