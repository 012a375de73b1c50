// The core's end of the pipe to the tap, the process that gets market data over the enclave's own TLS for streams
// that have a source. What it sends are batches and declared gaps as on the feed, of such streams only. What exchanges
// send is parsed there: it is hostile, and like a host's feed it waits until there is room.

import type { ByteStream } from '../wire/channel.ts';
import { Channel } from '../wire/channel.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { DeskOpen } from '../wire/desk-frames.ts';
import { DESK_FRAME, encodeDeskOpen } from '../wire/desk-frames.ts';
import type { Frame } from '../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_FEED_IN_BYTES } from '../wire/limits.ts';
import { FRAME } from '../wire/enclave-messages.ts';
import type { Guard } from './fatal.ts';

/** A tap that runs, whatever it runs in. */
export interface RunningTap {
  readonly stream: ByteStream;
  /** Resolves when it is gone. */
  stop(): Promise<void>;
}

export type StartTap = () => RunningTap;

export interface TapLinkOptions {
  readonly guard: Guard;
  /** Without secrets. */
  readonly open: DeskOpen;
  /** BATCH or GAP; the promise says when the next may come. */
  readonly onFrame: (frame: Frame) => void | Promise<void>;
  /** Once, unless it was stopped: no data of its streams comes any more in this epoch. */
  readonly onEnded: (code: RefusalCode) => void;
}

export class TapLink {
  readonly #tap: RunningTap;
  readonly #channel: Channel;
  #stopped = false;
  #frames = 0;

  constructor(tap: RunningTap, { open, onFrame, onEnded }: TapLinkOptions) {
    this.#tap = tap;
    this.#channel = new Channel(tap.stream, {
      maxReceiveBytes: MAX_FEED_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.batch, FRAME.gap],
      onFrame: (frame) => {
        this.#frames++;
        return this.#stopped ? undefined : onFrame(frame);
      },
      onEnd: () => {
        if (this.#stopped) return;
        void this.stop();
        onEnded('tap_ended');
      },
    });
    this.#channel.send(DESK_FRAME.open, encodeDeskOpen(open));
  }

  get counters(): Readonly<Record<string, number>> {
    return { tap_running: this.#stopped ? 0 : 1, tap_frames: this.#frames };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
    await this.#tap.stop();
  }
}
