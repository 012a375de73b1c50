// The numbers of the database that the host brings along.

import type { FrontCounters } from '../database/front.ts';
import type { Metrics } from './metrics.ts';

export function registerDatabaseMetrics(
  metrics: Metrics,
  database: { readonly counters: FrontCounters },
): void {
  metrics.gauge(
    'trackseal_database_connections',
    'Open connections to the database that the host brings along',
    () => database.counters.open,
  );
  metrics.counter(
    'trackseal_database_connections_total',
    'Connections to it by what became of them',
    () => [
      [{ result: 'admitted' }, database.counters.admitted],
      [{ result: 'refused' }, database.counters.refused],
    ],
    ['result'],
  );
  metrics.gauge(
    'trackseal_database_waiting',
    'Transactions that wait for their turn at the engine',
    () => database.counters.waiting,
  );
  metrics.counter(
    'trackseal_database_engine_lost_total',
    'How often the engine ended by itself, or was ended with a statement that took too long',
    () => database.counters.engineLost,
  );
}
