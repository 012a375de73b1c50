// Which database an operator's command is about: the one that a host brings along (through the running host, or
// opened for the command when none runs), or a PostgreSQL server. TLS with a checked certificate or not at all.

import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import type { ClientConfig } from 'pg';
import type { DatabaseConfig } from '../config-database.ts';
import { lockFolder } from '../folder-lock.ts';
import type { Logger } from '../logger.ts';
import { printable } from '../printable.ts';
import { DatabaseAuthority } from './authority.ts';
import { EngineUnavailable } from './engine.ts';
import { DATABASE_NAME } from './front.ts';
import { openPasswords } from './passwords.ts';
import { dataFolder, openDatabaseService } from './service.ts';
import { TargetUnavailable } from './target-unavailable.ts';

export interface OpenTarget {
  readonly client: Client;
  readonly close: () => Promise<void>;
}

const CONNECT_MS = 30_000;
const SILENT: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** Throws TargetUnavailable. */
export async function openOwnDatabase(config: DatabaseConfig): Promise<OpenTarget> {
  const { listen } = config;
  const lock = await lockFolder(dataFolder(config));
  if (lock !== null) {
    await new Promise((resolve) => {
      lock.close(resolve);
    });
    return openAlone(config);
  }
  if (listen.port === 0) {
    throw new TargetUnavailable(
      'a host serves this database at a port of its own choice: stop it, or set database.listen.port',
    );
  }
  const { pem } = await DatabaseAuthority.open(config.folder);
  const { postgres } = await openPasswords(config.folder);
  const client = await connect({ ...listen, password: postgres, ssl: { ca: pem } });
  return { client, close: () => client.end() };
}

async function openAlone(config: DatabaseConfig): Promise<OpenTarget> {
  const alone = { ...config, listen: { ...config.listen, port: 0 } };
  const { front, ca, passwords } = await openDatabaseService(alone, SILENT).catch(
    (error: unknown) => {
      if (!(error instanceof EngineUnavailable)) throw error;
      throw new TargetUnavailable(error.message);
    },
  );
  try {
    const { host } = config.listen;
    const { port } = front;
    const client = await connect({ host, port, password: passwords.postgres, ssl: { ca } });
    const close = async (): Promise<void> => {
      await client.end();
      await front.close();
    };
    return { client, close };
  } catch (error) {
    await front.close();
    throw error;
  }
}

export interface ServerAddress {
  /** `postgres://user@host:port/database` */
  readonly url: string;
  readonly password: string | null;
  /** PEM file; null: the authorities that Node trusts. */
  readonly ca: string | null;
}

/** Null where it is no such address. */
export function parseServerUrl(text: string): ClientConfig | null {
  const url = URL.parse(text);
  if (url === null || !['postgres:', 'postgresql:'].includes(url.protocol)) return null;
  // A password in a command line is in the list of processes.
  if (url.hostname === '' || url.username === '' || url.password !== '') return null;
  if (url.search !== '' || url.hash !== '') return null;
  const database = decodeURIComponent(url.pathname.slice(1));
  if (database === '' || database.includes('/')) return null;
  return {
    host: url.hostname.replace(/^\[|\]$/gu, ''),
    port: url.port === '' ? 5432 : Number(url.port),
    user: decodeURIComponent(url.username),
    database,
  };
}

/** Throws TargetUnavailable. */
export async function openServer(address: ServerAddress): Promise<OpenTarget> {
  const parsed = parseServerUrl(address.url);
  if (parsed === null) {
    throw new TargetUnavailable('--url is like postgres://user@host:5432/database, no password');
  }
  let ca: string | undefined;
  try {
    ca = address.ca === null ? undefined : readFileSync(address.ca, 'utf8');
  } catch {
    throw new TargetUnavailable(`${address.ca ?? ''}: cannot be read`);
  }
  const ssl = ca === undefined ? {} : { ca };
  const client = await connect({ ...parsed, password: address.password ?? undefined, ssl });
  return { client, close: () => client.end() };
}

async function connect(config: ClientConfig): Promise<Client> {
  const own = { user: 'postgres', database: DATABASE_NAME, application_name: 'trackseal' };
  const client = new Client({ ...own, connectionTimeoutMillis: CONNECT_MS, ...config });
  // What a connection dies of is what its next query is answered.
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    await client.end().catch(() => undefined);
    // Perhaps the server's own words.
    throw new TargetUnavailable(error instanceof Error ? printable(error.message) : 'unreachable');
  }
  return client;
}
