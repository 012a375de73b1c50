// Clients' TCP connections to the enclave's ports 3000 (HTTPS) and 50051 (gRPC), as raw bytes: TLS ends in the enclave, so
// whoever controls this can stop or delay traffic and see sizes and timing. One end may finish before the other
// (half close); a slow reader slows its writer and nobody else. Connections and idle time are limited.

import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { PORT } from '../wire/messages.ts';
import type { Transport } from '../wire/node/transport.ts';
import { joinStreams } from './join-streams.ts';
import type { Logger } from './logger.ts';
import { closeServer, listenAt, portOf } from './tcp-listener.ts';

export interface IngressOptions {
  readonly transport: Transport;
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly maxConnections: number;
  /** A connection without bytes in either direction ends after this. */
  readonly idleMs: number;
  readonly logger: Logger;
  /** Of the enclave; HTTPS by default. */
  readonly to?: typeof PORT.https | typeof PORT.grpc;
}

export interface IngressCounters {
  accepted: number;
  refused: number;
  open: number;
  failed: number;
  bytesIn: number;
  bytesOut: number;
}

export class Ingress {
  readonly counters: IngressCounters = {
    accepted: 0,
    refused: 0,
    open: 0,
    failed: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
  readonly #options: IngressOptions;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();

  private constructor(options: IngressOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      void this.#serve(client);
    });
  }

  static async listen(options: IngressOptions): Promise<Ingress> {
    const ingress = new Ingress(options);
    await listenAt(ingress.#server, options.port, options.host);
    return ingress;
  }

  get port(): number {
    return portOf(this.#server);
  }

  /** Stops accepting and ends what is open. */
  close(): Promise<void> {
    return closeServer(this.#server, () => {
      for (const client of this.#clients) client.destroy();
    });
  }

  async #serve(client: Socket): Promise<void> {
    client.on('error', () => undefined);
    if (this.#clients.size >= this.#options.maxConnections) {
      this.counters.refused++;
      client.destroy();
      return;
    }
    this.#clients.add(client);
    this.counters.accepted++;
    this.counters.open++;
    client.once('close', () => {
      this.#clients.delete(client);
      this.counters.open--;
    });
    client.setTimeout(this.#options.idleMs, () => client.destroy());
    client.setNoDelay(true);
    let enclave: Duplex;
    try {
      enclave = await this.#options.transport.connect(this.#options.to ?? PORT.https);
    } catch {
      this.counters.failed++;
      client.destroy();
      return;
    }
    await joinStreams(
      enclave,
      client,
      (bytes) => {
        this.counters.bytesOut += bytes;
      },
      (bytes) => {
        this.counters.bytesIn += bytes;
      },
    );
  }
}
