// The verdict on a signed result, as JSON and for people: what the statement says, under which document it was signed,
// and what a result cannot show.

import type { Refusal } from '../../wire/result.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import type { ResultSummary } from '../../wire/result-summary.ts';
import { hoursOf, summaryOf } from '../../wire/result-summary.ts';
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
import { renderFigures } from './figures-text.ts';
import { NO_RISKS, renderRisks, riskFields, risksOfOptions } from '../residual-risks.ts';

/** Null where it was refused. */
export interface ResultVerdict extends Judgement {
  readonly result: ResultSummary | null;
  readonly hours: number | null;
  readonly leaf_index: number | null;
  /** The leaf was looked at in the log. */
  readonly logged: boolean | null;
  readonly operator_could_still: RiskFields['operator_could_still'] | null;
  readonly rests_on: RiskFields['rests_on'] | null;
  readonly residual_risks: RiskFields['residual_risks'] | null;
}

export function refusedResult(
  source: string,
  trust: TrustOptions,
  refusal: Refusal,
): ResultVerdict {
  return {
    ...refusedJudgement(source, trust, refusal),
    result: null,
    hours: null,
    leaf_index: null,
    logged: null,
    ...NO_RISKS,
  };
}

export function verifiedResult(
  source: string,
  trust: TrustOptions,
  statement: ResultStatement,
  leafIndex: number,
  logged: boolean,
): ResultVerdict {
  return {
    ...verifiedJudgement(source, trust, logged ? [] : ['log']),
    result: summaryOf(statement),
    hours: hoursOf(statement).length,
    leaf_index: leafIndex,
    logged,
    ...riskFields(trust, risksOf(trust, statement, logged), [
      {
        risk: 'venue_word',
        sentence: `what ${statement.venue} answered over TLS: the enclave adds up what the venue says`,
      },
    ]),
  };
}

function risksOf(
  trust: TrustOptions,
  { environment }: ResultStatement,
  logged: boolean,
): readonly ResidualRisk[] {
  const risks: ResidualRisk[] = [
    ...risksOfOptions(trust),
    {
      risk: 'chosen_account',
      sentence:
        environment === 'sandbox'
          ? 'trade as it likes here: the account is on a test system, nothing was at stake'
          : 'have other accounts, and sessions that were ended when they did badly: compare commitment, observed_since and the audit trail',
    },
    {
      risk: 'chosen_result',
      sentence: 'show the result of a time that suits: look at as_of, and ask for a newer one',
    },
  ];
  if (!logged) {
    const sentence =
      'have dropped the end of the log, with the leaf of this result: give --log or --proof';
    risks.push({ risk: 'unlogged_result', sentence });
  }
  return risks;
}

export function renderResult(verdict: ResultVerdict): string {
  const { result } = verdict;
  return renderJudgement(verdict, result === null ? [] : renderFacts(verdict, result));
}

function renderFacts(verdict: ResultVerdict, result: ResultSummary): readonly string[] {
  const lines = [
    row('origin', result.origin),
    row('leaf', `${verdict.leaf_index ?? ''}${verdict.logged === true ? ', in the log' : ''}`),
    ...renderFigures(result),
  ];
  const { operator_could_still: operator, rests_on: rests, residual_risks: risks } = verdict;
  if (operator === null || rests === null || risks === null) return lines;
  return [
    ...lines,
    ...renderRisks({
      operator_could_still: operator,
      rests_on: rests,
      residual_risks: risks,
    }).map(printable),
  ];
}
