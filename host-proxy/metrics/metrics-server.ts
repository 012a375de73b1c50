// GET /metrics for Prometheus, on a loopback address unless the operator says otherwise. It shows how much is
// traded and when, so it is for whoever runs the host. Requests have no bodies; connections and times are limited.

import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { closeServer, listenAt, portOf } from '../tcp-listener.ts';
import type { Metrics } from './metrics.ts';

const MAX_CONNECTIONS = 16;
const TIMEOUT_MS = 10_000;

export interface MetricsServerOptions {
  readonly metrics: Metrics;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

export class MetricsServer {
  readonly #server: Server;

  private constructor({ metrics }: MetricsServerOptions) {
    this.#server = createServer(
      { maxHeaderSize: 8192, headersTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS },
      (request, response) => void answer(metrics, request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.setTimeout(TIMEOUT_MS);
  }

  static async listen(options: MetricsServerOptions): Promise<MetricsServer> {
    const server = new MetricsServer(options);
    await listenAt(server.#server, options.port, options.host);
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
}

async function answer(
  { registry }: Metrics,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  request.resume();
  if (request.url !== '/metrics') {
    response.writeHead(404).end();
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { Allow: 'GET, HEAD' }).end();
    return;
  }
  const text = await registry.metrics();
  response.writeHead(200, { 'Content-Type': registry.contentType, 'Cache-Control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : text);
}
