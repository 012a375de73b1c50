// Names that look random and are not: derived from counters, so that two runs with the same calls are alike.

import { createHash } from 'node:crypto';

/** A stable UUID for something that has a number. */
export function uuidOf(what: string, number: number | string): string {
  const hex = createHash('sha256')
    .update(`${what}/${String(number)}`)
    .digest('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`];
  return [...parts, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

/** Sixty-four hex digits, as transaction ids have. */
export function hashOf(what: string, number: number | string): string {
  return createHash('sha256')
    .update(`${what}/${String(number)}`)
    .digest('hex');
}
