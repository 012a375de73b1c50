// Port 7001: commits come in, acknowledgements go out, one stream for one epoch. The enclave is opaque to
// the host but not trusted by it: a commit that does not check is not acknowledged and ends the stream,
// and with it the enclave. Acknowledgements are cumulative; those of one sync are joined into one.

import { Channel } from '../wire/channel.ts';
import type { Ack } from '../wire/commit.ts';
import { encodeAck } from '../wire/messages.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_LOG_OUT_BYTES } from '../wire/limits.ts';
import { FRAME } from '../wire/messages.ts';
import type { Refusal } from '../wire/result.ts';
import type { CheckedCommit } from './commit-check.ts';
import type { EpochLog } from './epoch-log.ts';

export interface LogStreamHandlers {
  /** After a commit became durable. */
  readonly onCommit: (checked: CheckedCommit) => void;
  /** Once, when no commit can come any more; null for a clean end of the stream. */
  readonly onEnd: (refusal: Refusal | null) => void;
  /** The disk failed: the process must stop. */
  readonly onFailure: (error: unknown) => void;
}

type ByteStream = ConstructorParameters<typeof Channel>[0];

export class LogStream {
  readonly #log: EpochLog;
  readonly #handlers: LogStreamHandlers;
  readonly #channel: Channel;
  #ack: Ack | null = null;
  #ended = false;

  constructor(stream: ByteStream, log: EpochLog, handlers: LogStreamHandlers) {
    this.#log = log;
    this.#handlers = handlers;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_LOG_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.commit],
      onFrame: ({ payload }) => this.#receive(payload),
      onEnd: (refusal) => {
        this.#end(refusal);
        if (refusal === null) void this.#channel.close();
      },
    });
  }

  destroy(): void {
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
  }

  async #receive(payload: Uint8Array): Promise<void> {
    if (this.#ended) return;
    try {
      const received = await this.#log.receive(payload);
      if (!received.ok) {
        this.#channel.destroy(received.refusal);
        return;
      }
      this.#acknowledge(received.value.ack);
      this.#handlers.onCommit(received.value.checked);
    } catch (error) {
      this.#handlers.onFailure(error);
    }
  }

  #acknowledge(ack: Ack): void {
    const scheduled = this.#ack !== null;
    this.#ack = ack;
    if (scheduled) return;
    setImmediate(() => {
      if (this.#ack !== null) this.#channel.send(FRAME.ack, encodeAck(this.#ack));
      this.#ack = null;
    });
  }

  #end(refusal: Refusal | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#handlers.onEnd(refusal);
  }
}
