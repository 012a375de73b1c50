// Hours of a report one by one: the newest, and those from before the enclave saw the account, which are beside the record.

import { isObserved } from '../../wire/performance/hour-return.ts';
import type { Performance } from '../../wire/performance/performance.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import { rebuiltCharts } from './charts.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { dollars, minute, percent } from './numbers.ts';
import { gapList, money, overGaps, ratioCell } from './sections.ts';
import type { Cell } from './table.ts';
import { dense, text, textHead } from './table.ts';

const SHOWN = 24;

/** As they are stated, newest first. */
export function lastHours(hours: readonly HourStatement[]): Html {
  const rows = hours
    .slice(-SHOWN)
    .toReversed()
    .map(({ figures, return: { ratio, reason }, counter }): readonly Cell[] => [
      minute(figures.startMs),
      ratioCell(ratio, reason),
      money(figures.equityEnd),
      money(figures.inflow),
      money(figures.outflow),
      text(figures.rebuilt ? 'rebuilt' : isObserved(figures) ? 'seen' : 'not seen'),
      String(counter),
    ]);
  return dense(
    'The newest hours, as each is stated; amounts in US dollars, value at the end of the hour; rebuilt hours were worked out backwards',
    ['', 'return', 'value', 'paid in', 'paid out', textHead('the hour was'), 'statement'],
    rows,
  );
}

/** What was worked out backwards: beside the record, and no part of it. */
export function rebuiltPart(
  performance: Performance,
  hours: readonly HourStatement[],
): readonly Html[] {
  const { rebuilt, coverage } = performance;
  if (rebuilt === null) {
    return [html`<p>No hour is from before the enclave saw the account.</p>`];
  }
  const { linked, capital, gaps } = rebuilt;
  const known = linked.ratio === null ? overGaps(linked) : percent(linked.ratio);
  const first = coverage.recorded === 0 ? 'none yet' : minute(coverage.startMs);
  return [
    html`<p>
      ${minute(linked.startMs)} to ${minute(linked.endMs)}, worked out backwards from what the venue
      told: ${known}, ${dollars(capital.gain)} US dollars. First hour that was seen: ${first}. Had
      these hours gone wrong, the account need not have been shown: no figure of this report has
      them in it.
    </p>`,
    ...rebuiltCharts(performance, hours),
    ...(gaps.length === 0 ? [] : [gapList(gaps)]),
  ];
}
