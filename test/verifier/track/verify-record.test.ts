import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../../verifier/commands/verify-record.ts';
import type { SignedStatement } from '../../../wire/track/evidence.ts';
import { hourStatement, RecordBuilder } from '../../helpers/track-record.ts';
import { money } from '../../wire/performance/golden.ts';
import { blindHour, changed, HOUR_MS, START_MS } from '../../wire/performance/hours.ts';
import { runCommand } from '../log/log-folder.ts';
import { built, RecordFolder, threeHours } from './record-folder.ts';

let folder: RecordFolder;

beforeAll(async () => {
  folder = await RecordFolder.create();
});
afterAll(() => folder.remove());

describe('a record', () => {
  it('verifies, and its figures are computed from the hours', async () => {
    const builder = await built();
    builder.addMetrics();
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.verdict, verdict.code]).toEqual([0, 'verified', null]);
    expect(verdict.record).toMatchObject({
      venue: 'kraken',
      environment: 'live',
      chain: { counter: 3, ended: false },
      period: { start_ms: START_MS, end_ms: START_MS + 3 * HOUR_MS },
      statements: { hours: 3, snapshots: 0, corrections: 0, revocations: 0, metrics: 1 },
      figures: { return: '0.0302', inflow: '500', equity_end: '1540.2', gaps: 0 },
      gaps: [],
      hourly: [
        { return: '0.01', method: 'twr', inflow: '0', counter: 1, leaf: 2, position: 0 },
        { return: '0', inflow: '500', equity_end: '1510', counter: 2, position: 1 },
        { return: '0.02', residual: '0', status: 'reconciled', counter: 3 },
      ],
      epochs: [{ origin: builder.origin, statements: 4, counters: [1, 3], leaves: [2, 3] }],
    });
    expect(verdict.record?.conventions['hourly.periods_per_year']).toBe('8760');
    expect(verdict.residual_risks).toEqual(
      expect.arrayContaining(['chosen_account', 'chosen_result', 'unlogged_result', 'venue_word']),
    );
    expect(verdict.skipped).toContain('log');
  });

  it('goes over epochs, each with its own key and document', async () => {
    const hours = threeHours();
    const builder = await built(hours.slice(0, 1));
    await builder.nextEpoch(2);
    builder.addHours(hours.slice(1));
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.record?.figures['return']]).toEqual([0, '0.0302']);
    expect(verdict.record?.epochs.map(({ counters }) => counters)).toEqual([
      [1, 1],
      [2, 3],
    ]);
    // A document may lie beside the file.
    const [first, second] = builder.attestations;
    await writeFile(folder.folder.path('second.cbor'), second ?? '');
    const attestations = first === undefined ? [] : [first];
    expect(await folder.codeOf(builder.file({ attestations }))).toBe('record_unattested');
    const beside = await folder.verify(
      builder.file({ attestations }),
      '--attestation',
      folder.folder.path('second.cbor'),
    );
    expect(beside.exit).toBe(0);
  });

  it('has a gap where nobody looked, and no return over it', async () => {
    const [first, , third] = threeHours();
    if (first === undefined || third === undefined) throw new Error('three');
    const builder = await built([first, blindHour(1), third]);
    const { exit, verdict } = await folder.verify(builder.file());
    expect(exit).toBe(0);
    expect(verdict.record?.figures['return']).toBeNull();
    expect(verdict.record?.figures['return_bridged']).toBeNull();
    expect(verdict.record?.reasons['return']).toBe('incomplete');
    expect(verdict.record?.gaps).toEqual([
      {
        from_ms: START_MS + HOUR_MS,
        to_ms: START_MS + 2 * HOUR_MS,
        reason: 'incomplete',
        change: null,
        unknown: 'incomplete',
      },
    ]);
  });

  it('takes the correction of an hour, and keeps that there was one', async () => {
    const builder = await built();
    const [first] = threeHours();
    if (first === undefined) throw new Error('three');
    const residual = { residual: money('-0.1'), status: 'beyond' } as const;
    const later = changed(first, { ...residual, realised: money('10.1') });
    builder.add(hourStatement(later, { supersedes: { counter: 1, reason: 'late_data' } }));
    const { exit, verdict } = await folder.verify(builder.file());
    expect(exit).toBe(0);
    expect(verdict.record?.figures['residual']).toBe('-0.1');
    expect(verdict.record?.corrected).toEqual([
      { counter: 4, supersedes: 1, reason: 'late_data', at_ms: START_MS },
    ]);
  });

  it('has what was stated anew in place of what was lost, whether the file has that or not', async () => {
    const builder = await built();
    const [, second, third] = threeHours();
    if (second === undefined || third === undefined) throw new Error('three');
    const lost = { from: 2, to: 3 };
    builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: START_MS });
    builder.addHours([second, changed(third, { trades: 77 })]);
    const { statements } = builder;
    for (const list of [statements, statements.toSpliced(1, 2)]) {
      const { exit, verdict } = await folder.verify(builder.file({ statements: list }));
      expect([exit, verdict.record?.figures['return']]).toEqual([0, '0.0302']);
      expect(verdict.record?.hourly.map(({ counter }) => counter)).toEqual([1, 5, 6]);
      expect(verdict.record?.statements).toMatchObject({ hours: 3, revocations: 1 });
      const present = list.length === statements.length ? 2 : 0;
      expect(verdict.record?.lost).toEqual([
        {
          counter: 4,
          from_counter: 2,
          to_counter: 3,
          reason: 'store_lost',
          at_ms: START_MS,
          present,
          result_leaves: null,
          all_epochs: null,
        },
      ]);
      expect(verdict.residual_risks).toContain('lost_statements');
    }
    // An hour that was lost is none, until it is stated anew.
    const fewer = await built();
    fewer.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: START_MS });
    fewer.addHours([second]);
    const { verdict: short } = await folder.verify(fewer.file());
    expect(short.record?.hourly.map(({ counter }) => counter)).toEqual([1, 5]);
    const more = builder.file({ statements: statements.toSpliced(0, 3) });
    expect(await folder.codeOf(more)).toBe('chain_hole');
  });

  it('is shown to people', async () => {
    const path = folder.folder.path('person.json');
    await writeFile(path, (await built()).file());
    const { exit, out } = await runCommand(run, path, ...folder.folder.trust());
    expect(exit).toBe(0);
    expect(out).toContain('VERIFIED');
    expect(out).toMatch(/^\s*period\s+2026-01-01T00:00:00\.000Z to 2026-01-01T03:00:00\.000Z$/mu);
    expect(out).toContain('0.0302');
    expect(out).toContain('not known: below_minimum');
    expect(out).toContain('[venue_word]');
  });

  it('in which no hour was seen has no period', async () => {
    const builder = await built(threeHours().map((one) => changed(one, { rebuilt: true })));
    const { exit, verdict } = await folder.verify(builder.file());
    expect([exit, verdict.record?.period]).toEqual([0, null]);
    const path = folder.folder.path('unseen.json');
    await writeFile(path, builder.file());
    const { out } = await runCommand(run, path, ...folder.folder.trust());
    expect(out).toMatch(/^\s*period\s+no hour was seen yet$/mu);
  });

  it('without a policy is undecided, however good', async () => {
    const root = ['--unsafe-root', folder.folder.path('root.pem')];
    const { exit, verdict } = await folder.judge((await built()).file(), ...root);
    expect([exit, verdict.verdict, verdict.code]).toEqual([2, 'undecided', 'policy_missing']);
    expect(verdict.record?.figures['return']).toBe('0.0302');
  });

  it('of several accounts asks which', async () => {
    const [one, other] = [await built(), await RecordBuilder.create()];
    const accountCommitment = new Uint8Array(32).fill(0xee);
    for (const [at, figures] of threeHours().entries()) {
      const statement = hourStatement(figures);
      other.add({ ...statement, accountCommitment });
      expect(at).toBeLessThan(3);
    }
    const both = {
      statements: [...one.statements, ...other.statements],
      attestations: [...one.attestations],
    };
    const asked = await folder.verify(one.file(both));
    expect([asked.exit, asked.verdict.code]).toEqual([2, 'usage_invalid']);
    // Only the statements of the account that was asked for are judged: the other's key is of a twin.
    const chosen = await folder.verify(one.file(both), '--account', 'a0a1a2a3');
    expect(chosen.exit).toBe(0);
    const twin = await folder.verify(one.file(both), '--account', 'ee'.repeat(32));
    expect([twin.exit, twin.verdict.code]).toEqual([1, 'record_signature']);
    const nobody = await folder.verify(one.file(both), '--account', '00000000');
    expect([nobody.exit, nobody.verdict.code]).toEqual([2, 'usage_invalid']);
    const wrong = await folder.verify(one.file(both), '--account', 'a0a1a2a');
    expect([wrong.exit, wrong.verdict.code]).toEqual([2, 'usage_invalid']);
  });
});

describe('whoever keeps the rows', () => {
  it.each<[string, (statements: readonly SignedStatement[]) => readonly SignedStatement[], string]>(
    [
      ['leaves one out', (all) => all.filter((_, at) => at !== 1), 'chain_hole'],
      ['leaves the first out', (all) => all.slice(1), 'chain_hole'],
      ['repeats one', (all) => [...all, ...all.slice(-1)], 'chain_duplicate'],
      ['reorders', (all) => all.toReversed(), 'chain_hole'],
      [
        'moves one to another leaf',
        (all) => all.map((one) => Object.assign({}, one, { leafIndex: one.leafIndex + 1 })),
        'record_signature',
      ],
      [
        'moves one to another position',
        (all) => all.map((one) => Object.assign({}, one, { position: one.position + 1 })),
        'record_signature',
      ],
      [
        'signs under another name',
        (all) => all.map((one) => Object.assign({}, one, { origin: 'example.com/log/e9' })),
        'record_malformed',
      ],
    ],
  )('%s: refused', async (_, change, code) => {
    const builder = await built();
    expect(await folder.codeOf(builder.file({ statements: change(builder.statements) }))).toBe(
      code,
    );
  });

  it('flips any byte of a statement or a signature: refused', async () => {
    const builder = await built();
    const [first, ...rest] = builder.statements;
    if (first === undefined) throw new Error('three');
    const codes = new Set<unknown>();
    for (let at = 0; at < first.statement.length; at += 17) {
      const statement = first.statement.with(at, (first.statement[at] ?? 0) ^ 1);
      codes.add(
        await folder.codeOf(builder.file({ statements: [{ ...first, statement }, ...rest] })),
      );
    }
    for (let at = 0; at < 64; at += 13) {
      const signature = first.signature.with(at, (first.signature[at] ?? 0) ^ 1);
      codes.add(
        await folder.codeOf(builder.file({ statements: [{ ...first, signature }, ...rest] })),
      );
    }
    expect(codes).toEqual(new Set(['record_malformed', 'record_signature', 'chain_hole']));
  });

  it('brings a document of another enclave of the same epoch: refused', async () => {
    const [builder, twin] = [await built(), await built()];
    expect(await folder.codeOf(builder.file({ attestations: twin.attestations }))).toBe(
      'record_signature',
    );
    const both = { attestations: [...builder.attestations, ...twin.attestations] };
    expect(await folder.codeOf(builder.file(both))).toBe('chain_fork');
  });

  it.each([
    ['nothing', ''],
    ['no record', '{}'],
    ['no statements', '{"v":1,"statements":[],"attestations":[]}'],
  ])('brings %s: refused or not judged', async (_, file) => {
    const { exit, verdict } = await folder.verify(file);
    expect([
      [1, 'record_malformed'],
      [2, 'usage_invalid'],
    ]).toContainEqual([exit, verdict.code]);
  });
});

/** Two epochs, corrections, metrics: every kind of leaf. */
async function logged(): Promise<RecordBuilder> {
  const hours = threeHours();
  const builder = await built(hours.slice(0, 1));
  await builder.nextEpoch(2);
  builder.addHours(hours.slice(1));
  builder.addMetrics();
  await folder.folder.write(builder.epochs);
  return builder;
}

describe('the log', () => {
  it('has every statement at its place', async () => {
    const builder = await logged();
    const { exit, verdict } = await folder.verify(builder.file(), '--log', folder.folder.log);
    expect([exit, verdict.code, verdict.logged]).toEqual([0, null, true]);
    expect(verdict.residual_risks).not.toContain('unlogged_result');
    expect(verdict.skipped).not.toContain('log');
    const without = await folder.verify(builder.file());
    expect([without.verdict.logged, without.verdict.residual_risks]).toEqual([
      false,
      expect.arrayContaining(['unlogged_result']),
    ]);
  });

  it('shows in how many of its leaves lost statements can have been', async () => {
    // Each in a leaf of its own: 1 is kept, 2 and 3 are lost, 4 says so; a third leaf is of somebody else.
    const builder = await RecordBuilder.create();
    const [first, second, third] = threeHours();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    for (const figures of [first, second, third]) builder.add(hourStatement(figures));
    const lost = { from: 2, to: 3 };
    builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: START_MS });
    builder.addHours([second, third]);
    await folder.folder.write(builder.epochs);
    const { statements } = builder;
    const leavesOf = async (list: readonly SignedStatement[]): Promise<unknown> => {
      const file = builder.file({ statements: list });
      const { exit, verdict } = await folder.verify(file, '--log', folder.folder.log);
      expect([exit, verdict.code]).toEqual([0, null]);
      return verdict.record?.lost.map(({ present, result_leaves: leaves }) => [present, leaves]);
    };
    expect(await leavesOf(statements)).toEqual([[2, 0]]);
    expect(await leavesOf(statements.toSpliced(2, 1))).toEqual([[1, 1]]);
    expect(await leavesOf(statements.toSpliced(1, 2))).toEqual([[0, 2]]);
    // What comes behind the revocation cannot be them.
    expect(await leavesOf(statements.toSpliced(1, 2).slice(0, -2))).toEqual([[0, 2]]);
    // Without what was kept before them, anything up to there can be.
    const all = await RecordBuilder.create();
    all.addHours([first]);
    all.add({ kind: 'revocation', lost: { from: 1, to: 1 }, reason: 'not_stored', atMs: START_MS });
    all.addHours([first]);
    await folder.folder.write(all.epochs);
    const file = all.file({ statements: all.statements.toSpliced(0, 1) });
    const { verdict } = await folder.verify(file, '--log', folder.folder.log);
    expect(verdict.record?.lost).toMatchObject([{ present: 0, result_leaves: 1 }]);
    const person = folder.folder.path('lost.json');
    await writeFile(person, file);
    const { out } = await runCommand(
      run,
      person,
      ...folder.folder.trust(),
      '--log',
      folder.folder.log,
    );
    expect(out).toContain('1 statements, 1 to 1, taken back by 2 (not_stored');
    expect(out).toContain('in the log 1 leaves can have held the others');
    expect(out).toContain('[lost_statements]');
  });

  it('is not searched before the last statement that was kept', async () => {
    const builder = await RecordBuilder.create();
    const [first, second, third] = threeHours();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    builder.add(hourStatement(first));
    // A leaf of a result that the file does not have.
    builder.addMetrics();
    for (const figures of [second, third]) builder.add(hourStatement(figures));
    const lost = { from: 3, to: 3 };
    builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: START_MS });
    await folder.folder.write(builder.epochs);
    const { statements } = builder;
    const file = builder.file({
      statements: [statements[0], statements[2], statements[4]].flatMap((one) => one ?? []),
    });
    const { exit, verdict } = await folder.verify(file, '--log', folder.folder.log);
    expect([exit, verdict.record?.lost]).toMatchObject([0, [{ present: 0, result_leaves: 1 }]]);
  });

  it('over epochs is searched in both of them', async () => {
    const builder = await RecordBuilder.create();
    const [first, second, third] = threeHours();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    for (const figures of [first, second]) builder.add(hourStatement(figures));
    await builder.nextEpoch(2);
    const lost = { from: 2, to: 2 };
    builder.add({ kind: 'revocation', lost, reason: 'store_lost', atMs: START_MS });
    builder.addHours([second, third]);
    await folder.folder.write(builder.epochs);
    const file = builder.file({ statements: builder.statements.toSpliced(1, 1) });
    const { exit, verdict } = await folder.verify(file, '--log', folder.folder.log);
    expect([exit, verdict.record?.lost]).toMatchObject([0, [{ present: 0, result_leaves: 1 }]]);
  });

  it('over an epoch that the file has nothing of is not said to be searched', async () => {
    const builder = await RecordBuilder.create();
    const [first, second, third] = threeHours();
    if (first === undefined || second === undefined || third === undefined)
      throw new Error('three');
    builder.add(hourStatement(first));
    await builder.nextEpoch(2);
    for (const figures of [second, third]) builder.add(hourStatement(figures));
    await builder.nextEpoch(3);
    const lost = { from: 2, to: 3 };
    builder.add({ kind: 'revocation', lost, reason: 'not_stored', atMs: START_MS });
    builder.addHours([second, third]);
    await folder.folder.write(builder.epochs);
    const lostOf = async (of: RecordBuilder, at: number, count: number): Promise<unknown> => {
      const file = of.file({ statements: of.statements.toSpliced(at, count) });
      const { exit, verdict } = await folder.verify(file, '--log', folder.folder.log);
      expect([exit, verdict.code]).toEqual([0, null]);
      return verdict.record?.lost[0];
    };
    const none = { present: 0, result_leaves: 0, all_epochs: false };
    expect(await lostOf(builder, 1, 2)).toMatchObject(none);
    // Of the epoch between a statement is there, and so its document.
    const one = { present: 1, result_leaves: 1, all_epochs: true };
    expect(await lostOf(builder, 2, 1)).toMatchObject(one);
    // Nothing tells in which epoch a record began of which all was lost.
    const all = await RecordBuilder.create();
    all.add(hourStatement(first));
    await all.nextEpoch(2);
    all.add({ kind: 'revocation', lost: { from: 1, to: 1 }, reason: 'not_stored', atMs: START_MS });
    all.addHours([second]);
    await folder.folder.write(all.epochs);
    expect(await lostOf(all, 0, 1)).toMatchObject(none);
  });

  it('that ends before a leaf does not have it', async () => {
    const builder = await logged();
    const file = builder.file();
    builder.add({ kind: 'revocation', lost: null, reason: 'removed', atMs: START_MS });
    const { exit, verdict } = await folder.verify(builder.file(), '--log', folder.folder.log);
    expect([exit, verdict.code]).toEqual([1, 'record_unlogged']);
    expect((await folder.verify(file, '--log', folder.folder.log)).exit).toBe(0);
  });

  it('of another enclave of the same epoch does not have it', async () => {
    const [builder, twin] = [await built(), await built()];
    await folder.folder.write(twin.epochs);
    const { exit, verdict } = await folder.verify(builder.file(), '--log', folder.folder.log);
    expect([exit, verdict.code]).toEqual([1, 'record_unlogged']);
  });

  it('does not have it with another salt, or with fewer statements than the leaf has', async () => {
    const builder = await built();
    builder.addMetrics();
    await folder.folder.write(builder.epochs);
    const salted = builder.statements.map((one) =>
      Object.assign({}, one, { leafSalt: new Uint8Array(16) }),
    );
    const other = await folder.verify(
      builder.file({ statements: salted }),
      '--log',
      folder.folder.log,
    );
    expect([other.exit, other.verdict.code]).toEqual([1, 'record_unlogged']);
    // One of three that open the same leaf.
    const mixed = builder.statements.map((one) =>
      one.position === 1 ? { ...one, leafSalt: new Uint8Array(16) } : one,
    );
    const odd = await folder.verify(
      builder.file({ statements: mixed }),
      '--log',
      folder.folder.log,
    );
    expect([odd.exit, odd.verdict.code]).toEqual([1, 'record_unlogged']);
    // A chain may end anywhere; that its last leaf has more shows here.
    const fewer = builder.statements.slice(0, 2);
    const cut = await folder.verify(
      builder.file({ statements: fewer }),
      '--log',
      folder.folder.log,
    );
    expect([cut.exit, cut.verdict.code]).toEqual([1, 'record_unlogged']);
    expect((await folder.verify(builder.file({ statements: fewer }))).exit).toBe(0);
  });

  it('that cannot be read decides nothing', async () => {
    const builder = await built();
    const { exit, verdict } = await folder.verify(
      builder.file(),
      '--log',
      folder.folder.path('nowhere'),
    );
    expect([exit, verdict.verdict]).toEqual([2, 'undecided']);
  });
});
