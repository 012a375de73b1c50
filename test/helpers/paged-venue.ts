// A venue with a list of fills, and a connector script that reads it in pages with an overlap, as real ones do. What the
// account really did is in `fills`: whatever polling says is compared with it.

import type { Coverage, ErrorClass } from '../../enclave/connector/classes.ts';
import type { Fill } from '../../enclave/connector/records.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { Script } from './fake-connector.ts';
import { isAnswer } from './fake-connector.ts';
import type { FakeVenue, VenueAnswer } from './polling-scene.ts';
import { fillOf } from './polling-scene.ts';
import { balanceOf } from './records.ts';

const PAGE = 20;
const OVERLAP_MS = 60 * 60_000;
const STATUS_CLASS: Readonly<Record<number, ErrorClass>> = {
  401: 'authentication',
  418: 'banned',
  429: 'rate_limited',
  451: 'geo_blocked',
  500: 'unavailable',
  503: 'unavailable',
};

export class PagedVenue {
  /** By account, ascending in time. */
  readonly fills: Map<string, Fill[]> = new Map<string, Fill[]>();
  /** Instead of an answer; null: answers. */
  fault: ((account: string) => VenueAnswer | null) | null = null;

  trade(account: string, timeMs: number, change: Partial<Fill> = {}): void {
    const list = this.fills.get(account) ?? [];
    list.push(fillOf(`${list.length}`, { timeMs, ...change }));
    this.fills.set(account, list);
  }

  attach(venue: FakeVenue): void {
    venue.answer = ({ target }) => {
      const query = new URLSearchParams(target.split('?')[1] ?? '');
      const account = query.get('label') ?? '';
      const fault = this.fault?.(account) ?? null;
      if (fault !== null) return fault;
      const fromMs = Number(query.get('from'));
      const skip = Number(query.get('skip'));
      const list = (this.fills.get(account) ?? []).filter(({ timeMs }) => timeMs >= fromMs);
      const page = list.slice(skip, skip + PAGE);
      const body = JSON.stringify(page);
      return { body, headers: { 'x-mbx-used-weight-1m': '1' } };
    };
  }
}

function cursorOf(cursors: Uint8Array | null): number | null {
  if (cursors === null) return null;
  return assertAccepted(parseCbor(cursors, { maxBytes: 64 })) as number;
}

/** Pages from the cursor less an overlap to now; retries as connectors do, without the pauses. */
export const pagedScript: Script = async (line) => {
  const { job } = line;
  const fromMs = Math.max(job.fromMs, (cursorOf(job.cursors) ?? 0) - OVERLAP_MS);
  const row = (complete: boolean, reason: ErrorClass | null): Coverage => ({
    what: 'fills',
    market: 'spot',
    fromMs,
    toMs: job.nowMs,
    complete,
    reason,
  });
  for (let skip = 0, attempt = 0; ;) {
    const url = `https://api.binance.com/api/v3/myTrades?label=${job.settings.label}&from=${fromMs}&skip=${skip}`;
    const result = await line.fetch({ url, attempt });
    let errorClass: ErrorClass | null = null;
    if (!isAnswer(result)) ({ errorClass } = result);
    else if (result.status !== 200) errorClass = STATUS_CLASS[result.status] ?? 'bad_request';
    let page: Fill[] = [];
    if (errorClass === null && isAnswer(result)) {
      try {
        page = JSON.parse(result.body) as Fill[];
      } catch {
        errorClass = 'bad_response';
      }
      if (result.body.includes('maintenance')) errorClass = 'maintenance';
    }
    if (isAnswer(result)) line.meaning(result.call, errorClass ?? 'ok');
    if (errorClass !== null) {
      const again = ['network', 'timeout', 'unavailable', 'bad_response'].includes(errorClass);
      if (again && attempt < job.budget.retries) {
        attempt++;
        continue;
      }
      const coverage = [row(false, errorClass)];
      line.done({ outcome: skip > 0 ? 'partial' : 'failed', errorClass, coverage });
      return;
    }
    attempt = 0;
    line.records(
      'fill',
      page.map((fill) => Object.assign(fill, { rawDigest: new Uint8Array(32) })),
    );
    skip += PAGE;
    if (page.length < PAGE) break;
  }
  const balances: Coverage = {
    what: 'balances',
    market: 'spot',
    fromMs: job.nowMs,
    toMs: job.nowMs,
    complete: true,
    reason: null,
  };
  line.records('balance', [balanceOf('USDT', '1000.5')]);
  const cursors = encodeCbor(job.nowMs);
  line.done({ cursors, coverage: [row(true, null), balances] });
};
