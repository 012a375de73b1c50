// The numbers of the shipper: how far the store is behind, and whether that holds anything up.

import type { Shipper } from '../ship/shipper.ts';
import type { Metrics, Reading } from './metrics.ts';

export function registerShipMetrics(metrics: Metrics, shipper: Pick<Shipper, 'counters'>): void {
  const of = (read: (counters: Shipper['counters']) => Reading) => (): Reading =>
    read(shipper.counters);
  metrics.gauge(
    'trackseal_ship_unshipped_bytes',
    'Bytes of commits that the store does not have yet',
    of(({ unshippedBytes }) => unshippedBytes),
  );
  metrics.gauge(
    'trackseal_ship_max_unshipped_bytes',
    'Beyond it acknowledgements wait',
    of(({ maxUnshippedBytes }) => maxUnshippedBytes),
  );
  metrics.gauge(
    'trackseal_ship_epochs',
    'Epochs that the store does not have all of',
    of(({ epochs }) => epochs),
  );
  metrics.gauge(
    'trackseal_ship_held',
    '1 while acknowledgements wait for the store',
    of(({ isHeld }) => (isHeld ? 1 : 0)),
  );
  metrics.counter(
    'trackseal_ship_holds_total',
    'How often acknowledgements had to wait for the store',
    of(({ holds }) => holds),
  );
  metrics.counter(
    'trackseal_ship_held_seconds_total',
    'For how long acknowledgements waited for the store',
    of(({ heldMs }) => heldMs / 1000),
  );
  metrics.gauge(
    'trackseal_ship_store_up',
    '0 while the store is only tried now and then, after failures',
    of(({ circuit }) => (circuit === 'closed' ? 1 : 0)),
  );
  metrics.counter(
    'trackseal_ship_objects_total',
    'Objects that were written, or were there with the same bytes',
    of(({ objectsWritten, objectsSame }) => [
      [{ outcome: 'written' }, objectsWritten],
      [{ outcome: 'same' }, objectsSame],
    ]),
    ['outcome'],
  );
  metrics.counter(
    'trackseal_ship_bytes_total',
    'Bytes of objects that were written',
    of(({ bytesWritten }) => bytesWritten),
  );
  metrics.counter(
    'trackseal_ship_retries_total',
    'Calls that were tried again',
    of(({ retries }) => retries),
  );
  metrics.gauge(
    'trackseal_ship_findings',
    'Epochs whose shipping has stopped for good: the log says why',
    of(({ findings }) => findings),
  );
}
