// A crypto exchange, or ten of them, behind one TLS port on 127.0.0.1: the host name that a client dials (SNI and
// Host) decides which venue answers. It keeps accounts, checks signatures and counts requests as the venues do,
// and is no venue: it says so in a header of every answer and signs with its own authority.

import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { SecureContext, TLSSocket } from 'node:tls';
import { Refusal, reply } from './call.ts';
import type { Call, Reply, VenueApi } from './call.ts';
import { Certificates } from './certificates.ts';
import { Control } from './control.ts';
import { Faults } from './faults.ts';
import type { Fault } from './faults.ts';
import { insteadOf, sendReply } from './send.ts';
import { STREAM_HOSTS, Streams } from './streams/streams.ts';
import { venueApis } from './venues.ts';
import { World } from './world.ts';

export interface ExchangeOptions {
  /** 127.0.0.1 always; 0, the default, lets the system choose. */
  readonly port?: number;
  /** Milliseconds since 1970; the machine's by default. */
  readonly clock?: () => number;
  /** Keeps the authority's key there. In memory by default. */
  readonly folder?: string;
}

export interface RunningExchange {
  readonly port: number;
  /** PEM of the authority. */
  readonly ca: string;
  /** Every name that it answers to. */
  readonly hosts: readonly string[];
  readonly control: Control;
  /** Cuts open connections. */
  readonly close: () => Promise<void>;
}

const MAX_BODY_BYTES: number = 1024 * 1024;
const NAME = { server: 'trackseal-simulator-exchange', 'x-trackseal-simulator': 'exchange' };

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece = chunk as Uint8Array;
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) throw new Refusal(reply({ error: 'body too large' }, 413));
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function headersOf(request: IncomingMessage): Readonly<Record<string, string>> {
  const entries = Object.entries(request.headers);
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

class ExchangeServer {
  readonly world: World;
  readonly faults: Faults = new Faults();
  readonly control: Control;
  readonly hosts: readonly string[];
  readonly streams: Streams;
  readonly #venues: ReadonlyMap<string, VenueApi>;
  readonly #sockets = new Set<TLSSocket>();

  constructor(options: ExchangeOptions) {
    this.world = new World(options.clock ?? Date.now);
    const venues = venueApis(this.world);
    this.#venues = new Map(venues.flatMap((venue) => venue.hosts.map((host) => [host, venue])));
    this.hosts = [...this.#venues.keys(), ...STREAM_HOSTS.keys()];
    this.streams = new Streams(this.world, this.faults);
    this.control = new Control(this.world, this.faults, this.streams, (host) => {
      this.#cut(host);
    });
  }

  accept(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  }

  /** So that the next request makes a handshake. */
  #cut(host: string | null): void {
    for (const socket of this.#sockets) {
      if (host === null || socketName(socket) === host) socket.destroy();
    }
  }

  async context(host: string, certificates: Certificates): Promise<SecureContext> {
    const name = this.#venues.get(host)?.name ?? STREAM_HOSTS.get(host);
    if (name === undefined) throw new Error(`unrecognized name ${host}`);
    const fault = this.faults.meetHandshake(name, host);
    return certificates.contextFor(host, fault);
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const acceptsGzip = request.headers['accept-encoding']?.includes('gzip') === true;
    const host = hostOf(request);
    const venue = this.#venues.get(host);
    if (venue === undefined || socketName(request.socket as TLSSocket) !== host) {
      const refused = reply({ error: 'misdirected request' }, 421);
      await sendReply({ response, reply: refused, fault: null, acceptsGzip, common: NAME });
      return;
    }
    const [path = '', ...rest] = (request.url ?? '').split('?');
    const method = request.method ?? '';
    const fault = this.faults.meet({ venue: venue.name, host, path, method });
    const query = rest.join('?');
    const answered = await this.#ask(venue, request, { host, path, query, fault });
    const nowMs = this.world.nowMs() + this.world.venue(venue.name).skewMs;
    const common = { ...NAME, date: new Date(nowMs).toUTCString() };
    const status = fault === null ? answered.status : `${String(answered.status)} ${fault.type}`;
    this.control.count(venue.name, method, path, status);
    await sendReply({ response, reply: answered, fault, acceptsGzip, common });
  }

  async #ask(
    venue: VenueApi,
    request: IncomingMessage,
    to: {
      readonly host: string;
      readonly path: string;
      readonly query: string;
      readonly fault: Fault | null;
    },
  ): Promise<Reply> {
    try {
      const body = await readBody(request);
      const instead = insteadOf(to.fault, venue);
      if (instead !== null) return instead;
      const headers = headersOf(request);
      const isForm = headers['content-type']?.includes('x-www-form-urlencoded') === true;
      const parameters = new URLSearchParams(isForm ? `${to.query}&${body}` : to.query);
      const nowMs = this.world.nowMs() + this.world.venue(venue.name).skewMs;
      const call: Call = {
        method: request.method ?? '',
        host: to.host,
        path: to.path,
        query: to.query,
        parameters,
        headers,
        body,
        address: request.socket.remoteAddress ?? '',
        nowMs,
      };
      return venue.answer(call);
    } catch (error) {
      if (error instanceof Refusal) return error.reply;
      throw error;
    }
  }
}

function hostOf(request: IncomingMessage): string {
  return (request.headers.host ?? '').replace(/:\d+$/u, '').toLowerCase();
}

function socketName(socket: TLSSocket): string {
  const { servername } = socket as { readonly servername?: string | false };
  return typeof servername === 'string' ? servername : '';
}

/** Throws where the port is taken. */
export async function startExchange(options: ExchangeOptions = {}): Promise<RunningExchange> {
  const certificates = await Certificates.open(options.folder ?? null);
  const exchange = new ExchangeServer(options);
  const server = createServer(
    {
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.2',
      SNICallback: (host, done) => {
        exchange.context(host, certificates).then(
          (context) => {
            done(null, context);
          },
          (error: unknown) => {
            done(error instanceof Error ? error : new Error('no certificate'));
          },
        );
      },
    },
    (request, response) => {
      response.on('error', () => response.destroy());
      exchange.answer(request, response).catch((error: unknown) => {
        if (request.socket.destroyed) return;
        // A bug of the simulator, which no client must take for a venue's answer.
        const text = error instanceof Error ? (error.stack ?? error.message) : '';
        process.stderr.write(`simulator/exchange: ${text}\n`);
        response.socket?.destroy();
      });
    },
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const host = hostOf(request);
    if (socketName(socket as TLSSocket) === host) {
      exchange.streams.upgrade(request, socket, head, host);
    } else socket.destroy();
  });
  server.on('secureConnection', (socket: TLSSocket) => {
    exchange.accept(socket);
  });
  server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    ca: certificates.authority,
    hosts: exchange.hosts,
    control: exchange.control,
    close: () =>
      new Promise((resolve) => {
        exchange.streams.close();
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
