// The venues whose market data can be read.

import { BINANCE_LINEAR, BINANCE_SPOT } from './binance.ts';
import type { Venue } from './venue.ts';

export const VENUES: readonly Venue[] = [BINANCE_SPOT, BINANCE_LINEAR];

export function findVenue(id: string): Venue | null {
  return VENUES.find((venue) => venue.id === id) ?? null;
}
