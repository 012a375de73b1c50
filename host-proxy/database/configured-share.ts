// What the operator's file says about a share, as the host needs it: a lease before the enclave starts, and its end.

import { readFileSync } from 'node:fs';
import { Pool } from 'pg';
import type { ShareConfig } from '../config-share.ts';
import type { Logger } from '../logger.ts';
import { printable } from '../printable.ts';
import { Shares } from './shares.ts';
import type { Lease } from './shares.ts';
import { TargetUnavailable } from './target-unavailable.ts';
import { parseServerUrl } from './target.ts';

export interface ConfiguredShare {
  /** Null: asked to stop while another host had it. */
  readonly lease: Lease | null;
  /** When nothing of the enclave runs any more. */
  readonly close: () => Promise<void>;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new TargetUnavailable(`${file}: cannot be read`);
  }
}

function poolOf(config: ShareConfig): Pool {
  const address = parseServerUrl(config.url);
  if (address === null) {
    throw new TargetUnavailable('share.url is like postgres://host_worker@server:5432/database');
  }
  const password = config.password_file === null ? null : read(config.password_file).trim();
  const pool = new Pool({
    ...address,
    password: password ?? undefined,
    ssl: config.ca === null ? {} : { ca: read(config.ca) },
    max: 3,
    // An answer that comes later than this is of no use for a lease.
    connectionTimeoutMillis: config.lease_ms / 6,
    query_timeout: config.lease_ms / 6,
  });
  pool.on('error', () => undefined);
  return pool;
}

/** Waits while another host has it. Throws TargetUnavailable. */
export async function takeShare(
  config: ShareConfig,
  logger: Logger,
  signal: AbortSignal,
): Promise<ConfiguredShare> {
  const { name, lease_ms: leaseMs } = config;
  const pool = poolOf(config);
  let shares: Shares;
  try {
    shares = await Shares.open({ pool, leaseMs, logger });
  } catch (error) {
    await pool.end();
    const what = error instanceof Error ? printable(error.message) : 'unreachable';
    throw new TargetUnavailable(`${what} (share; \`trackseal database migrate --shares\`?)`);
  }
  logger.info('share_wanted', { share: name });
  const lease = await shares.take(name, signal);
  if (lease !== null) logger.info('share_taken', { share: name });
  const close = async (): Promise<void> => {
    await lease?.release();
    await shares.close();
    await pool.end();
  };
  return { lease, close };
}
