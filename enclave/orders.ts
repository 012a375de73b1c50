// Released outputs that may still get execution reports. A report is the host's word: here it must only
// name an output of this epoch that was released and not finished, by the order id that its leaf's hash
// gives, or say that it is late: about an earlier epoch, whose log is closed and not known here. At most 65,536 outputs are remembered; beyond that the oldest is forgotten, its later reports
// are refused as `report_unknown_output` (the host hears so), and the counter `orders_forgotten` says it.

import type { Report } from '../wire/enclave-payloads.ts';
import { parseReport, STATUS } from '../wire/enclave-payloads.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';

const MAX_OPEN_ORDERS = 65_536;
const FINAL: ReadonlySet<number> = new Set([
  STATUS.filled,
  STATUS.cancelled,
  STATUS.expired,
  STATUS.rejected,
]);

export interface OpenOrder {
  /** Leaf of the output. */
  readonly output: number;
  readonly clientOrderId: string;
  /** Stream of the strategy, and the id of its signal. */
  readonly stream: number;
  readonly signal: number;
}

export class Orders {
  readonly #epoch: number;
  readonly #open = new Map<number, OpenOrder>();
  #forgotten = 0;

  constructor(epoch: number) {
    this.#epoch = epoch;
  }

  get counters(): Readonly<Record<string, number>> {
    return { orders_open: this.#open.size, orders_forgotten: this.#forgotten };
  }

  open(order: OpenOrder): void {
    this.#open.set(order.output, order);
    if (this.#open.size <= MAX_OPEN_ORDERS) return;
    for (const oldest of this.#open.keys()) {
      this.#open.delete(oldest);
      this.#forgotten++;
      break;
    }
  }

  /** Null for a late report. Refuses `report_unknown_output` and whatever the layout breaks. */
  take(payload: Uint8Array): Result<OpenOrder | null> {
    const parsed = parseReport(payload);
    if (!parsed.ok) return parsed;
    const report: Report = parsed.value;
    if (report.epoch !== undefined) {
      const { epoch, output } = report;
      return epoch < this.#epoch ? accept(null) : refuse('report_unknown_output', { output });
    }
    const order = this.#open.get(report.output);
    if (order === undefined) return refuse('report_unknown_output', { output: report.output });
    if (report.clientOrderId !== order.clientOrderId) {
      return refuse('report_unknown_output', { output: report.output, order_id: 'another' });
    }
    if (FINAL.has(report.status)) this.#open.delete(report.output);
    return accept(order);
  }
}
