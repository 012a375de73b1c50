// One ledger process, as the desk sees it: frames on a stream (enclave/ledger/protocol.ts). What it sends is checked as
// hostile: it reads PostgreSQL and gRPC. A frame against the rules ends it, and the desk starts another. It can ask for
// prices, for polls anew, for signatures over its own statements, and for a connection to the one database of the
// configuration; it cannot name a host, read a credential, or have anything else signed.

import type { Duplex } from 'node:stream';
import { Channel } from '../../wire/channel.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import { parseDeskCounters } from '../../wire/desk-frames.ts';
import type { DeskState } from '../../wire/desk-frames.ts';
import type { Frame } from '../../wire/frame.ts';
import { FIRST_CREDIT_BULK_BYTES } from '../../wire/limits.ts';
import { maxStreamFrameBytes, StreamMux } from '../../wire/node/stream-mux.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type {
  LedgerAccount,
  LedgerAudit,
  LedgerOpen,
  LedgerResync,
  LedgerStated,
  LedgerTaken,
} from '../ledger/protocol.ts';
import {
  FROM_LEDGER_TYPES,
  LEDGER_FRAME,
  MAX_LEDGER_FRAME_BYTES,
  MAX_PRICES_PER_PAGE,
  STREAM_FRAMES,
  STREAM_KIND,
} from '../ledger/frames.ts';
import {
  parseLedgerAnswer,
  parseLedgerAudit,
  parseLedgerResync,
  parseLedgerSign,
  parseLedgerStated,
  parseLedgerTaken,
  parseNeedPrices,
} from '../ledger/from-ledger.ts';
import {
  encodeLedgerAccount,
  encodeLedgerAsk,
  encodeLedgerOpen,
  encodeLedgerPrices,
  encodeLedgerRemove,
  encodeLedgerSigned,
  encodeLedgerState,
} from '../ledger/tell-ledger.ts';
import type { PriceAnswer, PriceQuestion, SignedLeaf } from '../ledger/services.ts';
import type { LedgerFrame } from './ledger-polls.ts';

/** Connections to the database. */
const MAX_DATABASE_STREAMS = 8;
/** Questions for prices and signatures that it may have under way; more wait in its credit. */
const MAX_UNDER_WAY = 32;
const MAX_ASKS = 64;
const ASK_MS = 15_000;
/** Its counters come every five seconds; one that says nothing for so long hangs. */
const SILENT_MS = 120_000;
const NOTHING = new Uint8Array(0);
const NO_SALT = new Uint8Array(0);
const STREAM_TYPES: ReadonlySet<number> = new Set(Object.values(STREAM_FRAMES));

export interface LedgerLinkOptions {
  readonly runAsync: (work: () => Promise<void>) => Promise<void>;
  readonly onReady: () => void;
  readonly onTaken: (taken: LedgerTaken) => void;
  readonly onStated: (stated: LedgerStated) => void;
  readonly onResync: (resync: LedgerResync) => void;
  readonly onAudit: (entry: LedgerAudit) => void;
  readonly onDatabase: (stream: Duplex) => void;
  readonly prices: (question: PriceQuestion) => Promise<PriceAnswer>;
  /** Null: none of wire/track/, or about an account that never was one of ours. */
  readonly sign: (statements: readonly Uint8Array[]) => Promise<Result<SignedLeaf> | null>;
  /** Without a word for so long it is ended; 120,000 by default. */
  readonly silentMs?: number;
  /** Once: it is gone. */
  readonly onEnd: (code: 'ledger_ended' | 'ledger_malformed') => void;
}

export class LedgerLink {
  readonly #options: LedgerLinkOptions;
  readonly #channel: Channel;
  readonly #mux: StreamMux;
  readonly #asks = new Map<number, (answer: Result<Uint8Array>) => void>();
  #counters: Readonly<Record<string, number>> = {};
  #ready = false;
  #ended = false;
  #underWay = 0;
  #heard = true;
  readonly #watch: NodeJS.Timeout;
  #nextId = 0;

  constructor(stream: Duplex, open: LedgerOpen, options: LedgerLinkOptions) {
    this.#options = options;
    this.#channel = new Channel(stream, {
      maxReceiveBytes: MAX_LEDGER_FRAME_BYTES,
      maxReceiveBytesOf: maxStreamFrameBytes(STREAM_FRAMES),
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: FROM_LEDGER_TYPES,
      onFrame: (frame) => this.#receive(frame),
      onEnd: (refusal) => {
        const closed = refusal === null || refusal.code === 'stream_closed';
        this.end(closed ? 'ledger_ended' : 'ledger_malformed');
      },
    });
    this.#mux = new StreamMux({
      numbers: 'odd',
      frames: STREAM_FRAMES,
      send: (type, head, rest) => this.#channel.send(type, head, rest),
      drained: () => this.#channel.drained(),
      maxPeerStreams: MAX_DATABASE_STREAMS,
      onStream: (duplex, kind, label) => {
        if (kind !== STREAM_KIND.database || label.length > 0) return false;
        options.onDatabase(duplex);
        return true;
      },
    });
    this.#watch = setInterval(() => {
      if (!this.#heard) this.end('ledger_ended');
      this.#heard = false;
    }, options.silentMs ?? SILENT_MS);
    this.#watch.unref();
    const payload = encodeLedgerOpen(open);
    this.#channel.send(LEDGER_FRAME.open, payload);
  }

  get counters(): Readonly<Record<string, number>> {
    return this.#counters;
  }

  get isReady(): boolean {
    return this.#ready && !this.#ended;
  }

  state(state: DeskState): void {
    this.#channel.send(LEDGER_FRAME.state, encodeLedgerState(state));
  }

  account(account: LedgerAccount): void {
    this.#channel.send(LEDGER_FRAME.account, encodeLedgerAccount(account));
  }

  remove(id: string): void {
    this.#channel.send(LEDGER_FRAME.remove, encodeLedgerRemove(id));
  }

  /** Resolves when there is room for the next; false when it is over. */
  async tell(frames: readonly LedgerFrame[]): Promise<boolean> {
    for (const { type, payload } of frames) {
      if (!this.#channel.send(type, payload) && !(await this.#channel.drained())) return false;
    }
    return !this.#ended;
  }

  /** Refuses `ledger_unavailable`, and what the ledger does. */
  ask(operation: string, account: string, args: Uint8Array): Promise<Result<Uint8Array>> {
    if (!this.isReady) return Promise.resolve(refuse('ledger_unavailable'));
    if (this.#asks.size >= MAX_ASKS) return Promise.resolve(refuse('rate_limited'));
    const id = this.#nextId++;
    const { promise, resolve } = Promise.withResolvers<Result<Uint8Array>>();
    const timer = setTimeout(() => {
      // Its answer may still come and falls on nobody.
      this.#asks.set(id, () => undefined);
      resolve(refuse('ledger_unavailable'));
    }, ASK_MS);
    timer.unref();
    this.#asks.set(id, (answer) => {
      clearTimeout(timer);
      resolve(answer);
    });
    const ask = { id, operation, account, arguments: args };
    this.#channel.send(LEDGER_FRAME.ask, encodeLedgerAsk(ask));
    return promise;
  }

  /** The clear bytes of a gRPC client. */
  openGrpc(fingerprint: Uint8Array): Duplex {
    return this.#mux.open(STREAM_KIND.grpc, fingerprint);
  }

  shut(): void {
    this.#channel.send(LEDGER_FRAME.shut, NOTHING);
  }

  end(code: 'ledger_ended' | 'ledger_malformed'): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#watch);
    this.#channel.destroy({ code: 'stream_closed', detail: {} });
    this.#mux.destroy();
    for (const resolve of this.#asks.values()) resolve(refuse('ledger_unavailable'));
    this.#asks.clear();
    this.#options.onEnd(code);
  }

  #receive(frame: Frame): void | Promise<void> {
    if (this.#ended) return undefined;
    this.#heard = true;
    const taken = this.#take(frame);
    if (typeof taken !== 'boolean') return taken;
    if (!taken) this.end('ledger_malformed');
    return undefined;
  }

  /** False: against the rules. A promise: when it may go on. */
  #take({ type, payload }: Frame): boolean | Promise<void> {
    const { onTaken, onStated, onResync, onAudit } = this.#options;
    if (STREAM_TYPES.has(type)) return this.#mux.receive(type, payload) === null;
    switch (type) {
      case LEDGER_FRAME.ready:
        return this.#takeReady(payload);
      case LEDGER_FRAME.taken:
        return takes(parseLedgerTaken(payload), onTaken);
      case LEDGER_FRAME.stated:
        return takes(parseLedgerStated(payload), onStated);
      case LEDGER_FRAME.resync:
        return takes(parseLedgerResync(payload), onResync);
      case LEDGER_FRAME.audit:
        return takes(parseLedgerAudit(payload), onAudit);
      case LEDGER_FRAME.counters:
        return takes(parseDeskCounters(payload), (counters) => {
          this.#counters = counters;
        });
      case LEDGER_FRAME.answer:
        return this.#takeAnswer(payload);
      case LEDGER_FRAME.needPrices:
        return this.#needPrices(payload);
      default:
        return this.#sign(payload);
    }
  }

  #takeReady(payload: Uint8Array): boolean {
    if (this.#ready || payload.length > 0) return false;
    this.#ready = true;
    this.#options.onReady();
    return true;
  }

  #takeAnswer(payload: Uint8Array): boolean {
    const parsed = parseLedgerAnswer(payload);
    if (!parsed.ok) return false;
    const { id, code, body } = parsed.value;
    const resolve = this.#asks.get(id);
    if (resolve === undefined) return false;
    this.#asks.delete(id);
    resolve(body === null ? refuse(code ?? 'ledger_unavailable') : accept(body));
    return true;
  }

  #needPrices(payload: Uint8Array): boolean | Promise<void> {
    const parsed = parseNeedPrices(payload);
    if (!parsed.ok) return false;
    const { id, ...question } = parsed.value;
    return this.#work(async () => {
      const answer = await this.#options.prices(question);
      // A venue's nothing is no price.
      const rows = answer.rows.filter(({ price }) => price !== '0');
      const { missing } = answer;
      for (let start = 0; ; start += MAX_PRICES_PER_PAGE) {
        const page = rows.slice(start, start + MAX_PRICES_PER_PAGE);
        const last = start + MAX_PRICES_PER_PAGE >= rows.length;
        const prices = { id, rows: page, missing: last ? missing : [], last };
        const frame = { type: LEDGER_FRAME.prices, payload: encodeLedgerPrices(prices) };
        if (!(await this.tell([frame])) || last) return;
      }
    });
  }

  #sign(payload: Uint8Array): boolean | Promise<void> {
    const parsed = parseLedgerSign(payload);
    if (!parsed.ok) return false;
    const { id, statements } = parsed.value;
    return this.#work(async () => {
      const signed = await this.#options.sign(statements);
      if (signed === null) {
        this.end('ledger_malformed');
        return;
      }
      const code: RefusalCode | null = signed.ok ? null : signed.refusal.code;
      const leaf = signed.ok ? signed.value : { leafIndex: 0, leafSalt: NO_SALT, signatures: [] };
      this.#channel.send(LEDGER_FRAME.signed, encodeLedgerSigned({ id, code, ...leaf }));
    });
  }

  /** So many at a time; one more holds its credit back until it is done. */
  #work(work: () => Promise<void>): true | Promise<void> {
    this.#underWay++;
    const done = this.#options.runAsync(work).then(() => {
      this.#underWay--;
    });
    return this.#underWay <= MAX_UNDER_WAY ? true : done;
  }
}

function takes<T>(parsed: Result<T>, use: (value: T) => void): boolean {
  if (parsed.ok) use(parsed.value);
  return parsed.ok;
}
