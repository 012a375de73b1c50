// The verifier's side of superseded.ts: the text of a note that ended an epoch, read. Hostile text is refused.

import { parseBase64 } from './bytes.ts';
import type { Result } from './result.ts';
import { accept, refuse } from './result.ts';
import type { Superseded } from './superseded.ts';
import { FIRST_LINE } from './superseded.ts';
import { HASH_BYTES } from './tlog/edge.ts';

const UINT = /^[1-9][0-9]{0,15}$/u;

/** Of a note's text. Refuses with `superseded_malformed`. */
export function parseSuperseded(text: string): Result<Superseded> {
  const [first, origin = '', number = '', size = '', rootText = '', successor = '', end, ...more] =
    text.split('\n');
  const root = parseBase64(rootText);
  const numbers = [number, size].every(
    (digits) => UINT.test(digits) && Number.isSafeInteger(Number(digits)),
  );
  const complete = first === FIRST_LINE && end === '' && more.length === 0;
  if (!complete || !numbers || origin === '' || successor === '' || root?.length !== HASH_BYTES) {
    return refuse('superseded_malformed');
  }
  return accept({ origin, number: Number(number), size: Number(size), root, successor });
}
