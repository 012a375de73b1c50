// The venues of a live feed: those that the enclave reads as well, and those that only the host does, so that the
// enclave's programs stay small.

import { OKX } from '../../wire/market/venues/okx.ts';
import type { Venue } from '../../wire/market/venues/venue.ts';
import { VENUES } from '../../wire/market/venues/venues.ts';
import { KRAKEN_SPOT } from './kraken.ts';

export const HOST_VENUES: readonly Venue[] = [...VENUES, ...OKX, KRAKEN_SPOT];
