// What is stored of an account, and its book. A state that does not read, of another version, is made again
// from all records.

import type { Result } from '../../../wire/result.ts';
import { accept } from '../../../wire/result.ts';
import type { LoadedAccount, StoredState } from '../store/contract.ts';
import type { AccountTrackOptions, TrackBook } from './account-parts.ts';
import type { TrackState } from './track-state.ts';
import { parseTrackState } from './track-state.ts';

export interface OpenedAccount {
  readonly loaded: LoadedAccount;
  /** Null: there is none. */
  readonly state: TrackState | null;
  readonly book: TrackBook;
}

type Opened = Pick<OpenedAccount, 'state' | 'book'>;
type Options = Pick<AccountTrackOptions, 'account' | 'books' | 'store' | 'counters'>;

function openedOf({ account, books }: Options, stored: StoredState | null): Opened | null {
  if (stored === null) return { state: null, book: books.open(account) };
  const state = parseTrackState(stored.bytes);
  if (state === null) return null;
  // Before the first observation it has no book.
  const book = state.book.length === 0 ? books.open(account) : books.parse(state.book, account);
  return book === null ? null : { state, book };
}

/** Refuses what `load` does; `insist` asks it again. */
export async function loadAccount(
  options: Options,
  insist: <T>(work: () => Promise<Result<T>>) => Promise<Result<T>>,
): Promise<Result<OpenedAccount>> {
  const { account, books, store, counters } = options;
  const loaded = await insist(() => store.load(account));
  if (!loaded.ok) return loaded;
  const opened = openedOf(options, loaded.value.state);
  if (opened !== null) return accept({ loaded: loaded.value, ...opened });
  counters['states_unread'] = (counters['states_unread'] ?? 0) + 1;
  const all = await insist(() => store.load(account, true));
  return all.ok ? accept({ loaded: all.value, state: null, book: books.open(account) }) : all;
}
