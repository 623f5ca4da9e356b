import { issuers, type Rule } from './rule.ts';
import { changeItems, judged, refuseState, requireEach } from './units.ts';

/** Units that the issuing body holds fast, and lets go as they were (D4.4). */

export const lock: Rule<'lock'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const items = judged(spec.items, place);
    requireEach(items, place, (held) => {
      const { state } = held.piece;
      if (state === 'locked' || state === 'withdrawn') refuseState(held, state);
    });
    return changeItems(items, place, { state: 'locked' });
  },
};

export const unlock: Rule<'unlock'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const items = judged(spec.items, place);
    requireEach(items, place, (held) => {
      if (held.piece.state !== 'locked') refuseState(held, held.piece.state);
    });
    return changeItems(items, place, { unlock: true });
  },
};
