// The numbers of the host and, as far as it reports them, of the enclave. docs/OPERATE.md lists them; a test
// compares. Those of an epoch begin again with the next one, which Prometheus takes for a restart.

import { collectDefaultMetrics } from 'prom-client';
import type { Egress } from '../egress/egress.ts';
import type { LiveEpoch } from '../epoch-services.ts';
import type { Ingress } from '../ingress.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Metrics, Reading } from './metrics.ts';

/** What is read at each scrape. */
export interface Measured {
  /** The running epoch, or the last one. */
  readonly live: LiveEpoch | null;
  readonly epochs: readonly { readonly closed: boolean }[];
  readonly enclaveCounters: Readonly<Record<string, number>>;
  readonly egress: Pick<Egress, 'counters'> | null;
  readonly ingress: Pick<Ingress, 'counters'> | null;
  readonly grpcIngress: Pick<Ingress, 'counters'> | null;
}

export function registerHostMetrics(metrics: Metrics, measured: Measured): void {
  collectDefaultMetrics({ register: metrics.registry });
  registerEpoch(metrics, measured);
  registerFeed(metrics, measured);
  registerStreams(metrics, measured);
}

function registerEpoch(metrics: Metrics, measured: Measured): void {
  const of = (read: (live: LiveEpoch) => Reading) => (): Reading =>
    measured.live === null ? null : read(measured.live);
  const ended = (closed: boolean): number =>
    measured.epochs.filter((epoch) => epoch.closed === closed).length;
  metrics.gauge(
    'trackseal_epoch',
    'Number of the running epoch',
    of(({ epoch }) => epoch),
  );
  metrics.gauge(
    'trackseal_enclave_ready',
    '1 while an enclave is ready and its log is open',
    of(({ ready }) => (ready ? 1 : 0)),
  );
  metrics.counter(
    'trackseal_epochs_ended_total',
    'Epochs that ended in this process, with a close leaf or without',
    () => [
      [{ end: 'closed' }, ended(true)],
      [{ end: 'unclean' }, ended(false)],
    ],
    ['end'],
  );
  metrics.gauge(
    'trackseal_log_acknowledged_leaves',
    'Leaves of the epoch that are durable and acknowledged',
    of(({ leaves }) => leaves),
  );
  metrics.gauge(
    'trackseal_outputs_unreleased',
    'Outputs that are logged and not released yet',
    of(({ unreleased }) => unreleased),
  );
  metrics.counter(
    'trackseal_spool_commits_total',
    'Commits in the spool',
    of(({ spool }) => spool.records),
  );
  metrics.counter(
    'trackseal_spool_bytes_total',
    'Bytes of the commits in the spool',
    of(({ spool }) => spool.bytes),
  );
  metrics.gauge(
    'trackseal_spool_kept_bytes',
    'What the spool takes on the disk',
    of(({ spool }) => spool.keptBytes),
  );
  metrics.counter(
    'trackseal_spool_syncs_total',
    'Groups of commits that were synced',
    of(({ spool }) => spool.groups),
  );
  metrics.counter(
    'trackseal_spool_sync_seconds_total',
    'Time spent in syncs of the spool',
    of(({ spool }) => spool.syncMs / 1000),
  );
  metrics.gauge(
    'trackseal_enclave_reported',
    'Counters of the enclave as it last reported them: its own word',
    () => Object.entries(measured.enclaveCounters).map(([counter, value]) => [{ counter }, value]),
    ['counter'],
  );
}

function registerFeed(metrics: Metrics, measured: Measured): void {
  const of = (read: (feed: NonNullable<LiveEpoch['feed']>) => Reading) => (): Reading => {
    const feed = measured.live?.feed ?? null;
    return feed === null ? null : read(feed);
  };
  metrics.counter(
    'trackseal_feed_events_total',
    'Market events that were sent to the enclave',
    of(({ events }) => events),
  );
  metrics.counter(
    'trackseal_feed_batches_total',
    'Batches by what became of them',
    of((feed) => [
      [{ result: 'sent' }, feed.batchesSent],
      [{ result: 'done' }, feed.batchesDone],
      [{ result: 'refused' }, feed.batchesRefused],
      [{ result: 'dropped' }, feed.batchesDropped],
    ]),
    ['result'],
  );
  metrics.counter(
    'trackseal_signals_total',
    'Signals that the enclave released',
    of(({ signals }) => signals),
  );
  metrics.counter(
    'trackseal_reports_total',
    'Reports that were sent back to the enclave',
    of(({ reports }) => reports),
  );
}

function registerStreams(metrics: Metrics, measured: Measured): void {
  const out = (read: (counters: Egress['counters']) => Reading) => (): Reading =>
    measured.egress === null ? null : read(measured.egress.counters);
  metrics.gauge(
    'trackseal_egress_connections',
    "The enclave's open connections",
    out(({ open }) => open),
  );
  metrics.counter(
    'trackseal_egress_connected_total',
    'Connections that were made for the enclave',
    out(({ connected }) => connected),
  );
  metrics.counter(
    'trackseal_egress_refused_total',
    'Connections that were refused or failed, by code',
    out(({ refused }) => [...refused].map(([code, count]) => [{ code }, count])),
    ['code'],
  );
  metrics.counter(
    'trackseal_egress_sent_bytes_total',
    'Bytes from the enclave',
    out(({ bytesOut }) => bytesOut),
  );
  metrics.counter(
    'trackseal_egress_received_bytes_total',
    'Bytes to the enclave',
    out(({ bytesIn }) => bytesIn),
  );
  registerIngress(metrics, 'ingress', 'clients', () => measured.ingress);
  registerIngress(metrics, 'grpc_ingress', 'gRPC clients', () => measured.grpcIngress);
}

function registerIngress(
  metrics: Metrics,
  name: string,
  whose: string,
  find: () => Measured['ingress'],
): void {
  const of = (read: (counters: Ingress['counters']) => Reading) => (): Reading => {
    const counters = find()?.counters;
    return counters === undefined ? null : read(counters);
  };
  metrics.gauge(
    `trackseal_${name}_connections`,
    `Open connections of ${whose}`,
    of(({ open }) => open),
  );
  metrics.counter(
    `trackseal_${name}_connections_total`,
    `Connections of ${whose} by what became of them`,
    of(({ accepted, refused, failed }) => [
      [{ result: 'accepted' }, accepted],
      [{ result: 'refused' }, refused],
      [{ result: 'failed' }, failed],
    ]),
    ['result'],
  );
}

/** Credentials and data keys. */
export function registerSecretMetrics(metrics: Metrics, { credentials, dataKeys }: Secrets): void {
  if (credentials !== null) {
    const { counters } = credentials;
    metrics.gauge(
      'trackseal_credentials_remaining_seconds',
      'Until the AWS credentials expire; below 0 when they have; absent when there never were any',
      () => (credentials.remainingMs === null ? null : credentials.remainingMs / 1000),
    );
    metrics.counter(
      'trackseal_credentials_asked_total',
      'How often the source of credentials was asked, by what came of it',
      () => [
        [{ result: 'fetched' }, counters.fetched],
        [{ result: 'failed' }, counters.failed],
      ],
      ['result'],
    );
    metrics.counter(
      'trackseal_credentials_pushed_total',
      'Credentials that were sent to an enclave',
      () => counters.pushed,
    );
  }
  if (dataKeys === null) return;
  metrics.gauge(
    'trackseal_data_key_version',
    'Newest version of a data key that is kept',
    () => {
      const newest = new Map<string, number>();
      for (const { name, version } of dataKeys.kept) {
        newest.set(name, Math.max(version, newest.get(name) ?? 0));
      }
      return [...newest].map(([name, version]) => [{ name }, version]);
    },
    ['name'],
  );
}
