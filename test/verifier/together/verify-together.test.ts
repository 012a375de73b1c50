// `trackseal verify record A B`: what a stranger who is handed several files is told of them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run as verifyRecord } from '../../../verifier/commands/verify-record.ts';
import type { TogetherVerdict } from '../../../verifier/together/together-verdict.ts';
import { toHex } from '../../../wire/bytes.ts';
import type { HourFigures } from '../../../wire/track/figures.ts';
import { HOUR_MS, START_MS } from '../../wire/performance/hours.ts';
import type { Outcome } from '../log/log-folder.ts';
import { LogFolder, runCommand } from '../log/log-folder.ts';
import { A, B, SENDS, TAKES, writeRecord } from './files.ts';

let folder: LogFolder;

beforeAll(async () => {
  folder = await LogFolder.create();
});
afterAll(() => folder.remove());

const file = (
  hours: readonly HourFigures[],
  account: typeof A,
  change?: (text: string) => string,
): Promise<string> => writeRecord(folder, hours, account, change);

function verify(...args: readonly string[]): Promise<Outcome> {
  return runCommand(verifyRecord, ...args);
}

async function judged(
  ...args: readonly string[]
): Promise<{ exit: number; verdict: TogetherVerdict }> {
  const { exit, out } = await verify(...args, ...folder.trust(), '--json');
  return { exit, verdict: JSON.parse(out) as TogetherVerdict };
}

describe('several records', () => {
  it('are verified one by one, and then computed together; what is derived says so', async () => {
    const { exit, verdict } = await judged(await file(SENDS, A), await file(TAKES, B));
    expect([exit, verdict.verdict, verdict.code]).toEqual([0, 'verified', null]);
    expect(verdict.accounts.map(({ verdict: one, record }) => [one, record?.venue])).toEqual([
      ['verified', 'kraken'],
      ['verified', 'okx'],
    ]);
    const [a, b] = [toHex(A.accountCommitment), toHex(B.accountCommitment)];
    expect(verdict.members).toMatchObject([
      { account: a, venue: 'kraken', counted: { to_ms: START_MS + 3 * HOUR_MS } },
      { account: b, venue: 'okx', counted: { from_ms: START_MS, to_ms: START_MS + 4 * HOUR_MS } },
    ]);
    const { together } = verdict;
    expect(together?.derived).toContain('no enclave signed it');
    // 50 that left A and came to B without a name are flows, and A leaves with its 550.
    expect(together?.figures).toMatchObject({
      equity_start: '1500',
      equity_end: '1008',
      inflow: '50',
      outflow: '600',
    });
    expect(together?.internal).toEqual([
      {
        from: a,
        to: b,
        left_ms: START_MS + 10 * 60_000,
        arrived_ms: START_MS + HOUR_MS + 40 * 60_000,
        left: '400',
        arrived: '398',
        difference: '-2',
        reason: 'reference',
        reference: '01'.repeat(16),
      },
    ]);
    expect(together?.alike.map(({ reason, left }) => [reason, left])).toEqual([
      ['no_reference', '50'],
    ]);
    expect(together?.conventions['together_transfers']).toContain('nothing else is internal');
    expect(verdict.residual_risks).toEqual(
      expect.arrayContaining(['chosen_account', 'chosen_result', 'unlogged_result', 'venue_word']),
    );
  });

  it('are told to people as well', async () => {
    const { exit, out } = await verify(
      await file(SENDS, A),
      await file(TAKES, B),
      ...folder.trust(),
    );
    expect(exit).toBe(0);
    for (const part of [
      'aaaaaaaaaaaaaaaa kraken',
      'bbbbbbbbbbbbbbbb okx',
      'no enclave signed it',
      'transfers between them, by reference',
      'aaaaaaaa 400 to bbbbbbbb 398 (-2): reference',
      'flows from and to outside that look like transfers',
      'put in one of somebody else',
    ]) {
      expect(out).toContain(part);
    }
  });

  it('of which one does not verify are refused, all of them', async () => {
    const bad = await file(TAKES, B, (text) => text.replace('"position":1', '"position":2'));
    const { exit, verdict } = await judged(await file(SENDS, A), bad);
    expect([exit, verdict.verdict, verdict.code]).toEqual([1, 'refused', 'record_signature']);
    expect(verdict.detail['file']).toBe(bad);
    expect([verdict.together, verdict.residual_risks]).toEqual([null, null]);
    expect(verdict.accounts.map((one) => one.verdict)).toEqual(['verified', 'refused']);
  });

  it('without a policy are not decided', async () => {
    const files = [await file(SENDS, A), await file(TAKES, B)];
    const [, , ...root] = folder.trust();
    const { exit, out } = await verify(...files, ...root, '--json');
    const verdict = JSON.parse(out) as TogetherVerdict;
    expect([exit, verdict.verdict, verdict.code]).toEqual([2, 'undecided', 'policy_missing']);
  });

  it.each([
    ['one account twice', A, [], 'one account in two FILEs'],
    ['a test system', { ...B, environment: 'sandbox' as const }, [], 'a test system'],
    ['one account of several', B, ['--account', 'aaaaaaaa'], '--account goes with one FILE'],
  ])('cannot be %s', async (_, other, args, what) => {
    const files = [await file(SENDS, A), await file(TAKES, other)];
    const { exit, err } = await verify(...files, ...folder.trust(), ...args);
    expect([exit, err.includes('usage_invalid'), err.includes(what)]).toEqual([2, true, true]);
  });

  it.each([
    [64, false],
    [65, true],
  ])('may be %d', async (count, isTooMany) => {
    const files = Array.from({ length: count }, () => folder.path('none'));
    const { err } = await verify(...files, ...folder.trust());
    expect(err.includes('at most 64')).toBe(isTooMany);
  });
});
