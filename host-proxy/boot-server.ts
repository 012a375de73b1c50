// Port 7003: tells an enclave what its epoch is made of, keeps it in AWS credentials, hears whether it is ready,
// and can ask it to close or to hand over. Nothing that is sent here is secret from the host (sealed items are
// ciphertext to it); the enclave checks all of it. What the enclave says of itself (READY) must agree with the
// log that it writes; proof comes from its attestation only.

import { Channel } from '../wire/channel.ts';
import type { Frame } from '../wire/frame.ts';
import type { VaultRecord, VaultWrite } from '../wire/desk-messages.ts';
import { parseVaultWrite } from '../wire/desk-messages.ts';
import { encodeVaultKept, encodeVaultRecord } from '../wire/messages.ts';
import type { AwsCredentials, DataKeys, HandOver } from '../wire/kms-messages.ts';
import { encodeCredentials, encodeDataKeys, encodeHandOver } from '../wire/kms-messages.ts';
import { FIRST_CREDIT_BULK_BYTES, MAX_BOOT_BYTES } from '../wire/limits.ts';
import type { Failed, Item, Previous, Ready } from '../wire/messages.ts';
import {
  encodeItem,
  encodePrevious,
  FRAME,
  parseFailed,
  parseHello,
  parseReady,
} from '../wire/messages.ts';
import type { Refusal } from '../wire/result.ts';
import { MAX_DATA_KEY_RECORD_BYTES } from '../wire/sealed.ts';

export interface BootMaterial {
  /** In canonical form: their digest is what gets measured. */
  readonly configuration: Uint8Array;
  readonly items: readonly Item[];
  readonly previous: Previous | null;
  /** As `trackseal seal` wrote them. */
  readonly sealed: readonly Uint8Array[];
  /** Null: the configuration has none. */
  readonly dataKeys: DataKeys | null;
  /** What the vault has kept; read one after the other. */
  readonly vault: Iterable<VaultRecord>;
}

export interface BootHandlers {
  readonly onReady: (ready: Ready) => void;
  /** The enclave refused to start or stopped, with its code. */
  readonly onFailed: (failed: Failed) => void;
  /** The record of a new data key, still to be checked and kept. */
  readonly onKept: (record: Uint8Array) => void;
  /** A record of the vault to keep or to forget; answered with `sendVaultKept` when it is durable. */
  readonly onVault: (write: VaultWrite) => void;
  /** Once: null for a clean end. */
  readonly onEnd: (refusal: Refusal | null) => void;
}

const MAX_SMALL_BYTES = 1024;

type ByteStream = ConstructorParameters<typeof Channel>[0];
type Phase = 'hello' | 'booting' | 'ready' | 'ended';

export class BootStream {
  readonly #material: BootMaterial;
  readonly #handlers: BootHandlers;
  readonly #channel: Channel;
  #phase: Phase = 'hello';
  /** The latest, for an enclave that has not said HELLO yet. */
  #credentials: AwsCredentials | null = null;

  constructor(stream: ByteStream, material: BootMaterial, handlers: BootHandlers) {
    this.#material = material;
    this.#handlers = handlers;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.hello, FRAME.ready, FRAME.failed, FRAME.kept, FRAME.vault],
      maxReceiveBytesOf: new Map([
        [FRAME.hello, MAX_SMALL_BYTES],
        [FRAME.ready, MAX_SMALL_BYTES],
        [FRAME.failed, MAX_SMALL_BYTES],
        [FRAME.kept, MAX_DATA_KEY_RECORD_BYTES],
      ]),
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

  /** Tells the enclave which image comes next; it logs that and closes. */
  handOver(handOver: HandOver): void {
    this.#channel.send(FRAME.handOver, encodeHandOver(handOver));
  }

  /** At any time; the enclave uses the latest. */
  sendCredentials(credentials: AwsCredentials): void {
    this.#credentials = credentials;
    if (this.#phase !== 'booting' && this.#phase !== 'ready') return;
    this.#channel.send(FRAME.credentials, encodeCredentials(credentials));
  }

  /** A chain (PEM) for the enclave's TLS key; false before the enclave has said HELLO and after its end. */
  sendCertificate(chain: Uint8Array): boolean {
    if (this.#phase !== 'booting' && this.#phase !== 'ready') return false;
    this.#channel.send(FRAME.certificate, chain);
    return true;
  }

  sendVaultKept(id: number): void {
    this.#channel.send(FRAME.vaultKept, encodeVaultKept(id));
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
      this.#handlers.onFailed(failed.value);
      return null;
    }
    if (type === FRAME.hello) {
      if (this.#phase !== 'hello') return { code: 'boot_order', detail: { type } };
      const hello = parseHello(payload);
      if (!hello.ok) return hello.refusal;
      this.#phase = 'booting';
      void this.#sendMaterial();
      return null;
    }
    if (type === FRAME.vault && (this.#phase === 'booting' || this.#phase === 'ready')) {
      const write = parseVaultWrite(payload.slice());
      if (!write.ok) return write.refusal;
      this.#handlers.onVault(write.value);
      return null;
    }
    if (this.#phase !== 'booting') return { code: 'boot_order', detail: { type } };
    if (type === FRAME.kept) {
      this.#handlers.onKept(payload.slice());
      return null;
    }
    const ready = parseReady(payload);
    if (!ready.ok) return ready.refusal;
    this.#phase = 'ready';
    this.#handlers.onReady(ready.value);
    return null;
  }

  async #sendMaterial(): Promise<void> {
    const { configuration, items, previous, sealed, dataKeys, vault } = this.#material;
    this.#channel.send(FRAME.config, configuration);
    if (this.#credentials !== null) this.sendCredentials(this.#credentials);
    for (const item of items) this.#channel.send(FRAME.item, encodeItem(item));
    for (const item of sealed) this.#channel.send(FRAME.sealed, item);
    if (dataKeys !== null) this.#channel.send(FRAME.dataKeys, encodeDataKeys(dataKeys));
    this.#channel.send(
      FRAME.previous,
      previous === null ? new Uint8Array() : encodePrevious(previous),
    );
    for (const record of vault) {
      if (!this.#channel.send(FRAME.vault, encodeVaultRecord(record)))
        await this.#channel.drained();
    }
    this.#channel.send(FRAME.go, new Uint8Array());
  }
}
