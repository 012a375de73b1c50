import { generateKeyPairSync, sign } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../wire/bytes.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import {
  encodeCheckpoint,
  parseCheckpoint,
  verifyCheckpoint,
} from '../../../wire/tlog/checkpoint.ts';
import { encodeNote, noteKeyId } from '../../../wire/tlog/note.ts';

const ORIGIN = 'trackseal.example/demo/e0000000001';
const ROOT = 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=';

function code(text: string): string {
  const result = parseCheckpoint(text);
  return result.ok ? 'accepted' : result.refusal.code;
}

describe('checkpoints', () => {
  it('round trip', () => {
    const size = fc.oneof(fc.nat(), fc.maxSafeNat());
    const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(size, root, (size, root) => {
        const checkpoint = { origin: ORIGIN, size, root };
        expect(assertAccepted(parseCheckpoint(encodeCheckpoint(checkpoint)))).toEqual(checkpoint);
      }),
    );
  });

  it('are written as in C2SP tlog-checkpoint', () => {
    const text = encodeCheckpoint({ origin: ORIGIN, size: 7, root: new Uint8Array(32) });
    expect(text).toBe(`${ORIGIN}\n7\n${ROOT}\n`);
  });

  it('have one decimal size up to 2^53-1', () => {
    for (const size of ['0', '1', '10', '9007199254740991']) {
      expect(code(`${ORIGIN}\n${size}\n${ROOT}\n`)).toBe('accepted');
    }
    const wrong = ['', '00', '01', '+1', '-1', ' 1', '1 ', '1.0', '1e3', '0x1', '9007199254740992'];
    for (const size of [...wrong, '١', '18446744073709551615']) {
      expect(code(`${ORIGIN}\n${size}\n${ROOT}\n`)).toBe('checkpoint_malformed');
    }
  });

  it('are refused in any other form', () => {
    const good = `${ORIGIN}\n7\n${ROOT}\n`;
    expect(code(good)).toBe('accepted');
    const wrong = [
      '',
      good.slice(0, -1),
      `\n7\n${ROOT}\n`,
      `${ORIGIN}\n7\n`,
      `${good}\n`,
      `${good}extension\n`,
      `${ORIGIN}\n7\n\n`,
      `${ORIGIN}\n7\n${ROOT.slice(0, -1)}\n`,
      `${ORIGIN}\n7\n${ROOT.slice(0, -2)}B=\n`,
      `${ORIGIN}\n7\n${ROOT.slice(4)}\n`,
      `${ORIGIN}\n7\nAAAA${ROOT}\n`,
      `${ORIGIN}\n7\n ${ROOT}\n`,
    ];
    for (const text of wrong) expect(code(text)).toBe('checkpoint_malformed');
  });
});

describe('signed checkpoints', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  const signed = (text: string, name = ORIGIN): Uint8Array => {
    const signature = new Uint8Array(sign('sha256', utf8(text), privateKey));
    return encodeNote(text, name, noteKeyId(nodeCrypto, spki), signature);
  };
  const verified = (bytes: Uint8Array): string => {
    const result = verifyCheckpoint(nodeCrypto, bytes, ORIGIN, spki);
    return result.ok ? `size ${result.value.size}` : result.refusal.code;
  };

  it('are accepted for their origin only', () => {
    expect(verified(signed(`${ORIGIN}\n7\n${ROOT}\n`))).toBe('size 7');
    expect(verified(signed(`${ORIGIN}x\n7\n${ROOT}\n`))).toBe('checkpoint_origin');
    expect(verified(signed(`${ORIGIN}x\n7\n${ROOT}\n`, `${ORIGIN}x`))).toBe('note_signature');
  });

  it('are refused when signed but malformed', () => {
    expect(verified(signed(`${ORIGIN}\n07\n${ROOT}\n`))).toBe('checkpoint_malformed');
    expect(verified(signed(`${ORIGIN}\n7\n${ROOT}\nmore\n`))).toBe('checkpoint_malformed');
  });
});
