// The metrics that the operator's file asks for. prom-client is loaded only where it does.

import type { HostConfig } from '../config-file.ts';
import type { DatabaseFront } from '../database/front.ts';
import type { LiveSource } from '../feed/live.ts';
import type { Host } from '../host.ts';
import type { Logger } from '../logger.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Shipper } from '../ship/shipper.ts';
import type { MetricsServer } from './metrics-server.ts';

export interface MetricsSources {
  readonly host: Host;
  readonly secrets: Secrets;
  readonly shipper: Shipper | null;
  /** Null without a live feed. */
  readonly live: LiveSource | null;
  /** Null where the host brings none along. */
  readonly database: DatabaseFront | null;
}

/** Null where none are asked for. Rejects with the system's error for an address that is taken. */
export async function serveMetrics(
  { metrics: wanted }: Pick<HostConfig, 'metrics'>,
  { host, secrets, shipper, live, database }: MetricsSources,
  logger: Logger,
): Promise<MetricsServer | null> {
  if (wanted === null) return null;
  const [{ Metrics }, hostMetrics, ship, liveMetrics, databaseMetrics, server] = await Promise.all([
    import('./metrics.ts'),
    import('./host-metrics.ts'),
    import('./ship-metrics.ts'),
    import('./live-metrics.ts'),
    import('./database-metrics.ts'),
    import('./metrics-server.ts'),
  ]);
  const metrics = new Metrics();
  hostMetrics.registerHostMetrics(metrics, host);
  hostMetrics.registerSecretMetrics(metrics, secrets);
  if (shipper !== null) ship.registerShipMetrics(metrics, shipper);
  if (live !== null) liveMetrics.registerLiveMetrics(metrics, live);
  if (database !== null) databaseMetrics.registerDatabaseMetrics(metrics, database);
  const listening = await server.MetricsServer.listen({ metrics, ...wanted });
  logger.info('metrics_listening', { host: wanted.host, port: listening.port });
  return listening;
}
