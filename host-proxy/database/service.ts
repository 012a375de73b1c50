// The database that a host brings along: what is in its folder, and the front on it.
//
//   <folder>/data            PGlite's own
//   <folder>/ca.pem          goes into the enclave's configuration
//   <folder>/ca-key.pem      0600
//   <folder>/passwords.json  0600

import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseConfig } from '../config-database.ts';
import type { EgressTarget } from '../egress/egress.ts';
import type { Logger } from '../logger.ts';
import { DatabaseAuthority } from './authority.ts';
import { DatabaseFront } from './front.ts';
import type { Passwords } from './passwords.ts';
import { openPasswords } from './passwords.ts';

export interface DatabaseService {
  readonly front: DatabaseFront;
  /** PEM of the certificate authority. */
  readonly ca: string;
  readonly passwords: Passwords;
  /** For the egress: the enclave's name for it, and where it is. */
  readonly target: EgressTarget;
}

/** Of a data folder; another one for each process. */
export function dataFolder({ folder }: DatabaseConfig): string {
  return join(folder, 'data');
}

/** Throws EngineUnavailable, or the system's error for an address that is taken. */
export async function openDatabaseService(
  config: DatabaseConfig,
  logger: Logger,
): Promise<DatabaseService> {
  const { folder, name, port, listen } = config;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const authority = await DatabaseAuthority.open(folder);
  const names = [...new Set([name, 'localhost', '127.0.0.1', '::1'])];
  const passwords = await openPasswords(folder);
  const front = await DatabaseFront.listen({
    ...listen,
    folder: dataFolder(config),
    identity: await authority.issue(names),
    passwords,
    enclavePassword: config.enclave_password,
    logger,
    limits: {
      maxConnections: config.max_connections,
      statementMs: config.statement_ms,
      transactionMs: config.transaction_ms,
    },
  });
  logger.info('database_listening', { host: listen.host, port: front.port });
  const target = { host: name, port, address: { host: listen.host, port: front.port } };
  return { front, ca: authority.pem, passwords, target };
}
