import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../wire/bytes.ts';
import type { RefusalCode } from '../../../wire/codes.ts';
import { Comparison } from '../../../verifier/replay/comparison.ts';

/** `logged` and `replayed`: one letter per output. */
function judge(
  logged: string,
  replayed: string,
  closed: boolean,
  ended: RefusalCode | null = null,
  replayEnded: RefusalCode | null = null,
): boolean {
  const comparison = new Comparison();
  let index = 10;
  for (const letter of replayed) comparison.addReplayed({ input: index++, bytes: utf8(letter) });
  for (const letter of logged) comparison.addLogged({ index: index++, bytes: utf8(letter) });
  return comparison.finish({ closed, ended }, replayEnded);
}

describe('a comparison of logged and replayed outputs', () => {
  it.each([
    ['equal, closed', true, judge('abc', 'abc', true)],
    ['none at all', true, judge('', '', true)],
    ['equal, not closed', true, judge('abc', 'abc', false)],
    ['another output', false, judge('abc', 'abd', true)],
    ['another output, not closed', false, judge('abc', 'abd', false)],
    ['another order', false, judge('abc', 'acb', true)],
    ['one missing at the end of a closed log', false, judge('ab', 'abc', true)],
    ['one missing where the log was cut off', true, judge('ab', 'abc', false)],
    ['one missing in the middle', false, judge('ac', 'abc', false)],
    ['one too many in the log', false, judge('abc', 'ab', true)],
    ['one too many in a log that was cut off', false, judge('abc', 'ab', false)],
    ['killed over its budget', true, judge('ab', 'abc', true, 'strategy_over_budget')],
    [
      'killed on both sides',
      true,
      judge('ab', 'ab', true, 'strategy_over_budget', 'strategy_over_budget'),
    ],
    [
      'slow in the enclave, wrong in the replay',
      true,
      judge('a', 'a', true, 'strategy_over_budget', 'strategy_output_limit'),
    ],
    ['killed, and an output too many', false, judge('abc', 'ab', true, 'strategy_over_budget')],
    ['ended alike', true, judge('a', 'a', true, 'strategy_output_limit', 'strategy_output_limit')],
    ['ended only in the log', false, judge('a', 'a', true, 'strategy_output_limit')],
    [
      'ended only in the log, which was cut off',
      false,
      judge('a', 'a', false, 'strategy_output_limit'),
    ],
    ['ended otherwise', false, judge('a', 'a', true, 'strategy_output_limit', 'strategy_crashed')],
    ['ended only in the replay', false, judge('a', 'a', true, null, 'strategy_crashed')],
    [
      'ended in the replay, the log cut off',
      true,
      judge('a', 'a', false, null, 'strategy_crashed'),
    ],
    [
      'ended by a limit, and an output less',
      false,
      judge('a', 'ab', true, 'strategy_output_limit', 'strategy_output_limit'),
    ],
  ])('%s: %s', (_, expected, actual) => {
    expect(actual).toBe(expected);
  });

  it('says which output differs first', () => {
    const comparison = new Comparison();
    for (const [at, letter] of ['a', 'b', 'x'].entries()) {
      comparison.addLogged({ index: 20 + at, bytes: utf8(letter) });
    }
    for (const [at, letter] of ['a', 'b', 'c', 'd'].entries()) {
      comparison.addReplayed({ input: 10 + at, bytes: utf8(letter) });
    }
    expect(comparison.finish({ closed: true, ended: null }, null)).toBe(false);
    expect(comparison.identical).toBe(2);
    expect(comparison.difference).toEqual({
      output: 2,
      logged: { index: 22, bytes: utf8('x') },
      replayed: { input: 12, bytes: utf8('c') },
    });
  });
});
