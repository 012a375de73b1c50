// The last word on outputs whose own log did not get it, for the log of the running epoch. All fills are
// told again, for nobody knows which of them were logged; their numbers say so.

import { parseOrigin } from '../../wire/header.ts';
import type { Report } from '../../wire/payloads.ts';
import type { EndRecord } from './journal-record.ts';
import type { UntoldOutput } from './journal-state.ts';
import { Order, rejectedReport } from './order.ts';

const ENVIRONMENT = 'paper';

/** The epoch of `origin` when it is an earlier one of the log that `now` belongs to, else null. */
export function earlierEpoch(origin: string, now: string): number | null {
  const [then, running] = [parseOrigin(origin), parseOrigin(now)];
  if (then === null || running === null || then.logId !== running.logId) return null;
  return then.epoch < running.epoch ? then.epoch : null;
}

/** `end` is the order's, or what is said of an order that never was one. */
export function lateReports(
  { decision, fills }: UntoldOutput,
  epoch: number,
  end: Pick<EndRecord, 'status' | 'time'>,
): readonly Report[] {
  const { leaf: output, id: clientOrderId } = decision;
  const timeNs = BigInt(end.time);
  if (decision.type === 'missed' || decision.refused !== null) {
    const reason = decision.type === 'missed' ? 'stream_closed' : (decision.refused ?? 'internal');
    return [rejectedReport({ output, clientOrderId, epoch }, reason, ENVIRONMENT, timeNs)];
  }
  const { instrument, side, quantity } = decision;
  const order = new Order(
    { output, clientOrderId, instrument, side, quantity, epoch },
    ENVIRONMENT,
  );
  for (const { price, quantity: filled, fee, time } of fills) {
    order.addFill({ price, quantity: filled, fee, timeNs: BigInt(time) });
  }
  return order.progress(end.status, timeNs);
}
