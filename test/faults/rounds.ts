import { randomFrom, roundsOr, seed, type Random } from './seed.ts';

/** In the full form every time limit of the product's passes; the short one has one round of each fault. */
export const rounds = roundsOr(1);
export const isFull = rounds >= 20;

export interface Round {
  readonly random: Random;
  /** Milliseconds, at random. */
  readonly between: (lowMs: number, highMs: number) => number;
}

/**
 * `round` so often, one after the other, and a line about them on standard output. The moments follow
 * from the seed and from `fault` alone, so that one fault by itself has the same ones again.
 */
export async function inRounds(
  fault: string,
  round: (round: Round) => Promise<void>,
  heldMiB: () => number,
): Promise<void> {
  const random = randomFrom(seed + hashOf(fault));
  const between = (lowMs: number, highMs: number): number => lowMs + random() * (highMs - lowMs);
  const tookS: number[] = [];
  for (let n = 1; n <= rounds; n++) {
    const began = performance.now();
    try {
      await round({ random, between });
    } catch (cause) {
      const which = `${fault}, round ${n} of ${rounds} (HOURSEAL_FAULT_SEED=${seed})`;
      throw new Error(`${which}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
    const roundS = (performance.now() - began) / 1000;
    tookS.push(roundS);
    if (isFull) say(`${fault}: round ${n} took ${roundS.toFixed(1)} s`);
  }
  const sumS = tookS.reduce((sum, s) => sum + s, 0);
  say(
    `${fault}: ${rounds} rounds in ${sumS.toFixed(0)} s, ${Math.max(...tookS).toFixed(1)} s at most, ` +
      `ingestion held ${Math.round(heldMiB())} MiB (HOURSEAL_FAULT_SEED=${seed})`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  }
  return hash >>> 0;
}
