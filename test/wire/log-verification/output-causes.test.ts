import { describe, expect, it } from 'vitest';
import { LeafRules } from '../../../wire/log-verification/leaf-rules.ts';
import type { LeafHeader } from '../../../wire/leaf.ts';
import { parseLeaf } from '../../../wire/leaf.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { EpochBuilder } from '../../helpers/epoch-builder.ts';

/** Input, output, report, input; then an output with these causes, by the index of the last input. */
async function codeOf(causes: (last: number) => readonly number[]): Promise<string> {
  const epoch = await EpochBuilder.create();
  epoch.startStrategy();
  epoch.addReport(epoch.addOutput(epoch.addInput()));
  const last = epoch.addInput();
  const header: Partial<LeafHeader> = { causes: causes(last) };
  epoch.addOutput(last, {}, header);
  const rules = new LeafRules(epoch.header);
  const results = epoch.leaves.map((bytes) => rules.add(assertAccepted(parseLeaf(bytes))));
  const refused = results.find((result) => !result.ok);
  return refused?.ok === false ? refused.refusal.code : 'accepted';
}

describe('the causes of an output', () => {
  it('are the batch that it answers, and reports before', async () => {
    expect(await codeOf((input) => [input])).toBe('accepted');
    expect(await codeOf((input) => [input - 1, input])).toBe('accepted');
  });

  it('are not a report alone, another output, or what is not there', async () => {
    expect(await codeOf((input) => [input - 1])).toBe('cause_invalid');
    expect(await codeOf((input) => [input - 2, input])).toBe('cause_invalid');
    expect(await codeOf((input) => [input, input + 1])).toBe('cause_invalid');
    expect(await codeOf(() => [])).toBe('cause_invalid');
  });
});
