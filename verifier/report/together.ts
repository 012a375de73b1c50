// Several records as one HTML file, in the way of the report of one (document.ts): what was computed from all of them, each account with
// its own figures, the transfers that were found between them, and the flows that only look like some. Its top says that the
// figures of the whole are derived: no enclave signed them.

import { toHex } from '../../wire/bytes.ts';
import type { Fixed } from '../../wire/fixed.ts';
import type { JudgedTogether, Member } from '../together/together-verdict.ts';
import type { LooksAlike, Transfer } from '../together/transfers.ts';
import { lossText } from '../track/losses.ts';
import { monthlyReturns } from '../track/months.ts';
import { charts } from './charts.ts';
import { badge, conventions, references, remains } from './document.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { count, dollars, minute, named, percent } from './numbers.ts';
import { renderPage } from './page.ts';
import {
  falls,
  gapList,
  headline,
  markets,
  monthDetails,
  months,
  partly,
  ratioCell,
  risk,
  section,
  sums,
} from './sections.ts';
import type { Cell } from './table.ts';
import { dense, text, textHead } from './table.ts';

const ALIKE: Readonly<Record<LooksAlike['reason'], string>> = {
  no_reference: 'at least one of the venues names no transaction',
  references_differ: 'the venues name two transactions',
};

function commitmentOf({ record }: Member): string {
  return toHex(record.account.accountCommitment);
}

function shortName(member: Member | undefined): string {
  if (member === undefined) return '';
  return `${commitmentOf(member).slice(0, 8)}, ${member.record.account.venue}`;
}

function warnings({ verdict, members, together, performance }: JudgedTogether): readonly Html[] {
  const { unsafe, skipped } = verdict;
  const said: string[] = [
    'Figures of all accounts together are derived: every hour that they rest on is signed, the sums are not, and nobody signed whose accounts these are.',
  ];
  if (verdict.verdict === 'undecided') {
    said.push(
      'Nobody said which image is trusted: signatures and figures hold, and any enclave could have made them.',
    );
  }
  if (unsafe.length > 0)
    said.push(`Checks were switched off: ${unsafe.join(' ')}. Do not rely on this report.`);
  if (members.some(({ record }) => record.account.environment === 'sandbox')) {
    said.push('The accounts are on test systems: nothing was at stake.');
  }
  for (const { verdict: own, record } of members) {
    const name = toHex(record.account.accountCommitment).slice(0, 8);
    said.push(...(own.record?.lost ?? []).map((loss) => `Lost of ${name}: ${lossText(loss)}.`));
  }
  const { startMs, endMs } = performance.coverage;
  const partial = together.spans.filter(
    (span) => span === null || span.fromMs > startMs || span.toMs < endMs,
  ).length;
  if (partial > 0) {
    said.push(
      `${named(partial, 'account')} with a record that begins or ends within that of others: what was before and after is not in here.`,
    );
  }
  const alike = together.transfers.alike.length;
  if (alike > 0) {
    said.push(`${named(alike, 'pair')} of flows that look like a transfer, and count as external.`);
  }
  return [
    ...said.map((sentence) => html`<p class="warning">${sentence}</p>`),
    html`<p class="soft">Not checked: ${skipped.join(', ')}</p>`,
  ];
}

function accounts({ members, together }: JudgedTogether): Html {
  const rows = members.map((member, at): readonly Cell[] => {
    const { performance, record } = member;
    const { linked, hourly, totals, capital } = performance;
    const span = together.spans[at] ?? null;
    const fall = hourly.maximum_drawdown;
    return [
      html`<code>${commitmentOf(member).slice(0, 16)}</code>`,
      text(record.account.venue),
      text(
        span === null ? 'no hour that was seen' : `${minute(span.fromMs)} to ${minute(span.toMs)}`,
      ),
      linked.ratio === null ? partly(linked) : ratioCell(linked.ratio, null),
      fall === null ? 'none' : percent(fall.depth),
      dollars(capital.gain),
      dollars(totals.equityEnd),
    ];
  });
  return dense(
    'Each by itself, from its own signed statements; amounts in US dollars',
    [
      '',
      textHead('venue'),
      textHead('in the whole'),
      'return',
      'drawdown',
      'gained',
      'value at the end',
    ],
    rows,
  );
}

function pairs(
  { members }: JudgedTogether,
  caption: string,
  found: readonly (Transfer | LooksAlike)[],
): Html {
  const rows = found.map((pair): readonly Cell[] => {
    const { left, arrived } = pair;
    const why = 'reason' in pair ? ALIKE[pair.reason] : html`<code>${pair.reference}</code>`;
    return [
      minute(left.atMs),
      text(shortName(members[left.account])),
      dollars(left.amount),
      text(minute(arrived.atMs)),
      text(shortName(members[arrived.account])),
      dollars(arrived.amount),
      dollars(arrived.amount - left.amount),
      text(why),
    ];
  });
  return dense(
    caption,
    [
      'left',
      textHead('account'),
      'US dollars',
      textHead('arrived'),
      textHead('account'),
      'US dollars',
      'difference',
      textHead('why'),
    ],
    rows,
  );
}

function transfers(judged: JudgedTogether): readonly Html[] {
  const { internal, alike } = judged.together.transfers;
  const lost = internal.reduce((sum, { left, arrived }): Fixed => {
    const difference = left.amount - arrived.amount;
    return difference > 0n ? sum + difference : sum;
  }, 0n);
  return [
    internal.length === 0
      ? html`<p>No transfer between the accounts was found.</p>`
      : pairs(
          judged,
          `Both venues name one transaction: no flows of the whole. What arrived with less was a cost, ${dollars(lost)} in all; what arrived with more came from outside`,
          internal,
        ),
    alike.length === 0
      ? html`<p>No other flows look like a transfer.</p>`
      : pairs(
          judged,
          'These look like transfers, by amount and time, and have no transaction in common: they count as external',
          alike,
        ),
  ];
}

/** The file's text, UTF-8. */
export function renderTogetherReport(judged: JudgedTogether): string {
  const { verdict, members, together, performance } = judged;
  const { coverage } = performance;
  const { startMs, endMs, recorded } = coverage;
  const calendar = monthlyReturns(performance.points);
  const hours = together.hours
    .filter((figures) => figures.startMs >= startMs && figures.startMs < endMs)
    .map((figures) => ({ figures }));
  const size = named(members.length, 'account');
  return renderPage(
    `Track record of ${size}`,
    html`<h1>Track record of ${size}</h1>
      <p><span class="badge ${badge(verdict)}">${verdict.verdict}</span></p>
      <p>${recorded === 0 ? 'No hour was seen yet' : `${minute(startMs)} to ${minute(endMs)}`}.</p>
      ${warnings(judged)}`,
    [
      headline(performance),
      ...charts(performance, hours),
      section('Accounts', accounts(judged)),
      section('Transfers between them', ...transfers(judged)),
      section('Months', months(calendar), monthDetails(calendar, hours)),
      section('Risk', risk(performance.hourly, performance.daily), falls(performance)),
      section('Profit and loss', sums(performance, hours), markets(performance)),
      section(
        'Coverage',
        html`<p>
          ${count(coverage.polls)} polls, all over the enclave’s own TLS. An hour that one account
          does not know is a gap of all.
        </p>`,
        gapList(performance.gaps),
      ),
      section('Conventions', conventions(verdict.together?.conventions ?? {})),
      section(
        'Attestation and log',
        ...members.map(
          (member) =>
            html`<h3><code>${commitmentOf(member)}</code></h3>
              ${references(member)}`,
        ),
      ),
      section('What remains', remains(verdict)),
    ],
  );
}
