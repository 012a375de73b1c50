// The verdict on several records together, as JSON and for people: that of each, what was computed from all of them, which
// flows were taken for transfers between them, and which were not although they look like it. Statements are signed; what is
// computed from several accounts is derived, and whose accounts they are nobody signed.

import { toHex } from '../../wire/bytes.ts';
import { formatFixed } from '../../wire/fixed.ts';
import type { Performance } from '../../wire/performance/performance.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import type { Judgement } from '../log/verdict-frame.ts';
import {
  printable,
  refusedJudgement,
  renderJudgement,
  row,
  verifiedJudgement,
} from '../log/verdict-frame.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { ResidualRisk, RiskFields } from '../residual-risks.ts';
import { NO_RISKS, renderRisks, riskFields, risksOfOptions } from '../residual-risks.ts';
import type { VerifiedRecord } from '../track/check-record.ts';
import type { Loss } from '../track/losses.ts';
import { lossRisks } from '../track/losses.ts';
import type { FiguresJson, RecordVerdict } from '../track/record-verdict.ts';
import { figuresJson, renderFigures } from '../track/record-verdict.ts';
import type { Span, Together } from './consolidate.ts';
import { consolidate } from './consolidate.ts';
import type { LooksAlike, Transfer } from './transfers.ts';

/** One account; `counted` is the time of which its hours are in the whole. */
interface MemberJson {
  readonly account: string;
  readonly venue: string;
  readonly environment: string;
  readonly source: string;
  readonly counted: { readonly from_ms: number; readonly to_ms: number } | null;
  readonly chain: { readonly counter: number; readonly hash: string; readonly ended: boolean };
  readonly figures: FiguresJson['figures'];
}

/** Accounts by their commitments; amounts in US dollars where each half was told. */
interface PairJson {
  readonly from: string;
  readonly to: string;
  readonly left_ms: number;
  readonly arrived_ms: number;
  readonly left: string;
  readonly arrived: string;
  /** Below zero: a cost. Above: counted as paid in from outside. */
  readonly difference: string;
  /** Why it was taken for a transfer, or was not. */
  readonly reason: 'reference' | LooksAlike['reason'];
  readonly reference: string | null;
}

export interface TogetherSummary extends FiguresJson {
  readonly derived: typeof DERIVED;
  readonly internal: readonly PairJson[];
  /** Flows from and to outside, that look like the halves of a transfer. */
  readonly alike: readonly PairJson[];
}

export interface TogetherVerdict extends Judgement {
  readonly accounts: readonly RecordVerdict[];
  readonly members: readonly MemberJson[];
  /** Null where a record was refused. */
  readonly together: TogetherSummary | null;
  readonly operator_could_still: RiskFields['operator_could_still'] | null;
  readonly rests_on: RiskFields['rests_on'] | null;
  readonly residual_risks: RiskFields['residual_risks'] | null;
}

const DERIVED =
  'computed here from the signed hours of all accounts; no enclave signed it, and whose accounts they are nobody did';

const CONVENTIONS: Readonly<Record<string, string>> = {
  together_accounts:
    'an account counts from its first hour that was seen; it comes in and leaves with its value, as a flow',
  together_hours: 'an hour that one account does not know, within its record, is a gap of all',
  together_transfers:
    'one reference, opposite directions, two accounts, at most 7 days, at most 1 hour ahead; nothing else is internal',
  together_transit:
    'belongs to the whole at the value it left with; what arrives less is a cost, what arrives more was paid in',
  together_flows:
    'value of the other accounts at a flow: of those known before and after it the one that makes the return smaller',
};

/** A record that verified, with the verdict on it. */
export interface Member {
  readonly verdict: RecordVerdict;
  readonly record: VerifiedRecord;
  readonly performance: Performance;
}

export interface JudgedTogether {
  readonly verdict: TogetherVerdict;
  readonly members: readonly Member[];
  readonly together: Together;
  readonly performance: Performance;
}

/** Of the first record that was refused. */
export function refusedTogether(
  source: string,
  trust: TrustOptions,
  accounts: readonly RecordVerdict[],
): TogetherVerdict {
  const bad = accounts.find(({ verdict }) => verdict === 'refused');
  if (bad?.code === undefined || bad.code === null) throw new Error('a refusal without a code');
  const detail = { ...bad.detail, file: bad.source };
  const judgement = refusedJudgement(source, trust, { code: bad.code, detail });
  return { ...judgement, accounts, members: [], together: null, ...NO_RISKS };
}

function nameOf({ record }: Member): string {
  return toHex(record.account.accountCommitment);
}

function hoursOf({ record }: Member): readonly HourFigures[] {
  return record.hours.map(({ statement }) => statement.figures);
}

function memberJson({ verdict, record }: Member, span: Span | null): MemberJson {
  const { account, head, ended } = record;
  return {
    account: toHex(account.accountCommitment),
    venue: account.venue,
    environment: account.environment,
    source: verdict.source,
    counted: span === null ? null : { from_ms: span.fromMs, to_ms: span.toMs },
    chain: { counter: head.counter, hash: head.hash === null ? '' : toHex(head.hash), ended },
    figures: verdict.record?.figures ?? {},
  };
}

function pairJson(
  { left, arrived }: Pick<Transfer, 'left' | 'arrived'>,
  names: readonly string[],
  reason: PairJson['reason'],
  reference: string | null,
): PairJson {
  return {
    from: names[left.account] ?? '',
    to: names[arrived.account] ?? '',
    left_ms: left.atMs,
    arrived_ms: arrived.atMs,
    left: formatFixed(left.amount),
    arrived: formatFixed(arrived.amount),
    difference: formatFixed(arrived.amount - left.amount),
    reason,
    reference,
  };
}

function risksOf(
  trust: TrustOptions,
  logged: boolean,
  losses: readonly Loss[],
): readonly ResidualRisk[] {
  const risks: readonly ResidualRisk[] = [
    ...risksOfOptions(trust),
    {
      risk: 'chosen_account',
      sentence:
        'leave accounts out, and put in one of somebody else: nothing here says whose they are; agree on the commitments before the period begins',
    },
    {
      risk: 'chosen_result',
      sentence:
        'show records that end when it suits, each at another time: ask the enclave for the heads of the chains, and compare the counters',
    },
    ...lossRisks(losses),
  ];
  if (logged) return risks;
  const sentence = 'have dropped the end of a log with leaves of these records: give --log';
  return [...risks, { risk: 'unlogged_result', sentence }];
}

export function verifiedTogether(
  source: string,
  trust: TrustOptions,
  members: readonly Member[],
): JudgedTogether {
  const together = consolidate(members.map(hoursOf));
  const performance = performanceOf(together.hours);
  const names = members.map(nameOf);
  const logged = members.every(({ verdict }) => verdict.logged === true);
  const figures = figuresJson(performance);
  const { internal, alike } = together.transfers;
  const venues = [...new Set(members.map(({ record }) => record.account.venue))].join(', ');
  const word: ResidualRisk = {
    risk: 'venue_word',
    sentence: `what ${venues} answered over TLS: the enclave adds up what venues say`,
  };
  const verdict: TogetherVerdict = {
    ...verifiedJudgement(source, trust, logged ? [] : ['log']),
    accounts: members.map((member) => member.verdict),
    members: members.map((member, at) => memberJson(member, together.spans[at] ?? null)),
    together: {
      derived: DERIVED,
      ...figures,
      conventions: { ...figures.conventions, ...CONVENTIONS },
      internal: internal.map((one) => pairJson(one, names, 'reference', one.reference)),
      alike: alike.map((one) => pairJson(one, names, one.reason, null)),
    },
    ...riskFields(
      trust,
      risksOf(
        trust,
        logged,
        members.flatMap(({ record }) => record.losses),
      ),
      [word],
    ),
  };
  return { verdict, members, together, performance };
}

function span(counted: MemberJson['counted']): string {
  if (counted === null) return 'no hour that was seen';
  const [from, to] = [counted.from_ms, counted.to_ms].map((ms) => new Date(ms).toISOString());
  return `${from ?? ''} to ${to ?? ''}`;
}

function pairLine(pair: PairJson): string {
  const { from, to, left, arrived, difference, reason } = pair;
  const when = new Date(pair.left_ms).toISOString();
  return printable(
    `    - ${when} ${from.slice(0, 8)} ${left} to ${to.slice(0, 8)} ${arrived} (${difference}): ${reason}`,
  );
}

function pairLines(title: string, pairs: readonly PairJson[]): readonly string[] {
  return pairs.length === 0 ? [] : [`  ${title}`, ...pairs.map(pairLine)];
}

export function renderTogether(verdict: TogetherVerdict): string {
  const { together, members } = verdict;
  if (together === null) return renderJudgement(verdict, []);
  const lines = [
    ...members.map(({ account, venue, counted, figures }) => {
      const made = figures['return'] ?? null;
      const known = made === null ? 'return not known' : `return ${String(made)}`;
      return row('account', `${account.slice(0, 16)} ${venue}, ${span(counted)}, ${known}`);
    }),
    row('together', together.derived),
    ...renderFigures(together),
    ...pairLines('transfers between them, by reference', together.internal),
    ...pairLines('flows from and to outside that look like transfers', together.alike),
  ];
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = verdict;
  if (operator === null || rests === null || risks === null) return renderJudgement(verdict, lines);
  const fields = { operator_could_still: operator, rests_on: rests, residual_risks: risks };
  return renderJudgement(verdict, [...lines, ...renderRisks(fields).map(printable)]);
}
