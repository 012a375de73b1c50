// From released signals to reports: checks against the durable log, risk limits, the journal, the paper
// broker. Market data is held back until the enclave's PROGRESS for its batch, when all signals that the
// batch led to are here, so that the result does not depend on when messages arrive. Every step is done
// at once and in order in memory; nothing of it is seen outside before the journal has it on the disk, and
// steps that come while a sync runs share the next one. A journal that cannot be written stops it for good.

import { BatchMemory, parseBatch } from '../../wire/batch.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Instrument } from '../../wire/configuration.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Progress, Release } from '../../wire/messages.ts';
import type { OrderStatus, Report } from '../../wire/payloads.ts';
import { encodeReport, STATUS } from '../../wire/payloads.ts';
import type { Refusal } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { LogReader } from '../epoch-log.ts';
import type { Account } from './account.ts';
import type { ExecutionCounters, ExecutionSummary } from './execution-summary.ts';
import { newCounters, summarize } from './execution-summary.ts';
import type { Journal } from './journal.ts';
import type { JournalRecord } from './journal-record.ts';
import type { JournalState, UntoldOutput } from './journal-state.ts';
import type { KillSwitch } from './kill-switch.ts';
import { earlierEpoch, lateReports } from './late.ts';
import { loggedBatch } from './logged-batch.ts';
import { Order, rejectedReport } from './order.ts';
import type { BrokerFill, OrderEnd, PaperOptions } from './paper-broker.ts';
import { PaperBroker } from './paper-broker.ts';
import type { RiskLimits } from './risk.ts';
import { RiskGate } from './risk.ts';
import type { LoggedSignal } from './signal-check.ts';
import { checkRelease } from './signal-check.ts';
import { Telling } from './telling.ts';

const NS_PER_MS = 1_000_000n;
const ENVIRONMENT = 'paper';

export interface ExecutionOptions {
  readonly crypto: WireCrypto;
  readonly log: LogReader;
  /** Origin of the running epoch: leaf indexes are of this log. */
  readonly origin: string;
  readonly instruments: readonly Instrument[];
  readonly paper: PaperOptions;
  readonly limits: RiskLimits;
  readonly killSwitch: KillSwitch;
  readonly journal: Journal;
  /** What the journals so far came to; execution goes on with its account. */
  readonly state: JournalState;
  /** A report for the enclave, as the payload of a REPORT frame. Awaited: it may hold execution up. */
  readonly onReport: (payload: Uint8Array, report: Report) => void | Promise<void>;
  /** A release that is not executed and gets no report. */
  readonly onRefusal?: (refusal: Refusal) => void;
}

/** A batch that was sent to the enclave. */
export interface SentBatch {
  readonly stream: number;
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

const END_STATUS: Readonly<Record<OrderEnd, OrderStatus>> = {
  filled: STATUS.filled,
  cancelled: STATUS.cancelled,
  expired: STATUS.expired,
};

export class Execution {
  readonly #options: ExecutionOptions;
  readonly #account: Account;
  readonly #risk: RiskGate;
  readonly #broker: PaperBroker;
  readonly #counters: ExecutionCounters = newCounters();
  readonly #memory = new BatchMemory();
  readonly #orders = new Map<string, Order>();
  /** Per stream, in the order of their sequences. */
  readonly #held = new Map<number, SentBatch[]>();
  /** Signals whose batch is not done, in the order of their leaves. */
  #waiting: LoggedSignal[] = [];
  /** No output up to this leaf is executed any more. */
  #lastLeaf: number;
  #touched = new Set<Order>();
  #outbox: Report[] = [];
  readonly #telling = new Telling();
  /** The last delivery, and the one that has not begun; both reject when the journal has failed. */
  #delivered: Promise<void> = Promise.resolve();
  #nextDelivery: Promise<void> | null = null;
  #failed = false;

  constructor(options: ExecutionOptions) {
    this.#options = options;
    const { state } = options;
    this.#account = state.account;
    this.#risk = new RiskGate(options.limits, this.#account);
    this.#broker = new PaperBroker(options.instruments, options.paper, {
      onFill: (id, fill) => {
        this.#onFill(id, fill);
      },
      onEnd: (id, end, timeNs) => {
        this.#onEnd(id, end, timeNs);
      },
    });
    this.#lastLeaf = state.lastLeafOf(options.origin);
    if (state.dayStart !== null) this.#risk.restoreDay(state.dayStart);
    for (const untold of state.untold.values()) this.#settle(untold, state.lastNs);
  }

  /** Reports what earlier epochs have left: an order that was open is cancelled, with what was filled. */
  start(): Promise<void> {
    return this.#deliver();
  }

  /** Holds the batch back until its PROGRESS. Call in the order of sending. */
  holdBatch(batch: SentBatch): void {
    const held = this.#held.get(batch.stream) ?? [];
    held.push(batch);
    this.#held.set(batch.stream, held);
  }

  /** Checks a RELEASE and keeps its signal until the PROGRESS of the batch that caused it. */
  release(release: Release): void {
    this.#counters.released++;
    const { leafIndex } = release;
    if (leafIndex <= this.#lastLeaf) {
      this.#refuse({ code: 'signal_repeated', detail: { leaf: leafIndex } });
      return;
    }
    const checked = checkRelease(this.#options.crypto, this.#options.log, release);
    if (!checked.ok) {
      this.#refuse(checked.refusal);
      return;
    }
    this.#lastLeaf = leafIndex;
    this.#waiting.push(checked.value);
  }

  /**
   * Plays the market data up to this batch, then the signals that it caused, before it returns. Resolves
   * when what came of it is durable and reported.
   */
  progress(progress: Progress): Promise<void> {
    if (this.#failed) return this.#delivered;
    this.#progress(progress);
    return this.#deliver();
  }

  /** Turns the kill switch on and cancels what is open. */
  kill(): Promise<void> {
    this.#options.killSwitch.turnOn();
    if (!this.#failed) this.#broker.cancelAll();
    return this.#deliver();
  }

  /** Report leaves that became durable: the output that each names, null for a late report. */
  logged(outputs: readonly (number | null)[]): void {
    for (const id of this.#telling.logged(outputs)) {
      this.#options.journal.addLazily({ type: 'told', id });
    }
  }

  /** Cancels what is open, and rejects what waits. */
  async close(): Promise<void> {
    if (!this.#failed) this.#broker.cancelAll();
    for (const signal of this.#waiting.splice(0)) this.#reject(signal, 'stream_closed');
    await this.#deliver();
  }

  /** Closes the journal; call when no report can be logged any more. */
  async finish(): Promise<void> {
    await this.#delivered;
    await this.#options.journal.close();
  }

  /** Positions and results, valued at the books' middle as of the last PROGRESS. */
  get account(): Account {
    return this.#account;
  }

  summary(): ExecutionSummary {
    return summarize(this.#counters, this.#account, this.#broker);
  }

  #progress(progress: Progress): void {
    const { stream, sequence, leafIndex } = progress;
    if (this.#held.has(stream)) this.#playUpTo(stream, sequence);
    else this.#play(loggedBatch(this.#options.log, progress, this.#memory));
    this.#mark();
    if (this.#options.killSwitch.isOn()) this.#broker.cancelAll();
    const due = this.#waiting.filter(({ signal }) => (signal.causes.at(-1) ?? -1) <= leafIndex);
    if (due.length === 0) return;
    this.#waiting = this.#waiting.filter((signal) => !due.includes(signal));
    const accepted = due.filter((signal) => this.#decide(signal));
    this.#report();
    for (const signal of accepted) this.#submit(signal);
    this.#broker.settle();
    this.#mark();
  }

  #playUpTo(stream: number, sequence: number): void {
    const held = this.#held.get(stream) ?? [];
    const count = held.findIndex((batch) => batch.sequence > sequence);
    for (const { bytes } of held.splice(0, count < 0 ? held.length : count)) {
      this.#play(assertAccepted(parseBatch(bytes, null, this.#memory)));
    }
  }

  #play(batch: ReturnType<typeof loggedBatch>): void {
    if (batch === null) return;
    this.#broker.apply(batch);
    this.#counters.batches++;
  }

  /** Values the positions at the books' middle; without a book at the last one. */
  #mark(): void {
    for (const position of this.#account.positions) {
      position.mark = this.#broker.mid(position.instrument.id) ?? position.mark;
    }
    if (!this.#risk.enterDay(this.#broker.clockNs)) return;
    const { dayStart } = this.#risk;
    if (dayStart === null) return;
    const { day, equity } = dayStart;
    this.#record({ type: 'day', day: day.toString(), equity: equity.toString() });
  }

  /** True when the signal becomes an order. */
  #decide(logged: LoggedSignal): boolean {
    const refused = this.#refusalOf(logged);
    if (refused !== null) {
      this.#reject(logged, refused);
      return false;
    }
    this.#recordDecision(logged, null);
    const { leafIndex: output, clientOrderId, signal } = logged;
    const { instrument, side, quantity } = signal;
    const head = { output, clientOrderId, instrument, side, quantity };
    const order = new Order(head, ENVIRONMENT);
    this.#orders.set(clientOrderId, order);
    this.#counters.accepted++;
    this.#tell([order.accepted(this.#broker.clockNs)], false);
    return true;
  }

  #refusalOf({ signal }: LoggedSignal): RefusalCode | null {
    const known = this.#options.instruments.some(({ id }) => id === signal.instrument);
    if (!known) return 'instrument_unknown';
    if (this.#broker.clockNs >= expiryOf(signal)) return 'signal_expired';
    return this.#risk.check(signal, {
      nowNs: this.#broker.clockNs,
      mid: this.#broker.mid(signal.instrument),
      openQuantity: this.#openQuantity(signal),
      killed: this.#options.killSwitch.isOn(),
    });
  }

  /** Orders that were accepted but not submitted yet count as well. */
  #openQuantity({ instrument, side }: LoggedSignal['signal']): bigint {
    let open = 0n;
    for (const { head, filled } of this.#orders.values()) {
      if (head.instrument === instrument && head.side === side) {
        open += BigInt(head.quantity - filled);
      }
    }
    return open;
  }

  #submit({ clientOrderId, signal }: LoggedSignal): void {
    const { instrument, side, quantity, limit, decisionNs } = signal;
    const expiresNs = expiryOf(signal);
    this.#broker.submit({
      clientOrderId,
      instrument,
      side,
      quantity,
      limit,
      decisionNs,
      expiresNs,
    });
  }

  #reject(logged: LoggedSignal, reason: RefusalCode): void {
    const { leafIndex, clientOrderId } = logged;
    const { rejected } = this.#counters;
    rejected[reason] = (rejected[reason] ?? 0) + 1;
    this.#recordDecision(logged, reason);
    const head = { output: leafIndex, clientOrderId };
    this.#tell([rejectedReport(head, reason, ENVIRONMENT, this.#broker.clockNs)], true);
  }

  /** What an earlier epoch left: a definite end, and the enclave hears of it. */
  #settle(untold: UntoldOutput, lastNs: bigint): void {
    const { decision } = untold;
    const { id } = decision;
    const wasOrder = decision.type === 'decision' && decision.refused === null;
    let { end } = untold;
    if (end === null) {
      const status = wasOrder ? STATUS.cancelled : STATUS.rejected;
      end = { type: 'end', id, status, time: `${lastNs}` };
      if (wasOrder) {
        this.#record(end);
        this.#counters.reconciled++;
      }
    }
    const epoch = earlierEpoch(decision.origin, this.#options.origin);
    if (epoch !== null) this.#tell(lateReports(untold, epoch, end), true);
    // Of another log: there is nobody to tell.
    else this.#record({ type: 'told', id });
  }

  #tell(reports: readonly Report[], ended: boolean): void {
    this.#outbox.push(...reports);
    this.#telling.sent(reports, ended);
  }

  #refuse(refusal: Refusal): void {
    const { refused } = this.#counters;
    refused[refusal.code] = (refused[refusal.code] ?? 0) + 1;
    this.#options.onRefusal?.(refusal);
  }

  #onFill(id: string, fill: BrokerFill): void {
    const order = this.#orderOf(id);
    const { number, price, quantity, fee, timeNs } = order.addFill(fill);
    const { instrument, side } = order.head;
    this.#account.of(instrument).addFill({ instrument, side, price, quantity, fee });
    this.#record({ type: 'fill', id, number, price, quantity, fee, time: `${timeNs}` });
    this.#touched.add(order);
    this.#counters.fills++;
  }

  #onEnd(id: string, end: OrderEnd, timeNs: bigint): void {
    const order = this.#orderOf(id);
    this.#orders.delete(id);
    this.#touched.delete(order);
    this.#record({ type: 'end', id, status: END_STATUS[end], time: `${timeNs}` });
    this.#tell(order.progress(END_STATUS[end], timeNs), true);
    this.#counters[end]++;
  }

  #orderOf(id: string): Order {
    const order = this.#orders.get(id);
    if (order === undefined) throw new Error('the broker knows an order that we do not');
    return order;
  }

  #recordDecision(
    { leafIndex, clientOrderId, signal }: LoggedSignal,
    refused: RefusalCode | null,
  ): void {
    const { instrument, side, quantity, limit } = signal;
    this.#record({
      type: 'decision',
      origin: this.#options.origin,
      leaf: leafIndex,
      id: clientOrderId,
      instrument,
      side,
      quantity,
      limit,
      refused,
    });
  }

  #record(record: JournalRecord): void {
    this.#options.journal.add(record);
  }

  #report(): void {
    for (const order of this.#touched) {
      this.#tell(order.progress(null, this.#broker.clockNs), false);
    }
    this.#touched.clear();
  }

  #deliver(): Promise<void> {
    this.#report();
    if (this.#outbox.length === 0 && !this.#options.journal.pending) return this.#delivered;
    this.#nextDelivery ??= this.#deliverAfter(this.#delivered);
    this.#delivered = this.#nextDelivery;
    return this.#nextDelivery;
  }

  /** The journal first, then the enclave hears of it: a restart must not execute it again. */
  async #deliverAfter(previous: Promise<void>): Promise<void> {
    await previous;
    this.#nextDelivery = null;
    const reports = this.#outbox.splice(0);
    try {
      await this.#options.journal.sync();
    } catch (error) {
      this.#failed = true;
      throw error;
    }
    for (const report of reports) await this.#options.onReport(encodeReport(report), report);
  }
}

function expiryOf({ decisionNs, ttlMs }: LoggedSignal['signal']): bigint {
  return decisionNs + BigInt(ttlMs) * NS_PER_MS;
}
