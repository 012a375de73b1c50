// Registers the rules for one server. Where the server is known to be otherwise, the rule must fail: when it
// does not any more, the entry in the table is wrong and has to go.

import { expect, it } from 'vitest';
import { RULES } from './rules.ts';
import type { Rule, RuleStage } from './rules.ts';

/** By rule: what the server does instead; always, or now and then. */
export type Differences = Readonly<Record<string, string | { readonly sometimes: string }>>;

async function outcomeOf({ check }: Rule, stage: RuleStage): Promise<'as AWS does' | 'otherwise'> {
  return check(stage).then(
    () => 'as AWS does',
    () => 'otherwise',
  );
}

function tellRules(open: () => RuleStage, differences: Differences, rules: readonly Rule[]): void {
  it.each(rules)('$id, told only: $title', async (rule) => {
    const outcome = await outcomeOf(rule, open());
    const known = differences[rule.id] === undefined ? 'as AWS does' : 'otherwise';
    if (outcome !== known) console.log(`test/s3: ${rule.id} is ${outcome} here, was ${known}`);
    expect(outcome).toBeTypeOf('string');
  });
}

/**
 * `open` is called once for each rule. `strict` false is for a server of another version than the one that the
 * table is about: what is otherwise is printed, and fails nothing of ours.
 */
export function ruleTests(open: () => RuleStage, differences: Differences, strict = true): void {
  const unknown = Object.keys(differences).filter((id) => !RULES.some((rule) => rule.id === id));
  if (unknown.length > 0) throw new Error(`no such rules: ${unknown.join()}`);
  const sometimes = RULES.filter(({ id }) => typeof differences[id] === 'object');
  const kept = RULES.filter(({ id }) => differences[id] === undefined);
  const broken = RULES.filter(({ id }) => typeof differences[id] === 'string');

  if (!strict) {
    tellRules(open, differences, RULES);
    return;
  }

  it.each(kept)('$id: $title', async ({ check }) => {
    await expect(check(open())).resolves.toBeUndefined();
  });

  if (sometimes.length > 0) tellRules(open, differences, sometimes);
  if (broken.length === 0) return;
  const known = broken.map((rule) => Object.assign({}, rule, { instead: differences[rule.id] }));
  it.each(known)('$id is otherwise here, as known: $instead', async (rule) => {
    const outcome = await outcomeOf(rule, open());
    expect(outcome, `${rule.id} is as AWS has it now: take it out of the table`).toBe('otherwise');
  });
}
