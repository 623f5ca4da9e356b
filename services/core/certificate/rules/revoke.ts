import type { Item } from '../specs/parts.ts';
import { quantity } from '../state/series.ts';
import { seriesOfPlant, type LogState, type PlantState } from '../state/state.ts';
import { issuers, type Place, type Rule } from './rule.ts';
import { changeItems, heldBy, judged, refuseState, requireEach } from './units.ts';

/**
 * What the issuing body takes away (D4.3, D4.4). After every entry, per plant: issued - withdrawn -
 * deficit = certified - revoked, and the deficit is never above the units that are left (issued -
 * withdrawn). So what is withdrawn pays the deficit first: it is the very surplus that the plant owes.
 * The rest is revoked: of its own hour, as far as that is certified, so that a later decrease of the hour
 * finds it gone already; beyond that it is spare. Spare energy is that of hours whose certificates were
 * netted for units that are now gone, and it stands in for what a later decrease would have to owe.
 */

export const withdraw: Rule<'withdraw'> = {
  signers: () => [issuers],
  plan(spec, place) {
    const items = judged(spec.items, place);
    requireEach(items, place, (held) => {
      if (held.piece.state === 'withdrawn') refuseState(held, 'withdrawn');
    });
    const change = changeItems(items, place, { state: 'withdrawn' });
    return (tell) => {
      change(tell);
      for (const item of items) revoke(item, place);
    };
  },
};

function revoke(item: Item, place: Place): void {
  const plant = plantOfSeries(place.state, item.series);
  if (plant === undefined) return;
  for (const { issued, piece } of heldBy(item, place)) {
    const takenWh = quantity(piece);
    const paidWh = Math.min(takenWh, plant.deficitWh);
    plant.withdrawnWh += takenWh;
    plant.deficitWh -= paidWh;
    plant.revokedWh += takenWh - paidWh;
    plant.spareWh += revokeHour(plant, issued.hourStart, takenWh - paidWh);
  }
}

/** Returns what the hour has no certified energy for. */
function revokeHour({ hours }: PlantState, start: number, amountWh: number): number {
  const hour = hours.get(start);
  if (hour === undefined || amountWh === 0) return amountWh;
  const ownWh = Math.min(amountWh, hour.certifiedWh - hour.revokedWh);
  hours.set(start, { ...hour, revokedWh: hour.revokedWh + ownWh });
  return amountWh - ownWh;
}

function plantOfSeries({ plants }: LogState, series: string): PlantState | undefined {
  const plant = series.slice(seriesOfPlant('').length);
  return plants.get(plant);
}
