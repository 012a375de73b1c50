// What the operator's file says about a database, as the host needs it: the service, and the enclave's way to it.

import type { CloudConfig } from '../config-cloud.ts';
import type { DatabaseConfig } from '../config-database.ts';
import type { EgressOptions } from '../egress/egress.ts';
import type { Logger } from '../logger.ts';
import type { DatabaseService } from './service.ts';

/** Loads PGlite only where it is wanted. Throws EngineUnavailable, or the system's error for an address. */
export async function openConfiguredDatabase(
  config: DatabaseConfig | null,
  logger: Logger,
): Promise<DatabaseService | null> {
  if (config === null) return null;
  const { openDatabaseService } = await import('./service.ts');
  return openDatabaseService(config, logger);
}

/** A host that brings a database along has a way out for it, if for nothing else. */
export function egressOf(
  egress: CloudConfig['egress'],
  database: Pick<DatabaseService, 'target'> | null,
): Omit<EgressOptions, 'transport' | 'logger'> | null {
  const own = database === null ? [] : [database.target];
  if (egress === null && database === null) return null;
  return {
    // The operator's own list first: it may send the name elsewhere.
    allow: [...(egress?.allow ?? []), ...own],
    maxConnections: egress?.max_connections ?? 64,
    connectMs: egress?.connect_ms ?? 10_000,
    firstByteMs: egress?.first_byte_ms ?? 30_000,
    idleMs: egress?.idle_ms ?? 300_000,
  };
}
