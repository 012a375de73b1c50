// C2SP signed notes with ECDSA P-256 keys (signature type 0x02): the form in which an epoch's log key
// signs its checkpoints. A note proves that the holder of the key signed this text, and nothing else.
// Signatures of other keys (witnesses) are ignored; one of our key that fails refuses the whole note.
//
//   text, ending in a newline | newline | one or more of: "— " name " " base64(key id (4) ‖ signature) newline

import { concatBytes, equalBytes, parseBase64, parseUtf8, toBase64, utf8 } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';

const KEY_ID_BYTES = 4;
const SIGNATURE_START = '— ';
/** More than the 16 that a verifier must accept; bounds the work on a hostile note. */
export const MAX_NOTE_SIGNATURES = 64;
/** 16 post-quantum signatures of 5 kB (C2SP signed-note), as base64, and their names. */
export const MAX_SIGNED_NOTE_BYTES = 131_072;

const NEWLINE = 0x0a;
const KEY_NAME = /^[^\s+]+$/u;

/** The first 4 bytes of SHA-256 over the key's SubjectPublicKeyInfo. */
export function noteKeyId(crypto: WireCrypto, spki: Uint8Array): Uint8Array {
  return crypto.sha256(spki).slice(0, KEY_ID_BYTES);
}

/** `text` is what was signed and ends in a newline; `name` is valid by construction. */
export function encodeNote(
  text: string,
  name: string,
  keyId: Uint8Array,
  derSignature: Uint8Array,
): Uint8Array {
  const signature = toBase64(concatBytes(keyId, derSignature));
  return utf8(`${text}\n${SIGNATURE_START}${name} ${signature}\n`);
}

interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

interface Note {
  /** With its final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

function parseSignatureLine(line: string): NoteSignature | null {
  if (!line.startsWith(SIGNATURE_START)) return null;
  const [name, encoded, ...rest] = line.slice(SIGNATURE_START.length).split(' ');
  if (name === undefined || encoded === undefined || rest.length > 0) return null;
  const bytes = parseBase64(encoded);
  if (!KEY_NAME.test(name) || bytes === null || bytes.length <= KEY_ID_BYTES) return null;
  return {
    name,
    keyId: bytes.subarray(0, KEY_ID_BYTES),
    signature: bytes.subarray(KEY_ID_BYTES),
  };
}

function parseNote(bytes: Uint8Array): Result<Note> {
  if (bytes.length > MAX_SIGNED_NOTE_BYTES) {
    return refuse('note_malformed', { bytes: bytes.length, maximum: MAX_SIGNED_NOTE_BYTES });
  }
  const note = parseUtf8(bytes);
  const hasControl = bytes.some((byte) => byte < 0x20 && byte !== NEWLINE);
  if (note === null || hasControl || !note.endsWith('\n')) return refuse('note_malformed');
  const split = note.lastIndexOf('\n\n');
  if (split < 0) return refuse('note_malformed');
  const lines = note.slice(split + 2, -1).split('\n');
  if (lines.length > MAX_NOTE_SIGNATURES) {
    return refuse('note_malformed', { signatures: lines.length, maximum: MAX_NOTE_SIGNATURES });
  }
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = parseSignatureLine(line);
    if (signature === null) return refuse('note_malformed');
    signatures.push(signature);
  }
  return accept({ text: note.slice(0, split + 1), signatures });
}

/** The text of a note whose signatures nobody has looked at: for hints, never for decisions. */
export function unsafeNoteText(bytes: Uint8Array): Result<string> {
  const note = parseNote(bytes);
  return note.ok ? accept(note.value.text) : note;
}

/**
 * The text of a note that the key `spki` has signed under `name`. Refuses with `note_malformed`, or
 * with `note_signature` when there is no signature of that name and key id, or one that fails.
 */
export function verifyNote(
  crypto: WireCrypto,
  bytes: Uint8Array,
  name: string,
  spki: Uint8Array,
): Result<string> {
  const note = parseNote(bytes);
  if (!note.ok) return note;
  const { text, signatures } = note.value;
  const keyId = noteKeyId(crypto, spki);
  const ours = signatures.filter(
    (signature) => signature.name === name && equalBytes(signature.keyId, keyId),
  );
  const signed = utf8(text);
  const valid = ours.every(({ signature }) => crypto.verifyP256Der(spki, signed, signature));
  return ours.length > 0 && valid
    ? accept(text)
    : refuse('note_signature', { signatures: signatures.length, of_this_key: ours.length });
}
