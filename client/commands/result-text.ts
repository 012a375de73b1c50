// A verified result for people: from the signed statement alone.

import type { VerifiedResult } from '../signed-result.ts';

export function renderResult(result: VerifiedResult): string {
  return `VERIFIED  signed by the attested enclave, leaf ${result.leafIndex}\n`;
}
