// Prices for hours that are closed together: what the book asks for, in as many questions as it takes, and what could not
// be had, counted, because symbols stay in the ledger.

import { HOUR_MS } from '../../../wire/track/head.ts';
import type { MissingPrices } from '../../../wire/track/hour.ts';
import { MAX_MISSING_PRICES } from '../../../wire/track/hour.ts';
import type { PriceQuestion, PriceRow } from '../book/contract.ts';
import { PriceTable } from '../book/price-table.ts';
import type { LedgerAccount, MissingPrice, PriceItem } from '../protocol.ts';
import { MAX_PRICE_ITEMS } from '../protocol.ts';
import type { LedgerServices } from '../services.ts';

export interface AskedPrices {
  readonly table: PriceTable;
  readonly missing: readonly MissingPrices[];
}

export async function askPrices(
  services: Pick<LedgerServices, 'needPrices'>,
  { venue, environment }: LedgerAccount,
  questions: readonly PriceQuestion[],
): Promise<AskedPrices> {
  const rows: PriceRow[] = [];
  const missing: MissingPrice[] = [];
  for (let at = 0; at < questions.length; at += MAX_PRICE_ITEMS) {
    const items = questions.slice(at, at + MAX_PRICE_ITEMS).map(itemOf);
    const answer = await services.needPrices({ venue, environment, items });
    rows.push(...answer.rows);
    missing.push(...answer.missing);
  }
  const table = PriceTable.of(rows);
  for (const { symbol, reason } of missing) {
    const [base = symbol] = symbol.split('/');
    if (reason === 'venue_lacks' && !symbol.includes(':')) table.declareUnlisted(base);
  }
  return { table, missing: countMissing(questions, missing) };
}

function itemOf({ stepMs, ...question }: PriceQuestion): PriceItem {
  return { ...question, stepMs: stepMs < HOUR_MS ? 60_000 : HOUR_MS };
}

function countMissing(
  questions: readonly PriceQuestion[],
  missing: readonly MissingPrice[],
): readonly MissingPrices[] {
  const counts = new Map<string, MissingPrices>();
  for (const { symbol, reason } of missing) {
    const kind = questions.find((question) => question.symbol === symbol)?.kind ?? 'spot';
    const key = `${kind} ${reason}`;
    counts.set(key, { kind, reason, count: (counts.get(key)?.count ?? 0) + 1 });
  }
  return [...counts.values()].slice(0, MAX_MISSING_PRICES);
}
