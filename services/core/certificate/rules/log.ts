import { Refused } from '../../errors.ts';
import { jwkOfRaw, parsePublicJwk, type PublicKey } from '../../keys.ts';
import { ed25519Type, parseVkey } from '../../tlog/note.ts';
import type { SpecOf } from '../kinds.ts';
import { genesisOf, issuers, type Rule } from './rule.ts';

/** The rules of the log itself: how it begins, and which thresholds are in force (D3.3). */

export const genesis: Rule<'genesis'> = {
  // The issuing body signs its own appointment: `advance` checks against the keys named here, so
  // that a threshold above their number cannot be met in the first place.
  signers: () => [issuers],
  plan(spec, { state, ref }) {
    if (ref.index !== 0) throw new Refused('genesis', 'a log has one genesis, at index 0');
    const keys = spec.issuers.keys.map((jwk) => parsePublicJwk(jwk));
    const all = [...keys, parsePublicJwk(spec.ingestionKey), logKeyOf(spec)];
    if (new Set(all.map(({ kid }) => kid)).size !== all.length) {
      throw new Refused('key-used', 'one key for two purposes, or the same issuing key twice');
    }
    requireGenesisKind(spec.rules.kinds);
    return () => {
      state.genesis = {
        spec,
        origin: spec.origin,
        issuers: keys,
        threshold: spec.issuers.threshold,
        rules: spec.rules,
        entries: [],
      };
      for (const { kid } of all) state.usedKeys.add(kid);
    };
  },
};

/** The log's checkpoints are signed under its origin (D3.4), so its key bears that name. */
function logKeyOf({ logKey, origin }: SpecOf<'genesis'>): PublicKey {
  const { name, type, publicKey } = parseVkey(logKey);
  if (name !== origin || type !== ed25519Type) {
    throw new Refused('vkey', `not a log key of ${origin}`);
  }
  return parsePublicJwk(jwkOfRaw('Ed25519', publicKey));
}

/** Without `rules` and `void` in force a mistake could never be put right. */
function requireGenesisKind(kinds: readonly string[]): void {
  for (const needed of ['rules', 'void']) {
    if (!kinds.includes(needed)) throw new Refused('rules', `the kind ${needed} must be in force`);
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
    const { nonce: _nonce, notAfter: _notAfter, ...body } = spec;
    return () => {
      current.rules = body; // In force from the next index on (D3.3).
    };
  },
};
