// Port 7002: the enclave's way out. One stream is one TCP connection, to a name of the operator's list and to
// nothing else; TLS is between the enclave and the peer, so whoever controls this can stop, delay or divert
// connections and sees names, sizes and timing. The enclave may be hostile, too: frames, connections and
// times are limited, and a slow end slows the other one and nobody else.

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RefusalCode } from '../../wire/codes.ts';
import { encodeFrame } from '../../wire/frame.ts';
import { encodeDialed } from '../../wire/kms-messages.ts';
import type { Dial } from '../../wire/kms-messages.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { joinStreams } from '../join-streams.ts';
import type { Logger } from '../logger.ts';
import { readDial, watchEnd } from './dial-stream.ts';
import { Names } from './names.ts';
import type { Resolve } from './names.ts';
import { openConnection } from './open-connection.ts';

export interface EgressTarget {
  readonly host: string;
  readonly port: number;
  /** Where the name is served instead of where DNS says; for simulators and private endpoints. */
  readonly address: { readonly host: string; readonly port: number } | null;
}

export interface EgressOptions {
  readonly transport: Transport;
  readonly allow: readonly EgressTarget[];
  readonly maxConnections: number;
  /** Name resolution and all attempts at addresses together. */
  readonly connectMs: number;
  /** A peer that took a connection and says nothing loses it after this. Default 30 s. */
  readonly firstByteMs?: number;
  /** A connection without bytes in either direction ends after this. */
  readonly idleMs: number;
  readonly logger: Logger;
  /** For the enclave's frame. Default 5 s. */
  readonly dialMs?: number;
  /** Resolves names; by default the system does. */
  readonly resolve?: Resolve;
}

export interface EgressCounters {
  accepted: number;
  open: number;
  connected: number;
  bytesOut: number;
  bytesIn: number;
  readonly refused: Map<RefusalCode, number>;
}

const DIAL_MS = 5000;
const FIRST_BYTE_MS = 30_000;

export class Egress {
  readonly counters: EgressCounters = {
    accepted: 0,
    open: 0,
    connected: 0,
    bytesOut: 0,
    bytesIn: 0,
    refused: new Map(),
  };
  readonly #options: EgressOptions;
  readonly #names: Names;
  readonly #streams = new Set<Duplex>();
  /** Refused, and still told so: as many as may be connected, so that refusals cost no more than connections. */
  readonly #refused = new Set<Duplex>();
  #listener: Listener | null = null;

  private constructor(options: EgressOptions) {
    this.#options = options;
    this.#names = new Names(options.resolve);
  }

  static async listen(options: EgressOptions): Promise<Egress> {
    const egress = new Egress(options);
    egress.#listener = await options.transport.listen(PORT.egress, (stream) => {
      void egress.#serve(stream);
    });
    return egress;
  }

  /** Stops accepting and ends what is open. */
  async close(): Promise<void> {
    const listener = this.#listener;
    this.#listener = null;
    for (const stream of [...this.#streams, ...this.#refused]) stream.destroy();
    await listener?.close();
  }

  async #serve(stream: Duplex): Promise<void> {
    stream.on('error', () => undefined);
    this.counters.accepted++;
    if (this.#streams.size >= this.#options.maxConnections) {
      this.#refuse(stream, 'rate_limited', null);
      return;
    }
    this.#streams.add(stream);
    this.counters.open++;
    stream.once('close', () => {
      this.#streams.delete(stream);
      this.counters.open--;
    });
    const dial = await readDial(stream, this.#options.dialMs ?? DIAL_MS);
    if (!dial.ok) {
      this.#refuse(stream, dial.refusal.code, null);
      return;
    }
    const watch = watchEnd(stream);
    const connected = await this.#connect(dial.value, stream);
    watch.stop();
    if (!connected.ok) {
      this.#refuse(stream, connected.refusal.code, dial.value);
      return;
    }
    this.counters.connected++;
    const socket = connected.value;
    stream.write(encodeFrame(FRAME.dialed, encodeDialed(null)));
    socket.setTimeout(this.#options.idleMs, () => socket.destroy());
    const silence = setTimeout(() => socket.destroy(), this.#options.firstByteMs ?? FIRST_BYTE_MS);
    await joinStreams(
      stream,
      socket,
      (bytes) => {
        this.counters.bytesOut += bytes;
      },
      (bytes) => {
        clearTimeout(silence);
        this.counters.bytesIn += bytes;
      },
    );
    clearTimeout(silence);
  }

  async #connect({ host, port }: Dial, stream: Duplex): Promise<Result<Socket>> {
    const target = this.#options.allow.find((one) => one.host === host && one.port === port);
    if (target === undefined) return refuse('egress_refused', { port });
    const { connectMs } = this.#options;
    const { lookup } = this.#names;
    const at = target.address ?? target;
    const socket = await openConnection({ ...at, connectMs, lookup, asker: stream });
    return socket === null ? refuse('source_unreachable', { port }) : accept(socket);
  }

  /** Names of the operator's list get into the log, and no others: they are the enclave's text. */
  #refuse(stream: Duplex, code: RefusalCode, dial: Dial | null): void {
    const { refused } = this.counters;
    refused.set(code, (refused.get(code) ?? 0) + 1);
    const known = code === 'source_unreachable' ? dial : null;
    this.#options.logger.warn('egress_refused', {
      code,
      host: known?.host ?? null,
      port: dial?.port ?? null,
    });
    if (stream.destroyed) return;
    if (this.#refused.size >= this.#options.maxConnections) {
      stream.destroy();
      return;
    }
    this.#refused.add(stream);
    stream.end(encodeFrame(FRAME.dialed, encodeDialed(code)));
    // Who does not end after the answer is not waited for.
    stream.resume();
    const timer = setTimeout(() => stream.destroy(), DIAL_MS);
    stream.once('end', () => stream.destroy());
    stream.once('close', () => {
      clearTimeout(timer);
      this.#refused.delete(stream);
    });
  }
}
