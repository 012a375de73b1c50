// The core's end of the pipe to the desk, the process that talks to the outside (docs/PROTOCOL.md 11b). What comes
// from there is hostile: it gets private leaves of three kinds on streams of its own, documents of purpose challenge, records
// of its vault carried to the host unread, and connectors, all bounded. It cannot get a head signed, an
// output released or a key of KMS. A desk that breaks the rules or ends is not started again in its epoch.

import { PURPOSE } from '../wire/attestation/user-data.ts';
import type { ByteStream } from '../wire/channel.ts';
import { Channel } from '../wire/channel.ts';
import type { RefusalCode } from '../wire/codes.ts';
import { isEnclaveCode } from '../wire/enclave-codes.ts';
import type {
  DeskKind,
  DeskOpen,
  DeskOutput,
  DeskPublicKeys,
  SpawnProgram,
} from '../wire/desk-frames.ts';
import {
  DESK_FRAME,
  encodeDeskAppended,
  encodeDeskAttested,
  encodeDeskOpen,
  encodeDeskOutput,
  encodeDeskState,
  MAX_DESK_IN_BYTES,
  MAX_DESK_OUT_BYTES,
  parseDeskAppend,
  parseDeskAttest,
  parseDeskCounters,
  parseDeskKeys,
  parseSpawn,
  parseVaultWrite,
} from '../wire/desk-frames.ts';
import { parseUtf8 } from '../wire/bytes.ts';
import type { CborValue } from '../wire/cbor.ts';
import { encodeCbor } from '../wire/cbor.ts';
import type { Frame } from '../wire/frame.ts';
import { KIND, LABEL, STREAM } from '../wire/leaf.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../wire/limits.ts';
import type { Attester } from './attester.ts';
import type { Guard } from './fatal.ts';
import { Fatal } from './fatal.ts';
import type { LogWriter } from './log/writer.ts';

/** Challenges that may wait for the NSM, whose calls are serialised. */
const MAX_CHALLENGES = 16;
/** What waits for a desk that takes nothing; twice the largest OPEN. */
const MAX_WAITING_BYTES: number = 2 * MAX_DESK_IN_BYTES;
const NOTHING = new Uint8Array(0);
/** An event of wire/audit.ts, most of which is not the core's. */
const ADMINISTRATIVE = 13;

const PLACES = {
  [KIND.exchangeCall]: { stream: STREAM.exchange, label: LABEL.tls },
  [KIND.result]: { stream: STREAM.results, label: LABEL.enclave },
  [KIND.audit]: { stream: STREAM.audit, label: LABEL.enclave },
} as const satisfies Readonly<Record<DeskKind, unknown>>;

/** A desk that runs, whatever it runs in. */
export interface RunningDesk {
  readonly stream: ByteStream;
  /** One more process, on the desk's socket for it; the desk learns there when there is none. */
  spawn(program: SpawnProgram): void;
  /** Resolves when it is gone, with all its connectors. */
  stop(): Promise<void>;
}

export type StartDesk = () => RunningDesk;

export interface DeskLinkOptions {
  readonly guard: Guard;
  /** How long it may take to finish. */
  readonly shutMs: number;
  /** A record for the host to keep; resolves when there is room for the next. */
  readonly onVault: (write: Uint8Array) => Promise<unknown>;
  /** Once, unless it was asked to end; what its last word or the lack of one says. */
  readonly onEnded: (code: RefusalCode) => void;
}

/** What of the epoch a desk may use. */
export interface DeskEpoch {
  readonly log: LogWriter;
  readonly attester: Attester;
  readonly isReady: () => boolean;
}

export class DeskLink {
  readonly #desk: RunningDesk;
  readonly #options: DeskLinkOptions;
  readonly #channel: Channel;
  readonly #keys = Promise.withResolvers<DeskPublicKeys>();
  readonly #opened = Promise.withResolvers<null>();
  readonly #down = Promise.withResolvers<null>();
  #epoch: DeskEpoch | null = null;
  #phase: 'new' | 'keyed' | 'opening' | 'running' | 'down' | 'ended' = 'new';
  #challenges = 0;
  #stateDue = false;
  #counters: Readonly<Record<string, number>> = {};

  constructor(desk: RunningDesk, options: DeskLinkOptions) {
    this.#desk = desk;
    this.#options = options;
    this.#channel = new Channel(desk.stream, {
      maxReceiveBytes: MAX_DESK_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [
        DESK_FRAME.keys,
        DESK_FRAME.append,
        DESK_FRAME.attest,
        DESK_FRAME.vault,
        DESK_FRAME.spawn,
        DESK_FRAME.counters,
        DESK_FRAME.down,
        DESK_FRAME.opened,
      ],
      onFrame: (frame) => this.#receive(frame),
      onEnd: (refusal) => {
        const closed = refusal === null || refusal.code === 'stream_closed';
        this.#end(closed ? 'desk_ended' : 'desk_malformed');
      },
    });
    // Whoever waits for them sees it; nobody does before the boot has come that far.
    for (const { promise } of [this.#keys, this.#opened]) promise.catch(() => null);
  }

  get counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, desk_running: this.#phase === 'running' ? 1 : 0 };
  }

  /** The public halves of its keys. Throws a Fatal when it ends before. */
  keys(): Promise<DeskPublicKeys> {
    return this.#keys.promise;
  }

  /** A vault record of the host's, before `open`; resolves when there is room for the next. */
  async record(payload: Uint8Array): Promise<void> {
    if (!this.#send(DESK_FRAME.record, payload)) await this.#channel.drained();
  }

  /** Resolves when HTTPS is listened to. Throws a Fatal when the desk ends before. */
  async open(open: DeskOpen, epoch: DeskEpoch): Promise<void> {
    if (this.#phase !== 'keyed') throw new Fatal('desk_ended');
    this.#phase = 'opening';
    this.#epoch = epoch;
    const message = encodeDeskOpen(open);
    if (message.length > MAX_DESK_IN_BYTES) throw new Fatal('desk_malformed');
    this.#sendState();
    this.#send(DESK_FRAME.open, message);
    await this.#opened.promise;
  }

  /** The log or the enclave's own state may have changed. */
  state(): void {
    if (this.#stateDue || this.#phase === 'ended') return;
    this.#stateDue = true;
    setImmediate(() => {
      this.#stateDue = false;
      this.#sendState();
    });
  }

  output(output: DeskOutput): void {
    if (this.#phase === 'running') this.#send(DESK_FRAME.output, encodeDeskOutput(output));
  }

  /** From the host: VAULT_KEPT and CERTIFICATE, not looked at. */
  relay(type: number, payload: Uint8Array): void {
    this.#send(type, payload);
  }

  /** It takes nothing more and finishes; resolves when it has or is gone. One that takes too long is ended. */
  async shut(): Promise<void> {
    if (this.#phase !== 'running') return;
    this.#send(DESK_FRAME.shut, NOTHING);
    const timer = setTimeout(() => {
      this.#end('desk_ended');
    }, this.#options.shutMs);
    await this.#down.promise;
    clearTimeout(timer);
  }

  async stop(): Promise<void> {
    this.#phase = 'ended';
    this.#keys.reject(new Fatal('desk_ended'));
    this.#opened.reject(new Fatal('desk_ended'));
    this.#down.resolve(null);
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
    await this.#desk.stop();
  }

  /** False: wait for `drained`. A desk that leaves too much lying is ended: the core's memory is not the desk's to fill. */
  #send(type: number, payload: Uint8Array): boolean {
    const hasRoom = this.#channel.send(type, payload);
    if (this.#channel.queuedBytes > MAX_WAITING_BYTES) this.#end('desk_malformed');
    return hasRoom;
  }

  #sendState(): void {
    if (this.#epoch === null) return;
    const { log, isReady } = this.#epoch;
    const acknowledgedSize = log.acknowledged?.size ?? 0;
    const state = { acknowledgedSize, ready: isReady(), stalled: log.stalled };
    this.#send(DESK_FRAME.state, encodeDeskState(state));
  }

  #end(code: RefusalCode): void {
    const phase = this.#phase;
    if (phase === 'ended') return;
    if (phase === 'running') this.#logEnd(code);
    this.#keys.reject(new Fatal(code));
    this.#opened.reject(new Fatal(code));
    void this.stop();
    this.#options.onEnded(code);
  }

  /** Readers see from which time on nobody could ask for a document, and no account was polled. */
  #logEnd(code: RefusalCode): void {
    this.#options.guard.run(() => {
      const nothing = [2, 3, 5, 6].map((field): [number, null] => [field, null]);
      const fields: [number, CborValue][] = [[1, ADMINISTRATIVE], [4, code], ...nothing];
      const plaintext = encodeCbor(new Map(fields.toSorted(([a], [b]) => a - b)));
      const kind = KIND.audit;
      this.#epoch?.log.appendPrivate({ kind, ...PLACES[kind], causes: [], plaintext });
    });
  }

  #receive(frame: Frame): void | Promise<void> {
    let waits: Promise<void> | undefined;
    this.#options.guard.run(() => {
      if (this.#phase === 'ended') return;
      const taken = this.#take(frame);
      if (taken === null) this.#end('desk_malformed');
      else waits = taken === true ? undefined : taken;
    });
    return waits;
  }

  /** Null: against the rules. A promise: when it may go on. */
  #take({ type, payload }: Frame): Promise<void> | true | null {
    const phase = this.#phase;
    if (type === DESK_FRAME.keys) return phase === 'new' ? this.#takeKeys(payload) : null;
    if (type === DESK_FRAME.down && parseUtf8(payload) !== '') return this.#takeEnd(payload);
    if (this.#epoch === null) return null;
    if (type === DESK_FRAME.attest) return this.#attest(this.#epoch, payload);
    if (phase !== 'opening' && phase !== 'running') return null;
    switch (type) {
      case DESK_FRAME.append:
        return this.#append(this.#epoch, payload);
      case DESK_FRAME.vault:
        return this.#vault(payload);
      case DESK_FRAME.spawn:
        return this.#spawn(payload);
      case DESK_FRAME.counters:
        return this.#takeCounters(payload);
      case DESK_FRAME.opened:
        if (phase !== 'opening') return null;
        this.#phase = 'running';
        this.#opened.resolve(null);
        return true;
      default:
        this.#phase = 'down';
        this.#down.resolve(null);
        return true;
    }
  }

  #spawn(payload: Uint8Array): true | null {
    const program = parseSpawn(payload);
    if (program === null) return null;
    this.#desk.spawn(program);
    return true;
  }

  #takeKeys(payload: Uint8Array): true | null {
    const keys = parseDeskKeys(payload);
    if (!keys.ok) return null;
    this.#phase = 'keyed';
    this.#keys.resolve(keys.value);
    return true;
  }

  /** Its last word: why it ends. */
  #takeEnd(payload: Uint8Array): true {
    const code = parseUtf8(payload) ?? '';
    // Codes that only a desk has are not the core's to pass on.
    this.#end(isEnclaveCode(code) ? code : 'desk_ended');
    return true;
  }

  #takeCounters(payload: Uint8Array): true | null {
    const counters = parseDeskCounters(payload);
    if (!counters.ok) return null;
    this.#counters = counters.value;
    return true;
  }

  #append({ log }: DeskEpoch, payload: Uint8Array): Promise<void> | true | null {
    const parsed = parseDeskAppend(payload);
    if (!parsed.ok) return null;
    const { id, kind, plaintext, causes } = parsed.value;
    if ((causes.at(-1) ?? -1) >= log.size) return null;
    const append = (): void => {
      if (this.#phase === 'ended' || this.#phase === 'down') return;
      const leaf = log.appendPrivate({ kind, ...PLACES[kind], causes, plaintext });
      this.#send(DESK_FRAME.appended, encodeDeskAppended({ id, ...leaf }));
    };
    if (log.hasRoom) append();
    else return this.#options.guard.runAsync(() => log.ready().then(append));
    return true;
  }

  #attest({ log, attester }: DeskEpoch, payload: Uint8Array): Promise<void> | true | null {
    const parsed = parseDeskAttest(payload);
    if (!parsed.ok) return null;
    const { id, nonce } = parsed.value;
    const refused = (code: RefusalCode): true => {
      this.#send(DESK_FRAME.attested, encodeDeskAttested({ id, document: null, code }));
      return true;
    };
    const head = log.acknowledged;
    if (head === null) return refused('not_ready');
    if (this.#challenges >= MAX_CHALLENGES) return refused('rate_limited');
    this.#challenges++;
    return this.#options.guard.runAsync(async () => {
      const attested = await attester.attest(PURPOSE.challenge, head, nonce);
      this.#challenges--;
      if (!attested.ok) {
        refused(attested.refusal.code);
        return;
      }
      const { document } = attested.value;
      this.#send(DESK_FRAME.attested, encodeDeskAttested({ id, document, code: null }));
    });
  }

  #vault(payload: Uint8Array): Promise<void> | null {
    if (!parseVaultWrite(payload).ok) return null;
    return this.#options.guard.runAsync(async () => {
      await this.#options.onVault(payload);
    });
  }
}
