// The stream to the host's port 7003: what the epoch is made of comes in, READY or FAILED goes out, and
// CLOSE, HAND_OVER and credentials may come in later. The host is hostile: each message but credentials is
// taken once, sizes and their number are limited, and it has limited time.

import type { RefusalCode } from '../wire/codes.ts';
import { Channel } from '../wire/channel.ts';
import type { Frame } from '../wire/frame.ts';
import {
  FIRST_CREDIT_BULK_BYTES,
  MAX_BOOT_BYTES,
  MAX_CONFIGURATION_BYTES,
  MAX_ITEM_BYTES,
  MAX_VAULT_RECORD_BYTES,
} from '../wire/limits.ts';
import type { AwsCredentials, DataKeys, HandOver } from '../wire/kms-frames.ts';
import {
  MAX_CREDENTIALS_BYTES,
  MAX_HAND_OVER_BYTES,
  parseCredentials,
  parseDataKeys,
  parseHandOver,
} from '../wire/kms-frames.ts';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../wire/desk-frames.ts';
import type { Failed, Item, Previous, Ready } from '../wire/enclave-messages.ts';
import {
  encodeFailed,
  encodeHello,
  encodeReady,
  FRAME,
  parseItem,
  parsePrevious,
  PORT,
} from '../wire/enclave-messages.ts';
import { MAX_SEALED_ITEMS } from '../wire/sealed.ts';
import type { Transport } from '../wire/node/transport.ts';
import { Fatal, orFatal } from './fatal.ts';
import type { Guard } from './fatal.ts';

/** Bundle and parameters of each of the eight strategies that a configuration may have. */
const MAX_ITEMS = 16;
/** What stands around the bytes of a record. */
const MAX_VAULT_HEAD_BYTES = 64;
/** As many bytes as that many items could have. */
const MAX_SEALED_BYTES: number = MAX_ITEMS * MAX_ITEM_BYTES;

export interface BootMessages {
  readonly configuration: Uint8Array;
  readonly items: readonly Item[];
  readonly previous: Previous | null;
  /** Payloads of SEALED, not looked at. */
  readonly sealed: readonly Uint8Array[];
  readonly dataKeys: DataKeys;
}

export interface BootStreamOptions {
  readonly guard: Guard;
  /** From HELLO to GO. */
  readonly timeoutMs: number;
  /** The host asks for a clean close; at any time after HELLO, once. */
  readonly onClose: () => void;
  /** At any time after HELLO, as often as the host likes. */
  readonly onCredentials: (credentials: AwsCredentials) => void;
  /** VAULT, as often as the host likes before GO, not looked at; resolves when there is room for the next. */
  readonly onVault: (payload: Uint8Array) => Promise<void>;
  /** CERTIFICATE and VAULT_KEPT, at any time, not looked at. */
  readonly onRelay: (type: number, payload: Uint8Array) => void;
  /** After READY, once. */
  readonly onHandOver: (handOver: HandOver) => void;
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
  #sealed: Uint8Array[] = [];
  #dataKeys: DataKeys | null = null;
  #ready = false;
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
        [FRAME.credentials, MAX_CREDENTIALS_BYTES],
        [FRAME.handOver, MAX_HAND_OVER_BYTES],
        [FRAME.vault, MAX_VAULT_RECORD_BYTES + MAX_VAULT_HEAD_BYTES],
        [FRAME.vaultKept, MAX_VAULT_HEAD_BYTES],
        [FRAME.certificate, MAX_CERTIFICATE_CHAIN_BYTES],
      ]),
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [
        FRAME.config,
        FRAME.item,
        FRAME.previous,
        FRAME.go,
        FRAME.close,
        FRAME.credentials,
        FRAME.sealed,
        FRAME.dataKeys,
        FRAME.handOver,
        FRAME.vault,
        FRAME.vaultKept,
        FRAME.certificate,
      ],
      onFrame: (frame) => {
        if (frame.type === FRAME.vault && !this.#done) return options.onVault(frame.payload);
        options.guard.run(() => {
          this.#take(frame);
        });
        return undefined;
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
    this.#ready = true;
    this.#channel.send(FRAME.ready, encodeReady(ready));
  }

  sendFailed(failed: Failed): void {
    this.#channel.send(FRAME.failed, encodeFailed(failed));
  }

  /** A new data-key record. */
  sendKept(record: Uint8Array): void {
    this.#channel.send(FRAME.kept, record);
  }

  /** A vault record to keep or to forget; resolves when there is room for the next. */
  async sendVault(write: Uint8Array): Promise<void> {
    if (!this.#channel.send(FRAME.vault, write)) await this.#channel.drained();
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
    if (frame.type === FRAME.credentials) {
      this.#options.onCredentials(orFatal(parseCredentials(frame.payload)));
      return;
    }
    if (frame.type === FRAME.vaultKept || frame.type === FRAME.certificate) {
      this.#options.onRelay(frame.type, frame.payload);
      return;
    }
    if (frame.type === FRAME.handOver) {
      if (!this.#ready) throw new Fatal('boot_order');
      this.#options.onHandOver(orFatal(parseHandOver(frame.payload)));
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
      case FRAME.sealed:
        this.#takeSealed(frame.payload);
        break;
      case FRAME.dataKeys:
        if (this.#dataKeys !== null) throw new Fatal('boot_order');
        this.#dataKeys = orFatal(parseDataKeys(frame.payload));
        break;
      default:
        this.#go();
    }
  }

  #takeSealed(payload: Uint8Array): void {
    const bytes = this.#sealed.reduce((sum, { length }) => sum + length, payload.length);
    if (this.#sealed.length === MAX_SEALED_ITEMS || bytes > MAX_SEALED_BYTES) {
      throw new Fatal('seal_unexpected');
    }
    this.#sealed.push(payload);
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
      sealed: this.#sealed,
      dataKeys: this.#dataKeys ?? { records: [], rotate: [] },
    });
    this.#items = [];
    this.#sealed = [];
  }
}
