// The ledger's end of its one stream, to the desk (protocol.ts), which it trusts: what it hears becomes events for its
// parts, what it asks carries a number that the answer has too. A message that cannot be read is a bug and ends the
// process. Nothing of what is under way survives it: the desk tells a new one all that counts.

import type { Duplex } from 'node:stream';
import type { ByteStream } from '../../wire/channel.ts';
import { Channel } from '../../wire/channel.ts';
import { encodeDeskCounters } from '../../wire/desk-messages.ts';
import type { Frame } from '../../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../../wire/limits.ts';
import { maxStreamFrameBytes, StreamMux } from '../../wire/node/stream-mux.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ConnectorRecord } from '../connector/records.ts';
import type { Guard } from '../fatal.ts';
import { Fatal, orFatal } from '../fatal.ts';
import type {
  LedgerAccount,
  LedgerAsk,
  LedgerMissed,
  LedgerOpen,
  LedgerResync,
  LedgerState,
  MissingPrice,
  PriceRow,
  StatedHead,
} from './protocol.ts';
import {
  encodeLedgerAnswer,
  encodeLedgerAudit,
  encodeLedgerResync,
  encodeLedgerSign,
  encodeLedgerStated,
  encodeLedgerTaken,
  encodeNeedPrices,
  FINGERPRINT_BYTES,
  LEDGER_FRAME,
  MAX_LEDGER_ANSWER_BYTES,
  MAX_LEDGER_FRAME_BYTES,
  parseLedgerAccount,
  parseLedgerAsk,
  parseLedgerMissed,
  parseLedgerOpen,
  parseLedgerPoll,
  parseLedgerPrices,
  parseLedgerRecords,
  parseLedgerRemove,
  parseLedgerSigned,
  parseLedgerState,
  STREAM_FRAMES,
  STREAM_KIND,
  TO_LEDGER_TYPES,
} from './protocol.ts';
import type {
  LedgerServices,
  PriceAnswer,
  PriceQuestion,
  SignedLeaf,
  TakenPoll,
} from './services.ts';

/** gRPC connections; the desk has a limit of its own. */
const MAX_CONNECTIONS = 256;
const NOTHING = new Uint8Array(0);
const STARTING: LedgerState = { acknowledgedSize: 0, ready: false, stalled: false };
const STREAM_TYPES: ReadonlySet<number> = new Set(Object.values(STREAM_FRAMES));

export interface DeskLinkOptions {
  readonly guard: Guard;
  readonly onShut: () => void;
  /** The desk is gone, or wants another ledger. */
  readonly onLost: () => void;
}

interface Asked {
  readonly rows: PriceRow[];
  readonly missing: MissingPrice[];
  readonly resolve: (answer: PriceAnswer) => void;
}

type Link = Pick<
  LedgerServices,
  | 'accounts'
  | 'onAccount'
  | 'onRemoved'
  | 'onPoll'
  | 'onMissed'
  | 'takePoll'
  | 'stated'
  | 'resync'
  | 'needPrices'
  | 'sign'
  | 'audit'
  | 'openDatabase'
  | 'onGrpcConnection'
  | 'onAsk'
>;

export class DeskLink implements Link {
  readonly #options: DeskLinkOptions;
  readonly #channel: Channel;
  readonly #mux: StreamMux;
  readonly #opening = Promise.withResolvers<LedgerOpen>();
  readonly #accounts = new Map<string, LedgerAccount>();
  /** Pages of polls whose POLL has not come, by account. */
  readonly #pages = new Map<
    string,
    { readonly poll: number; readonly records: ConnectorRecord[] }
  >();
  readonly #asked = new Map<number, Asked>();
  readonly #signs = new Map<number, (signed: Result<SignedLeaf>) => void>();
  readonly #onAccount: ((account: LedgerAccount) => void)[] = [];
  readonly #onRemoved: ((account: LedgerAccount) => void)[] = [];
  readonly #onPoll: ((poll: TakenPoll) => void)[] = [];
  readonly #onMissed: ((missed: LedgerMissed) => void)[] = [];
  #onConnection: ((stream: Duplex, fingerprint: Uint8Array) => void) | null = null;
  #answer: ((ask: LedgerAsk) => Promise<Result<Uint8Array>>) | null = null;
  #nextId = 0;
  #state = STARTING;

  constructor(stream: ByteStream, options: DeskLinkOptions) {
    this.#options = options;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_LEDGER_FRAME_BYTES,
      maxReceiveBytesOf: maxStreamFrameBytes(STREAM_FRAMES),
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: TO_LEDGER_TYPES,
      onFrame: (frame) => {
        options.guard.run(() => {
          this.#take(frame);
        });
      },
      onEnd: () => {
        this.#mux.destroy();
        options.onLost();
      },
    });
    this.#mux = new StreamMux({
      numbers: 'even',
      frames: STREAM_FRAMES,
      send: (type, head, rest) => this.#channel.send(type, head, rest),
      drained: () => this.#channel.drained(),
      maxPeerStreams: MAX_CONNECTIONS,
      onStream: (duplex, kind, label) => {
        if (kind !== STREAM_KIND.grpc || label.length !== FINGERPRINT_BYTES) return false;
        this.#onConnection?.(duplex, label);
        return this.#onConnection !== null;
      },
    });
  }

  get state(): LedgerState {
    return this.#state;
  }

  open(): Promise<LedgerOpen> {
    return this.#opening.promise;
  }

  /** Polls come from now on. */
  ready(): void {
    this.#channel.send(LEDGER_FRAME.ready, NOTHING);
  }

  counters(counters: Readonly<Record<string, number>>): void {
    this.#channel.send(LEDGER_FRAME.counters, encodeDeskCounters(counters));
  }

  /** Ends our side; resolves when all that was said is out. */
  async close(): Promise<void> {
    await this.#channel.close();
  }

  get accounts(): ReadonlyMap<string, LedgerAccount> {
    return this.#accounts;
  }

  onAccount(listener: (account: LedgerAccount) => void): void {
    this.#onAccount.push(listener);
    for (const account of this.#accounts.values()) listener(account);
  }

  onRemoved(listener: (account: LedgerAccount) => void): void {
    this.#onRemoved.push(listener);
  }

  onPoll(listener: (poll: TakenPoll) => void): void {
    this.#onPoll.push(listener);
  }

  onMissed(listener: (missed: LedgerMissed) => void): void {
    this.#onMissed.push(listener);
  }

  takePoll(id: string, poll: number, stored: boolean): void {
    this.#channel.send(LEDGER_FRAME.taken, encodeLedgerTaken({ id, poll, stored }));
  }

  stated(id: string, head: StatedHead): void {
    this.#channel.send(LEDGER_FRAME.stated, encodeLedgerStated({ id, ...head }));
  }

  resync(resync: LedgerResync): void {
    this.#channel.send(LEDGER_FRAME.resync, encodeLedgerResync(resync));
  }

  needPrices(question: PriceQuestion): Promise<PriceAnswer> {
    const id = this.#nextId++;
    this.#channel.send(LEDGER_FRAME.needPrices, encodeNeedPrices({ ...question, id }));
    return new Promise((resolve) => this.#asked.set(id, { rows: [], missing: [], resolve }));
  }

  sign(statements: readonly Uint8Array[]): Promise<Result<SignedLeaf>> {
    const id = this.#nextId++;
    this.#channel.send(LEDGER_FRAME.sign, encodeLedgerSign({ id, statements }));
    return new Promise((resolve) => this.#signs.set(id, resolve));
  }

  audit(entry: Parameters<LedgerServices['audit']>[0]): void {
    this.#channel.send(LEDGER_FRAME.audit, encodeLedgerAudit(entry));
  }

  openDatabase(): Duplex {
    return this.#mux.open(STREAM_KIND.database, NOTHING);
  }

  onGrpcConnection(listener: (stream: Duplex, clientFingerprint: Uint8Array) => void): void {
    this.#onConnection = listener;
  }

  onAsk(answer: (ask: LedgerAsk) => Promise<Result<Uint8Array>>): void {
    this.#answer = answer;
  }

  #take({ type, payload }: Frame): void {
    if (STREAM_TYPES.has(type)) {
      const refusal = this.#mux.receive(type, payload);
      if (refusal !== null) throw new Fatal(refusal.code);
      return;
    }
    switch (type) {
      case LEDGER_FRAME.open:
        this.#opening.resolve(orFatal(parseLedgerOpen(payload)));
        break;
      case LEDGER_FRAME.state:
        this.#state = orFatal(parseLedgerState(payload));
        break;
      case LEDGER_FRAME.account: {
        const account = orFatal(parseLedgerAccount(payload));
        this.#accounts.set(account.id, account);
        for (const listener of this.#onAccount) listener(account);
        break;
      }
      case LEDGER_FRAME.remove:
        this.#remove(orFatal(parseLedgerRemove(payload)));
        break;
      case LEDGER_FRAME.records:
        this.#takePage(payload);
        break;
      case LEDGER_FRAME.poll:
        this.#takePoll(payload);
        break;
      case LEDGER_FRAME.missed: {
        const missed = orFatal(parseLedgerMissed(payload));
        if (this.#accounts.has(missed.id)) for (const one of this.#onMissed) one(missed);
        break;
      }
      case LEDGER_FRAME.prices:
        this.#takePrices(payload);
        break;
      case LEDGER_FRAME.signed:
        this.#takeSigned(payload);
        break;
      case LEDGER_FRAME.ask:
        void this.#options.guard.runAsync(() => this.#takeAsk(payload));
        break;
      default:
        this.#options.onShut();
    }
  }

  #remove(id: string): void {
    const account = this.#accounts.get(id);
    if (account === undefined) return;
    this.#accounts.delete(id);
    this.#pages.delete(id);
    for (const listener of this.#onRemoved) listener(account);
  }

  #takePage(payload: Uint8Array): void {
    const { id, poll, records } = orFatal(parseLedgerRecords(payload));
    const known = this.#pages.get(id);
    const page = known?.poll === poll ? known : { poll, records: [] };
    // One by one: a page has up to 500.
    for (const record of records) page.records.push(record);
    this.#pages.set(id, page);
  }

  #takePoll(payload: Uint8Array): void {
    const poll = orFatal(parseLedgerPoll(payload));
    const page = this.#pages.get(poll.id);
    this.#pages.delete(poll.id);
    const account = this.#accounts.get(poll.id);
    if (account === undefined) return;
    const records = page?.poll === poll.poll && poll.outcome !== 'failed' ? page.records : [];
    for (const listener of this.#onPoll) listener({ ...poll, account, records });
  }

  #takePrices(payload: Uint8Array): void {
    const { id, rows, missing, last } = orFatal(parseLedgerPrices(payload));
    const asked = this.#asked.get(id);
    if (asked === undefined) throw new Fatal('message_malformed');
    for (const row of rows) asked.rows.push(row);
    for (const one of missing) asked.missing.push(one);
    if (!last) return;
    this.#asked.delete(id);
    asked.resolve({ rows: asked.rows, missing: asked.missing });
  }

  #takeSigned(payload: Uint8Array): void {
    const { id, code, ...signed } = orFatal(parseLedgerSigned(payload));
    const resolve = this.#signs.get(id);
    if (resolve === undefined) throw new Fatal('message_malformed');
    this.#signs.delete(id);
    resolve(code === null ? accept(signed) : refuse(code));
  }

  async #takeAsk(payload: Uint8Array): Promise<void> {
    const ask = orFatal(parseLedgerAsk(payload));
    const answered = this.#answer === null ? refuse('not_ready') : await this.#answer(ask);
    const tooLarge = answered.ok && answered.value.length > MAX_LEDGER_ANSWER_BYTES;
    const result = tooLarge ? refuse('api_too_large') : answered;
    const code = result.ok ? null : result.refusal.code;
    const body = result.ok ? result.value : null;
    this.#channel.send(LEDGER_FRAME.answer, encodeLedgerAnswer({ id: ask.id, code, body }));
  }
}
