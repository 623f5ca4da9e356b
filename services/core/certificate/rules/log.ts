import { Refused } from '../../errors.ts';
import { parsePublicJwk, publicKeyOfRaw, type PublicKey } from '../../keys.ts';
import { ed25519Type, parseVkey, type VerifierKey } from '../../tlog/note.ts';
import { parsePolicy } from '../../tlog/policy.ts';
import type { Rules } from '../specs/log.ts';
import { logKeysAt, type HeldPolicy } from '../state/state.ts';
import { genesisOf, issuers, requireUnusedKey, type Place, type Rule } from './rule.ts';

/** The rules of the log itself: how it begins, and which thresholds are in force (D3.3). */

export const genesis: Rule<'genesis'> = {
  // The issuing body signs its own appointment: `advance` checks against the keys named here, so
  // that a threshold above their number cannot be met in the first place.
  signers: () => [issuers],
  plan(spec, { state, ref, time }) {
    if (ref.index !== 0) throw new Refused('genesis', 'a log has one genesis, at index 0');
    const keys = spec.issuers.keys.map((jwk) => parsePublicJwk(jwk));
    const ingestionKey = parsePublicJwk(spec.ingestionKey);
    const logKey = logKeyOf(spec);
    const all = [...keys, ingestionKey, logKey];
    if (new Set(all.map(({ kid }) => kid)).size !== all.length) {
      throw new Refused('key-used', 'one key for two purposes, or the same issuing key twice');
    }
    requireGenesisKind(spec.rules.kinds);
    requireOneRegime(spec.rules);
    const { policy: text, origin } = spec;
    const { index } = ref;
    const used = new Set(all.map(({ kid }) => kid));
    const policies =
      text === undefined ? [] : [policyOf(text, { origin, logKeys: [logKey], used, index })];
    return () => {
      state.genesis = {
        spec,
        origin,
        time,
        issuers: keys,
        threshold: spec.issuers.threshold,
        rules: spec.rules,
        logKeys: [{ key: logKey, index, previousUntilS: undefined }],
        ingestionKeys: [{ key: ingestionKey, index, previousUntilS: undefined }],
        policies,
        closed: undefined,
        entries: [],
      };
      for (const { kid } of all) state.usedKeys.add(kid);
    };
  },
};

/** The log's checkpoints are signed under its origin (D3.4), so its key bears that name. */
function logKeyOf({ logKey, origin }: { logKey: string; origin: string }): PublicKey {
  const { name, type, publicKey } = parseVkey(logKey);
  if (name !== origin || type !== ed25519Type) {
    throw new Refused('vkey', `not a log key of ${origin}`);
  }
  return publicKeyOfRaw('Ed25519', publicKey);
}

interface PolicyPlace {
  readonly origin: string;
  /** The keys that sign the log's checkpoints where the policy is entered. */
  readonly logKeys: readonly PublicKey[];
  /** Thumbprints of all keys of the log but those of witnesses. */
  readonly used: ReadonlySet<string>;
  readonly index: number;
}

/**
 * Refused('policy') unless it is one for this log, by a key that signs its checkpoints; 'key-used'
 * where a witness has a key that serves here for something else (D2): the log cannot witness itself.
 */
function policyOf(text: string, { origin, logKeys, used, index }: PolicyPlace): HeldPolicy {
  const policy = parsePolicy(text);
  const kids = new Set(logKeys.map(({ kid }) => kid));
  const isOurs = policy.logs.some(({ key }) => key.name === origin && kids.has(kidOf(key)));
  if (!isOurs) throw new Refused('policy', `it names no key of the log ${origin}`);
  const witnessKids = new Set(policy.witnesses.map(({ key }) => kidOf(key)));
  for (const kid of witnessKids) {
    if (used.has(kid)) throw new Refused('key-used', `a witness has the key ${kid} of this log`);
  }
  return { policy, text, witnessKids, index };
}

function kidOf({ publicKey }: Pick<VerifierKey, 'publicKey'>): string {
  return publicKeyOfRaw('Ed25519', publicKey).kid;
}

export const policy: Rule<'policy'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const held = genesisOf(place);
    const { index } = place.ref;
    const logKeys = logKeysAt(held, { size: index, time: place.time }).map(({ key }) => key);
    const used = place.state.usedKeys;
    const parsed = policyOf(spec.policy, { origin: held.origin, logKeys, used, index });
    return () => {
      held.policies = [...held.policies, parsed];
    };
  },
};

export const logKey: Rule<'log-key'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const held = genesisOf(place);
    const key = logKeyOf({ logKey: spec.logKey, origin: held.origin });
    requireUnusedKey(place, key);
    const { index } = place.ref;
    const { previousUntil } = spec;
    return () => {
      held.logKeys = [...held.logKeys, { key, index, previousUntilS: previousUntil }];
      place.state.usedKeys.add(key.kid);
    };
  },
};

export const ingestionKey: Rule<'ingestion-key'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const held = genesisOf(place);
    const key = parsePublicJwk(spec.jwk);
    requireUnusedKey(place, key);
    const { index } = place.ref;
    const { previousUntil } = spec;
    return () => {
      held.ingestionKeys = [...held.ingestionKeys, { key, index, previousUntilS: previousUntil }];
      place.state.usedKeys.add(key.kid);
    };
  },
};

export const issuerKey: Rule<'issuer-key'> = {
  signers: ({ add }) => (add === undefined ? [issuers] : [issuers, { key: parsePublicJwk(add) }]),
  plan(spec, place) {
    const held = genesisOf(place);
    const added = spec.add === undefined ? [] : [parsePublicJwk(spec.add)];
    for (const key of added) requireUnusedKey(place, key);
    const left = held.issuers.filter(({ kid }) => kid !== spec.remove);
    if (spec.remove !== undefined && left.length === held.issuers.length) {
      throw new Refused('key', 'the key to remove is not one of the issuing body');
    }
    const keys = [...left, ...added];
    if (keys.length > issuerKeysLimit || spec.threshold > keys.length) {
      throw new Refused('threshold', `${spec.threshold} of ${keys.length} keys`);
    }
    return () => {
      held.issuers = keys;
      held.threshold = spec.threshold;
      for (const { kid } of added) place.state.usedKeys.add(kid);
    };
  },
};

/** As many as `genesis` can name. */
const issuerKeysLimit = 16;

export const logClose: Rule<'log-close'> = {
  signers: () => [issuers],
  plan(_spec, place: Place) {
    const held = genesisOf(place);
    return () => {
      held.closed = place.ref;
    };
  },
};

/** Without `rules` and `void` in force a mistake could never be put right. */
function requireGenesisKind(kinds: readonly string[]): void {
  for (const needed of ['rules', 'void']) {
    if (!kinds.includes(needed)) throw new Refused('rules', `the kind ${needed} must be in force`);
  }
}

/** A plant's emissions are known in one way (D4.6). */
function requireOneRegime({ emissions = [] }: Pick<Rules, 'emissions'>): void {
  if (new Set(emissions.map(({ plant }) => plant)).size !== emissions.length) {
    throw new Refused('rules', 'the emissions of one plant in two ways');
  }
}

export const rules: Rule<'rules'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const current = genesisOf(place);
    if (spec.version <= current.rules.version) {
      throw new Refused(
        'rules',
        `version ${spec.version} does not follow ${current.rules.version}`,
      );
    }
    requireGenesisKind(spec.kinds);
    requireOneRegime(spec);
    const { nonce: _nonce, notAfter: _notAfter, ...body } = spec;
    return () => {
      current.rules = body; // In force from the next index on (D3.3).
    };
  },
};
