import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { concatBytes, toBase64, utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import {
  MAX_SIGNED_NOTE_BYTES,
  MAX_NOTE_SIGNATURES,
  encodeNote,
  noteKeyId,
  verifyNote,
} from '../../../wire/tlog/note.ts';
import { verifierKey } from '../../../wire/tlog/verifier-key.ts';

interface TestKey {
  readonly spki: Uint8Array;
  readonly privateKey: KeyObject;
}

function makeKey(): TestKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    privateKey,
  };
}

const NAME = 'example.com/log/e0000000001';
const TEXT = 'first line\n\nlast line\n';
const key = makeKey();
const keyId = noteKeyId(nodeCrypto, key.spki);
const signature = new Uint8Array(sign('sha256', utf8(TEXT), key.privateKey));
const note = encodeNote(TEXT, NAME, keyId, signature);

function signatureLine(name: string, id: Uint8Array, bytes: Uint8Array): string {
  return `— ${name} ${toBase64(concatBytes(id, bytes))}\n`;
}

const OURS = signatureLine(NAME, keyId, signature);
const ZERO_ID = new Uint8Array(4);

function code(bytes: Uint8Array | string): string {
  const whole = typeof bytes === 'string' ? utf8(bytes) : bytes;
  const result = verifyNote(nodeCrypto, whole, NAME, key.spki);
  return result.ok ? 'accepted' : result.refusal.code;
}

/** A valid note of `size` bytes. */
function noteOf(size: number): string {
  const start = `${TEXT}\n${OURS}${signatureLine('w', ZERO_ID, new Uint8Array(60_000))}`;
  const name = 'n'.repeat(size - utf8(`${start}—  AAAAAAA=\n`).length);
  return `${start}— ${name} AAAAAAA=\n`;
}

describe('signed notes', () => {
  it('give back the text that was signed', () => {
    expect(verifyNote(nodeCrypto, note, NAME, key.spki)).toEqual({ ok: true, value: TEXT });
  });

  it('have the key id and verifier key of C2SP', () => {
    expect(keyId).toEqual(nodeCrypto.sha256(key.spki).subarray(0, 4));
    const [name, id, encoded] = verifierKey(nodeCrypto, NAME, key.spki).split('+', 3);
    expect(name).toBe(NAME);
    expect(id).toBe(Buffer.from(keyId).toString('hex'));
    expect(Buffer.from(encoded ?? '', 'base64')[0]).toBe(2);
  });

  it('are refused when any byte is flipped', () => {
    for (let index = 0; index < note.length; index++) {
      for (const mask of [0x01, 0x20, 0x80]) {
        const copy = note.slice();
        copy[index] = (copy[index] ?? 0) ^ mask;
        expect(['note_malformed', 'note_signature']).toContain(code(copy));
      }
    }
  });

  it('are refused when cut anywhere', () => {
    for (let length = 0; length < note.length; length++) {
      expect(code(note.subarray(0, length))).toBe('note_malformed');
    }
  });

  it('are refused under another key or name', () => {
    const other = makeKey();
    const byKey = verifyNote(nodeCrypto, note, NAME, other.spki);
    expect(byKey.ok ? '' : byKey.refusal.code).toBe('note_signature');
    const byName = verifyNote(nodeCrypto, note, 'example.com/other', key.spki);
    expect(byName.ok ? '' : byName.refusal.code).toBe('note_signature');
  });

  it('may carry signatures of other keys, before and after', () => {
    const witness = signatureLine('witness.example', Uint8Array.of(1, 2, 3, 4), new Uint8Array(72));
    const sameName = signatureLine(NAME, Uint8Array.of(9, 9, 9, 9), new Uint8Array(64));
    const sameId = signatureLine('twin.example', keyId, new Uint8Array(64));
    expect(code(`${TEXT}\n${witness}${sameName}${sameId}${OURS}${witness}`)).toBe('accepted');
    expect(code(`${TEXT}\n${witness}${sameName}${sameId}`)).toBe('note_signature');
  });

  it('are refused when one of two signatures of our key fails', () => {
    const bad = signatureLine(NAME, keyId, signature.toReversed());
    expect(code(`${TEXT}\n${OURS}${OURS}`)).toBe('accepted');
    expect(code(`${TEXT}\n${OURS}${bad}`)).toBe('note_signature');
    expect(code(`${TEXT}\n${bad}${OURS}`)).toBe('note_signature');
  });

  it('may have 64 signatures and no more, and at least 16 large ones', () => {
    const witness = signatureLine('w.example', ZERO_ID, new Uint8Array(72));
    const with63 = witness.repeat(MAX_NOTE_SIGNATURES - 1);
    expect(code(`${TEXT}\n${OURS}${with63}`)).toBe('accepted');
    expect(code(`${TEXT}\n${OURS}${with63}${witness}`)).toBe('note_malformed');
    const large = signatureLine('witness.example', ZERO_ID, new Uint8Array(5000));
    expect(code(`${TEXT}\n${OURS}${large.repeat(16)}`)).toBe('accepted');
  });

  it('have a maximum size', () => {
    expect(utf8(noteOf(MAX_SIGNED_NOTE_BYTES))).toHaveLength(MAX_SIGNED_NOTE_BYTES);
    expect(code(noteOf(MAX_SIGNED_NOTE_BYTES))).toBe('accepted');
    expect(code(noteOf(MAX_SIGNED_NOTE_BYTES + 1))).toBe('note_malformed');
  });

  it('are refused in any other form', () => {
    const encoded = toBase64(concatBytes(keyId, signature));
    const broken = {
      'no blank line': `${TEXT}${OURS}`,
      'no signature': `${TEXT}\n`,
      'no text': `\n${OURS}`,
      'no final newline': `${TEXT}\n${OURS.slice(0, -1)}`,
      'something after the signatures': `${TEXT}\n${OURS}more\n`,
      'a blank line after the signatures': `${TEXT}\n${OURS}\n`,
      'a hyphen for the dash': `${TEXT}\n- ${NAME} ${encoded}\n`,
      'two spaces': `${TEXT}\n—  ${NAME} ${encoded}\n`,
      'a space at the end': `${TEXT}\n— ${NAME} ${encoded} \n`,
      'an empty name': `${TEXT}\n—  ${encoded}\n`,
      'a plus in a name': `${TEXT}\n${OURS}— a+b ${encoded}\n`,
      'a Unicode space in a name': `${TEXT}\n${OURS}— a\u2003b ${encoded}\n`,
      'base64 without padding': `${TEXT}\n${OURS}— w AAAAAAA\n`,
      'base64 with spare bits': `${TEXT}\n${OURS}— w AAAAAAB=\n`,
      'base64 of the other alphabet': `${TEXT}\n${OURS}— w AAAA__A=\n`,
      'a key id without signature': `${TEXT}\n${OURS}— w AAAAAA==\n`,
      'a carriage return': `${TEXT}\n${OURS.slice(0, -1)}\r\n`,
      'a tab in the text': `tab\t${TEXT}\n${OURS}`,
      'a zero byte': `\u0000${TEXT}\n${OURS}`,
    };
    for (const [what, text] of Object.entries(broken)) {
      expect(`${what}: ${code(text)}`).toBe(`${what}: note_malformed`);
    }
    expect(code(concatBytes(Uint8Array.of(0xff), note))).toBe('note_malformed');
    expect(code(new Uint8Array(0))).toBe('note_malformed');
  });
});
