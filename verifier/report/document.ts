// A track record as one HTML file: no script, nothing that is loaded, and a content security policy that would stop both. All
// figures come from a record whose signatures, chain and arithmetic have been verified, and what was not checked is said
// at the top. Dark, light and paper by style alone.

import { toHex } from '../../wire/bytes.ts';
import type { Performance } from '../../wire/performance/performance.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { LostRange } from '../../wire/track/revocation.ts';
import type { VerifiedRecord } from '../track/check-record.ts';
import { priceSources } from '../track/hour-json.ts';
import { lossText } from '../track/losses.ts';
import { monthlyReturns } from '../track/months.ts';
import type { RecordVerdict } from '../track/record-verdict.ts';
import { charts } from './charts.ts';
import type { Html } from './html.ts';
import { html } from './html.ts';
import { count, minute, named } from './numbers.ts';
import { jumps, reconciliation } from './reconciliation.ts';
import {
  falls,
  gapList,
  headline,
  markets,
  monthDetails,
  months,
  risk,
  section,
  sums,
} from './sections.ts';
import { lastHours, rebuiltPart } from './hours.ts';
import { renderPage } from './page.ts';
import type { Cell } from './table.ts';
import { table, text, textHead } from './table.ts';

export interface Report {
  readonly verdict: RecordVerdict;
  readonly record: VerifiedRecord;
  readonly performance: Performance;
}

/** Green only where nothing was switched off. */
export function badge({ verdict, unsafe }: Pick<RecordVerdict, 'verdict' | 'unsafe'>): string {
  return unsafe.length > 0 ? 'undecided' : verdict;
}

function warnings({ verdict, record }: Report): readonly Html[] {
  const { unsafe, skipped } = verdict;
  const said: string[] = [];
  if (verdict.verdict === 'undecided') {
    said.push(
      'Nobody said which image is trusted: signatures and figures hold, and any enclave could have made them.',
    );
  }
  if (unsafe.length > 0)
    said.push(`Checks were switched off: ${unsafe.join(' ')}. Do not rely on this report.`);
  if (record.account.environment === 'sandbox') {
    said.push('The account is on a test system: nothing was at stake.');
  }
  said.push(...(verdict.record?.lost ?? []).map((loss) => `Lost: ${lossText(loss)}.`));
  if (record.ended) said.push('The chain of this account has ended: nothing follows.');
  const rebuilt = record.hours.filter(({ statement }) => statement.figures.rebuilt).length;
  if (rebuilt > 0) {
    said.push(
      `${named(rebuilt, 'hour')} worked out backwards, from before the enclave saw the account: in no figure but those named so.`,
    );
  }
  const found = jumps(record.hours.map(({ statement }) => statement)).length;
  if (found > 0) {
    said.push(
      `${named(found, 'hour')} with another value at the start than the hour before had at its end, and without a return here.`,
    );
  }
  return [
    ...said.map((sentence) => html`<p class="warning">${sentence}</p>`),
    html`<p class="soft">Not checked: ${skipped.join(', ')}</p>`,
  ];
}

export function conventions(named: Readonly<Record<string, string>>): Html {
  const all = Object.entries(named);
  const values = new Map(all);
  const rows = all.flatMap(([name, value]): readonly (readonly Cell[])[] => {
    const [basis, own] = name.split('.', 2);
    if (own === undefined) return [[name, html`<td class="text" colspan="2">${value}</td>`]];
    const daily = values.get(`daily.${own}`) ?? '';
    if (basis !== 'hourly') return values.has(`hourly.${own}`) ? [] : [[name, text(value)]];
    if (daily === value) return [[own, html`<td class="text" colspan="2">${value}</td>`]];
    return [[own, text(value), text(daily)]];
  });
  return table(
    'These are part of every figure above: the same name with other conventions is another figure',
    ['', textHead('of hours'), textHead('of days')],
    rows,
  );
}

function lostText(lost: LostRange | null): string {
  return lost === null ? 'ends the chain' : `takes back ${lost.from} to ${lost.to}: they were lost`;
}

function corrections({ record }: Report): Html {
  const rows = [
    ...record.corrections.map(({ statement }) => [
      String(statement.counter),
      text(`replaces ${statement.supersedes?.counter ?? ''}`),
      text(minute(statement.kind === 'hour' ? statement.figures.startMs : statement.atMs)),
      text(statement.supersedes?.reason ?? ''),
    ]),
    ...record.revocations.map(({ statement }) => [
      String(statement.counter),
      text(lostText(statement.lost)),
      text(minute(statement.atMs)),
      text(statement.reason),
    ]),
  ];
  if (rows.length === 0) return html`<p>No statement was corrected or revoked.</p>`;
  return table(
    'What was replaced stays in the chain',
    ['statement', textHead('does'), textHead('of'), textHead('why')],
    rows,
  );
}

export function references({
  record,
  verdict,
}: Pick<Report, 'record' | 'verdict'>): readonly Html[] {
  const rows = record.epochs.map((epoch) => [
    epoch.origin,
    text(`${epoch.firstCounter} to ${epoch.lastCounter}`),
    text(`${epoch.firstLeaf} to ${epoch.lastLeaf}`),
    text(minute(epoch.timestampMs)),
    html`<td class="text keys">
      Enclave <code>${epoch.moduleId}</code><br />PCR0 <code>${epoch.pcr0}</code><br />SHA-256 of
      the document <code>${epoch.documentSha256}</code>
    </td>`,
  ]);
  const head = record.head.hash === null ? '' : toHex(record.head.hash);
  const { sha256, aws } = verdict.root_certificate;
  return [
    table(
      'Epochs of the log whose attested result key signed the statements',
      [
        'epoch',
        textHead('statements'),
        textHead('leaves'),
        textHead('attested'),
        textHead('attestation document'),
      ],
      rows,
    ),
    html`<p>
      ${verdict.logged === true ? 'Every statement is in the log, at its place. ' : ''}Last
      statement: ${record.head.counter}, SHA-256 <code>${head}</code>. Whoever has seen a later one
      of this account knows that this record is not the newest.
    </p>`,
    html`<p>
      Root certificate: ${aws ? 'AWS Nitro Enclaves' : 'not that of AWS'}, SHA-256
      <code>${sha256}</code>.
    </p>`,
    html`<p>
      To verify it again: <code>trackseal verify record FILE --policy FILE --log SOURCE</code>.
    </p>`,
  ];
}

/** Why polls told less than all, and in how many hours; most of these hours have a return, from a later poll. */
function failures(hours: readonly HourStatement[]): Html {
  const reasons = new Map<string, number>();
  for (const { figures } of hours) {
    for (const gap of figures.gaps) reasons.set(gap, (reasons.get(gap) ?? 0) + 1);
  }
  if (reasons.size === 0) return html`<p>No poll failed.</p>`;
  const rows = [...reasons]
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, found]) => [reason, html`<td>${count(found)}</td>`]);
  return table(
    'What polls could not tell when they were due; an hour counts when a later poll told it',
    ['', 'hours'],
    rows,
  );
}

function prices(hours: readonly HourStatement[]): Html {
  const sources = priceSources(hours.map(({ figures }) => figures));
  const rows = sources.map(({ source, rows: found, oldestAgeMs }) => [
    html`<span class="long">${source}</span>`,
    html`<td>${count(found)}</td>`,
    html`<td>${count(Math.round(oldestAgeMs / 1000))} s</td>`,
  ]);
  return table(
    'Where prices came from, over the enclave’s own TLS, and how old the oldest was when it was used; as signed: the digest of the prices is under a key, and is not recomputed',
    ['source', 'prices', 'oldest'],
    rows,
  );
}

type RisksToTell = Pick<RecordVerdict, 'operator_could_still' | 'rests_on'>;

function list(items: readonly string[] | null): readonly Html[] {
  return (items ?? []).map((item) => html`<li>${item}</li>`);
}

export function remains(verdict: RisksToTell): Html {
  return html`<h3>The operator could still</h3>
    <ul>
      ${list(verdict.operator_could_still)}
    </ul>
    <h3>It rests on</h3>
    <ul>
      ${list(verdict.rests_on)}
    </ul>`;
}

/** The file's text, UTF-8. */
export function renderReport(report: Report): string {
  const { verdict, record, performance } = report;
  const { account } = record;
  const { coverage } = performance;
  const all = record.hours.map(({ statement }) => statement);
  const { startMs, endMs, recorded } = coverage;
  const calendar = monthlyReturns(performance.points);
  const hours = all.filter(({ figures }) => figures.startMs >= startMs && figures.startMs < endMs);
  const commitment = toHex(account.accountCommitment);
  const title = `Track record ${commitment.slice(0, 16)}, ${account.venue}`;
  return renderPage(
    title,
    html`<h1>Track record</h1>
      <p><span class="badge ${badge(verdict)}">${verdict.verdict}</span></p>
      <p>
        Account <code>${commitment}</code>, ${account.venue}, ${account.environment}.
        ${recorded === 0 ? 'No hour of it was seen yet' : `${minute(startMs)} to ${minute(endMs)}`}.
      </p>
      ${warnings(report)}`,
    [
      headline(performance),
      ...charts(performance, hours),
      section('Months', months(calendar), monthDetails(calendar, hours)),
      section('Risk', risk(performance.hourly, performance.daily), falls(performance)),
      section('Profit and loss', sums(performance, hours), markets(performance)),
      section('Reconciliation', reconciliation(performance, hours)),
      section(
        'Coverage',
        html`<p>
          ${count(coverage.polls)} polls, all over the enclave’s own TLS.
          ${count(coverage.incomplete)} of ${count(coverage.hours)} hours have a poll that failed or
          told less than all.
        </p>`,
        recorded === 0
          ? html`<p>No hour of the record was seen yet.</p>`
          : gapList(performance.gaps),
        failures(hours),
        prices(hours),
      ),
      section('Hours', lastHours(all)),
      section('Before it was seen', ...rebuiltPart(performance, all)),
      section('Corrections', corrections(report)),
      section('Conventions', conventions(verdict.record?.conventions ?? {})),
      section('Attestation and log', ...references(report)),
      section('What remains', remains(verdict)),
    ],
  );
}
