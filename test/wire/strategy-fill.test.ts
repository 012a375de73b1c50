import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../../wire/bytes.ts';
import { MAX_REPORT_BYTES } from '../../wire/limits.ts';
import { encodeStrategyFill } from '../../wire/strategy-fill.ts';
import { parseStrategyFill } from '../../wire/strategy-messages.ts';

describe('FILL', () => {
  it('has the layout of docs/PROTOCOL.md', () => {
    const bytes = encodeStrategyFill({ leafIndex: 24, report: Uint8Array.of(1, 2), signal: 300 });
    expect(toHex(bytes)).toBe('a3011818024201020319012c');
  });

  it('comes back as it was', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 1, maxLength: 500 }),
        fc.maxSafeNat(),
        (leafIndex, report, signal) => {
          const fill = { leafIndex, report: new Uint8Array(report), signal };
          expect(parseStrategyFill(encodeStrategyFill(fill))).toEqual({ ok: true, value: fill });
        },
      ),
    );
  });

  it('takes reports of 1 byte to their maximum', () => {
    for (const [bytes, ok] of [
      [0, false],
      [1, true],
      [MAX_REPORT_BYTES, true],
      [MAX_REPORT_BYTES + 1, false],
    ] as const) {
      const fill = { leafIndex: 1, report: new Uint8Array(bytes), signal: 0 };
      expect(parseStrategyFill(encodeStrategyFill(fill)).ok).toBe(ok);
    }
  });
});
