// Flows as a venue tells them one after the other, and as it tells them again when the book has forgotten their ids: what a
// store has to find new, whichever store it is.

import type { LedgerAccount } from '../../../../enclave/ledger/protocol.ts';
import type { TrackStore } from '../../../../enclave/ledger/store/contract.ts';
import type { Flow, FlowStatus } from '../../../../enclave/connector/records.ts';
import { assertAccepted } from '../../../../wire/result.ts';
import { transferOf } from '../../../helpers/records.ts';
import { STORED_POLL } from '../../../helpers/track-store.ts';
import { HOUR } from '../../../vectors/track.ts';

interface Told {
  readonly status: FlowStatus;
  readonly networkId?: string;
}

export interface ToldAgain {
  readonly name: string;
  readonly direction: Flow['direction'];
  readonly before: readonly Told[];
  readonly again: Told;
  readonly isNew: boolean;
}

const [pending, ok, failed, canceled]: readonly Told[] = [
  { status: 'pending' },
  { status: 'ok' },
  { status: 'failed' },
  { status: 'canceled' },
] as const;
const named: Told = { status: 'ok', networkId: 'tx' };

function of(
  direction: Flow['direction'],
  before: readonly (Told | undefined)[],
  again: Told | undefined,
  isNew: boolean,
): ToldAgain {
  const told = [...before, again].filter((one) => one !== undefined);
  const last = told.pop() ?? { status: 'ok' };
  const texts = [...told, last].map(({ status, networkId }) => status + (networkId ?? ''));
  return { name: `${direction}: ${texts.join(', ')}`, direction, before: told, again: last, isNew };
}

export const TOLD_AGAIN: readonly ToldAgain[] = [
  of('in', [pending], pending, false),
  of('in', [pending], ok, true),
  of('in', [pending], failed, false),
  of('in', [pending, ok], ok, false),
  of('in', [pending, ok], canceled, true),
  of('in', [pending, ok, canceled], canceled, false),
  of('in', [ok], named, false),
  of('in', [named], ok, false),
  // The book knows a flow by its id, whatever transaction it comes with.
  of('in', [named], { status: 'ok', networkId: 'two' }, false),
  of('in', [pending, ok], named, false),
  of('in', [pending, named], ok, false),
  of('in', [pending, named], canceled, true),
  of('in', [pending, named], { status: 'failed', networkId: 'two' }, true),
  of('in', [pending, { status: 'canceled', networkId: 'two' }], named, true),
  of('out', [pending], ok, false),
  of('out', [pending], named, false),
  of('out', [pending], failed, true),
  of('out', [pending, ok], failed, true),
  of('out', [pending, ok, failed], failed, false),
  of('out', [pending, failed], ok, true),
  of('out', [pending, named], failed, true),
  of('out', [pending, { status: 'failed', networkId: 'two' }], named, true),
  // Names have no order: what was told both ways and now in a third word is looked at once more.
  of('out', [pending, failed], canceled, true),
];

/** Whether the store finds the last of them new, after it has stored those before it. */
export async function findsNew(
  store: TrackStore,
  account: LedgerAccount,
  { direction, before, again }: ToldAgain,
): Promise<boolean> {
  const type = direction === 'in' ? 'deposit' : 'withdrawal';
  const facts = {
    id: 'f',
    currency: 'USDT',
    amount: '500',
    timeMs: HOUR,
    type,
    direction,
  } as const;
  let count = 0;
  for (const told of before) {
    const records = [transferOf({ ...facts, ...told })];
    count = assertAccepted(await store.savePoll(account, STORED_POLL, records, count));
  }
  const found = await store.unstored(account, [transferOf({ ...facts, ...again })]);
  return assertAccepted(found).length === 1;
}
