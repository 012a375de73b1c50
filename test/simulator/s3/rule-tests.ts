// Registers the rules for one server. Where the server is known to be otherwise, the rule must fail: when it
// does not any more, the entry in the table is wrong and has to go.

import { expect, it } from 'vitest';
import { RULES } from './rules.ts';
import type { RuleStage } from './rules.ts';

/** By rule: what the server does instead. */
export type Differences = Readonly<Record<string, string>>;

/** `open` is called once for each rule. */
export function ruleTests(open: () => RuleStage, differences: Differences): void {
  const unknown = Object.keys(differences).filter((id) => !RULES.some((rule) => rule.id === id));
  if (unknown.length > 0) throw new Error(`no such rules: ${unknown.join()}`);
  const kept = RULES.filter(({ id }) => differences[id] === undefined);
  const broken = RULES.filter(({ id }) => differences[id] !== undefined);

  it.each(kept)('$id: $title', async ({ check }) => {
    await expect(check(open())).resolves.toBeUndefined();
  });

  if (broken.length === 0) return;
  const known = broken.map((rule) => Object.assign({}, rule, { instead: differences[rule.id] }));
  it.each(known)('$id is otherwise here, as known: $instead', async ({ id, check }) => {
    const outcome = check(open()).then(
      () => 'as AWS does',
      () => 'otherwise',
    );
    expect(await outcome, `${id} is as AWS has it now: take it out of the table`).toBe('otherwise');
  });
}
