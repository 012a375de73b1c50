// The object that ends an epoch's numbered commits when another epoch takes over (docs/PROTOCOL.md 7): a
// C2SP signed note of the new epoch's log key at the number that the old epoch would write next. With it
// there the old epoch's enclave can write nothing more. Where the new epoch died before its claim, nobody
// knows its key: the place is what fences, the text says which state was taken over.
//
//   trackseal/superseded/v1 newline | origin of the old epoch newline | its next number newline
//   its size newline | base64 of its root newline | origin of the new epoch newline

import { toBase64 } from './bytes.ts';

export const FIRST_LINE = 'trackseal/superseded/v1';

export interface Superseded {
  /** Of the epoch that may not go on. */
  readonly origin: string;
  /** Of the object in its `commits/`. */
  readonly number: number;
  /** Its last head. */
  readonly size: number;
  readonly root: Uint8Array;
  /** Of the epoch that takes over, and name of the note's key. */
  readonly successor: string;
}

/** The note text, ending in a newline. */
export function encodeSuperseded(superseded: Superseded): string {
  const { origin, number, size, root, successor } = superseded;
  return `${[FIRST_LINE, origin, number, size, toBase64(root), successor].join('\n')}\n`;
}
