// Where a log is read from: a folder, or a URL of a tile server. Nothing that comes from there is
// trusted; sizes are bounded before they are read, and paths are made here, never by the source.

import { constants } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { FolderStore } from '../../wire/node/objects/folder.ts';
import type { CommandIo } from '../io.ts';
import type { StoreOptionValues } from './store-options.ts';

/** What a store says of an object that was read; its word, which no signature covers. */
export interface StoredObjectFacts {
  readonly key: string;
  readonly version_id: string;
  readonly sha256: string;
  readonly mode: 'COMPLIANCE' | 'GOVERNANCE' | 'none';
  /** ISO time; null without a lock. */
  readonly retain_until: string | null;
  readonly legal_hold: boolean;
}

export type StoreProblem =
  'other_version' | 'delete_marker' | 'lock_missing' | 'lock_short' | 'lock_governance';

export interface StoreFinding {
  readonly problem: StoreProblem;
  readonly key: string;
  readonly version_id: string;
}

export interface StoreFacts {
  readonly store: string;
  /** Objects that were read, by key. */
  readonly objects: readonly StoredObjectFacts[];
  readonly findings: readonly StoreFinding[];
}

export interface LogSource {
  /** The folder or URL, for messages. */
  readonly name: string;
  /** Null when there is no such file. Refuses what is larger than `maximum` bytes. */
  read(path: string, maximum: number): Promise<Result<Uint8Array | null>>;
  /** Names in a folder, unsorted; null when there is none or the source cannot list. */
  list(path: string): Promise<Result<readonly string[] | null>>;
  /** Of a store with versions and locks: what it has said so far. */
  facts?(): StoreFacts;
}

const TIMEOUT_MS = 30_000;
const MAX_LISTING_BYTES: number = 16 * 1024 * 1024;
const MAX_NAMES = 200_000;

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}

export class FolderSource implements LogSource {
  readonly name: string;

  constructor(directory: string) {
    this.name = directory;
  }

  async read(path: string, maximum: number): Promise<Result<Uint8Array | null>> {
    try {
      // Not waiting for a writer, should somebody have put a pipe there.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK;
      const file = await open(join(this.name, path), flags);
      try {
        const facts = await file.stat();
        if (!facts.isFile()) return refuse('file_unreadable', { path, what: 'not a file' });
        if (facts.size > maximum) {
          return refuse('file_unreadable', { path, bytes: facts.size, maximum });
        }
        const bytes = new Uint8Array(facts.size);
        const { bytesRead } = await file.read(bytes, 0, bytes.length, 0);
        return accept(bytes.subarray(0, bytesRead));
      } finally {
        await file.close();
      }
    } catch (error) {
      const system = systemCode(error);
      const missing = system === 'ENOENT' || system === 'ENOTDIR';
      return missing ? accept(null) : refuse('file_unreadable', { path, system });
    }
  }

  async list(path: string): Promise<Result<readonly string[] | null>> {
    try {
      const names = await readdir(join(this.name, path));
      return names.length > MAX_NAMES
        ? refuse('file_unreadable', { path, names: names.length, maximum: MAX_NAMES })
        : accept(names);
    } catch (error) {
      const system = systemCode(error);
      const missing = system === 'ENOENT' || system === 'ENOTDIR';
      return missing ? accept(null) : refuse('file_unreadable', { path, system });
    }
  }
}

/** A tile server; folders answer a JSON array of names, or of epochs, at their path with a slash. */
export class HttpSource implements LogSource {
  readonly name: string;

  constructor(base: URL) {
    this.name = base.href.replace(/\/*$/u, '/');
  }

  async read(path: string, maximum: number): Promise<Result<Uint8Array | null>> {
    try {
      const response = await fetch(new URL(path, this.name), {
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.status === 404) return accept(null);
      if (response.status !== 200 || response.body === null) {
        return refuse('source_unreachable', { path, status: response.status });
      }
      const chunks: Uint8Array[] = [];
      let length = 0;
      for await (const chunk of response.body) {
        length += chunk.length;
        if (length > maximum) return refuse('file_unreadable', { path, maximum });
        chunks.push(chunk);
      }
      return accept(new Uint8Array(Buffer.concat(chunks, length)));
    } catch (error) {
      const cause = error instanceof Error ? systemCode(error.cause) : 'unknown';
      return refuse('source_unreachable', { path, system: cause });
    }
  }

  async list(path: string): Promise<Result<readonly string[] | null>> {
    const bytes = await this.read(`${path}/`, MAX_LISTING_BYTES);
    if (!bytes.ok || bytes.value === null) return bytes.ok ? accept(null) : bytes;
    try {
      return accept(namesOf(JSON.parse(Buffer.from(bytes.value).toString('utf8'))));
    } catch {
      // A server that shows an HTML index, or nothing useful: it cannot list for us.
      return accept(null);
    }
  }
}

/** Names, or the numbers of listed epochs as folder names; null for any other JSON. */
function namesOf(listing: unknown): readonly string[] | null {
  if (!Array.isArray(listing) || listing.length > MAX_NAMES) return null;
  const names: string[] = [];
  for (const entry of listing as readonly unknown[]) {
    if (typeof entry === 'string') names.push(entry);
    else if (typeof entry === 'object' && entry !== null && 'epoch' in entry) {
      names.push(String(entry.epoch).padStart(10, '0'));
    } else return null;
  }
  return names;
}

export interface OpenedSource {
  readonly source: LogSource;
  /** Set when the address is the folder of one epoch inside a log. */
  readonly epoch: number | null;
  /** The address is an epoch's folder that stands alone. */
  readonly alone: boolean;
}

/** A log's folder, one epoch's folder in it, the URL of either, or `s3://` and a bucket. */
export async function openSource(
  address: string,
  values: StoreOptionValues = {},
  env: CommandIo['env'] = {},
): Promise<Result<OpenedSource>> {
  if (/^https?:\/\//u.test(address)) return openUrl(address);
  if (address.startsWith('s3://')) {
    const { openS3Source } = await import('./store-address.ts');
    const opened = await openS3Source(address, values, env);
    return opened.ok ? accept({ ...opened.value, alone: false }) : opened;
  }
  const directory = resolve(address);
  const facts = await stat(directory).catch(() => null);
  if (facts?.isDirectory() !== true) return refuse('file_unreadable', { path: address });
  const inLog = basename(dirname(directory)) === 'epochs';
  if (/^\d{10}$/u.test(basename(directory)) && inLog) {
    const source = await openFolder(dirname(dirname(directory)));
    return accept({ source, epoch: Number(basename(directory)), alone: false });
  }
  const alone = await exists(join(directory, 'checkpoint'));
  const source = alone ? new FolderSource(directory) : await openFolder(directory);
  return accept({ source, epoch: null, alone });
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** A folder in the layout of a bucket has claims and no checkpoint; the log folder of a host is the other way. */
async function openFolder(directory: string): Promise<LogSource> {
  const epochs = await readdir(join(directory, 'epochs')).catch(() => []);
  for (const epoch of epochs) {
    const folder = join(directory, 'epochs', epoch);
    if (await exists(join(folder, 'checkpoint'))) return new FolderSource(directory);
    if (await exists(join(folder, 'claim'))) {
      const { StoreSource } = await import('./store-source.ts');
      return new StoreSource(new FolderStore(directory), { locks: false });
    }
  }
  return new FolderSource(directory);
}

async function openUrl(address: string): Promise<Result<OpenedSource>> {
  const url = URL.parse(address);
  if (url === null || url.search !== '' || url.hash !== '') {
    return refuse('usage_invalid', { what: 'the URL of a log or of an epoch' });
  }
  const inLog = /^(.*\/)epochs\/(\d{10})\/?$/u.exec(url.pathname);
  if (inLog !== null) {
    const source = new HttpSource(new URL(inLog[1] ?? '/', url));
    return accept({ source, epoch: Number(inLog[2]), alone: false });
  }
  const source = new HttpSource(url);
  const checkpoint = await source.read('checkpoint', 1 << 20);
  if (!checkpoint.ok) return checkpoint;
  return accept({ source, epoch: null, alone: checkpoint.value !== null });
}
