// What ties the figures of a report to the venue: residuals, and hours that do not meet.

import type { Performance } from '../../wire/performance/performance.ts';
import { isJump } from '../../wire/performance/hour-return.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import { impliedContracts } from '../track/hour-basis.ts';
import { unrealisedJump } from '../track/unrealised.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { count, dollars, minute, named } from './numbers.ts';
import { money } from './sections.ts';
import type { Cell } from './table.ts';
import { table } from './table.ts';

export function reconciliation(
  { totals: { residual } }: Performance,
  hours: readonly HourStatement[],
): Html {
  const beyond = hours
    .filter(({ figures }) => figures.status === 'beyond')
    .map(({ figures, counter }): readonly Cell[] => [
      minute(figures.startMs),
      money(figures.residual),
      money(figures.tolerance),
      String(counter),
    ]);
  return html`<p>
      Change of value = realised + change of what is not realised + funding − fees + income + paid
      in − paid out + residual: this holds to the last digit in every hour whose figures are all
      known. The residual is what the venue's balances and positions differ from the ledger.
    </p>
    <p>
      What is not realised has to go on from hour to hour by its change; where it begins, it is as
      signed. ${begunAnew(hours)}
    </p>
    <p>
      An hour reconciles up to a cent and a millionth of what the account and its contracts are
      worth. What contracts are worth is in no statement: ${impliedBy(hours)} That the differences
      without their signs are within it is as signed; that the residual is, was verified.
    </p>
    <p>
      ${count(residual.reconciled)} hours reconcile, ${count(residual.beyond)} are beyond their
      tolerance, of ${count(residual.unknown)} it is not known.
      ${
        residual.sum === null
          ? 'Balances and ledger were compared in no hour.'
          : `Residuals add up to ${dollars(residual.sum)}, without their signs to ${dollars(residual.absolute)} US dollars.`
      }
    </p>
    ${
      beyond.length === 0
        ? html``
        : table(
            'Hours whose residual is beyond the tolerance, US dollars',
            ['hour', 'residual', 'tolerance', 'statement'],
            beyond,
          )
    }`;
}

/** Behind the last of them the figure at the end follows from verified changes. */
function begunAnew(hours: readonly HourStatement[]): string {
  const found = hours.filter(
    ({ figures }, at) => unrealisedJump(hours[at - 1]?.figures, figures) !== null,
  );
  const last = found.at(-1);
  if (last === undefined) return 'It goes on wherever it is known in two hours that follow.';
  const { startMs } = last.figures;
  return `${named(found.length, 'hour')} with something else at the start than the hour before had at its end, the last at ${minute(startMs)}: it begins anew there.`;
}

/** Who knows the account can tell whether it ever had as many. */
function impliedBy(hours: readonly HourStatement[]): string {
  const implied = hours.map(({ figures }) => impliedContracts(figures));
  const most = implied.reduce((a, b) => (a > b ? a : b), 0n);
  if (most === 0n) return 'no tolerance is above that of the account alone.';
  return `the largest tolerance stands for ${dollars(most)} US dollars of them.`;
}

/** Where the value at the end of an hour is not that at the start of the next. */
export function jumps(hours: readonly HourStatement[]): readonly HourStatement[] {
  return hours.filter(({ figures }, at) => isJump(hours[at - 1]?.figures, figures));
}
