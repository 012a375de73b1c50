// What a contract or a security is to the book: what it settles in, how large one is, and what a price makes of so many
// of them. A contract changes hands like a purchase: for its notional in what it settles in, and is worth its notional
// at the mark; so profit is never taken from a formula of its own, and linear and inverse ones differ in one line.

import type { MarketKind } from '../../connector/records.ts';
import type { FigureMarket } from '../../../wire/track/figures.ts';
import type { Fixed } from '../../../wire/fixed.ts';
import {
  divideRounded,
  FIXED_ONE,
  multiplyFixed,
  multiplyThree,
  toFixed,
} from '../../../wire/fixed.ts';

/**
 * `security`: cash pays for it (shares, options). `linear`: profit in quote. `inverse`: worth a fixed amount of quote,
 * profit in base. `opaque`: the venue does not tell what one is worth; open ones have no value, and the hour none.
 */
export type Style = 'security' | 'linear' | 'inverse' | 'opaque';

export interface Instrument {
  readonly symbol: string;
  readonly style: Style;
  readonly market: FigureMarket;
  readonly settle: string;
  /** In base (linear), in quote (inverse), in units (security). */
  readonly size: Fixed;
  /** What its notional is counted in for the volume. */
  readonly quote: string;
}

const MARKETS: Readonly<Record<MarketKind, FigureMarket>> = {
  spot: 'spot',
  margin: 'spot',
  fx: 'spot',
  cash: 'spot',
  swap: 'swap',
  future: 'future',
  option: 'option',
  stock: 'stock',
};

export function figureMarketOf(market: MarketKind): FigureMarket {
  return MARKETS[market];
}

export interface InstrumentFacts {
  readonly symbol: string;
  readonly market: MarketKind;
  readonly base?: string | null;
  readonly quote?: string | null;
  readonly settle: string | null;
  readonly contractSize: string | null;
  readonly inverse?: boolean | null;
}

/** Interactive Brokers' positions have the account before the symbol: `U123:AAPL`, `U123:T 4 1/8 02/15/36`. */
function plainSymbol(symbol: string): string {
  const at = symbol.indexOf(':');
  return symbol.slice(0, Math.max(at, 0)).includes('/') ? symbol : symbol.slice(at + 1);
}

/** What a symbol names where the venue tells no currencies: `BTC/USDT:USDT`; dollars behind a single name. */
export function currenciesOf(symbol: string): readonly [base: string, quote: string] {
  const [base = symbol, quote = 'USD'] = plainSymbol(symbol).replaceAll(':', '/').split('/');
  return [base, quote];
}

function nameOr(name: string | null | undefined, other: string): string | null {
  return name ?? (other === '' ? null : other);
}

/** As ccxt has them in a symbol such as `BTC/USDT:USDT-261225`; empty where there is none. */
interface Names {
  readonly base: string;
  readonly quote: string;
  readonly settle: string;
}

const NO_NAMES: Names = { base: '', quote: '', settle: '' };

function namesIn(symbol: string): Names {
  if (!symbol.includes('/')) return NO_NAMES;
  const [pair = '', settled = ''] = symbol.split(':');
  const [base = '', quote = ''] = pair.split('/');
  return { base, quote, settle: settled.split('-')[0] ?? '' };
}

interface Known extends Required<{ [F in keyof InstrumentFacts]: InstrumentFacts[F] | undefined }> {
  readonly instrument: Instrument;
}

/** By symbol what was told of it last: a venue tells the same with every fill, and a bit less with every position. */
const [knownOfFills, knownOfPositions] = [new Map<string, Known>(), new Map<string, Known>()];
const MAX_KNOWN = 1000;

/** Of what is no exchange of two currencies. Sizes that the venue does not tell are not guessed. */
export function instrumentOf(facts: InstrumentFacts): Instrument {
  const { symbol, market, base, quote, settle, contractSize, inverse } = facts;
  const known = quote === undefined ? knownOfPositions : knownOfFills;
  const last = known.get(symbol);
  const isSame =
    last?.market === market &&
    last.base === base &&
    last.quote === quote &&
    last.settle === settle &&
    last.contractSize === contractSize &&
    last.inverse === inverse;
  if (isSame) return last.instrument;
  const instrument = readInstrument(facts);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(symbol, { symbol, market, base, quote, settle, contractSize, inverse, instrument });
  return instrument;
}

function readInstrument(facts: InstrumentFacts): Instrument {
  const symbol = plainSymbol(facts.symbol);
  const { market } = facts;
  const isTold = facts.quote != null && facts.settle !== null && facts.inverse != null;
  const names = isTold ? NO_NAMES : namesIn(symbol);
  const quote = nameOr(facts.quote, names.quote);
  const settle = facts.settle ?? nameOr(null, names.settle) ?? quote;
  const size = facts.contractSize === null ? null : toFixed(facts.contractSize);
  const named = {
    symbol,
    market: MARKETS[market],
    settle: settle ?? '',
    quote: quote ?? settle ?? '',
  };
  if (market === 'stock') return { ...named, style: 'security', size: size ?? FIXED_ONE };
  const whole = market === 'margin' ? FIXED_ONE : size;
  if (settle === null || whole === null || whole <= 0n) {
    return { ...named, style: 'opaque', size: FIXED_ONE };
  }
  if (market === 'option') return { ...named, style: 'security', size: whole };
  const inverse = facts.inverse ?? settle === nameOr(facts.base, names.base);
  // Quanto: profit in a third currency, at a rate of its own.
  const quanto = !inverse && quote !== null && settle !== quote;
  return { ...named, style: quanto ? 'opaque' : inverse ? 'inverse' : 'linear', size: whole };
}

/** Of so many contracts at a price, in what they settle in; the price is positive. */
export function worthOf(instrument: Instrument, contracts: Fixed, price: Fixed): Fixed {
  const { style, size } = instrument;
  if (style !== 'inverse' && size === FIXED_ONE) return multiplyFixed(contracts, price);
  if (style !== 'inverse') return multiplyThree(contracts, size, price);
  return -divideRounded(contracts * size, price);
}
