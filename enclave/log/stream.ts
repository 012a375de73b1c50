// The stream to the host's port 7001: commits out, acknowledgements in. Its loss at any time before the
// close leaf is durable ends the enclave: what cannot be logged must not happen.

import { Channel } from '../../wire/channel.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_LOG_IN_BYTES } from '../../wire/limits.ts';
import { FRAME, PORT } from '../../wire/enclave-messages.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { Fatal } from '../fatal.ts';

type ByteStream = Awaited<ReturnType<Transport['connect']>>;

export interface LogStreamHandlers {
  readonly onAck: (payload: Uint8Array) => void;
  readonly onLost: () => void;
}

export class LogStream {
  readonly #channel: Channel;

  constructor(stream: ByteStream, handlers: LogStreamHandlers) {
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_LOG_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.ack],
      onFrame: ({ payload }) => {
        handlers.onAck(payload);
      },
      onEnd: () => {
        handlers.onLost();
      },
    });
  }

  /** Throws a Fatal when the host does not accept. */
  static async connect(transport: Transport, handlers: LogStreamHandlers): Promise<LogStream> {
    let stream: ByteStream;
    try {
      stream = await transport.connect(PORT.log);
    } catch {
      throw new Fatal('log_unavailable');
    }
    return new LogStream(stream, handlers);
  }

  /** The log writer bounds what waits in here: 64 commits, 16 MiB. */
  send(commit: Uint8Array): void {
    this.#channel.send(FRAME.commit, commit);
  }

  close(): Promise<boolean> {
    return this.#channel.close();
  }
}
