// The enclave's side of all streams, for tests of the host: makes real commits with a LogWriter, but logs
// what the test tells it to and may misbehave where the test wants it.

import type { Duplex } from 'node:stream';
import { Channel } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { parseAck } from '../../wire/commit.ts';
import type { Frame } from '../../wire/frame.ts';
import { KIND } from '../../wire/leaf.ts';
import {
  FIRST_CREDIT_BULK_BYTES,
  FIRST_CREDIT_BYTES,
  MAX_BOOT_BYTES,
  MAX_FEED_IN_BYTES,
  MAX_LOG_IN_BYTES,
} from '../../wire/limits.ts';
import type { Previous } from '../../wire/messages.ts';
import {
  encodeDiagnostic,
  encodeFailed,
  encodeHello,
  encodeProgress,
  encodeReady,
  encodeRelease,
  FRAME,
  parsePrevious,
  PORT,
} from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Listener, Transport } from '../../wire/node/transport.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { parseOrigin } from '../../wire/header.ts';
import type { CloseReason } from '../../wire/payloads.ts';
import { CLOSE_REASON, encodeClose } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { LogWriter, newLogKey } from './log-writer.ts';

export interface FakeEnclaveOptions {
  readonly transport: Transport;
  /** Answer FAILED instead of READY. */
  readonly fail?: RefusalCode;
  /** A READY that contradicts the log. */
  readonly wrongReady?: boolean;
  /** Records of new data keys, told before READY… */
  readonly kept?: readonly Uint8Array[];
  /** …and when this resolves, which is given the acknowledgement of the first commit. */
  readonly beforeKept?: (acknowledged: Promise<null>) => Promise<unknown>;
  /** What the header names. */
  readonly dataKeys?: EpochHeader['dataKeys'];
  /** Log an output for each batch with this sequence or more, and release it… */
  readonly outputs?: boolean;
  /** …unless its batch has this sequence or more: then everything stops without a word. */
  readonly dieAtBatch?: number;
}

export class FakeEnclave {
  readonly boot: Frame[] = [];
  readonly reports: Frame[] = [];
  readonly batches: Frame[] = [];
  previous: Previous | null = null;
  writer: LogWriter = new LogWriter();
  closeAsked = false;
  readonly ended: Promise<null>;
  readonly #options: FakeEnclaveOptions;
  readonly #ended = Promise.withResolvers<null>();
  readonly #streams: Duplex[] = [];
  #listener: Listener | null = null;
  #bootChannel: Channel | null = null;
  #log: Channel | null = null;
  #feed: Channel | null = null;
  #acknowledged = 0;
  #dead = false;
  #waiting: { readonly size: number; readonly done: () => void }[] = [];

  constructor(options: FakeEnclaveOptions) {
    this.#options = options;
    this.ended = this.#ended.promise;
    // A host that has ended listens no more.
    this.#start().catch(() => {
      this.die();
    });
  }

  /** As a kill -9 would. */
  die(): void {
    this.#dead = true;
    for (const stream of this.#streams) stream.destroy();
    void this.#listener?.close();
    this.#ended.resolve(null);
  }

  async #start(): Promise<void> {
    const { transport } = this.#options;
    const diagnostics = this.#channel(
      await this.#connect(PORT.diagnostics),
      4096,
      [],
      () => undefined,
    );
    diagnostics.send(
      FRAME.diagnostic,
      encodeDiagnostic({ code: 'booting', counters: { leaves: 0 } }),
    );
    const { config, item, previous, go, close, credentials, sealed, dataKeys, handOver } = FRAME;
    this.#bootChannel = this.#channel(
      await this.#connect(PORT.boot),
      MAX_BOOT_BYTES,
      [config, item, previous, go, close, credentials, sealed, dataKeys, handOver],
      (frame) => {
        this.#takeBoot(frame);
      },
      FIRST_CREDIT_BULK_BYTES,
    );
    this.#listener = await transport.listen(PORT.feed, (stream) => {
      this.#streams.push(stream);
      this.#feed = this.#channel(
        stream,
        MAX_FEED_IN_BYTES,
        [FRAME.batch, FRAME.gap, FRAME.report],
        (frame) => {
          this.#takeFeed(frame);
        },
        FIRST_CREDIT_BYTES,
        () => {
          void this.#feed?.close();
        },
      );
    });
    this.#bootChannel.send(FRAME.hello, encodeHello());
  }

  async #connect(port: number): Promise<Duplex> {
    const stream = await this.#options.transport.connect(port);
    this.#streams.push(stream);
    return stream;
  }

  #channel(
    stream: Duplex,
    maxReceiveBytes: number,
    types: readonly number[],
    onFrame: (frame: Frame) => void,
    firstCreditBytes: number = FIRST_CREDIT_BYTES,
    onEnd: () => void = () => undefined,
  ): Channel {
    return new Channel(stream, { maxReceiveBytes, firstCreditBytes, types, onFrame, onEnd });
  }

  #takeBoot(frame: Frame): void {
    this.boot.push(frame);
    if (frame.type === FRAME.previous && frame.payload.length > 0) {
      this.previous = assertAccepted(parsePrevious(frame.payload));
    }
    if (frame.type === FRAME.go) void this.#begin();
    if (frame.type === FRAME.close) {
      this.closeAsked = true;
      void this.#close(CLOSE_REASON.host);
    }
    if (frame.type === FRAME.handOver) void this.#close(CLOSE_REASON.handOver);
  }

  async #begin(): Promise<void> {
    const { fail, wrongReady, kept = [], beforeKept, dataKeys = [] } = this.#options;
    if (fail !== undefined) {
      this.#bootChannel?.send(
        FRAME.failed,
        encodeFailed({ code: fail, position: null, purpose: null, name: null }),
      );
      await this.#bootChannel?.close();
      this.#ended.resolve(null);
      return;
    }
    const last = this.previous === null ? 0 : (parseOrigin(this.previous.origin)?.epoch ?? 0);
    this.writer = new LogWriter(last + 1, newLogKey(), { dataKeys });
    this.#log = this.#channel(
      await this.#connect(PORT.log),
      MAX_LOG_IN_BYTES,
      [FRAME.ack],
      ({ payload }) => {
        this.#acknowledged = assertAccepted(parseAck(payload)).size;
        for (const { size, done } of this.#waiting) if (size <= this.#acknowledged) done();
      },
      FIRST_CREDIT_BULK_BYTES,
    );
    const acknowledged = this.#commit();
    await beforeKept?.(acknowledged);
    for (const record of kept) this.#bootChannel?.send(FRAME.kept, record);
    await acknowledged;
    const { header, key, leaves } = this.writer;
    const leaf0Hash = leafHash(nodeCrypto, leaves[wrongReady === true ? 1 : 0] ?? new Uint8Array());
    this.#bootChannel?.send(
      FRAME.ready,
      encodeReady({ origin: header.origin, logKey: key.spki, leaf0Hash }),
    );
  }

  /** Sends what was added; resolves with its acknowledgement. */
  #commit(): Promise<null> {
    const bytes = this.writer.commit();
    const { size } = this.writer;
    this.#log?.send(FRAME.commit, bytes);
    return new Promise((resolve) => {
      const done = (): void => {
        resolve(null);
      };
      if (this.#acknowledged >= size) done();
      else this.#waiting.push({ size, done });
    });
  }

  #takeFeed(frame: Frame): void {
    if (frame.type === FRAME.report) {
      this.reports.push(frame);
      return;
    }
    const sequence = this.batches.length;
    this.batches.push(frame);
    void this.#answer(sequence, frame.payload);
  }

  async #answer(sequence: number, payload: Uint8Array): Promise<void> {
    const { outputs = false, dieAtBatch = Number.POSITIVE_INFINITY } = this.#options;
    const leafIndex = this.writer.add(KIND.input, payload);
    const signal = new Uint8Array(20).fill(sequence);
    const output = outputs ? this.writer.add(KIND.output, signal) : null;
    await this.#commit();
    if (sequence >= dieAtBatch) {
      this.die();
      return;
    }
    if (output !== null) {
      const salt = new Uint8Array(16).fill(9);
      this.#feed?.send(
        FRAME.release,
        encodeRelease({ leafIndex: output, salt, plaintext: signal }),
      );
    }
    const acknowledgedSize = this.#acknowledged;
    this.#feed?.send(
      FRAME.progress,
      encodeProgress({ stream: 1, sequence, leafIndex, acknowledgedSize }),
    );
  }

  async #close(reason: CloseReason): Promise<void> {
    if (this.#dead) return;
    this.writer.add(KIND.close, encodeClose(reason));
    await this.#commit();
    await Promise.all([
      this.#listener?.close(),
      this.#feed?.close(),
      this.#bootChannel?.close(),
      this.#log?.close(),
    ]);
    this.#ended.resolve(null);
  }
}
