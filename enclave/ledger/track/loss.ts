// Whether the store has all that the desk knows to be stored. A store that went back is refused, unless the configuration says
// that records go on without what was lost: then the chain says what that is, for ever. Without a database nothing outlives
// its ledger, and the chain of the next one goes on in the same way.

import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import type { ChainCheck } from '../../../wire/track/chain.ts';
import type { AccountTrackOptions } from './account-parts.ts';
import { trackAccountOf } from '../store/postgres-store.ts';
import type { Made } from './statements.ts';
import { StatementMaker } from './statements.ts';

type Parts = Pick<AccountTrackOptions, 'account' | 'services' | 'store'>;

/**
 * The revocation of what is lost, or nothing where nothing is. Refuses `store_rolled_back`: the store is behind what the desk was
 * told of it; `chain_fork`: it has another statement at that place.
 */
export function lossOf(
  chain: ChainCheck,
  { account, services, store }: Parts,
): Result<readonly Made[]> {
  const { head } = account;
  const { counter } = chain.head;
  if (head === null) return accept([]);
  if (counter >= head.counter) {
    const isSame = chain.agrees(head.counter, head.hash);
    return isSame ? accept([]) : refuse('chain_fork', { counter: head.counter });
  }
  const { persistent } = store;
  if (persistent && services.configuration.database?.accept_loss !== true) {
    return refuse('store_rolled_back', { counter, head: head.counter });
  }
  const maker = new StatementMaker(trackAccountOf(account), services.origin, head);
  const lost = { from: counter + 1, to: head.counter };
  maker.revocation(lost, persistent ? 'store_lost' : 'not_stored', services.nowMs());
  return accept(maker.made);
}

/** Nothing follows: the account was removed. */
export function endOf({ head }: ChainCheck, { account, services }: Parts): readonly Made[] {
  const maker = new StatementMaker(trackAccountOf(account), services.origin, head);
  maker.revocation(null, 'removed', services.nowMs());
  return maker.made;
}
