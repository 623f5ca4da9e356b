import { Refused } from '../../errors.ts';
import { accountOf, accountSigns, type Rule } from './rule.ts';
import { changeItems, judged, requireOwnActive } from './units.ts';

/** The end of a certificate (D4.4). Every action is signed by the account that acts. */

export const cancel: Rule<'cancel'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    if (accountOf(place, spec.account).frozen) throw new Refused('frozen', 'a frozen account');
    if (spec.period.to < spec.period.from) throw new Refused('range', 'an empty period');
    const items = judged(spec.items, place);
    requireOwnActive(items, spec.account, place);
    return changeItems(items, place, { state: 'cancelled' });
  },
};
