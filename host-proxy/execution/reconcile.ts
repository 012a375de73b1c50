// After a crash: an output that was released and on which nothing was decided never became an order. The
// journal gets a record that says so, before the list of released outputs is removed. Done again it
// changes nothing. Refuses `spool_corrupt` when journal and log have not seen the same: something was
// decided on that is not in the log, or the log has a report on what the journal does not know.

import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { BrokenEpoch } from '../settle.ts';
import type { JournalPlace } from './journal.ts';
import { findJournal, nextJournal } from './journal.ts';

/** Rejects with a DiskFailure. */
export async function reconcile(
  place: JournalPlace,
  { origin, from, outputs, reported, released }: BrokenEpoch,
): Promise<Result<null>> {
  const decided = new Set<number>();
  const found = await findJournal(place, (record) => {
    if (record.type === 'decision' && record.origin === origin) decided.add(record.leaf);
  });
  if (!found.ok) return found;
  const { state } = found.value;
  for (const leaf of decided) {
    if (leaf >= from && !outputs.has(leaf))
      return refuse('spool_corrupt', { origin, decided_leaf: leaf });
  }
  if (state.reconciled === origin) return accept(null);
  for (const leaf of reported) {
    if (!decided.has(leaf)) return refuse('spool_corrupt', { origin, reported_leaf: leaf });
  }
  const undecided = [...released].filter((leaf) => !decided.has(leaf)).sort((a, b) => a - b);
  if (undecided.length === 0) return accept(null);
  for (const leaf of undecided) {
    const id = outputs.get(leaf);
    if (id === undefined) return refuse('spool_corrupt', { origin, released_leaf: leaf });
    state.add({ type: 'missed', origin, leaf, id });
  }
  state.reconciled = origin;
  const journal = await nextJournal(place, found.value);
  await journal.close();
  return accept(null);
}
