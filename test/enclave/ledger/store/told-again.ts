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
  readonly amount?: string;
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
const four: Told = { status: 'pending', amount: '4' };

function of(
  direction: Flow['direction'],
  before: readonly (Told | undefined)[],
  again: Told | undefined,
  isNew: boolean,
): ToldAgain {
  const told = [...before, again].filter((one) => one !== undefined);
  const last = told.pop() ?? { status: 'ok' };
  const texts = [...told, last].map((said) => Object.values(said).join(' '));
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
  // What was told last counts, whichever way it was told before.
  of('out', [pending, failed], canceled, false),
  of('in', [ok, canceled], named, true),
  of('in', [ok, canceled, named], named, false),
  of('in', [pending, ok, canceled], named, true),
  of('in', [failed, ok], named, false),
  of('in', [failed, ok], { status: 'failed', networkId: 'two' }, true),
  of('out', [ok, failed], named, true),
  of('out', [ok, failed], canceled, false),
  // What is through stays as it was told then, but for a deposit that is on its way again.
  of('out', [four, ok, { ...four, networkId: 'tx' }], named, false),
  of('out', [ok], four, false),
  of('out', [ok, failed], four, true),
  of('out', [ok, failed, four], named, true),
  of('in', [ok, { ...four, networkId: 'tx' }], named, true),
  // A name is stored once: in the very same words as before it turned back, it is known.
  of('in', [ok, canceled], ok, false),
  of('in', [failed, ok], failed, false),
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
  return assertAccepted(found).size === 1;
}

/** The words of a withdrawal that turned back and was through after all, as they are stored; and which were new then. */
const SAID = ['pending', 'ok', 'failed', 'canceled', 'ok tx'] as const;
export const SAID_NEW: readonly string[] = ['pending', 'failed', 'ok tx'];

/** Which of them the store finds new then, when all of them are stored. */
export async function findsSaid(
  store: TrackStore,
  account: LedgerAccount,
): Promise<readonly string[]> {
  const facts = { id: 'f', currency: 'USDT', amount: '500', timeMs: HOUR } as const;
  const flows = SAID.map((words) => {
    const told = words === 'ok tx' ? named : { status: words };
    return transferOf({ ...facts, type: 'withdrawal', direction: 'out', ...told });
  });
  assertAccepted(await store.savePoll(account, STORED_POLL, flows, 0));
  const found = assertAccepted(await store.unstored(account, flows, true));
  return SAID.filter((_, at) => [...found.keys()].some((flow) => flow === flows[at]));
}
