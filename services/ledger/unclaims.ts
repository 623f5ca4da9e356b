import type { Logger } from '#platform/logger.ts';
import type { Sequencer } from './sequence.ts';

/**
 * Enters the `unclaim` entries that corrections of consumption have made due (D4.4). The fold knows them,
 * and which of the claims have to go is decided in the sequencer's turn, by the state of that moment.
 */
export interface Unclaims {
  /** Resolves to how many entries it made; at most `unclaimsPerStep`, the rest comes with the next step. */
  readonly enter: () => Promise<number>;
}

export interface UnclaimLimits {
  readonly unclaimsPerStep: number;
}

export function createUnclaims({
  sequencer,
  logger,
  limits,
}: {
  readonly sequencer: Pick<Sequencer, 'sequence' | 'state'>;
  readonly logger: Logger;
  readonly limits: UnclaimLimits;
}): Unclaims {
  return {
    async enter() {
      const { genesis, overclaimed } = await sequencer.state();
      const isInForce = genesis?.rules.kinds.includes('unclaim') === true;
      if (!isInForce || genesis.closed !== undefined || overclaimed.size === 0) return 0;
      const due = [...overclaimed.values()].slice(0, limits.unclaimsPerStep);
      const outcomes = await sequencer.sequence(
        due.map(({ point, hour }) => ({ type: 'unclaim', point, hour })),
      );
      // Somebody else may have entered it meanwhile, or another correction made room.
      const refused = outcomes.filter(({ result }) => result === 'refused');
      if (refused.length > 0) logger.warn({ refused }, 'an unclaim was not entered');
      return outcomes.length - refused.length;
    },
  };
}
