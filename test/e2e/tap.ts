// A tap between host and enclave: a second folder of sockets, one proxy for each port. It passes every
// byte on, keeps them, and can hold acknowledgements back. What it records is in one order, because one
// thread sees it all: a byte counts as out before an acknowledgement went in when it was read here before
// that acknowledgement was written to the enclave.

import { mkdirSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { rm } from 'node:fs/promises';
import type { Ack } from '../../wire/commit.ts';
import { parseAck, parseCommit } from '../../wire/commit.ts';
import { encodeAck } from '../../wire/messages.ts';
import { encodeFrame, FrameDecoder } from '../../wire/frame.ts';
import type { Frame } from '../../wire/frame.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { FRAME, parseRelease, PORT } from '../../wire/messages.ts';
import type { Release } from '../../wire/messages.ts';
import type { Report } from '../../wire/payloads.ts';
import { parseReport } from '../../wire/payloads.ts';
import { hvsockTransport } from '../../wire/node/hvsock.ts';
import { assertAccepted } from '../../wire/result.ts';
import { closeAfterwards } from './processes.ts';

/** The enclave listens on these; on the others the host does. */
const ENCLAVE_LISTENS: ReadonlySet<number> = new Set([PORT.https, PORT.feed]);
const FRAMED: ReadonlySet<number> = new Set([PORT.boot, PORT.log, PORT.feed]);
const MAX_PAYLOADS: ReadonlyMap<number, number> = new Map(
  Array.from({ length: 256 }, (_, type) => [type, 16 * 1024 * 1024]),
);

export interface TappedCommit {
  readonly epoch: number;
  readonly size: number;
  /** Leaf indexes of its outputs. */
  readonly outputs: readonly number[];
  /** Bytes that had left the enclave on the log port when it had been read. */
  readonly left: number;
}

export interface TappedAck extends Ack {
  /** Bytes that had left the enclave on each port when it was written to the enclave. */
  readonly left: ReadonlyMap<number, number>;
}

export interface TappedReport extends Report {
  /** The epoch that it was told to. */
  readonly toldEpoch: number;
}

export interface TappedRelease extends Release {
  readonly epoch: number;
  /** Where its frame ends on the feed port. */
  readonly left: number;
  /** The largest acknowledged size that the enclave had been told in this epoch. */
  readonly toldSize: number;
}

/** A frame that has been read whole here and has not been passed on. */
export interface PassingFrame extends Frame {
  readonly port: number;
  readonly from: 'host' | 'enclave';
}

export class Tap {
  readonly commits: TappedCommit[] = [];
  /** As the host sent them. */
  readonly hostAcks: Ack[] = [];
  /** As the enclave got them. */
  readonly acks: TappedAck[] = [];
  readonly releases: TappedRelease[] = [];
  /** Asked for each acknowledgement; milliseconds to hold it back. */
  ackDelayMs: () => number = () => 0;
  /** While true no acknowledgement reaches the enclave. */
  holdAcks = false;
  /** What the enclave gets instead of an acknowledgement. */
  forgeAck: (ack: Ack) => Ack = (ack) => ack;
  /** Called for each frame of the boot, log and feed ports, in both directions. */
  onFrame: (frame: PassingFrame) => void = () => undefined;
  /** Reports as the host sent them. */
  readonly reports: TappedReport[] = [];
  /** False keeps counts only. */
  keepBytes = true;
  readonly #outer: string;
  readonly #inner: string;
  readonly #innerIsVsock: boolean;
  readonly #left = new Map<number, Buffer[]>();
  readonly #entered = new Map<number, Buffer[]>();
  readonly #leftBytes = new Map<number, number>();
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  private constructor(outer: string, inner: string, innerIsVsock: boolean) {
    this.#outer = outer;
    this.#inner = inner;
    this.#innerIsVsock = innerIsVsock;
  }

  /** `outer` is the host's folder, `inner` the enclave's. */
  static async open(outer: string, inner: string): Promise<Tap> {
    for (const folder of [outer, inner]) mkdirSync(folder, { recursive: true });
    return new Tap(outer, inner, false).#open();
  }

  /** In front of an emulated enclave: `inner` is the PATH of hvsock:PATH. */
  static async openVsock(outer: string, inner: string): Promise<Tap> {
    for (const folder of [outer, dirname(inner)]) mkdirSync(folder, { recursive: true });
    return new Tap(outer, inner, true).#open();
  }

  async #open(): Promise<this> {
    for (const port of Object.values(PORT)) await this.#listen(port);
    closeAfterwards(() => this.close());
    return this;
  }

  #pathOf(folder: string, port: number): string {
    const isVsock = this.#innerIsVsock && folder === this.#inner;
    return isVsock ? `${folder}_${port}` : join(folder, String(port));
  }

  /** All bytes that left the enclave on a port, over all its connections. */
  bytesLeft(port: number): Buffer {
    return Buffer.concat(this.#left.get(port) ?? []);
  }

  /** All bytes of the host's for the enclave on a port, over all its connections. */
  bytesEntered(port: number): Buffer {
    return Buffer.concat(this.#entered.get(port) ?? []);
  }

  /** The host's last acknowledgement of an epoch. */
  lastHostAck(epoch: number): Ack | null {
    return this.hostAcks.findLast((ack) => ack.epoch === epoch) ?? null;
  }

  get epoch(): number {
    return this.commits.at(-1)?.epoch ?? 0;
  }

  get acknowledgedSize(): number {
    return this.lastHostAck(this.epoch)?.size ?? 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(
      this.#servers.map(
        (server) =>
          new Promise((resolve) => {
            server.close(resolve);
          }),
      ),
    );
  }

  async #listen(port: number): Promise<void> {
    const enclaveListens = ENCLAVE_LISTENS.has(port);
    const [near, far] = enclaveListens ? [this.#outer, this.#inner] : [this.#inner, this.#outer];
    const path = this.#pathOf(near, port);
    await rm(path, { force: true });
    const server = createServer({ allowHalfOpen: true }, (accepted) => {
      if (enclaveListens && this.#innerIsVsock) {
        void this.#connectVsock(port, accepted);
        return;
      }
      const made = createConnection({ path: this.#pathOf(far, port), allowHalfOpen: true });
      const [host, enclave] = enclaveListens ? [accepted, made] : [made, accepted];
      this.#connect(port, host, enclave);
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => {
      server.listen(path, resolve);
    });
  }

  async #connectVsock(port: number, accepted: Socket): Promise<void> {
    accepted.on('error', () => undefined);
    try {
      const made = await hvsockTransport(this.#inner).connect(port);
      this.#connect(port, accepted, made as Socket);
    } catch {
      accepted.destroy();
    }
  }

  #connect(port: number, host: Socket, enclave: Socket): void {
    for (const [socket, peer] of [
      [host, enclave],
      [enclave, host],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => peer.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        // An end was passed on as an end; whatever is still to be written goes first.
        if (!peer.destroyed && !socket.readableEnded) peer.destroy();
      });
    }
    const decoder = new FrameDecoder({ maxPayloadBytes: MAX_PAYLOADS });
    enclave.on('data', (chunk: Buffer) => {
      this.#record(port, chunk);
      if (FRAMED.has(port)) {
        for (const frame of decoder.push(new Uint8Array(chunk)).frames) {
          this.#takeLeaving(frame);
          this.onFrame({ ...frame, port, from: 'enclave' });
        }
      }
      if (!host.write(chunk)) {
        enclave.pause();
        host.once('drain', () => enclave.resume());
      }
    });
    enclave.on('end', () => host.end());
    host.on('data', (chunk: Buffer) => {
      if (!this.keepBytes) return;
      const chunks = this.#entered.get(port) ?? [];
      chunks.push(chunk);
      this.#entered.set(port, chunks);
    });
    if (port === PORT.log) this.#passAcks(host, enclave);
    else {
      const entering = new FrameDecoder({ maxPayloadBytes: MAX_PAYLOADS });
      host.on('data', (chunk: Buffer) => {
        if (FRAMED.has(port)) {
          for (const frame of entering.push(new Uint8Array(chunk)).frames) {
            this.#takeEntering(frame);
            this.onFrame({ ...frame, port, from: 'host' });
          }
        }
        if (!enclave.write(chunk)) {
          host.pause();
          enclave.once('drain', () => host.resume());
        }
      });
      host.on('end', () => enclave.end());
    }
  }

  #record(port: number, chunk: Buffer): void {
    if (this.keepBytes) {
      const chunks = this.#left.get(port) ?? [];
      chunks.push(chunk);
      this.#left.set(port, chunks);
    }
    this.#leftBytes.set(port, (this.#leftBytes.get(port) ?? 0) + chunk.length);
  }

  #takeLeaving({ type, payload }: Frame): void {
    if (type === FRAME.commit) {
      const { epoch, firstIndex, leaves } = assertAccepted(parseCommit(payload));
      const outputs = leaves.flatMap((bytes, at) =>
        assertAccepted(parseLeaf(bytes)).kind === KIND.output ? [firstIndex + at] : [],
      );
      const left = this.#leftBytes.get(PORT.log) ?? 0;
      this.commits.push({ epoch, size: firstIndex + leaves.length, outputs, left });
    } else if (type === FRAME.release) {
      const { epoch } = this;
      const told = this.acks.findLast((ack) => ack.epoch === epoch);
      this.releases.push({
        ...assertAccepted(parseRelease(payload)),
        epoch,
        left: this.#leftBytes.get(PORT.feed) ?? 0,
        toldSize: told?.size ?? 0,
      });
    }
  }

  #takeEntering({ type, payload }: Frame): void {
    if (type !== FRAME.report) return;
    this.reports.push({ ...assertAccepted(parseReport(payload)), toldEpoch: this.epoch });
  }

  /** Frames of the log stream towards the enclave: credits at once, acknowledgements when it is time. */
  #passAcks(host: Socket, enclave: Socket): void {
    const decoder = new FrameDecoder({ maxPayloadBytes: MAX_PAYLOADS });
    const waiting: { readonly ack: Ack; readonly atMs: number }[] = [];
    let ended = false;
    let timer: NodeJS.Timeout | null = null;
    const pass = (): void => {
      timer = null;
      for (let next = waiting[0]; next !== undefined && !this.holdAcks; next = waiting[0]) {
        if (next.atMs > performance.now()) break;
        waiting.shift();
        const ack = this.forgeAck(next.ack);
        this.acks.push({ ...ack, left: new Map(this.#leftBytes) });
        if (!enclave.destroyed) enclave.write(encodeFrame(FRAME.ack, encodeAck(ack)));
      }
      if (waiting.length > 0 && !enclave.destroyed) timer = setTimeout(pass, 5);
      else if (ended) enclave.end();
    };
    host.on('data', (chunk: Buffer) => {
      for (const { type, payload } of decoder.push(new Uint8Array(chunk)).frames) {
        if (type === FRAME.ack) {
          const ack = assertAccepted(parseAck(payload));
          this.hostAcks.push(ack);
          this.onFrame({ type, payload, port: PORT.log, from: 'host' });
          waiting.push({ ack, atMs: performance.now() + this.ackDelayMs() });
        } else enclave.write(encodeFrame(type, payload));
      }
      if (timer === null) pass();
    });
    host.on('end', () => {
      ended = true;
      // What a dead host's acknowledgements would still say is not said any more.
      if (this.holdAcks) waiting.length = 0;
      if (timer === null) pass();
    });
  }
}
