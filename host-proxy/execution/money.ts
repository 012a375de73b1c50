// Amounts of the quote currency as bigints × 10^24: exact for every product of price and quantity, because
// each has a scale of at most 12. Rounded only where an amount leaves, to 10^-8, and for fees, upwards.

import type { Instrument } from '../../wire/configuration.ts';

/** Quote currency × 10^24. */
export type Amount = bigint;

const AMOUNT_SCALE = 24;
const QUOTE8_SCALE = 8;
/** One 10^-8 of the quote currency. */
export const QUOTE8: Amount = 10n ** BigInt(AMOUNT_SCALE - QUOTE8_SCALE);
const MILLION = 1_000_000n;

type Scales = Pick<Instrument, 'price_scale' | 'quantity_scale'>;

/** price × quantity, both scaled; negative for a negative quantity. */
export function notional(scales: Scales, price: number | bigint, quantity: bigint): Amount {
  const scale = AMOUNT_SCALE - scales.price_scale - scales.quantity_scale;
  return BigInt(price) * quantity * 10n ** BigInt(scale);
}

/** In 10^-8 of the quote currency, rounded down. */
export function toQuote8(amount: Amount): bigint {
  const quotient = amount / QUOTE8;
  return amount < 0n && quotient * QUOTE8 !== amount ? quotient - 1n : quotient;
}

/** Fee of `ppm` millionths, in 10^-8 of the quote currency, rounded up; a rebate is negative. */
export function feeQuote8(amount: Amount, ppm: number): bigint {
  const [part, whole] = [amount * BigInt(ppm), MILLION * QUOTE8];
  const quotient = part / whole;
  return part > 0n && quotient * whole !== part ? quotient + 1n : quotient;
}
