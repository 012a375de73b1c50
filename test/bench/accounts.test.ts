// `npm run bench:accounts` at its smallest: polls of every venue of its mix succeed, and its figures are all there.

import { describe, expect, it } from 'vitest';
import { BENCH_MS, missing, NO_FIGURE, runBench } from './run-bench.ts';

interface AccountsReport {
  readonly accounts: number;
  readonly polled: number;
  readonly scheduled: number;
  readonly complete: number;
  readonly calls: number;
  readonly fills: { readonly counted: number; readonly ledger: number };
}

/** Of each account, from before it was registered. */
const FILLS = 20;

describe('npm run bench:accounts', () => {
  it(
    'polls every account whole, on schedule too, and counts its fills',
    async () => {
      const { stdout, stderr } = await runBench('accounts/main.ts', ['--quick', '--json']);
      const report = JSON.parse(stdout) as AccountsReport;
      expect(missing(report)).toEqual([]);
      const { accounts, polled, scheduled, complete, calls, fills } = report;
      expect(accounts).toBe(10);
      // A poll that a busy machine cut off may be among them, and was made again.
      expect(polled).toBe(accounts);
      expect(scheduled).toBeGreaterThan(0);
      expect(complete).toBeGreaterThanOrEqual(accounts);
      expect(calls).toBeGreaterThan(complete);
      expect(fills.counted).toBeGreaterThanOrEqual(accounts * FILLS);
      expect(fills.counted).toBeLessThanOrEqual(fills.ledger);
      expect(stderr).not.toMatch(NO_FIGURE);
      expect(stderr).toContain('missed because');
    },
    BENCH_MS,
  );
});
