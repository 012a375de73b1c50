// The part of the host's configuration file about a database of its own for the enclave. A PostgreSQL server is not
// named here: the enclave dials it like any other name of `egress.allow`.

import { z } from 'zod';
import { DNS_NAME } from '../wire/configuration.ts';

export interface DatabaseConfig {
  readonly kind: 'pglite';
  /** Data, certificate authority and passwords; of this host alone. */
  readonly folder: string;
  /** What the enclave dials (`database.host` and `database.port` of its configuration). */
  readonly name: string;
  readonly port: number;
  /** Where it is served on this machine. Port 0: any. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Whether enclave_user has to know its password. */
  readonly enclave_password: boolean;
  readonly max_connections: number;
  readonly statement_ms: number;
  readonly transaction_ms: number;
}

const ms = z.int().min(100).max(3_600_000);

export const databaseSchema: z.ZodType<DatabaseConfig | null> = z
  .strictObject({
    kind: z.literal('pglite'),
    folder: z.string().min(1).max(4096),
    name: z.string().regex(DNS_NAME).default('database.internal'),
    port: z.int().min(1).max(65_535).default(5432),
    listen: z
      .strictObject({
        // Loopback only: what is not on this machine is a case for PostgreSQL.
        host: z.enum(['127.0.0.1', '::1']).default('127.0.0.1'),
        port: z.int().min(0).max(65_535).default(0),
      })
      .prefault({}),
    enclave_password: z.boolean().default(true),
    max_connections: z.int().min(2).max(256).default(32),
    statement_ms: ms.default(60_000),
    transaction_ms: ms.default(120_000),
  })
  .nullable()
  .default(null);
