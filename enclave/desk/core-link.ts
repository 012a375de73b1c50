// The desk's end of the pipe to the core (docs/PROTOCOL.md 11b), which it trusts: what it asks of the log, of the
// security module and of the host goes through here, with a number that its answer carries. A message of the core's
// that cannot be read is a bug and ends the desk.

import { toHex } from '../../wire/bytes.ts';
import type { ByteStream } from '../../wire/channel.ts';
import { Channel } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type {
  DeskAppended,
  DeskKind,
  DeskOpen,
  DeskOutput,
  DeskState,
  SpawnProgram,
} from '../../wire/desk-frames.ts';
import {
  DESK_FRAME,
  encodeDeskAppend,
  encodeDeskAttest,
  encodeDeskCounters,
  encodeDeskKeys,
  encodeVaultWrite,
  MAX_DESK_IN_BYTES,
  parseDeskAppended,
  parseDeskAttested,
  parseDeskOpen,
  parseDeskOutput,
  parseDeskState,
  parseVaultKept,
  parseVaultRecord,
} from '../../wire/desk-messages.ts';
import { utf8 } from '../../wire/bytes.ts';
import type { Frame } from '../../wire/frame.ts';
import {
  FIRST_CREDIT_BULK_BYTES,
  MAX_VAULT_RECORD_BYTES,
  MAX_VAULT_RECORDS,
} from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { Guard } from '../fatal.ts';
import { Fatal, orFatal } from '../fatal.ts';
import type { DeskKeys } from './keys.ts';
import { publicKeysOf } from './keys.ts';

const NOTHING = new Uint8Array(0);
/** Sent in advance; the core bounds what it works on. */
const STARTING: DeskState = { acknowledgedSize: 0, ready: false, stalled: false };

export interface CoreLinkOptions {
  readonly guard: Guard;
  readonly onShut: () => void;
  readonly onState: (state: DeskState) => void;
  readonly onOutput: (output: DeskOutput) => void;
  readonly onCertificate: (chain: Uint8Array) => void;
  /** The core is gone, and so is everything. */
  readonly onLost: () => void;
}

interface SizeWaiter {
  readonly size: number;
  readonly resolve: () => void;
}

export class CoreLink {
  readonly #options: CoreLinkOptions;
  readonly #channel: Channel;
  readonly #records = new Map<string, Uint8Array>();
  readonly #opening = Promise.withResolvers<DeskOpen>();
  readonly #appends = new Map<number, (appended: DeskAppended) => void>();
  readonly #attests = new Map<number, (document: Result<Uint8Array>) => void>();
  readonly #writes = new Map<number, () => void>();
  #sizeWaiters: SizeWaiter[] = [];
  #nextId = 0;
  #state = STARTING;

  constructor(stream: ByteStream, options: CoreLinkOptions) {
    this.#options = options;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_DESK_IN_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [
        DESK_FRAME.record,
        DESK_FRAME.open,
        DESK_FRAME.state,
        DESK_FRAME.appended,
        DESK_FRAME.attested,
        DESK_FRAME.keptVault,
        DESK_FRAME.output,
        DESK_FRAME.shut,
        DESK_FRAME.certificate,
      ],
      onFrame: (frame) => {
        options.guard.run(() => {
          this.#take(frame);
        });
      },
      onEnd: () => {
        options.onLost();
      },
    });
  }

  get state(): DeskState {
    return this.#state;
  }

  /** The vault: what the host brought, and what was put since. */
  get records(): ReadonlyMap<string, Uint8Array> {
    return this.#records;
  }

  /** Says the keys and waits for OPEN. */
  open(keys: DeskKeys): Promise<DeskOpen> {
    this.#channel.send(DESK_FRAME.keys, encodeDeskKeys(publicKeysOf(keys)));
    return this.#opening.promise;
  }

  opened(): void {
    this.#channel.send(DESK_FRAME.opened, NOTHING);
  }

  append(kind: DeskKind, plaintext: Uint8Array, causes: readonly number[]): Promise<DeskAppended> {
    const id = this.#nextId++;
    this.#channel.send(DESK_FRAME.append, encodeDeskAppend({ id, kind, plaintext, causes }));
    return new Promise((resolve) => this.#appends.set(id, resolve));
  }

  acknowledged(size: number): Promise<void> {
    if (this.#state.acknowledgedSize >= size) return Promise.resolve();
    return new Promise((resolve) => this.#sizeWaiters.push({ size, resolve }));
  }

  attest(nonce: Uint8Array): Promise<Result<Uint8Array>> {
    const id = this.#nextId++;
    this.#channel.send(DESK_FRAME.attest, encodeDeskAttest({ id, nonce }));
    return new Promise((resolve) => this.#attests.set(id, resolve));
  }

  async put(recordId: Uint8Array, bytes: Uint8Array | null): Promise<void> {
    const key = toHex(recordId);
    if (bytes === null) this.#records.delete(key);
    else {
      if (bytes.length > MAX_VAULT_RECORD_BYTES) throw new Error('a record beyond its limit');
      if (!this.#records.has(key) && this.#records.size >= MAX_VAULT_RECORDS) {
        throw new Fatal('vault_full');
      }
      this.#records.set(key, bytes);
    }
    const id = this.#nextId++;
    this.#channel.send(DESK_FRAME.vault, encodeVaultWrite({ id, recordId, bytes }));
    await new Promise<void>((resolve) => this.#writes.set(id, resolve));
  }

  spawn(program: SpawnProgram): void {
    this.#channel.send(DESK_FRAME.spawn, utf8(program));
  }

  counters(counters: Readonly<Record<string, number>>): void {
    this.#channel.send(DESK_FRAME.counters, encodeDeskCounters(counters));
  }

  /** Nothing more is logged or kept by this desk; documents it may still ask for. */
  down(): void {
    this.#channel.send(DESK_FRAME.down, NOTHING);
  }

  /** The last word: why this desk ends. Resolves when it is out. */
  async fail(code: RefusalCode): Promise<void> {
    this.#channel.send(DESK_FRAME.down, utf8(code));
    await this.#channel.close();
  }

  #take({ type, payload }: Frame): void {
    switch (type) {
      case DESK_FRAME.record: {
        const { recordId, bytes } = orFatal(parseVaultRecord(payload));
        if (this.#records.size >= MAX_VAULT_RECORDS) throw new Fatal('vault_full');
        this.#records.set(toHex(recordId), bytes);
        break;
      }
      case DESK_FRAME.open:
        this.#opening.resolve(orFatal(parseDeskOpen(payload)));
        break;
      case DESK_FRAME.state:
        this.#takeState(orFatal(parseDeskState(payload)));
        break;
      case DESK_FRAME.appended:
        answer(this.#appends, orFatal(parseDeskAppended(payload)));
        break;
      case DESK_FRAME.attested: {
        const { id, document, code } = orFatal(parseDeskAttested(payload));
        const resolve = this.#attests.get(id);
        this.#attests.delete(id);
        resolve?.(document === null ? refuse(code ?? 'nsm_error') : accept(document));
        break;
      }
      case DESK_FRAME.keptVault: {
        const id = orFatal(parseVaultKept(payload));
        this.#writes.get(id)?.();
        this.#writes.delete(id);
        break;
      }
      case DESK_FRAME.output:
        this.#options.onOutput(orFatal(parseDeskOutput(payload)));
        break;
      case DESK_FRAME.certificate:
        this.#options.onCertificate(payload);
        break;
      default:
        this.#options.onShut();
    }
  }

  #takeState(state: DeskState): void {
    this.#state = state;
    const size = state.acknowledgedSize;
    const reached = this.#sizeWaiters.filter((waiter) => waiter.size <= size);
    this.#sizeWaiters = this.#sizeWaiters.filter((waiter) => waiter.size > size);
    for (const { resolve } of reached) resolve();
    this.#options.onState(state);
  }
}

function answer(
  waiting: Map<number, (appended: DeskAppended) => void>,
  appended: DeskAppended,
): void {
  waiting.get(appended.id)?.(appended);
  waiting.delete(appended.id);
}
