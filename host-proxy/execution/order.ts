// An accepted order and the reports about it (docs/PROTOCOL.md 5). Reports carry at most 64 fills; more
// become several reports.

import { MAX_REPORT_FILLS } from '../../wire/limits.ts';
import type { RefusalCode } from '../../wire/codes.ts';
import type { Environment, Fill, OrderStatus, Report, Side } from '../../wire/payloads.ts';
import { STATUS } from '../../wire/payloads.ts';

export interface OrderHead {
  /** Leaf index of the output. */
  readonly output: number;
  readonly clientOrderId: string;
  readonly instrument: number;
  readonly side: Side;
  readonly quantity: number;
  /** The epoch of the output, when a later one hears of the order. */
  readonly epoch?: number;
}

export class Order {
  readonly head: OrderHead;
  readonly #environment: Environment;
  #filled = 0;
  #fillNumber = 0;
  #unreported: Fill[] = [];

  constructor(head: OrderHead, environment: Environment) {
    this.head = head;
    this.#environment = environment;
  }

  get filled(): number {
    return this.#filled;
  }

  /** Counts a fill; it goes out with the next report. */
  addFill(fill: Omit<Fill, 'number'>): Fill {
    const numbered = { number: this.#fillNumber++, ...fill };
    this.#filled += fill.quantity;
    this.#unreported.push(numbered);
    return numbered;
  }

  accepted(timeNs: bigint): Report {
    return this.#report(STATUS.accepted, [], this.#filled, timeNs);
  }

  /** The fills since the last report, and with `end` the last word on the order. */
  progress(end: OrderStatus | null, timeNs: bigint): readonly Report[] {
    const fills = this.#unreported;
    this.#unreported = [];
    const reports: Report[] = [];
    let filled = this.#filled - fills.reduce((sum, { quantity }) => sum + quantity, 0);
    for (let start = 0; start < fills.length; start += MAX_REPORT_FILLS) {
      const part = fills.slice(start, start + MAX_REPORT_FILLS);
      filled += part.reduce((sum, { quantity }) => sum + quantity, 0);
      const status = filled === this.head.quantity ? STATUS.filled : STATUS.partlyFilled;
      reports.push(this.#report(status, part, filled, part.at(-1)?.timeNs ?? timeNs));
    }
    if (end !== null && end !== STATUS.filled) {
      reports.push(this.#report(end, [], this.#filled, timeNs));
    }
    return reports;
  }

  #report(
    status: OrderStatus,
    fills: readonly Fill[],
    filledQuantity: number,
    timeNs: bigint,
  ): Report {
    const { output, clientOrderId, epoch } = this.head;
    const environment = this.#environment;
    return {
      ...(epoch === undefined ? {} : { epoch }),
      output,
      clientOrderId,
      status,
      reason: null,
      filledQuantity,
      fills,
      environment,
      timeNs,
    };
  }
}

/** The report about a signal that became no order. */
export function rejectedReport(
  { output, clientOrderId, epoch }: Pick<OrderHead, 'output' | 'clientOrderId' | 'epoch'>,
  reason: RefusalCode,
  environment: Environment,
  timeNs: bigint,
): Report {
  return {
    ...(epoch === undefined ? {} : { epoch }),
    output,
    clientOrderId,
    status: STATUS.rejected,
    reason,
    filledQuantity: 0,
    fills: [],
    environment,
    timeNs,
  };
}
