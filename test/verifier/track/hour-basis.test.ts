// Gaps that an hour may have though all polls told everything: exactly those that the book makes of prices and instruments.
// One more there, and every complete hour that has it would be refused.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { VALUED_GAPS } from '../../../verifier/track/hour-basis.ts';
import { checkHour } from '../../../verifier/track/recompute.ts';
import { COST_JUMP, VALUE_JUMP } from '../../../wire/performance/hour-return.ts';
import type { HourStatement } from '../../../wire/track/hour.ts';
import { balance, observation, T0, tell } from '../../enclave/ledger/book/helpers.ts';
import { hourStatement, RECORD_ACCOUNT } from '../../helpers/track-record.ts';

const BOOK = join(import.meta.dirname, '../../../enclave/ledger/book');

it('are the codes of the book, and that of the hour before', () => {
  const found = new Set<string>([COST_JUMP, VALUE_JUMP]);
  for (const name of readdirSync(BOOK)) {
    const text = readFileSync(join(BOOK, name), 'utf8');
    for (const [, code = ''] of text.matchAll(/gaps\.add\('([a-z_]+)'\)/gu)) found.add(code);
  }
  expect([...found].toSorted()).toEqual([...VALUED_GAPS].toSorted());
});

it('a complete hour without a price is an honest one', () => {
  const opening = observation(T0, [balance('BTC', '1')]);
  const [figures] = tell({ opening, prices: [], hours: 1 }).figures;
  if (figures === undefined) throw new Error('no hour');
  expect([figures.complete, figures.gaps]).toEqual([true, ['price_missing']]);
  const place = { origin: 'example.com/log/e0000000001', counter: 1, previous: null };
  const statement = { ...place, ...RECORD_ACCOUNT, ...hourStatement(figures) } as HourStatement;
  expect(checkHour(statement)).toEqual({ ok: true, value: null });
});
