// The log folder over HTTP, read-only, for verifiers, auditors and any tlog-tiles client. Whoever controls
// it can withhold files or serve old ones; what it serves is worth only what the enclave's signatures
// say of it. GET and HEAD on the paths of log-path.ts; connections, time and headers are limited.

import { constants, createReadStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import type { LogPath } from './log-path.ts';
import { parseLogPath } from './log-path.ts';

const MAX_CONNECTIONS = 256;
const MAX_REQUESTS_PER_SOCKET = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
const MAX_HEADER_BYTES = 8192;
const MAX_CHECKPOINT_BYTES = 65_536;
const IMMUTABLE = 'public, max-age=604800, immutable';

export interface TileServerOptions {
  readonly logDirectory: string;
  /** Default 127.0.0.1: opening it to others is a decision of the operator. */
  readonly host?: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** One epoch, as /epochs lists it. Unsigned: only the checkpoint itself counts. */
export interface ListedEpoch {
  readonly epoch: number;
  readonly origin: string;
  readonly size: number;
}

export class TileServer {
  readonly #server: Server;
  readonly #log: string;

  private constructor(logDirectory: string) {
    this.#log = logDirectory;
    this.#server = createServer(
      {
        maxHeaderSize: MAX_HEADER_BYTES,
        headersTimeout: HEADERS_TIMEOUT_MS,
        requestTimeout: HEADERS_TIMEOUT_MS,
        keepAliveTimeout: IDLE_TIMEOUT_MS,
        connectionsCheckingInterval: 1000,
      },
      (request, response) => {
        void this.#answer(request, response);
      },
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
    // A client that does not read what it asked for.
    this.#server.setTimeout(IDLE_TIMEOUT_MS);
  }

  static async listen(options: TileServerOptions): Promise<TileServer> {
    const server = new TileServer(options.logDirectory);
    const { promise, resolve, reject } = Promise.withResolvers<null>();
    server.#server.once('error', reject);
    server.#server.listen(options.port, options.host ?? '127.0.0.1', () => {
      resolve(null);
    });
    await promise;
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const closed = new Promise<null>((resolve) => {
      this.#server.close(() => {
        resolve(null);
      });
    });
    this.#server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      sendJson(request, response, 405, { error: 'method_not_allowed' });
      return;
    }
    const path = parseLogPath(request.url ?? '');
    try {
      if (path === null || !(await this.#send(path, request, response))) {
        sendJson(request, response, 404, { error: 'not_found' });
      }
    } catch {
      response.destroy();
    }
  }

  async #send(path: LogPath, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (path.type === 'epochs') {
      sendJson(request, response, 200, await this.#listEpochs());
      return true;
    }
    if (path.type === 'commits') {
      const names = await listNames(join(this.#log, 'epochs', path.epoch, 'commits'));
      sendJson(request, response, 200, names);
      return true;
    }
    const file = await openFile(join(this.#log, path.path));
    if (file === null) return false;
    const { size } = await file.stat();
    response.writeHead(200, {
      'Content-Type': path.contentType,
      'Content-Length': size,
      'Cache-Control': path.immutable ? IMMUTABLE : 'no-cache',
    });
    if (request.method === 'HEAD' || size === 0) {
      await file.close();
      response.end();
      return true;
    }
    const body = createReadStream('', { fd: file, end: size - 1 });
    pipeline(body, response, () => undefined);
    return true;
  }

  async #listEpochs(): Promise<readonly ListedEpoch[]> {
    const epochs: ListedEpoch[] = [];
    for (const name of await listNames(join(this.#log, 'epochs'))) {
      const listed = /^\d{10}$/u.test(name)
        ? await readListed(join(this.#log, 'epochs', name, 'checkpoint'), Number(name))
        : null;
      if (listed !== null) epochs.push(listed);
    }
    return epochs;
  }
}

async function readListed(path: string, epoch: number): Promise<ListedEpoch | null> {
  try {
    const text = (await readFile(path, 'utf8')).slice(0, MAX_CHECKPOINT_BYTES);
    const [origin = '', size = ''] = text.split('\n');
    return { epoch, origin, size: Number(size) };
  } catch {
    return null;
  }
}

async function listNames(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch {
    return [];
  }
}

/** A plain file that is no symbolic link, else null. */
async function openFile(path: string): Promise<FileHandle | null> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    if ((await file.stat()).isFile()) return file;
    await file.close();
    return null;
  } catch {
    return null;
  }
}

function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  value: unknown,
): void {
  const body = `${JSON.stringify(value)}\n`;
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-cache',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
