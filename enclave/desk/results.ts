// Signed results: the figures of an account as a statement, logged first, signed over its place in the log, and handed
// out when the log's keeper has acknowledged the leaf. A result is made once for each poll and operation, so that
// asking often neither fills the log nor lets anybody choose among answers.

import { Buffer } from 'node:buffer';
import { parseHex, toBase64, toHex } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ResultFigures, ResultGap, ResultStatement } from '../../wire/result-statement.ts';
import {
  encodeResultStatement,
  MAX_RESULT_COVERAGE,
  MAX_RESULT_GAPS,
  MAX_RESULT_HOSTS,
  MAX_RESULT_HOURS,
  parseResultStatement,
  resultSignedBytes,
} from '../../wire/result-statement.ts';
import type { ReadableHour, ResultSummary } from '../../wire/result-summary.ts';
import { hoursOf, summaryOf } from '../../wire/result-summary.ts';
import type { Coverage } from '../../wire/exchange-call.ts';
import type { Account, AccountFigures, Amounts, Matched } from './accounts.ts';
import type { DeskServices } from './services.ts';

/** Sums over what the venue told; no valuation and no returns. */
export const METHOD = 'sums/v1';
const MISSING = ['returns', 'valuation', 'fee_conversion'];

export type ResultOperation = 'summary' | 'metrics';

export interface SignedResult {
  /** Base64 of the statement. */
  readonly statement: string;
  readonly leaf_index: number;
  /** Hex, 16 bytes: SHA-256(salt ‖ statement) is the digest of the leaf. */
  readonly leaf_salt: string;
  /** Base64, Ed25519. */
  readonly signature: string;
  readonly summary: ResultSummary;
  /** With `metrics`: up to 168 hours. */
  readonly metrics?: readonly ReadableHour[];
}

function amountsOf(amounts: Amounts): ReadonlyMap<string, string> {
  return new Map(Object.entries(amounts));
}

function matchedOf(matched: Matched | null): ResultFigures['matched'] {
  return matched === null ? null : { trades: matched.trades, volume: amountsOf(matched.volume) };
}

/** Many gaps become one that is larger than all of them: never less than there was. */
function foldGaps(gaps: readonly ResultGap[]): readonly ResultGap[] {
  const over = gaps.length - MAX_RESULT_GAPS;
  if (over <= 0) return gaps;
  const folded = gaps.slice(0, over + 1);
  const fromMs = Math.min(...folded.map((gap) => gap.fromMs));
  const toMs = Math.max(...folded.map((gap) => gap.toMs));
  return [{ fromMs, toMs, reason: 'several' }, ...gaps.slice(over + 1)];
}

/** Rows that say complete are left out first, and what is left out shows as incomplete. */
function foldCoverage(coverage: readonly Coverage[]): readonly Coverage[] {
  if (coverage.length <= MAX_RESULT_COVERAGE) return coverage;
  const sorted = coverage.toSorted((a, b) => Number(a.complete) - Number(b.complete));
  const folded = sorted.slice(MAX_RESULT_COVERAGE - 1);
  const fromMs = Math.min(...folded.map((row) => row.fromMs));
  const toMs = Math.max(...folded.map((row) => row.toMs));
  const rest = { what: 'several', market: null, fromMs, toMs, complete: false, reason: 'several' };
  return [...sorted.slice(0, MAX_RESULT_COVERAGE - 1), rest];
}

function figuresOf(figures: AccountFigures, operation: ResultOperation): ResultFigures {
  const { balances, unrealized, hours } = figures;
  return {
    trades: figures.trades,
    volume: amountsOf(figures.volume),
    fees: amountsOf(figures.fees),
    funding: amountsOf(figures.funding),
    deposits: amountsOf(figures.deposits),
    withdrawals: amountsOf(figures.withdrawals),
    balances: balances === null ? null : amountsOf(balances),
    positions: figures.positions,
    unrealized: unrealized === null ? null : amountsOf(unrealized),
    matched: matchedOf(figures.matched),
    unmatched: matchedOf(figures.unmatched),
    hours:
      operation === 'summary'
        ? []
        : hours.slice(-MAX_RESULT_HOURS).map((hour) => ({
            startMs: hour.start_ms,
            trades: hour.trades,
            volume: amountsOf(hour.volume),
            fees: amountsOf(hour.fees),
            complete: hour.complete,
          })),
  };
}

function statementOf(
  origin: string,
  account: Account,
  figures: AccountFigures,
  asOfNs: bigint,
  operation: ResultOperation,
): ResultStatement {
  return {
    origin,
    accountCommitment: account.commitment,
    venue: account.venue,
    hosts: figures.hosts.slice(-MAX_RESULT_HOSTS).map((one) => ({
      host: one.host,
      spkiHash: parseHex(one.spki_sha256) ?? new Uint8Array(),
    })),
    environment: account.environment,
    observedSinceNs: figures.observedSinceNs,
    periodStartNs: figures.periodStartNs,
    periodEndNs: asOfNs,
    asOfNs,
    polls: figures.polls,
    coverage: foldCoverage(
      figures.coverage.map(({ what, market, from_ms: fromMs, to_ms: toMs, complete, reason }) => ({
        what,
        market,
        fromMs,
        toMs,
        complete,
        reason,
      })),
    ),
    gaps: foldGaps(
      figures.gaps.map(({ from_ms: fromMs, to_ms: toMs, reason }) => ({ fromMs, toMs, reason })),
    ),
    method: METHOD,
    figures: figuresOf(figures, operation),
    missing: operation === 'summary' ? [...MISSING, 'hours'] : MISSING,
  };
}

/** What we sign has to be what a verifier can read. Hours go first when there is too much of it. */
function encodeChecked(
  statement: ResultStatement,
): Result<{ readonly bytes: Uint8Array; readonly read: ResultStatement }> {
  const bytes = encodeResultStatement(statement);
  const parsed = parseResultStatement(bytes);
  if (parsed.ok) return accept({ bytes, read: parsed.value });
  const { figures, missing } = statement;
  if (figures.hours.length === 0) return refuse('result_malformed', { ...parsed.refusal.detail });
  const without = { ...statement, figures: { ...figures, hours: [] } };
  return encodeChecked({ ...without, missing: [...missing, 'hours'] });
}

interface Made {
  readonly asOfNs: bigint;
  readonly result: Promise<Result<SignedResult>>;
}

type ResultServices = Pick<DeskServices, 'origin' | 'keys' | 'append' | 'acknowledged'>;

export class Results {
  readonly #services: ResultServices;
  readonly #made = new Map<string, Made>();

  constructor(services: ResultServices) {
    this.#services = services;
  }

  /** Refuses `no_figures`, `result_malformed`. */
  make(
    account: Account,
    figures: AccountFigures | null,
    operation: ResultOperation,
  ): Promise<Result<SignedResult>> {
    const asOfNs = figures?.asOfNs ?? null;
    if (figures === null || asOfNs === null) return Promise.resolve(refuse('no_figures'));
    const name = `${account.id}/${operation}`;
    const made = this.#made.get(name);
    if (made?.asOfNs === asOfNs) return made.result;
    const statement = statementOf(this.#services.origin, account, figures, asOfNs, operation);
    const result = this.#sign(statement, operation);
    this.#made.set(name, { asOfNs, result });
    return result;
  }

  forget(accountId: string): void {
    this.#made.delete(`${accountId}/summary`);
    this.#made.delete(`${accountId}/metrics`);
  }

  async #sign(
    statement: ResultStatement,
    operation: ResultOperation,
  ): Promise<Result<SignedResult>> {
    const { append, acknowledged, keys } = this.#services;
    const encoded = encodeChecked(statement);
    if (!encoded.ok) return encoded;
    const { bytes, read } = encoded.value;
    const leaf = await append.call(this.#services, KIND.result, bytes);
    const signature = keys.ed25519.sign(resultSignedBytes(leaf.index, bytes));
    await acknowledged.call(this.#services, leaf.index + 1);
    return accept({
      statement: toBase64(bytes),
      leaf_index: leaf.index,
      leaf_salt: toHex(leaf.salt),
      signature: Buffer.from(signature).toString('base64'),
      summary: summaryOf(read),
      ...(operation === 'metrics' ? { metrics: hoursOf(read) } : {}),
    });
  }
}
