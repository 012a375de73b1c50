// The stream to the host's port 7003: what the epoch is made of comes in, READY or FAILED goes out, and
// CLOSE may come in later. The host is hostile: each message is taken once, sizes and their number are
// limited, and it has limited time.

import type { RefusalCode } from '../wire/codes.ts';
import { Channel } from '../wire/channel.ts';
import type { Frame } from '../wire/frame.ts';
import {
  FIRST_CREDIT_BULK_BYTES,
  MAX_BOOT_BYTES,
  MAX_CONFIGURATION_BYTES,
} from '../wire/limits.ts';
import type { Item, Previous, Ready } from '../wire/messages.ts';
import {
  encodeFailed,
  encodeHello,
  encodeReady,
  FRAME,
  parseItem,
  parsePrevious,
  PORT,
} from '../wire/messages.ts';
import type { Transport } from '../wire/node/transport.ts';
import { Fatal, orFatal } from './fatal.ts';
import type { Guard } from './fatal.ts';

/** Bundle and parameters of each of the eight strategies that a configuration may have. */
const MAX_ITEMS = 16;

export interface BootMessages {
  readonly configuration: Uint8Array;
  readonly items: readonly Item[];
  readonly previous: Previous | null;
}

export interface BootStreamOptions {
  readonly guard: Guard;
  /** From HELLO to GO. */
  readonly timeoutMs: number;
  /** The host asks for a clean close; at any time after HELLO, once. */
  readonly onClose: () => void;
  /** The stream is over: `stream_closed`, or what the host broke. */
  readonly onLost: (code: RefusalCode) => void;
}

export class BootStream {
  readonly #channel: Channel;
  readonly #options: BootStreamOptions;
  #configuration: Uint8Array | null = null;
  #items: Item[] = [];
  /** Undefined until the message came. */
  #previous: Previous | null | undefined;
  #done = false;
  #closeAsked = false;
  readonly #received = Promise.withResolvers<BootMessages>();

  constructor(stream: ConstructorParameters<typeof Channel>[0], options: BootStreamOptions) {
    this.#options = options;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      maxReceiveBytesOf: new Map([
        [FRAME.config, MAX_CONFIGURATION_BYTES],
        [FRAME.go, 0],
        [FRAME.close, 0],
      ]),
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.config, FRAME.item, FRAME.previous, FRAME.go, FRAME.close],
      onFrame: (frame) => {
        options.guard.run(() => {
          this.#take(frame);
        });
      },
      onEnd: (refusal) => {
        const code = refusal?.code ?? 'stream_closed';
        this.#received.reject(new Fatal(code));
        options.onLost(code);
      },
    });
    // Whoever calls receive() sees it; without that call it is nobody's.
    this.#received.promise.catch(() => null);
  }

  static async connect(transport: Transport, options: BootStreamOptions): Promise<BootStream> {
    return new BootStream(await transport.connect(PORT.boot), options);
  }

  /** Says HELLO and waits for all messages up to GO. Throws a Fatal. */
  async receive(): Promise<BootMessages> {
    const timer = setTimeout(() => {
      this.#received.reject(new Fatal('boot_timeout'));
    }, this.#options.timeoutMs);
    this.#channel.send(FRAME.hello, encodeHello());
    try {
      return await this.#received.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  sendReady(ready: Ready): void {
    this.#channel.send(FRAME.ready, encodeReady(ready));
  }

  sendFailed(code: RefusalCode): void {
    this.#channel.send(
      FRAME.failed,
      encodeFailed({ code, position: null, purpose: null, name: null }),
    );
  }

  close(): Promise<boolean> {
    return this.#channel.close();
  }

  #take(frame: Frame): void {
    if (frame.type === FRAME.close) {
      if (this.#closeAsked) return;
      this.#closeAsked = true;
      this.#options.onClose();
      return;
    }
    if (this.#done) throw new Fatal('boot_order');
    switch (frame.type) {
      case FRAME.config:
        if (this.#configuration !== null) throw new Fatal('boot_order');
        this.#configuration = frame.payload;
        break;
      case FRAME.item:
        if (this.#items.length === MAX_ITEMS) throw new Fatal('item_unexpected');
        this.#items.push(orFatal(parseItem(frame.payload)));
        break;
      case FRAME.previous:
        if (this.#previous !== undefined) throw new Fatal('boot_order');
        this.#previous = frame.payload.length === 0 ? null : orFatal(parsePrevious(frame.payload));
        break;
      default:
        this.#go();
    }
  }

  #go(): void {
    if (this.#configuration === null || this.#previous === undefined) {
      throw new Fatal('boot_order');
    }
    this.#done = true;
    this.#received.resolve({
      configuration: this.#configuration,
      items: this.#items,
      previous: this.#previous,
    });
    this.#items = [];
  }
}
