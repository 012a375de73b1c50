// Which venue tells the rate of a currency or stablecoin to the dollar: few have such a market, so it is Kraken's, or where
// that does not tell it Coinbase's, whatever venue the account is at. Everything else is asked of the account's own venue.

import type { Venue } from '../connector/classes.ts';
import type { PriceItem } from '../connector/job.ts';
import type { PriceAnswer, PriceQuestion } from '../ledger/services.ts';
import type { PriceDesk } from './price-desk.ts';

const CURRENCIES: ReadonlySet<string> = new Set(
  'USDT USDC DAI TUSD FDUSD PYUSD USDP EURC EUR GBP AUD JPY CHF CAD SEK HKD'.split(' '),
);
/** In the order in which they are asked. */
const TELLERS = ['kraken', 'coinbase'] as const satisfies readonly Venue[];
const NOTHING: PriceAnswer = { rows: [], missing: [] };

/** `USDT/USD`, `USD/JPY`. */
function isRate({ kind, symbol }: PriceItem): boolean {
  const [base = '', quote = '', ...rest] = symbol.split('/');
  if (kind !== 'spot' || rest.length > 0) return false;
  return (quote === 'USD' && CURRENCIES.has(base)) || (base === 'USD' && CURRENCIES.has(quote));
}

/** Rates first of the venue itself where it is one of the tellers. Prices of a test system are valued at rates of the world. */
export async function askPrices(
  prices: Pick<PriceDesk, 'ask'>,
  { venue, environment, items }: PriceQuestion,
): Promise<PriceAnswer> {
  const rates = items.filter(isRate);
  const others = items.filter((item) => !isRate(item));
  const own = others.length === 0 ? NOTHING : prices.ask(venue, environment, others);
  const answers = [await own];
  let left = rates;
  let lacking: PriceAnswer['missing'] = [];
  for (const teller of TELLERS.toSorted((a, b) => Number(b === venue) - Number(a === venue))) {
    if (left.length === 0) break;
    const answer = await prices.ask(teller, 'live', left);
    lacking = answer.missing;
    const missing = new Set(lacking.map(({ symbol }) => symbol));
    left = left.filter(({ symbol }) => missing.has(symbol));
    answers.push({ rows: answer.rows, missing: [] });
  }
  return {
    rows: answers.flatMap(({ rows }) => rows),
    missing: [...answers.flatMap(({ missing }) => missing), ...lacking],
  };
}
