// The log folder over HTTP, read-only, for verifiers, auditors and any tlog-tiles client. Whoever controls
// it can withhold files or serve old ones; what it serves is worth only what the enclave's signatures
// say of it. GET and HEAD on the paths of log-path.ts. Who reads slowly, or many at once, uses up
// connections and time, both limited, but no memory: files are streamed, lists share a budget, and a
// connection has one request at a time.

import { constants, createReadStream } from 'node:fs';
import { open, readdir, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { ByteBudget } from './byte-budget.ts';
import type { LogPath } from './log-path.ts';
import { parseLogPath } from './log-path.ts';
import { closeServer, listenAt, portOf } from './tcp-listener.ts';

const MAX_CONNECTIONS = 256;
const MAX_REQUESTS_PER_SOCKET = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const IDLE_TIMEOUT_MS = 30_000;
/** A client that reads a little now and then gives up its place after this. */
const RESPONSE_TIMEOUT_MS = 300_000;
/** Read of a file at once. */
const CHUNK_BYTES: number = 64 * 1024;
/** Lists that are being sent; one of any size always may. */
const MAX_LIST_BYTES: number = 16 * 1024 * 1024;
const MAX_HEADER_BYTES = 8192;
const MAX_CHECKPOINT_BYTES = 65_536;
const IMMUTABLE = 'public, max-age=604800, immutable';

export interface TileServerOptions {
  readonly logDirectory: string;
  /** Default 127.0.0.1: opening it to others is a decision of the operator. */
  readonly host?: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Bytes of lists that are being sent at once. Default 16 MiB. */
  readonly maxListBytes?: number;
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
  readonly #busy = new WeakSet<Socket>();
  readonly #lists: ByteBudget;

  private constructor({ logDirectory, maxListBytes = MAX_LIST_BYTES }: TileServerOptions) {
    this.#log = logDirectory;
    this.#lists = new ByteBudget(maxListBytes);
    this.#server = createServer({
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: HEADERS_TIMEOUT_MS,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
    });
    // Node would answer expectations by itself, and write `100 Continue` between head and body of an
    // answer that waits.
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      this.#server.on(event, (request: IncomingMessage, response: ServerResponse) => {
        if (this.#begin(request, response)) void this.#answer(request, response);
      });
    }
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
    // A client that does not read what it asked for.
    this.#server.setTimeout(IDLE_TIMEOUT_MS);
  }

  static async listen(options: TileServerOptions): Promise<TileServer> {
    const server = new TileServer(options);
    await listenAt(server.#server, options.port, options.host ?? '127.0.0.1');
    return server;
  }

  get port(): number {
    return portOf(this.#server);
  }

  close(): Promise<void> {
    return closeServer(this.#server, () => {
      this.#server.closeAllConnections();
    });
  }

  /** False, and the end of the connection, for a request that did not wait for the answer before it. */
  #begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (this.#busy.has(socket)) {
      socket.destroy();
      return false;
    }
    this.#busy.add(socket);
    const timer = setTimeout(() => socket.destroy(), RESPONSE_TIMEOUT_MS).unref();
    response.once('close', () => {
      clearTimeout(timer);
      this.#busy.delete(socket);
    });
    return true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.setHeader('Allow', 'GET, HEAD');
      sendJson(request, response, 405, jsonOf({ error: 'method_not_allowed' }));
      return;
    }
    const path = parseLogPath(request.url ?? '');
    try {
      if (path === null || !(await this.#send(path, request, response))) {
        sendJson(request, response, 404, jsonOf({ error: 'not_found' }));
      }
    } catch {
      response.destroy();
    }
  }

  async #send(path: LogPath, request: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (path.type === 'epochs') {
      this.#sendList(request, response, await this.#listEpochs());
      return true;
    }
    if (path.type === 'commits') {
      const names = await listNames(join(this.#log, 'epochs', path.epoch, 'commits'));
      this.#sendList(request, response, names);
      return true;
    }
    const file = await openFile(join(this.#log, path.path));
    if (file === null) return false;
    const { size } = file;
    response.writeHead(200, {
      'Content-Type': path.contentType,
      'Content-Length': size,
      'Cache-Control': path.immutable ? IMMUTABLE : 'no-cache',
    });
    // A client may be gone already, and nothing can be piped to it: an open file would stay behind, and
    // one that is left to the garbage collector ends the process.
    if (request.method === 'HEAD' || size === 0 || response.destroyed) {
      await file.handle.close();
      response.end();
      return true;
    }
    const options = { fd: file.handle, end: size - 1, highWaterMark: CHUNK_BYTES };
    pipeline(createReadStream('', options), response, () => undefined);
    return true;
  }

  #sendList(request: IncomingMessage, response: ServerResponse, list: readonly unknown[]): void {
    const body = jsonOf(list);
    // Who is gone gives nothing back.
    if (response.destroyed) return;
    if (!this.#lists.take(body.length)) {
      response.setHeader('Retry-After', '1');
      sendJson(request, response, 503, jsonOf({ error: 'rate_limited' }));
      return;
    }
    response.once('close', () => {
      this.#lists.giveBack(body.length);
    });
    sendJson(request, response, 200, body);
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

interface PlainFile {
  readonly handle: FileHandle;
  readonly size: number;
}

/** A plain file that is no symbolic link, else null. */
async function openFile(path: string): Promise<PlainFile | null> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(() => null);
  if (handle === null) return null;
  const stat = await handle.stat().catch(() => null);
  if (stat?.isFile() === true) return { handle, size: stat.size };
  await handle.close();
  return null;
}

function jsonOf(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: Buffer,
): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': body.length,
    'Cache-Control': 'no-cache',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
