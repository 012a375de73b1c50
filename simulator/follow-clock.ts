// For `node --import`: a program of the local appliance that has the clock of the file after `?` in this module's address.

import { MovedClock } from './moved-clock.ts';

MovedClock.open(decodeURIComponent(new URL(import.meta.url).search.slice(1))).follow();
