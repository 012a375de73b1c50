// C2SP tlog-proof: one leaf's place in a signed tree as a text file that can be checked offline.
// The file itself proves nothing until its note, its inclusion proof and the leaf in `extra` verify;
// `extra` is not authenticated by the format.
//
//   c2sp.org/tlog-proof@v1 | [extra <base64>] | index <decimal> | one base64 hash per line | empty line | note

import { concatBytes, parseBase64, parseUtf8, toBase64, utf8 } from '../bytes.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import { HASH_BYTES } from './edge.ts';
import { MAX_SIGNED_NOTE_BYTES } from './note.ts';

const MAGIC = 'c2sp.org/tlog-proof@v1';
/** A path in a tree of 2^53 leaves. */
export const MAX_PROOF_HASHES = 53;
/** A leaf, the header leaf, an attestation document and a blob of 1 MiB (PROTOCOL 7), rounded up. */
export const MAX_PROOF_EXTRA_BYTES: number = 2 * 1024 * 1024;
export const MAX_PROOF_FILE_BYTES: number =
  Math.ceil((MAX_PROOF_EXTRA_BYTES * 4) / 3) + MAX_SIGNED_NOTE_BYTES + 4096;

export interface ProofFile {
  readonly extra: Uint8Array | null;
  readonly index: number;
  /** From the leaf's sibling up. */
  readonly proof: readonly Uint8Array[];
  /** The signed checkpoint, verbatim. */
  readonly note: Uint8Array;
}

export function encodeProofFile(file: ProofFile): Uint8Array {
  const lines = [MAGIC];
  if (file.extra !== null) lines.push(`extra ${toBase64(file.extra)}`);
  lines.push(`index ${file.index}`, ...file.proof.map((hash) => toBase64(hash)), '', '');
  return concatBytes(utf8(lines.join('\n')), file.note);
}

function parseIndex(line: string | undefined): number | null {
  const digits = /^index (0|[1-9][0-9]{0,15})$/u.exec(line ?? '')?.[1];
  const index = Number(digits);
  return digits !== undefined && Number.isSafeInteger(index) ? index : null;
}

/** Refuses with `proof_malformed`; the note is only split off, not read. */
export function parseProofFile(bytes: Uint8Array): Result<ProofFile> {
  const refusal = refuse('proof_malformed', { bytes: bytes.length });
  if (bytes.length > MAX_PROOF_FILE_BYTES) return refusal;
  const text = parseUtf8(bytes);
  const split = text?.indexOf('\n\n') ?? -1;
  if (text === null || split < 0) return refusal;
  const lines = text.slice(0, split).split('\n');
  if (lines.shift() !== MAGIC) return refusal;
  let extra: Uint8Array | null = null;
  if (lines[0]?.startsWith('extra ') === true) {
    extra = parseBase64(lines.shift()?.slice('extra '.length) ?? '');
    if (extra === null || extra.length > MAX_PROOF_EXTRA_BYTES) return refusal;
  }
  const index = parseIndex(lines.shift());
  if (index === null || lines.length > MAX_PROOF_HASHES) return refusal;
  const proof: Uint8Array[] = [];
  for (const line of lines) {
    const hash = parseBase64(line);
    if (hash?.length !== HASH_BYTES) return refusal;
    proof.push(hash);
  }
  return accept({ extra, index, proof, note: utf8(text.slice(split + 2)) });
}
