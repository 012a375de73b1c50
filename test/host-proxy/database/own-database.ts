// What tests of the host's own database have in common.

import type { DatabaseConfig } from '../../../host-proxy/config-database.ts';
import type { Logger } from '../../../host-proxy/logger.ts';

export const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

export const CONFIG: Omit<DatabaseConfig, 'folder'> = {
  kind: 'pglite',
  name: 'database.internal',
  port: 5432,
  listen: { host: '127.0.0.1', port: 0 },
  enclave_password: true,
  max_connections: 32,
  statement_ms: 60_000,
  transaction_ms: 120_000,
};
