// A verified result for people: of the signed statement alone, what is missing beside what is there. All text of it is
// checked or quoted, so that a venue's names cannot move a terminal's cursor.

import type { ReadableAmounts, ResultSummary } from '../../wire/result-summary.ts';
import type { VerifiedResult } from '../signed-result.ts';

const NS_PER_MS = 1_000_000n;

function row(name: string, text: string): string {
  return `  ${name.padEnd(14)}${text}`;
}

function time(ns: string): string {
  return new Date(Number(BigInt(ns) / NS_PER_MS)).toISOString();
}

function amounts(values: ReadableAmounts | null): string {
  if (values === null) return 'not known';
  const all = Object.entries(values).map(([currency, amount]) => `${amount} ${currency}`);
  return all.length === 0 ? 'none' : printable(all.join(', '));
}

function printable(text: string): string {
  return text.replaceAll(/[^ -~]/gu, '?');
}

export function renderResult({ summary, hours, leafIndex }: VerifiedResult): string {
  const { polls, hosts, period } = summary;
  const lines = [
    `VERIFIED  signed by the attested enclave, leaf ${leafIndex} of ${summary.origin}`,
    row('account', summary.account_commitment),
    row('venue', `${summary.venue}, ${summary.environment}`),
    row('asked at', hosts.map(({ host }) => printable(host)).join(', ') || 'nobody yet'),
    row('observed', `since ${time(summary.observed_since_ns)}, last ${time(summary.as_of_ns)}`),
    row('period', `${time(period.start_ns)} to ${time(period.end_ns)}`),
    row(
      'polls',
      `${polls.complete} complete, ${polls.partial} partial, ${polls.failed} failed, ${polls.missed} missed`,
    ),
    row('trades', String(summary.trades)),
    row('volume', amounts(summary.volume)),
    row('fees', amounts(summary.fees)),
    row('funding', amounts(summary.funding)),
    row('deposits', amounts(summary.deposits)),
    row('withdrawals', amounts(summary.withdrawals)),
    row('balances', amounts(summary.balances)),
    row('positions', summary.positions === null ? 'not known' : String(summary.positions)),
    row('unrealized', amounts(summary.unrealized)),
    ...incomplete(summary),
    row('not in it', summary.missing.map(printable).join(', ') || 'nothing'),
    ...hours.map((hour) =>
      row(
        new Date(hour.start_ms).toISOString().slice(0, 13),
        `${hour.trades} trades, ${amounts(hour.volume)}, fees ${amounts(hour.fees)}${hour.complete ? '' : ', INCOMPLETE'}`,
      ),
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function span(from: number, to: number): string {
  return `${new Date(from).toISOString()} to ${new Date(to).toISOString()}`;
}

/** Gaps and coverage that is not whole: never left out. */
function incomplete({ gaps, coverage }: ResultSummary): readonly string[] {
  return [
    ...gaps.map((gap) => row('GAP', `${span(gap.from_ms, gap.to_ms)}: ${printable(gap.reason)}`)),
    ...coverage
      .filter(({ complete }) => !complete)
      .map(({ what, market, from_ms: from, to_ms: to, reason }) =>
        row(
          'INCOMPLETE',
          `${printable(what)}${market === null ? '' : `, ${printable(market)}`}: ${span(from, to)}: ${printable(reason ?? 'not told')}`,
        ),
      ),
  ];
}
