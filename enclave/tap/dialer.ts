// A venue's WebSocket over the way out: TLS ends here, with the measured host's roots. Messages are text, of a
// bounded size, uncompressed; whatever else comes ends the connection. Whoever carries the bytes can end or
// delay it and nothing else; a venue can say what it likes, and its words are parsed strictly afterwards.

import { WebSocket } from 'ws';
import type { Venue } from '../../wire/market/venues/venue.ts';
import type { LiveConnection, LiveDialer, LiveHandlers } from '../../wire/node/live-stream.ts';
import { SnapshotError } from '../../wire/node/live-stream.ts';
import type { Egress } from '../egress.ts';
import { fetchSnapshot } from './snapshot.ts';

/** OKX and Bybit send snapshots in the stream: 1,000 levels have some 60 KiB. */
const MAX_MESSAGE_BYTES: number = 2 * 1024 * 1024;
const HANDSHAKE_MS = 10_000;
/** Pongs and requests that a venue does not read. */
const MAX_UNSENT_BYTES: number = 64 * 1024;

export interface DialerOptions {
  readonly egress: Egress;
  readonly venue: Pick<Venue, 'hosts' | 'path' | 'port'>;
  /** One of the venue's; measured, as its host of snapshots. */
  readonly host: string;
}

export class EgressDialer implements LiveDialer {
  readonly #options: DialerOptions;

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  async connect({ onText, onAlive, onEnd }: LiveHandlers): Promise<LiveConnection> {
    const { egress, host, venue } = this.#options;
    const tls = await egress.connect(host, venue.port);
    const socket = new WebSocket(`wss://${host}:${venue.port}${venue.path}`, {
      createConnection: () => tls,
      perMessageDeflate: false,
      maxPayload: MAX_MESSAGE_BYTES,
      handshakeTimeout: HANDSHAKE_MS,
      followRedirects: false,
    });
    const opened = Promise.withResolvers<null>();
    // After an error comes a close.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      opened.reject(new Error('not connected'));
      onEnd();
    });
    socket.on('open', () => {
      opened.resolve(null);
    });
    socket.on('message', (data, isBinary) => {
      if (isBinary) socket.terminate();
      else onText((data as Buffer).toString('utf8'));
    });
    socket.on('pong', onAlive);
    socket.on('ping', () => {
      // It has been answered: a venue that asks and does not read must not fill the memory.
      if (socket.bufferedAmount > MAX_UNSENT_BYTES) socket.terminate();
      else onAlive();
    });
    await opened.promise;
    const isOpen = (): boolean => socket.readyState === WebSocket.OPEN;
    return {
      send: (text) => {
        if (isOpen()) socket.send(text);
      },
      ping: () => {
        if (isOpen()) socket.ping();
      },
      close: () => {
        socket.terminate();
      },
    };
  }

  snapshot(path: string): Promise<string> {
    const { egress, host, venue } = this.#options;
    const restHost = venue.hosts.get(host) ?? null;
    if (restHost === null) return Promise.reject(new SnapshotError(0));
    return fetchSnapshot(egress, restHost, path);
  }
}
