import { Refused } from '../../errors.ts';
import { parsePublicJwk } from '../../keys.ts';
import type { EntryRef } from '../entry.ts';
import type { Item } from '../specs/parts.ts';
import type { AcceptState, OfferState } from '../state/tables.ts';
import { accountOf, accountSigns, requireUnusedKey, type Place, type Rule } from './rule.ts';
import { changeItems, heldBy, judged, refuseState } from './units.ts';
import { requireEach, requireOwnActive, stateAt, timedState, type Held } from './units.ts';

/** The rules of certificates that change hands (D4.4). Every action is signed by the account that acts. */

function offerAt({ state }: Place, { index, leafHash }: EntryRef): OfferState {
  const found = state.tables.offers.get(index);
  if (found?.leafHash !== leafHash) throw new Refused('offer', `entry ${index} is no such offer`);
  return found;
}

function acceptAt({ state }: Place, { index, leafHash }: EntryRef): AcceptState {
  const found = state.tables.accepts.get(index);
  if (found?.leafHash !== leafHash) {
    throw new Refused('accept', `entry ${index} reserved nothing as such an accept`);
  }
  return found;
}

function requireUnfrozen(place: Place, account: string): void {
  if (accountOf(place, account).frozen) throw new Refused('frozen', `${account} is frozen`);
}

function requireInTime({ time }: Place, payBy: number | undefined): void {
  if (payBy !== undefined && time > payBy) throw new Refused('pay-by', 'the time to pay is over');
}

export const offer: Rule<'offer'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    const { account, counterparty, terms } = spec;
    const { state, ref } = place;
    requireUnfrozen(place, account);
    if (counterparty === account) throw new Refused('counterparty', 'an offer to oneself');
    // A file need not show who never acted.
    const mustKnow = counterparty !== undefined && !state.partial;
    if (mustKnow && !state.accounts.has(counterparty)) {
      throw new Refused('counterparty', `no account ${counterparty}`);
    }
    requireInTime(place, terms?.payBy);
    if (terms?.payKey !== undefined) requireUnusedKey(place, parsePublicJwk(terms.payKey));
    const items = judged(spec.items, place);
    requireOwnActive(items, account, place);
    const change = changeItems(items, place, { state: 'offered', basis: ref.index });
    return (tell) => {
      const { leafHash } = ref;
      state.tables.offers.set(ref.index, {
        ...{ leafHash, account, items: spec.items },
        ...(counterparty !== undefined && { counterparty }),
        ...(terms !== undefined && { terms }),
      });
      change(tell);
    };
  },
};

export const accept: Rule<'accept'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    const { account } = spec;
    const { state, ref } = place;
    requireUnfrozen(place, account);
    const offered = offerAt(place, spec.offer);
    if (account === offered.account || (offered.counterparty ?? account) !== account) {
      throw new Refused('counterparty', `not offered to ${account}`);
    }
    requireUnfrozen(place, offered.account);
    requireInTime(place, offered.terms?.payBy);
    const items = judged(spec.items, place);
    requireEach(items, place, (held) => {
      const now = stateAt(held, place);
      if (now !== 'offered') refuseState(held, now);
      if (held.piece.basis !== spec.offer.index) refuseState(held, 'offered otherwise');
    });
    if (offered.terms === undefined) {
      return changeItems(items, place, { owner: account, state: 'active' });
    }
    const { payBy } = offered.terms;
    const change = changeItems(items, place, { state: 'reserved', basis: ref.index });
    return (tell) => {
      const { leafHash } = ref;
      const accepted = { leafHash, account, offer: spec.offer.index, items: spec.items, payBy };
      state.tables.accepts.set(ref.index, accepted);
      change(tell);
    };
  },
};

/** The offer that a piece rests on, as long as its time is not over. */
function basisOf(
  { piece }: Held,
  place: Place,
): { offer: number; reservedBy?: string } | undefined {
  const state = timedState(piece, place);
  if (piece.basis === undefined) return undefined;
  if (state === 'offered') return { offer: piece.basis };
  if (state !== 'reserved') return undefined;
  const accepted = place.state.tables.accepts.get(piece.basis);
  return accepted && { offer: accepted.offer, reservedBy: accepted.account };
}

/** Expiry takes nothing from this: what has expired is given back too, and is expired then. */
export const refuse: Rule<'refuse'> = {
  signers: (spec, place) => [accountSigns(place, spec.account)],
  plan(spec, place) {
    const { account } = spec;
    const offered = offerAt(place, spec.offer);
    const isParty = account === offered.account || account === offered.counterparty;
    const mayRefuse = (held: Held): boolean => {
      const basis = basisOf(held, place);
      if (basis?.offer !== spec.offer.index) return false;
      return basis.reservedBy === undefined ? isParty : basis.reservedBy === account;
    };
    const items =
      spec.items === undefined
        ? itemsLeft(offered.items, place, mayRefuse)
        : judged(spec.items, place);
    requireEach(items, place, (held) => {
      if (!mayRefuse(held)) refuseState(held, `${stateAt(held, place)}, and not for it to refuse`);
    });
    return changeItems(items, place, { state: 'active' });
  },
};

export const settle: Rule<'settle'> = {
  signers(spec, place) {
    const { key } = accountSigns(place, spec.account);
    const accepted = acceptAt(place, spec.accept);
    const payKey = place.state.tables.offers.get(accepted.offer)?.terms?.payKey;
    return [{ anyOf: payKey === undefined ? [key] : [key, parsePublicJwk(payKey)] }];
  },
  plan(spec, place) {
    const accepted = acceptAt(place, spec.accept);
    const seller = place.state.tables.offers.get(accepted.offer)?.account;
    if (spec.account !== seller) throw new Refused('owner', `${spec.account} sold none of it`);
    requireUnfrozen(place, spec.account);
    requireInTime(place, accepted.payBy);
    const isReserved = ({ piece }: Held): boolean =>
      piece.state === 'reserved' && piece.basis === spec.accept.index;
    const items =
      spec.items === undefined
        ? itemsLeft(accepted.items, place, isReserved)
        : judged(spec.items, place);
    requireEach(items, place, (held) => {
      if (!isReserved(held)) refuseState(held, `${stateAt(held, place)}, and not so reserved`);
    });
    return changeItems(items, place, { owner: accepted.account, state: 'active' });
  },
};

/** What of the items still is as `isLeft` asks. Refused('items') where nothing is. */
function itemsLeft(
  items: readonly Item[],
  place: Place,
  isLeft: (held: Held) => boolean,
): readonly Item[] {
  const left = judged(items, place).flatMap((item) =>
    heldBy(item, place).flatMap((held) => {
      const { series, piece } = held;
      return isLeft(held) ? [{ series, from: piece.from, to: piece.to }] : [];
    }),
  );
  if (left.length === 0 && !place.state.partial)
    throw new Refused('items', 'nothing of it is left');
  return left;
}
