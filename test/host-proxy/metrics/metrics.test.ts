import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CredentialsFeed } from '../../../host-proxy/credentials/credentials-feed.ts';
import type { Measured } from '../../../host-proxy/metrics/host-metrics.ts';
import {
  registerHostMetrics,
  registerSecretMetrics,
} from '../../../host-proxy/metrics/host-metrics.ts';
import type { LiveStats } from '../../../host-proxy/feed/live.ts';
import { registerDatabaseMetrics } from '../../../host-proxy/metrics/database-metrics.ts';
import { registerLiveMetrics } from '../../../host-proxy/metrics/live-metrics.ts';
import { Metrics } from '../../../host-proxy/metrics/metrics.ts';
import { MetricsServer } from '../../../host-proxy/metrics/metrics-server.ts';
import { registerShipMetrics } from '../../../host-proxy/metrics/ship-metrics.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import type { DataKeyStore } from '../../../host-proxy/secrets/data-key-store.ts';
import type { ShipCounters } from '../../../host-proxy/ship/shipper.ts';
import { ROOT } from '../../../scripts/bundle.ts';

const DATABASE = { open: 3, admitted: 9, refused: 2, waiting: 1, engineLost: 4 };

type Writable<T> = { -readonly [K in keyof T]: T[K] };

const SHIP: ShipCounters = {
  circuit: 'open',
  epochs: 2,
  unshippedBytes: 1000,
  maxUnshippedBytes: 4000,
  isHeld: true,
  holds: 3,
  heldMs: 1500,
  objectsWritten: 10,
  bytesWritten: 5000,
  objectsSame: 1,
  retries: 7,
  findings: 0,
};

const LIVE: LiveStats = {
  stream: 3,
  venue: 'binance-spot',
  books: 2,
  counters: {
    messages: 40,
    events: 90,
    batches: 8,
    refused: 1,
    snapshots: 4,
    snapshotsAsked: 5,
    booksLost: 6,
    gaps: 7,
    connected: 11,
    connectsFailed: 12,
    lost: 13,
    silent: 14,
    snapshotsFailed: 15,
  },
};

function measuredOf(): Writable<Measured> {
  return {
    live: {
      epoch: 7,
      ready: true,
      leaves: 100,
      unreleased: 2,
      feed: {
        events: 50,
        batchesSent: 5,
        batchesDone: 4,
        batchesRefused: 0,
        batchesDropped: 1,
        gapsDeclared: 1,
        signals: 3,
        reports: 6,
      },
      spool: {
        records: 9,
        groups: 8,
        bytes: 12_345,
        segments: 1,
        writeMs: 1,
        syncMs: 250,
        dropped: 2,
        keptBytes: 4096,
      },
    },
    epochs: [{ closed: true }, { closed: false }, { closed: true }],
    enclaveCounters: { leaves: 99, commits_in_flight: 1 },
    egress: {
      counters: {
        accepted: 3,
        open: 1,
        connected: 2,
        bytesOut: 100,
        bytesIn: 200,
        refused: new Map([['egress_refused', 1]]),
      },
    },
    ingress: {
      counters: { accepted: 4, refused: 1, open: 2, failed: 0, bytesIn: 0, bytesOut: 0 },
    },
    grpcIngress: {
      counters: { accepted: 7, refused: 2, open: 3, failed: 1, bytesIn: 0, bytesOut: 0 },
    },
  };
}

async function credentialsFeed(): Promise<CredentialsFeed> {
  const credentials = {
    accessKeyId: 'ASIASECRETID',
    secretAccessKey: 'secret',
    sessionToken: 'token',
    expiresMs: 61_000,
  };
  const feed = new CredentialsFeed({
    source: () => Promise.resolve({ ok: true, credentials }),
    refreshBeforeMs: 1,
    logger: createLogger({ level: 'error', write: () => undefined, now: () => new Date(0) }),
    nowMs: () => 1000,
  });
  await feed.refresh();
  return feed;
}

describe('metrics', () => {
  let server: MetricsServer | null = null;
  let feed: CredentialsFeed | null = null;

  const serve = async (measured: Measured): Promise<Metrics> => {
    const metrics = new Metrics();
    registerHostMetrics(metrics, measured);
    feed = await credentialsFeed();
    const kept = [
      { name: 'venue', version: 1 },
      { name: 'venue', version: 3 },
    ];
    const dataKeys = { kept } as unknown as DataKeyStore;
    registerSecretMetrics(metrics, { sealed: [], credentials: feed, dataKeys });
    registerShipMetrics(metrics, { counters: SHIP });
    registerLiveMetrics(metrics, { stats: [LIVE] });
    registerDatabaseMetrics(metrics, { counters: DATABASE });
    server = await MetricsServer.listen({ metrics, host: '127.0.0.1', port: 0 });
    return metrics;
  };

  const request = (
    path: string,
    method = 'GET',
  ): Promise<{ readonly status: number; readonly text: string }> =>
    new Promise((resolve, reject) => {
      const options = { host: '127.0.0.1', port: server?.port, path, method, agent: false };
      get(options, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.once('end', () => {
          resolve({ status: response.statusCode ?? 0, text });
        });
      }).once('error', reject);
    });

  afterEach(async () => {
    await server?.close();
    feed?.stop();
  });

  it('show what was counted, at each scrape anew', async () => {
    const measured = measuredOf();
    await serve(measured);
    const { status, text } = await request('/metrics');
    expect(status).toBe(200);
    const lines = text.split('\n');
    for (const line of [
      'trackseal_epoch 7',
      'trackseal_enclave_ready 1',
      'trackseal_epochs_ended_total{end="closed"} 2',
      'trackseal_epochs_ended_total{end="unclean"} 1',
      'trackseal_log_acknowledged_leaves 100',
      'trackseal_feed_batches_total{result="dropped"} 1',
      'trackseal_spool_sync_seconds_total 0.25',
      'trackseal_enclave_reported{counter="leaves"} 99',
      'trackseal_egress_refused_total{code="egress_refused"} 1',
      'trackseal_egress_received_bytes_total 200',
      'trackseal_ingress_connections 2',
      'trackseal_ingress_connections_total{result="accepted"} 4',
      'trackseal_grpc_ingress_connections 3',
      'trackseal_grpc_ingress_connections_total{result="accepted"} 7',
      'trackseal_grpc_ingress_connections_total{result="failed"} 1',
      'trackseal_database_connections 3',
      'trackseal_database_connections_total{result="admitted"} 9',
      'trackseal_database_connections_total{result="refused"} 2',
      'trackseal_database_waiting 1',
      'trackseal_database_engine_lost_total 4',
      'trackseal_credentials_remaining_seconds 60',
      'trackseal_credentials_asked_total{result="fetched"} 1',
      'trackseal_data_key_version{name="venue"} 3',
      'trackseal_ship_unshipped_bytes 1000',
      'trackseal_ship_held 1',
      'trackseal_ship_held_seconds_total 1.5',
      'trackseal_ship_store_up 0',
    ]) {
      expect(lines).toContain(line);
    }
    expect(text).toMatch(/^process_resident_memory_bytes \d/mu);
    expect(text).not.toMatch(/ASIASECRETID|token/u);

    measured.enclaveCounters = { leaves: 120 };
    const again = (await request('/metrics')).text.split('\n');
    expect(again).toContain('trackseal_enclave_reported{counter="leaves"} 120');
    // What is not reported any more does not stand still for ever.
    expect(again.join('\n')).not.toContain('commits_in_flight');
    expect(again).toContain('trackseal_epochs_ended_total{end="closed"} 2');
  });

  it('show nothing of what is not there, instead of a zero', async () => {
    await serve({
      live: null,
      epochs: [],
      enclaveCounters: {},
      egress: null,
      ingress: null,
      grpcIngress: null,
    });
    const { text } = await request('/metrics');
    for (const name of [
      'trackseal_epoch',
      'trackseal_enclave_ready',
      'trackseal_feed_events_total',
    ]) {
      expect(text).toContain(`# HELP ${name} `);
      expect(text).not.toMatch(new RegExp(`^${name}(?:\\{|  *\\d)`, 'mu'));
    }
  });

  it('show each live stream', async () => {
    await serve(measuredOf());
    const { text } = await request('/metrics');
    for (const [name, value] of [
      ['messages_total', 40],
      ['refused_total', 1],
      ['snapshots_total', 4],
      ['books_lost_total', 6],
      ['gaps_total', 7],
      ['connected_total', 11],
      ['connects_failed_total', 12],
      ['lost_total', 13],
      ['snapshots_failed_total', 15],
      ['books', 2],
    ] as const) {
      expect(text).toContain(`trackseal_live_${name}{stream="3",venue="binance-spot"} ${value}\n`);
    }
  });

  it('are all in docs/OPERATE.md, and nothing else is', async () => {
    const metrics = await serve(measuredOf());
    const registered = metrics.registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .filter((name) => name.startsWith('trackseal_'));
    const text = readFileSync(join(ROOT, 'docs/OPERATE.md'), 'utf8');
    const documented = Array.from(
      text.matchAll(/^\| `(trackseal_[a-z_]+)/gmu),
      (match) => match[1],
    );
    expect(documented).toEqual(registered);
  });

  it('are served at one path, for reading', async () => {
    await serve(measuredOf());
    expect((await request('/')).status).toBe(404);
    expect((await request('/metrics?x')).status).toBe(404);
    expect((await request('/metrics', 'POST')).status).toBe(405);
    expect(await request('/metrics', 'HEAD')).toEqual({ status: 200, text: '' });
  });

  it('a counter whose name does not say so is a mistake of ours', () => {
    expect(() => {
      new Metrics().counter('trackseal_things', 'x', () => 1);
    }).toThrow(/_total/u);
  });
});
