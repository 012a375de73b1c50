// Figures of a signed statement for people: what is missing beside what is there. A venue's names are text of a stranger:
// every row is printable ASCII, so that none of them moves a terminal's cursor.

import type { ReadableAmounts, ResultSummary } from '../../wire/result-summary.ts';
import { isoOfNs } from '../log/payload.ts';
import { row } from '../log/verdict-frame.ts';

export function renderAmounts(values: ReadableAmounts | null): string {
  if (values === null) return 'not known';
  const all = Object.entries(values).map(([currency, amount]) => `${amount} ${currency}`);
  return all.length === 0 ? 'none' : all.join(', ');
}

function time(ns: string): string {
  return isoOfNs(BigInt(ns));
}

function span(fromMs: number, toMs: number): string {
  return `${new Date(fromMs).toISOString()} to ${new Date(toMs).toISOString()}`;
}

/** Gaps and coverage that is not whole: never left out. */
function renderMissing({ gaps, coverage, missing }: ResultSummary): readonly string[] {
  return [
    ...gaps.map((gap) => row('GAP', `${span(gap.from_ms, gap.to_ms)}: ${gap.reason}`)),
    ...coverage
      .filter(({ complete }) => !complete)
      .map(({ what, market, from_ms: from, to_ms: to, reason }) =>
        row(
          'INCOMPLETE',
          `${what}${market === null ? '' : `, ${market}`}: ${span(from, to)}: ${reason ?? 'not told'}`,
        ),
      ),
    row('not in it', missing.join(', ') || 'nothing'),
  ];
}

export function renderFigures(result: ResultSummary): readonly string[] {
  const { polls, hosts, period } = result;
  return [
    row('account', result.account_commitment),
    row('venue', `${result.venue}, ${result.environment}`),
    row('asked at', hosts.map(({ host }) => host).join(', ') || 'nobody yet'),
    row('observed', `since ${time(result.observed_since_ns)}, last ${time(result.as_of_ns)}`),
    row('period', `${time(period.start_ns)} to ${time(period.end_ns)}`),
    row(
      'polls',
      `${polls.complete} complete, ${polls.partial} partial, ${polls.failed} failed, ${polls.missed} missed`,
    ),
    row('method', result.method),
    row('trades', String(result.trades)),
    row('volume', renderAmounts(result.volume)),
    row('fees', renderAmounts(result.fees)),
    row('funding', renderAmounts(result.funding)),
    row('deposits', renderAmounts(result.deposits)),
    row('withdrawals', renderAmounts(result.withdrawals)),
    row('balances', renderAmounts(result.balances)),
    row('positions', result.positions === null ? 'not known' : String(result.positions)),
    row('unrealized', renderAmounts(result.unrealized)),
    ...renderMissing(result),
  ];
}
