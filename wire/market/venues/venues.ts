// The venues whose market data the host and the enclave can read.

import { BINANCE_LINEAR, BINANCE_SPOT } from './binance.ts';
import { BYBIT } from './bybit.ts';
import type { Venue } from './venue.ts';

export const VENUES: readonly Venue[] = [BINANCE_SPOT, BINANCE_LINEAR, ...BYBIT];

export function findVenue(id: string, venues: readonly Venue[] = VENUES): Venue | null {
  return venues.find((venue) => venue.id === id) ?? null;
}
