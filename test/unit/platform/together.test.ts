import { describe, expect, test } from 'vitest';
import type { Service } from '#platform/shutdown.ts';
import { together } from '#platform/together.ts';

/** Services that write down what happens to them. */
function rig(broken: { start?: string; stop?: string } = {}): {
  service: (name: string, died?: Promise<Error>) => Service;
  said: string[];
} {
  const said: string[] = [];
  const does = async (what: 'start' | 'stop', name: string): Promise<void> => {
    said.push(`${what} ${name}`);
    if (broken[what] === name) throw new Error(`${name} does not ${what}`);
  };
  const service = (name: string, died?: Promise<Error>): Service => ({
    start: () => does('start', name),
    stop: () => does('stop', name),
    ...(died !== undefined && { died }),
  });
  return { service, said };
}

describe('services together', () => {
  test('start in their order and stop in the opposite one', async () => {
    const { service, said } = rig();
    const all = together(['a', 'b', 'c'].map((name) => service(name)));
    await all.start();
    await all.stop();
    expect(said).toEqual(['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a']);
  });

  test('leave nothing running where one does not start', async () => {
    const { service, said } = rig({ start: 'c', stop: 'b' });
    const all = together(['a', 'b', 'c', 'd'].map((name) => service(name)));
    await expect(all.start()).rejects.toThrow('c does not start');
    expect(said).toEqual(['start a', 'start b', 'start c', 'stop b', 'stop a']);
  });

  test('are all stopped though one cannot', async () => {
    const { service, said } = rig({ stop: 'b' });
    const all = together(['a', 'b'].map((name) => service(name)));
    await all.start();
    await expect(all.stop()).rejects.toThrow('b does not stop');
    expect(said.slice(2)).toEqual(['stop b', 'stop a']);
  });

  test('have died when one has', async () => {
    const { service } = rig();
    let die: (error: Error) => void = () => undefined;
    const died = new Promise<Error>((resolve) => (die = resolve));
    const all = together([service('a'), service('b', died), service('c')]);
    const cause = new Error('gone');
    die(cause);
    expect(await all.died).toBe(cause);
  });
});
