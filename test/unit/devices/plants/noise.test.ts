import { describe, expect, it } from 'vitest';
import { layeredNormal, normalShare, seedOf, smoothNormal, unitAt } from '#devices/plants/noise.ts';

const many = Array.from({ length: 20_000 }, (_, i) => i);

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe('noise', () => {
  it('is a function of seed and index alone, in [0, 1)', () => {
    for (const i of many.slice(0, 1000)) {
      const value = unitAt(7, i);
      expect(value).toBeGreaterThanOrEqual(0);
      expect(value).toBeLessThan(1);
      expect(unitAt(7, i)).toBe(value);
    }
    expect(unitAt(7, 1)).not.toBe(unitAt(8, 1));
    expect(unitAt(7, 1)).not.toBe(unitAt(7, 2));
  });

  it('is spread evenly and not correlated from index to index', () => {
    const values = many.map((i) => unitAt(3, i));
    expect(mean(values)).toBeCloseTo(0.5, 1);
    for (let tenth = 0; tenth < 10; tenth++) {
      const inside = values.filter((value) => Math.floor(value * 10) === tenth).length;
      expect(inside).toBeGreaterThan(1800);
      expect(inside).toBeLessThan(2200);
    }
    const products = values.slice(1).map((value, i) => (value - 0.5) * ((values[i] ?? 0) - 0.5));
    expect(Math.abs(mean(products))).toBeLessThan(0.003);
  });

  it('gives each purpose a seed of its own', () => {
    expect(seedOf(1, 'wind')).not.toBe(seedOf(1, 'clouds'));
    expect(seedOf(1, 'wind')).not.toBe(seedOf(2, 'wind'));
    expect(Number.isInteger(seedOf(1, 'wind'))).toBe(true);
  });

  it('keeps variance 1 between its grid points, and moves smoothly', () => {
    const values = many.map((i) => smoothNormal(11, i * 137, 600));
    expect(Math.abs(mean(values))).toBeLessThan(0.1);
    expect(mean(values.map((value) => value * value))).toBeCloseTo(1, 1);
    for (let t = 0; t < 6000; t++) {
      const step = Math.abs(smoothNormal(11, t + 1, 600) - smoothNormal(11, t, 600));
      expect(step).toBeLessThan(0.05);
    }
  });

  it('mixes slow and fast parts to variance 1', () => {
    const octaves = [
      { periodS: 7200, variance: 3 },
      { periodS: 300, variance: 1 },
    ];
    const values = many.map((i) => layeredNormal(5, i * 911, octaves));
    expect(mean(values.map((value) => value * value))).toBeCloseTo(1, 1);
  });

  it('knows the normal distribution', () => {
    expect(normalShare(0)).toBeCloseTo(0.5, 6);
    expect(normalShare(1.959964)).toBeCloseTo(0.975, 6);
    expect(normalShare(-1.959964)).toBeCloseTo(0.025, 6);
  });
});
