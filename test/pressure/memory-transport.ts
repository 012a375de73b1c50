// Host and enclave in one process, over streams in memory: counts the bytes of each port and direction,
// and holds back what a test wants to be slow. A stream in memory takes 16 KiB before `write` answers
// false, less than any socket.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import { FRAME, PORT } from '../../wire/messages.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';

export interface PortBytes {
  toEnclave: number;
  toHost: number;
}

export class MemoryTransport implements Transport {
  readonly bytes: Map<number, PortBytes> = new Map<number, PortBytes>();
  /** Acknowledgements that are held back, as frames. */
  readonly heldAcks: Uint8Array[] = [];
  readonly #listeners = new Map<number, (stream: Duplex) => void>();
  #holdAcks = false;
  #send: (frame: Uint8Array) => void = () => undefined;

  get holdAcks(): boolean {
    return this.#holdAcks;
  }

  set holdAcks(hold: boolean) {
    this.#holdAcks = hold;
    if (!hold) for (const ack of this.heldAcks.splice(0)) this.#send(ack);
  }

  /** The oldest acknowledgement that is held back. */
  passAck(): void {
    const [ack] = this.heldAcks.splice(0, 1);
    if (ack !== undefined) this.#send(ack);
  }

  bytesOf(port: number): PortBytes {
    const known = this.bytes.get(port);
    if (known !== undefined) return known;
    const fresh = { toEnclave: 0, toHost: 0 };
    this.bytes.set(port, fresh);
    return fresh;
  }

  listens(port: number): boolean {
    return this.#listeners.has(port);
  }

  connect(port: number): Promise<Duplex> {
    const listener = this.#listeners.get(port);
    if (listener === undefined) return Promise.reject(new Error(`nobody listens on ${port}`));
    const [near, far] = pair();
    if (port === PORT.log) {
      const [tap, host] = pair();
      this.#count(port, near, host);
      this.#relay(far, tap);
      listener(host);
      return Promise.resolve(near);
    }
    const hostCalls = port === PORT.feed || port === PORT.https;
    this.#count(port, hostCalls ? far : near, hostCalls ? near : far);
    listener(far);
    return Promise.resolve(near);
  }

  listen(port: number, onStream: (stream: Duplex) => void): Promise<Listener> {
    this.#listeners.set(port, onStream);
    return Promise.resolve({
      close: () => {
        if (this.#listeners.get(port) === onStream) this.#listeners.delete(port);
        return Promise.resolve();
      },
    });
  }

  #count(port: number, enclave: Duplex, host: Duplex): void {
    const bytes = this.bytesOf(port);
    countWrites(enclave, (count) => {
      bytes.toHost += count;
    });
    countWrites(host, (count) => {
      bytes.toEnclave += count;
    });
  }

  /** Everything passes at once but acknowledgements, when they are held. */
  #relay(enclave: Duplex, host: Duplex): void {
    enclave.pipe(host);
    const decoder = new FrameDecoder({
      maxPayloadBytes: new Map([
        [0x00, 4],
        [FRAME.ack, 4096],
      ]),
    });
    this.#send = (frame) => {
      if (!enclave.destroyed) enclave.write(frame);
    };
    host.on('data', (chunk: Uint8Array) => {
      for (const { type, payload } of decoder.push(new Uint8Array(chunk)).frames) {
        const frame = encodeFrame(type, payload);
        if (type === FRAME.ack && this.#holdAcks) this.heldAcks.push(frame);
        else this.#send(frame);
      }
    });
    host.on('end', () => enclave.end());
  }
}

/** As sockets do: an error on either side is nobody's exception, and the end of one is the end of both. */
function pair(): [Duplex, Duplex] {
  const [near, far] = duplexPair();
  for (const [one, other] of [
    [near, far],
    [far, near],
  ] as const) {
    one.on('error', () => undefined);
    one.on('close', () => other.destroy());
  }
  return [near, far];
}

function countWrites(stream: Duplex, add: (bytes: number) => void): void {
  const write = stream.write.bind(stream) as (...rest: unknown[]) => boolean;
  stream.write = (chunk: Uint8Array, ...rest: unknown[]): boolean => {
    add(chunk.length);
    return write(chunk, ...rest);
  };
}
