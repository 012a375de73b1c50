// The numbers of a live feed, by stream of the configuration and venue.

import type { LiveStats } from '../feed/live.ts';
import type { Metrics, Reading } from './metrics.ts';

const LABELS: readonly string[] = ['stream', 'venue'];

export function registerLiveMetrics(
  metrics: Metrics,
  live: { readonly stats: readonly LiveStats[] },
): void {
  const of = (read: (stats: LiveStats) => number) => (): Reading =>
    live.stats.map((stats) => [labelsOf(stats), read(stats)]);
  const counter = (
    name: string,
    help: string,
    read: (counters: LiveStats['counters']) => number,
  ): void => {
    metrics.counter(
      name,
      help,
      of(({ counters }) => read(counters)),
      LABELS,
    );
  };
  counter('trackseal_live_messages_total', 'Messages of the venue', ({ messages }) => messages);
  counter(
    'trackseal_live_refused_total',
    'Messages and snapshots that could not be read, or in which the venue refuses something',
    ({ refused }) => refused,
  );
  counter(
    'trackseal_live_connected_total',
    'Connections that were made',
    ({ connected }) => connected,
  );
  counter(
    'trackseal_live_connects_failed_total',
    'Connections that could not be made',
    ({ connectsFailed }) => connectsFailed,
  );
  counter(
    'trackseal_live_lost_total',
    'Connections that ended by themselves, silent ones included',
    ({ lost }) => lost,
  );
  counter(
    'trackseal_live_gaps_total',
    'Gaps that were declared because a connection was lost',
    ({ gaps }) => gaps,
  );
  counter(
    'trackseal_live_books_lost_total',
    "Books that ended because the venue's ids did not follow one another",
    ({ booksLost }) => booksLost,
  );
  counter(
    'trackseal_live_snapshots_total',
    'Snapshots of books that came',
    ({ snapshots }) => snapshots,
  );
  counter(
    'trackseal_live_snapshots_failed_total',
    'Requests for a snapshot that failed',
    ({ snapshotsFailed }) => snapshotsFailed,
  );
  metrics.gauge(
    'trackseal_live_books',
    'Instruments that have a book now',
    of(({ books }) => books),
    LABELS,
  );
}

function labelsOf({ stream, venue }: LiveStats): Readonly<Record<string, string>> {
  return { stream: String(stream), venue };
}
