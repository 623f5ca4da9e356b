import { describe, expect, it } from 'vitest';
import { checkPublication, maySubscribe, publicationLimitBytes } from '#broker/access.ts';

const meter = { plant: 'p', meter: 'M-1' };
const fine = { topic: 'hourseal/v1/p/M-1/messages', qos: 1, retain: false, bytes: 400 };

describe('a connected meter', () => {
  it('may publish to its own messages topic, with QoS 1, not retained, up to 64 KiB', () => {
    const largest = { ...fine, bytes: publicationLimitBytes };
    expect(() => {
      checkPublication(meter, largest);
    }).not.toThrow();
  });

  it.each([
    ['topic', { topic: 'hourseal/v1/p/M-2/messages' }],
    ['topic', { topic: 'hourseal/v1/p/M-1/receipts' }],
    ['topic', { topic: 'hourseal/v1/p/M-1/messages/' }],
    ['topic', { topic: '$SYS/new/clients' }],
    ['qos', { qos: 0 }],
    ['qos', { qos: 2 }],
    ['retain', { retain: true }],
    ['size', { bytes: publicationLimitBytes + 1 }],
  ])('is refused for its %s: %o', (code, change) => {
    expect(() => {
      checkPublication(meter, { ...fine, ...change });
    }).toThrow(expect.objectContaining({ code }));
  });

  it('may subscribe to its own receipts and to nothing else', () => {
    expect(maySubscribe(meter, 'hourseal/v1/p/M-1/receipts')).toBe(true);
    for (const topic of [
      'hourseal/v1/p/M-2/receipts',
      'hourseal/v1/p/+/receipts',
      'hourseal/v1/p/M-1/messages',
      'hourseal/v1/#',
      '#',
      '+/v1/p/M-1/receipts',
      '$SYS/#',
      '$share/g/hourseal/v1/p/M-1/receipts',
    ]) {
      expect(maySubscribe(meter, topic)).toBe(false);
    }
  });
});
