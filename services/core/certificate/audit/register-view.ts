import { decodeUtf8, utf8 } from '../../bytes.ts';
import { concernedBy } from '../concerns.ts';
import type { Judgement } from '../fold.ts';
import { decodeKept, encodeKept } from '../state/kept-value.ts';
import type { HourRegister, LogState } from '../state/state.ts';

/**
 * What of the register the hours of one plant are judged by, as text: whoever judges an hour elsewhere
 * is given it, and what it finds holds for every state that gives the same text.
 */
export interface RegisterViews {
  /** Undefined where the log names no such plant. */
  readonly of: (plant: string) => string | undefined;
  /** Must be told of everything that is folded. */
  readonly note: (judgement: Judgement) => void;
}

/** Characters of all texts that are remembered; beyond it the oldest are made again. */
const rememberedLimit = 32 * 1024 * 1024;

/** Kinds that change nothing of what an hour is judged by. Of a kind not named here, anything may. */
const harmless: ReadonlySet<string> = new Set([
  'accept',
  'account',
  'account-key',
  'cancel',
  'hour',
  'hour-correction',
  'lock',
  'offer',
  'refuse',
  'settle',
  'state',
  'unlock',
  'void',
  'withdraw',
]);

export function createRegisterViews(
  state: LogState,
  limitCharacters = rememberedLimit,
): RegisterViews {
  const known = new Map<string, string>();
  let characters = 0;

  const forget = (plant: string): void => {
    characters -= known.get(plant)?.length ?? 0;
    known.delete(plant);
  };

  return {
    of(plant) {
      const found = known.get(plant);
      if (found !== undefined) return found;
      const text = registerText(state, plant);
      if (text === undefined) return undefined;
      known.set(plant, text);
      characters += text.length;
      for (const oldest of known.keys()) {
        if (characters <= limitCharacters) break;
        forget(oldest);
      }
      return text;
    },
    note({ entry, violation }) {
      // An entry that broke a rule changes nothing (D3.3).
      if (entry === undefined || violation !== undefined || harmless.has(entry.kind)) return;
      const concerned = concernedBy(state, entry);
      if (concerned === undefined) {
        known.clear();
        characters = 0;
      } else if ('sealFrom' in concerned) forget(concerned.spec.plant);
    },
  };
}

/** The register of one plant: everything that `examineHour` asks a state for, and no other plant's. */
export function registerText(
  { genesis, plants, meters, keys }: HourRegister,
  plant: string,
): string | undefined {
  const found = plants.get(plant);
  if (found === undefined || genesis === undefined) return undefined;
  const ownMeters = found.meters.flatMap((id) => {
    const meter = meters.get(id);
    return meter === undefined ? [] : [[id, meter] as const];
  });
  const ownKeys = ownMeters.flatMap(([, { kids }]) =>
    kids.flatMap((kid) => {
      const key = keys.get(kid);
      return key === undefined ? [] : [[kid, key] as const];
    }),
  );
  const register: HourRegister = {
    genesis: { origin: genesis.origin, rules: genesis.rules },
    plants: new Map([[plant, { spec: found.spec, meters: found.meters }]]),
    meters: new Map(ownMeters),
    keys: new Map(ownKeys),
  };
  return decodeUtf8(encodeKept(register));
}

/** Inverse of `registerText`: of our own making, and so believed. */
export function parseRegisterText(text: string): HourRegister {
  return decodeKept(utf8(text)) as HourRegister;
}
