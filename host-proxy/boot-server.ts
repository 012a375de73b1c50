// Port 7003: tells an enclave what its epoch is made of, hears whether it is ready, and can ask it to
// close. Nothing that is sent here is secret from the host; the enclave checks all of it. What the enclave
// says of itself (READY) must agree with the log that it writes; proof comes from its attestation only.

import { Channel } from '../wire/channel.ts';
import type { RefusalCode } from '../wire/codes.ts';
import type { Frame } from '../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_BOOT_BYTES } from '../wire/limits.ts';
import type { Item, Previous, Ready } from '../wire/messages.ts';
import {
  encodeItem,
  encodePrevious,
  FRAME,
  parseFailed,
  parseHello,
  parseReady,
} from '../wire/messages.ts';
import type { Refusal } from '../wire/result.ts';

export interface BootMaterial {
  /** In canonical form: their digest is what gets measured. */
  readonly configuration: Uint8Array;
  readonly items: readonly Item[];
  readonly previous: Previous | null;
}

export interface BootHandlers {
  readonly onReady: (ready: Ready) => void;
  /** The enclave refused to start or stopped, with its code. */
  readonly onFailed: (code: RefusalCode) => void;
  /** Once: null for a clean end. */
  readonly onEnd: (refusal: Refusal | null) => void;
}

type ByteStream = ConstructorParameters<typeof Channel>[0];
type Phase = 'hello' | 'booting' | 'ready' | 'ended';

export class BootStream {
  readonly #material: BootMaterial;
  readonly #handlers: BootHandlers;
  readonly #channel: Channel;
  #phase: Phase = 'hello';

  constructor(stream: ByteStream, material: BootMaterial, handlers: BootHandlers) {
    this.#material = material;
    this.#handlers = handlers;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.hello, FRAME.ready, FRAME.failed],
      maxReceiveBytesOf: new Map(
        [FRAME.hello, FRAME.ready, FRAME.failed].map((type) => [type, 1024]),
      ),
      onFrame: (frame) => {
        this.#take(frame);
      },
      onEnd: (refusal) => {
        if (refusal === null) void this.#channel.close();
        if (this.#phase === 'ended') return;
        this.#phase = 'ended';
        handlers.onEnd(refusal);
      },
    });
  }

  /** Asks for a clean close; nothing when the stream is over. */
  askToClose(): void {
    this.#channel.send(FRAME.close, new Uint8Array());
  }

  destroy(): void {
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
  }

  #take({ type, payload }: Frame): void {
    const refusal = this.#handle(type, payload);
    if (refusal !== null) this.#channel.destroy(refusal);
  }

  #handle(type: number, payload: Uint8Array): Refusal | null {
    if (type === FRAME.failed) {
      const failed = parseFailed(payload);
      if (!failed.ok) return failed.refusal;
      this.#handlers.onFailed(failed.value.code);
      return null;
    }
    if (type === FRAME.hello) {
      if (this.#phase !== 'hello') return { code: 'boot_order', detail: { type } };
      const hello = parseHello(payload);
      if (!hello.ok) return hello.refusal;
      this.#phase = 'booting';
      this.#sendMaterial();
      return null;
    }
    if (this.#phase !== 'booting') return { code: 'boot_order', detail: { type } };
    const ready = parseReady(payload);
    if (!ready.ok) return ready.refusal;
    this.#phase = 'ready';
    this.#handlers.onReady(ready.value);
    return null;
  }

  #sendMaterial(): void {
    const { configuration, items, previous } = this.#material;
    this.#channel.send(FRAME.config, configuration);
    for (const item of items) this.#channel.send(FRAME.item, encodeItem(item));
    this.#channel.send(
      FRAME.previous,
      previous === null ? new Uint8Array() : encodePrevious(previous),
    );
    this.#channel.send(FRAME.go, new Uint8Array());
  }
}
