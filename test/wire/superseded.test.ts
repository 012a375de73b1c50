import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeSuperseded } from '../../wire/superseded.ts';
import { parseSuperseded } from '../../wire/parse-superseded.ts';

const VALUE = {
  origin: 'trackseal.test/log/e0000000003',
  number: 17,
  size: 4711,
  root: new Uint8Array(32).fill(0xab),
  successor: 'trackseal.test/log/e0000000004',
};
const TEXT = `trackseal/superseded/v1
trackseal.test/log/e0000000003
17
4711
q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=
trackseal.test/log/e0000000004
`;

describe('the text that takes an epoch over', () => {
  it('has one form', () => {
    expect(encodeSuperseded(VALUE)).toBe(TEXT);
    expect(parseSuperseded(TEXT)).toEqual({ ok: true, value: VALUE });
  });

  it('round-trips', () => {
    const uint = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
    const root = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(uint, uint, root, (number, size, bytes) => {
        const value = { ...VALUE, number, size, root: bytes };
        expect(parseSuperseded(encodeSuperseded(value))).toEqual({ ok: true, value });
      }),
    );
  });

  it.each([
    ['another first line', TEXT.replace('/v1', '/v2')],
    ['number zero', TEXT.replace('\n17\n', '\n0\n')],
    ['a leading zero', TEXT.replace('\n17\n', '\n017\n')],
    ['a number beyond 2^53-1', TEXT.replace('\n17\n', '\n9007199254740992\n')],
    ['size zero', TEXT.replace('4711', '0')],
    ['a root of 31 bytes', TEXT.replace('q6s=', 'qw==')],
    ['no origin', TEXT.replace('\ntrackseal.test/log/e0000000003\n', '\n\n')],
    ['no successor', TEXT.replace('\ntrackseal.test/log/e0000000004\n', '\n\n')],
    ['no newline at the end', TEXT.slice(0, -1)],
    ['a further line', `${TEXT}x\n`],
    ['a checkpoint', 'trackseal.test/log/e0000000003\n1\nAAAA\n'],
  ])('with %s is refused', (_, text) => {
    expect(parseSuperseded(text)).toMatchObject({ refusal: { code: 'superseded_malformed' } });
  });
});
