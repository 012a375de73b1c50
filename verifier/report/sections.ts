// The parts of a report, each from figures that were computed from the signed hours. A null is printed with its reason.

import type { Fixed } from '../../wire/fixed.ts';
import { exactRatio, ratioOf } from '../../wire/performance/ratio.ts';
import type { CalendarReturn } from '../../wire/performance/calendar.ts';
import { drawdowns } from '../../wire/performance/drawdown.ts';
import type { BridgedGap } from '../../wire/performance/bridges.ts';
import type { LinkedReturn } from '../../wire/performance/link.ts';
import { GrowthIndex, INDEX_ONE } from '../../wire/performance/link.ts';
import type { Performance } from '../../wire/performance/performance.ts';
import type { RiskMetrics, Statistic } from '../../wire/performance/risk.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { count, day, decimal, dollars, minute, named, percent, UNKNOWN } from './numbers.ts';
import { inWords } from './reasons.ts';
import type { Cell } from './table.ts';
import { dense, table, text, textHead } from './table.ts';

const YEAR_MS: number = 365 * 86_400_000;

/** A statement, or an hour that was computed from those of several accounts. */
export interface HourRow {
  readonly figures: HourFigures;
  readonly counter?: number;
}

export function section(title: string, ...parts: readonly Html[]): Html {
  return html`<section>
    <h2>${title}</h2>
    ${parts}
  </section>`;
}

function none(reason: string | null): Html {
  return html`<td class="none">${UNKNOWN}: ${inWords(reason)}</td>`;
}

export function ratioCell(ratio: string | null, reason: string | null): Html {
  if (ratio === null) return none(reason);
  return html`<td class="${ratio.startsWith('-') ? 'loss' : 'gain'}">${percent(ratio)}</td>`;
}

export function money(value: Fixed | null): Html {
  return value === null ? none('no_value') : html`<td>${dollars(value)}</td>`;
}

/** Where a return is not known: with the gaps, and then what there was of hours, never alone. */
export function overGaps({ bridged, observed, periods }: LinkedReturn): string {
  if (observed === null) return inWords('no_returns');
  const whole = bridged === null ? `over gaps ${UNKNOWN}` : `${percent(bridged)} over gaps`;
  return `${whole}, ${percent(observed)} in ${named(periods, 'hour')} that ${periods === 1 ? 'is' : 'are'} known`;
}

export function partly(linked: LinkedReturn): Html {
  if (linked.observed === null) return none(linked.gaps[0]?.reason ?? 'no_returns');
  return html`<td class="none">${UNKNOWN}: ${overGaps(linked)}</td>`;
}

function box(name: string, value: string, note: string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value}<small>${note}</small></dd>
  </div>`;
}

export function headline({
  linked,
  gaps,
  moneyWeighted,
  hourly,
  totals,
  capital,
  coverage,
}: Performance): Html {
  const whole =
    linked.ratio === null
      ? overGaps(linked)
      : linked.method === 'twr'
        ? 'time-weighted, valued at each flow'
        : 'time-weighted, partly modified Dietz';
  const fall = hourly.maximum_drawdown;
  const isYear = coverage.endMs - coverage.startMs >= YEAR_MS;
  const { annual, period, reason } = moneyWeighted;
  const rate = isYear ? annual : period;
  return html`<dl class="key">
    ${[
      box('Return', percent(linked.ratio), whole),
      box(
        isYear ? 'Money-weighted, a year' : 'Money-weighted',
        percent(rate),
        reason === null || rate !== null ? 'XIRR, actual / 365' : inWords(reason),
      ),
      box(
        'Maximum drawdown',
        fall !== null ? percent(fall.depth) : coverage.returns === 0 ? UNKNOWN : 'none',
        `${hourly.gaps > 0 && fall !== null ? 'at least; ' : ''}${fall !== null ? `${day(fall.peakMs)} to ${day(fall.troughMs)}` : inWords(coverage.returns === 0 ? 'no_returns' : 'no_drawdown')}`,
      ),
      box('Value at the end', dollars(totals.equityEnd), 'US dollars'),
      box('Gained', dollars(capital.gain), 'US dollars, without what was paid in or out'),
      box(
        'Capital',
        dollars(capital.mean),
        capital.mean === null
          ? inWords('no_value')
          : `US dollars, mean of ${dollars(capital.lowest)} to ${dollars(capital.highest)}; ${percent(capital.smallShare)} of the hours had less than a tenth of it`,
      ),
      box(
        'Hours with a return',
        `${count(coverage.returns)} of ${count(coverage.hours)}`,
        named(gaps.length, 'gap'),
      ),
      box(
        'Residual',
        dollars(totals.residual.absolute),
        totals.residual.absolute === null
          ? inWords('not_compared')
          : `US dollars without signs; ${named(totals.residual.beyond, 'hour')} beyond tolerance`,
      ),
    ]}
  </dl>`;
}

function statistic(value: Statistic, show: (text: string) => string): Html {
  return value.value === null ? none(value.reason) : html`<td>${show(value.value)}</td>`;
}

function moment(ms: number | null): Html {
  return ms === null ? html`<td class="none">not yet</td>` : html`<td>${minute(ms)}</td>`;
}

function ofFall(
  show: (found: NonNullable<RiskMetrics['maximum_drawdown']>) => Html,
): (metrics: RiskMetrics) => Html {
  return ({ maximum_drawdown: found, sample }) => {
    if (found !== null) return show(found);
    return none(sample === 0 ? 'below_minimum' : 'no_drawdown');
  };
}

function asPercent(value: string): string {
  return percent(value);
}

function asNumber(value: string): string {
  return decimal(value);
}

export function risk(hourly: RiskMetrics, daily: RiskMetrics): Html {
  const both = (name: string, show: (metrics: RiskMetrics) => Html): readonly Cell[] => [
    name,
    show(daily),
    show(hourly),
  ];
  return table(
    'Annualised to 365 days and to 8,760 hours; hourly returns of positions that are held are not independent, so read the daily column first',
    ['', 'from daily returns', 'from hourly returns'],
    [
      both('Returns in the sample', ({ sample }) => html`<td>${count(sample)}</td>`),
      both('– of gaps whose change is known', ({ bridged }) => html`<td>${count(bridged)}</td>`),
      both('Periods that are not known', ({ gaps }) => html`<td>${count(gaps)}</td>`),
      both('Return, a year', ({ annual_return: value }) => statistic(value, asPercent)),
      both('– over gaps', ({ annual_return_bridged: value }) => statistic(value, asPercent)),
      both('Volatility', ({ volatility }) => statistic(volatility, asPercent)),
      both('Downside deviation', ({ downside_deviation: value }) => statistic(value, asPercent)),
      both('Sharpe ratio', ({ sharpe }) => statistic(sharpe, asNumber)),
      both('Sortino ratio', ({ sortino }) => statistic(sortino, asNumber)),
      both('Calmar ratio', ({ calmar }) => statistic(calmar, asNumber)),
      both(
        'Maximum drawdown',
        ofFall(({ depth }) => html`<td>${percent(depth)}</td>`),
      ),
      both(
        '– peak',
        ofFall(({ peakMs }) => moment(peakMs)),
      ),
      both(
        '– trough',
        ofFall(({ troughMs }) => moment(troughMs)),
      ),
      both(
        '– recovered',
        ofFall(({ recoveryMs }) => moment(recoveryMs)),
      ),
      both('Worst period', ({ worst }) => ratioCell(worst?.ratio ?? null, 'no_returns')),
      both('– its end', ({ worst }) => (worst === null ? none('no_returns') : moment(worst.endMs))),
      both('Win rate', ({ win_rate: value }) => statistic(value, asPercent)),
      both('Profit factor', ({ profit_factor: value }) => statistic(value, asNumber)),
    ],
  );
}

const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

function monthCell(month: CalendarReturn | undefined): Html {
  if (month === undefined) return html`<td class="empty">–</td>`;
  const star = month.whole ? '' : '*';
  if (month.ratio === null) {
    const over = month.bridged === null ? html`` : html`<br />(${percent(month.bridged)})`;
    return html`<td class="empty">gap${star}${over}</td>`;
  }
  const kind = month.ratio.startsWith('-') ? 'loss' : 'gain';
  return html`<td class="${kind}">${percent(month.ratio)}${star}</td>`;
}

function yearCell(months: readonly CalendarReturn[]): Html {
  if (months.some(({ ratio }) => ratio === null)) return html`<td class="empty">gap</td>`;
  const index = new GrowthIndex();
  for (const { ratio } of months) if (ratio !== null) index.apply(ratio);
  return ratioCell(exactRatio(index.value - INDEX_ONE, INDEX_ONE), 'too_large');
}

function yearRow(year: number, own: readonly CalendarReturn[]): readonly Cell[] {
  const cells = MONTHS.map((_, at) =>
    monthCell(own.find(({ startMs }) => new Date(startMs).getUTCMonth() === at)),
  );
  return [String(year), ...cells, yearCell(own)];
}

export function months(all: readonly CalendarReturn[]): Html {
  const years = Map.groupBy(all, ({ startMs }) => new Date(startMs).getUTCFullYear());
  const rows = [...years].map(([year, own]) => yearRow(year, own));
  return dense(
    'Time-weighted, months of UTC. * began or ended in the month. A month with a gap has no return; in brackets what it made with the change over each gap that ends in it',
    ['', ...MONTHS, 'Year'],
    rows,
  );
}

/** Flows, costs and the place in the chain, month by month. */
export function monthDetails(all: readonly CalendarReturn[], hours: readonly HourRow[]): Html {
  const caption = 'Amounts in US dollars';
  const isStated = hours[0]?.counter !== undefined;
  const rows = all.map((month): readonly Cell[] => {
    const own = hours.filter(
      ({ figures: { startMs } }) => startMs >= month.startMs && startMs < month.endMs,
    );
    return [
      day(month.startMs).slice(0, 7),
      month.ratio === null ? partly(month) : ratioCell(month.ratio, null),
      `${count(month.periods)} of ${count((month.endMs - month.startMs) / 3_600_000)}`,
      total(own, ({ inflow }) => inflow),
      total(own, ({ outflow }) => outflow),
      total(own, ({ fees }) => fees),
      total(own, ({ funding }) => funding),
      ...(isStated ? [`${own[0]?.counter ?? ''} to ${own.at(-1)?.counter ?? ''}`] : []),
    ];
  });
  const head = ['', 'return', 'hours', 'paid in', 'paid out', 'fees', 'funding'];
  return isStated
    ? dense(`${caption}; statements by their counter in the chain`, [...head, 'statements'], rows)
    : dense(caption, head, rows);
}

export function falls({ points }: Performance): Html {
  const deepest = drawdowns(points)
    .toSorted((a, b) => ratioOf(b.depth).cmp(ratioOf(a.depth)))
    .slice(0, 5);
  const rows = deepest.map(({ depth, peakMs, troughMs, recoveryMs }, at): readonly Cell[] => [
    String(at + 1),
    html`<td>${percent(depth)}</td>`,
    moment(peakMs),
    moment(troughMs),
    moment(recoveryMs),
  ]);
  return table(
    'The five deepest, on the hourly index',
    ['', 'depth', 'peak', 'trough', 'recovered'],
    rows,
  );
}

type Pick = (figures: HourRow['figures']) => Fixed | null;

/** Over the hours that know it; where some do not, that is said and it is no sum of the whole. */
function total(hours: readonly HourRow[], pick: Pick): Html {
  if (hours.length === 0) return none('no_value');
  let [sum, known] = [0n, 0];
  for (const { figures } of hours) {
    const value = pick(figures);
    if (value === null) continue;
    sum += value;
    known++;
  }
  if (known === hours.length) return html`<td>${dollars(sum)}</td>`;
  return html`<td class="none">${UNKNOWN}: ${dollars(sum)} in ${named(known, 'hour')}</td>`;
}

export function sums({ totals }: Performance, hours: readonly HourRow[]): Html {
  const over: readonly (readonly [string, Pick])[] = [
    ['Paid in', ({ inflow }) => inflow],
    ['Paid out', ({ outflow }) => outflow],
    ['Realised, first in first out', ({ realised }) => realised],
    [
      'Realised, average cost (as signed: not recomputed)',
      ({ realisedAverage }) => realisedAverage,
    ],
    ['Change of what is not realised', ({ unrealisedChange }) => unrealisedChange],
    ['Funding', ({ funding }) => funding],
    ['Fees paid', ({ fees }) => fees],
    ['Interest, dividends, rebates', ({ income }) => income],
    ['Residual', ({ residual }) => residual],
    ['Volume', ({ volume }) => volume],
  ];
  return table(
    `US dollars. ${count(totals.trades)} fills. Where an hour does not know an amount, there is no sum of the whole`,
    ['', 'US dollars'],
    [
      ['Value at the start', money(totals.equityStart)],
      ...over.map(([name, pick]): readonly Cell[] => [name, total(hours, pick)]),
      ['Value at the end', money(totals.equityEnd)],
      ['– of it not realised', money(totals.unrealisedEnd)],
    ],
  );
}

export function markets({ markets: all, totals }: Performance): Html {
  const amounts = totals.byMarket.map((one): readonly Cell[] => [
    one.market,
    html`<td>${count(one.trades)}</td>`,
    money(one.volume),
    money(one.realised),
    money(one.fees),
    money(one.funding),
    money(one.income),
    money(one.equity),
    money(one.unrealised),
  ]);
  const returns = all.map(({ market, linked, daily }): readonly Cell[] => [
    market,
    linked.ratio === null ? partly(linked) : ratioCell(linked.ratio, null),
    statistic(daily.volatility, percent),
    statistic(daily.sharpe, decimal),
    statistic(daily.sortino, decimal),
    statistic(daily.calmar, decimal),
    ofFall(({ depth }) => html`<td>${percent(depth)}</td>`)(daily),
    ofFall(({ peakMs }) => moment(peakMs))(daily),
    ofFall(({ troughMs }) => moment(troughMs))(daily),
    ofFall(({ recoveryMs }) => moment(recoveryMs))(daily),
    statistic(daily.win_rate, percent),
    statistic(daily.profit_factor, decimal),
  ]);
  return html`${dense('By market, in US dollars', MARKET_AMOUNTS, amounts)}
  ${dense('Returns of markets on the capital of the whole account, by days', MARKET_RISK, returns)}`;
}

const MARKET_AMOUNTS: readonly string[] = [
  '',
  'fills',
  'volume',
  'realised',
  'fees',
  'funding',
  'income',
  'value',
  '– not realised',
];
const MARKET_RISK: readonly string[] = [
  '',
  'return',
  'volatility',
  'Sharpe',
  'Sortino',
  'Calmar',
  'drawdown',
  '– peak',
  '– trough',
  '– recovered',
  'win rate',
  'profit factor',
];

export function gapList(gaps: readonly BridgedGap[]): Html {
  if (gaps.length === 0) return html`<p>No gaps: every hour of the record has a return.</p>`;
  const rows = gaps.map(({ fromMs, toMs, reason, change, unknown }): readonly Cell[] => [
    minute(fromMs),
    text(minute(toMs)),
    text(inWords(reason)),
    ratioCell(change, unknown),
  ]);
  return table(
    'No return is known of these times. Change: from the last value before to the first behind, without what came in or went out; nothing that no record explains helps it',
    ['from', textHead('to'), textHead('why'), 'change'],
    rows,
  );
}
