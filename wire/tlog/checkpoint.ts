// C2SP tlog-checkpoint: the text that a log key signs to say "my tree has this size and this root".
// Two signed checkpoints of one origin that no consistency proof links convict the signer.
//
//   origin newline | size, decimal without leading zeros newline | base64 of the root newline
//
// Extension lines, which C2SP discourages, are refused: our logs write none, so nobody can audit them.

import { parseBase64, toBase64 } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { HASH_BYTES } from './edge.ts';
import { verifyNote } from './note.ts';

export interface Checkpoint {
  readonly origin: string;
  /** Number of leaves, at most 2^53-1. */
  readonly size: number;
  readonly root: Uint8Array;
}

/** The note text, ending in a newline. */
export function encodeCheckpoint(checkpoint: Checkpoint): string {
  return `${checkpoint.origin}\n${checkpoint.size}\n${toBase64(checkpoint.root)}\n`;
}

/** Refuses with `checkpoint_malformed`. */
export function parseCheckpoint(text: string): Result<Checkpoint> {
  const [origin, sizeText, rootText, end, ...more] = text.split('\n');
  if (origin === undefined || origin === '' || end !== '' || more.length > 0) {
    return refuse('checkpoint_malformed');
  }
  if (sizeText === undefined || !/^(?:0|[1-9][0-9]{0,15})$/u.test(sizeText)) {
    return refuse('checkpoint_malformed');
  }
  const size = Number(sizeText);
  const root = parseBase64(rootText ?? '');
  if (!Number.isSafeInteger(size) || root?.length !== HASH_BYTES) {
    return refuse('checkpoint_malformed');
  }
  return accept({ origin, size, root });
}

/** A checkpoint of `origin` under its key. Refuses as verifyNote, or `checkpoint_origin`. */
export function verifyCheckpoint(
  crypto: WireCrypto,
  noteBytes: Uint8Array,
  origin: string,
  spki: Uint8Array,
): Result<Checkpoint> {
  const text = verifyNote(crypto, noteBytes, origin, spki);
  if (!text.ok) return text;
  const checkpoint = parseCheckpoint(text.value);
  if (checkpoint.ok && checkpoint.value.origin !== origin) {
    return refuse('checkpoint_origin', { expected: origin });
  }
  return checkpoint;
}
