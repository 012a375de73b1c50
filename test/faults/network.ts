// Host and enclave in one process: streams in memory between them, and a tap that sees every frame. A cut
// is what the end of either process does to its sockets: all of them close, and nobody listens any more.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import type { Ack } from '../../wire/commit.ts';
import { parseAck, parseCommit } from '../../wire/commit.ts';
import type { Frame } from '../../wire/frame.ts';
import { FrameDecoder } from '../../wire/frame.ts';
import { FRAME, parseRelease, PORT } from '../../wire/messages.ts';
import type { Transport } from '../../wire/node/transport.ts';
import type { Report } from '../../wire/payloads.ts';
import { parseReport } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SeenRelease } from '../helpers/promises.ts';

type Side = 'host' | 'enclave';

const FRAMED: ReadonlySet<number> = new Set([PORT.boot, PORT.log, PORT.feed]);
const MAX_PAYLOADS: ReadonlyMap<number, number> = new Map(
  Array.from({ length: 256 }, (_, type) => [type, 16 * 1024 * 1024]),
);

/** What passed between host and enclave, over all epochs. */
export class Passed {
  readonly hostAcks: Ack[] = [];
  readonly releases: SeenRelease[] = [];
  readonly reports: Report[] = [];
  epoch = 0;
  #told: Ack | null = null;

  take(from: Side, { type, payload }: Frame): void {
    if (from === 'enclave' && type === FRAME.commit) {
      this.epoch = assertAccepted(parseCommit(payload)).epoch;
    } else if (from === 'enclave' && type === FRAME.release) {
      const toldSize = this.#told?.epoch === this.epoch ? this.#told.size : 0;
      const release = assertAccepted(parseRelease(payload));
      this.releases.push({ ...release, epoch: this.epoch, toldSize });
    } else if (from === 'host' && type === FRAME.ack) {
      this.#told = assertAccepted(parseAck(payload));
      this.hostAcks.push(this.#told);
    } else if (from === 'host' && type === FRAME.report) {
      this.reports.push(assertAccepted(parseReport(payload)));
    }
  }
}

export class Network {
  readonly #passed: Passed;
  readonly #listeners = new Map<number, (stream: Duplex) => void>();
  readonly #streams = new Set<Duplex>();
  #frames = 0;
  #cut = false;
  /** Cuts instead of passing on the frame with this number, from 0, that the enclave sends. */
  cutAtFrame: number = Number.POSITIVE_INFINITY;

  constructor(passed: Passed) {
    this.#passed = passed;
  }

  transportOf(side: Side): Transport {
    return {
      connect: (port) => this.#connect(side, port),
      listen: (port, onStream) => {
        this.#listeners.set(port, onStream);
        return Promise.resolve({
          close: () => {
            if (this.#listeners.get(port) === onStream) this.#listeners.delete(port);
            return Promise.resolve();
          },
        });
      },
    };
  }

  cut(): void {
    this.#cut = true;
    this.#listeners.clear();
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  #connect(side: Side, port: number): Promise<Duplex> {
    const listener = this.#listeners.get(port);
    if (listener === undefined || this.#cut) return Promise.reject(new Error('nobody listens'));
    const [own, other] = duplexPair();
    this.#tap(own, side, port);
    this.#tap(other, side === 'host' ? 'enclave' : 'host', port);
    for (const [stream, peer] of [
      [own, other],
      [other, own],
    ] as const) {
      this.#streams.add(stream);
      stream.on('error', () => undefined);
      stream.on('close', () => {
        this.#streams.delete(stream);
        peer.destroy();
      });
    }
    listener(other);
    return Promise.resolve(own);
  }

  /** Sees what `side` writes, in the moment of writing. */
  #tap(stream: Duplex, side: Side, port: number): void {
    if (!FRAMED.has(port)) return;
    const decoder = new FrameDecoder({ maxPayloadBytes: MAX_PAYLOADS });
    const write = stream.write.bind(stream) as (...rest: unknown[]) => boolean;
    stream.write = (chunk: Uint8Array, ...rest: unknown[]): boolean => {
      if (this.#cut) return false;
      for (const frame of decoder.push(new Uint8Array(chunk)).frames) {
        if (side === 'enclave' && this.#frames++ >= this.cutAtFrame) {
          this.cut();
          return false;
        }
        this.#passed.take(side, frame);
      }
      return write(chunk, ...rest);
    };
  }
}
