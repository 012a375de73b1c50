import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, utf8 } from '../../../wire/bytes.ts';
import { assertAccepted } from '../../../wire/result.ts';
import {
  MAX_PROOF_EXTRA_BYTES,
  MAX_PROOF_HASHES,
  encodeProofFile,
  parseProofFile,
} from '../../../wire/tlog/proof-file.ts';

const HASH = `${'A'.repeat(43)}=`;
const NOTE = 'origin\n8\nroot\n\n— origin AAAAAAA=\n';

function code(text: string): string {
  const result = parseProofFile(utf8(text));
  return result.ok ? 'accepted' : result.refusal.code;
}

describe('proof files', () => {
  it('round trip', () => {
    const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const file = fc.record({
      extra: fc.option(fc.uint8Array({ maxLength: 300 })),
      index: fc.maxSafeNat(),
      proof: fc.array(hash, { maxLength: MAX_PROOF_HASHES }),
      note: fc.constant(utf8(NOTE)),
    });
    fc.assert(
      fc.property(file, (file) => {
        expect(assertAccepted(parseProofFile(encodeProofFile(file)))).toEqual(file);
      }),
    );
  });

  it('are written as in C2SP tlog-proof', () => {
    const bytes = encodeProofFile({
      extra: utf8('abc'),
      index: 3,
      proof: [new Uint8Array(32)],
      note: utf8(NOTE),
    });
    expect(Buffer.from(bytes).toString()).toBe(
      `c2sp.org/tlog-proof@v1\nextra YWJj\nindex 3\n${HASH}\n\n${NOTE}`,
    );
  });

  it('are refused in any other form', () => {
    const good = `c2sp.org/tlog-proof@v1\nindex 3\n${HASH}\n\n${NOTE}`;
    expect(code(good)).toBe('accepted');
    const wrong = [
      '',
      good.replace('@v1', '@v2'),
      good.replace('index 3', 'index 03'),
      good.replace('index 3', 'index -3'),
      good.replace('index 3', 'index 9007199254740992'),
      good.replace('index 3\n', ''),
      good.replace('index 3', 'index 3\nextra YWJj'),
      good.replace('index 3', 'extra YWJ\nindex 3'),
      good.replace('index 3', 'extra YWJj\nextra YWJj\nindex 3'),
      good.replace(HASH, HASH.slice(4)),
      good.replace(HASH, `${HASH}\r`),
      good.replace(HASH, `${HASH}\n`.repeat(MAX_PROOF_HASHES) + HASH),
      good.slice(0, good.indexOf('\n\n')),
    ];
    for (const text of wrong) expect(code(text)).toBe('proof_malformed');
  });

  it('have a largest extra', () => {
    const file = {
      extra: new Uint8Array(MAX_PROOF_EXTRA_BYTES),
      index: 0,
      proof: [],
      note: utf8(NOTE),
    };
    expect(parseProofFile(encodeProofFile(file)).ok).toBe(true);
    const larger = { ...file, extra: concatBytes(file.extra, new Uint8Array(1)) };
    expect(parseProofFile(encodeProofFile(larger)).ok).toBe(false);
  });
});
