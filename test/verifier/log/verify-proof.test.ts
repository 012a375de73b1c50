import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generateComplianceKey } from '../../../verifier/compliance-key.ts';
import { run as runLogProve } from '../../../verifier/commands/log-prove.ts';
import { run as runVerifyProof } from '../../../verifier/commands/verify-proof.ts';
import { decimalOf, isoOfNs } from '../../../verifier/log/payload.ts';
import { HeadMemory } from '../../../verifier/heads.ts';
import { KIND } from '../../../wire/leaf.ts';
import type { Evidence } from '../../../wire/log-verification/evidence.ts';
import { encodeEvidence, parseEvidence } from '../../../wire/log-verification/evidence.ts';
import { assertAccepted } from '../../../wire/result.ts';
import type { ProofFile } from '../../../wire/tlog/proof-file.ts';
import { encodeProofFile, parseProofFile } from '../../../wire/tlog/proof-file.ts';
import { EpochBuilder, sampleEpoch } from '../../helpers/epoch-builder.ts';
import { LogFolder, changeFile, flipByte, forgeSignature, runCommand } from './log-folder.ts';

let folder: LogFolder;
let epoch: EpochBuilder;
let output = 0;
let report = 0;
let input = 0;

beforeAll(async () => {
  folder = await LogFolder.create();
  epoch = await EpochBuilder.create();
  epoch.startStrategy();
  input = epoch.addInput();
  output = epoch.addOutput(input);
  report = epoch.addReport(output);
  epoch.addGap({ reason: 4, firstMissing: 9, count: 2, instrument: 1 }, [input]);
  await epoch.addAnchor();
  epoch.addHeartbeat(3);
  epoch.addClose();
  epoch.commit();
  await folder.write([epoch]);
});

afterAll(() => folder.remove());

async function verdictOf(file: string): Promise<unknown> {
  const { exit, verdict } = await folder.verifyProof(file, ...folder.trust());
  expect(exit).toBe({ verified: 0, refused: 1, undecided: 2 }[verdict.verdict]);
  return verdict.code ?? verdict;
}

/** Proves the output with its key, changes the file and verifies it. */
async function codeAfter(change: {
  readonly file?: (file: ProofFile) => Partial<ProofFile>;
  readonly evidence?: (evidence: Evidence) => Partial<Evidence>;
}): Promise<unknown> {
  const path = await folder.prove(output, '--key', folder.path('key.pem'));
  const file = assertAccepted(parseProofFile(new Uint8Array(await readFile(path))));
  const evidence = assertAccepted(parseEvidence(file.extra ?? new Uint8Array()));
  const extra = encodeEvidence({ ...evidence, ...change.evidence?.(evidence) });
  const changed = { ...file, extra, ...change.file?.(file) };
  await writeFile(folder.path('changed'), encodeProofFile(changed));
  return verdictOf(folder.path('changed'));
}

describe('a proof file', () => {
  it('discloses a signal to whoever gets it', async () => {
    const file = await folder.prove(output, '--key', folder.path('key.pem'));
    expect(await verdictOf(file)).toMatchObject({
      verdict: 'verified',
      origin: epoch.origin,
      index: output,
      size: epoch.size,
      kind: 'output',
      label: 'strategy',
      causes: [input],
      disclosed: true,
      payload: {
        instrument: 'BTCUSDT',
        venue: 'binance',
        side: 'buy',
        quantity: '0.01000',
        limit: '60000.00',
      },
      attestation: { image_checked: true },
      unsafe: ['--unsafe-root'],
    });
    const shown = await runCommand(runVerifyProof, file, ...folder.trust());
    expect(shown.exit).toBe(0);
    expect(shown.out).toMatch(/limit +60000\.00/u);
    expect(shown.out).toContain('the operator could still');
  });

  it('proves a closed leaf too', async () => {
    const file = await folder.prove(output);
    expect(await verdictOf(file)).toMatchObject({
      verdict: 'verified',
      disclosed: false,
      payload: null,
    });
    const shown = await runCommand(runVerifyProof, file, ...folder.trust());
    expect(shown.out).toContain('closed: the file holds no key');
  });

  it('works for every leaf of an epoch', async () => {
    const sample = await sampleEpoch();
    await folder.write([sample]);
    for (let index = 0; index < sample.size; index++) {
      const file = await folder.prove(index, '--key', folder.path('key.pem'));
      expect(await verdictOf(file)).toMatchObject({ verdict: 'verified', index, disclosed: true });
    }
    await folder.write([epoch]);
  });

  it('shows reports, gaps, anchors and the rest readably', async () => {
    const payloads = new Map<string, unknown>();
    for (let index = 0; index < epoch.size; index++) {
      const file = await folder.prove(index, '--key', folder.path('key.pem'));
      const { verdict } = await folder.verifyProof(file, ...folder.trust());
      payloads.set(verdict.kind ?? '', verdict.payload);
    }
    expect(payloads.get('report')).toMatchObject({
      output,
      status: 'filled',
      environment: 'paper',
    });
    expect(payloads.get('gap')).toMatchObject({ reason: 'venue_sequence', instrument: 'BTCUSDT' });
    expect(payloads.get('input')).toMatchObject({ batch_sequence: 0, rows: 1 });
    expect(payloads.get('anchor')).toMatchObject({ size: report + 2 });
    expect(payloads.get('heartbeat')).toEqual({ acknowledged_size: 3 });
    expect(payloads.get('close')).toEqual({ reason: 'host' });
    expect(payloads.get('strategy_event')).toEqual({ event: 'started', code: null });
    expect(payloads.size).toBe(11);
  });

  it('takes blobs along', async () => {
    const withBlob = await EpochBuilder.create();
    withBlob.startStrategy();
    const cause = withBlob.addOutput(withBlob.addInput());
    const header = { kind: KIND.report, stream: 2000, causes: [cause] };
    const index = withBlob.add(header, new Uint8Array(60_000), true);
    withBlob.commit();
    await folder.write([withBlob]);
    const closed = await folder.prove(index);
    expect(await verdictOf(closed)).toMatchObject({ verdict: 'verified', disclosed: false });
    // It opens, but 60,000 zeros are no report.
    const open = await folder.prove(index, '--key', folder.path('key.pem'));
    expect(await verdictOf(open)).toBe('cbor_limit');
    await folder.write([epoch]);
  });

  it('is refused when anything in it is another', async () => {
    const other = await EpochBuilder.create();
    other.commit();
    const [otherHeader = new Uint8Array()] = other.leaves;
    const wrongLeaf = epoch.leaves[report] ?? new Uint8Array();
    const cases: readonly (readonly [string, string, Parameters<typeof codeAfter>[0]])[] = [
      ['index', 'inclusion_invalid', { file: ({ index }) => ({ index: index + 1 }) }],
      ['proof', 'inclusion_invalid', { file: (f) => ({ proof: f.proof.slice(1) }) }],
      ['leaf', 'inclusion_invalid', { evidence: () => ({ leaf: wrongLeaf }) }],
      ['header', 'public_key_mismatch', { evidence: () => ({ leafZero: otherHeader }) }],
      ['key', 'leaf_key_wrong', { evidence: () => ({ leafKey: new Uint8Array(32) }) }],
      ['blob', 'proof_malformed', { evidence: () => ({ blob: new Uint8Array(9) }) }],
      ['note', 'note_signature', { file: ({ note }) => ({ note: forgeSignature(note) }) }],
      ['foreign note', 'note_signature', { file: () => ({ note: other.checkpoint }) }],
      ['extra', 'proof_malformed', { file: () => ({ extra: new Uint8Array(5) }) }],
      ['no extra', 'proof_malformed', { file: () => ({ extra: null }) }],
      [
        'document',
        'cose_signature',
        { evidence: ({ document }) => ({ document: flipByte(-9)(document) }) },
      ],
    ];
    for (const [what, expected, change] of cases) {
      const code = await codeAfter(change);
      expect(`${what}: ${String(code)}`).toBe(`${what}: ${expected}`);
    }
    await writeFile(folder.path('no-proof'), 'something else');
    expect(await verdictOf(folder.path('no-proof'))).toBe('proof_malformed');
  });

  it('is refused for a second header or attestation', async () => {
    for (const kind of [KIND.header, KIND.attestation]) {
      const twice = await EpochBuilder.create();
      const index = twice.add({ kind }, new Uint8Array(3));
      twice.commit();
      await folder.write([twice]);
      expect(await verdictOf(await folder.prove(index))).toBe('leaf_misplaced');
    }
    await folder.write([epoch]);
  });

  it('is refused under another policy and undecided without one', async () => {
    const file = await folder.prove(output);
    const root = ['--unsafe-root', folder.path('root.pem')];
    const none = await folder.verifyProof(file, ...root);
    expect([none.exit, none.verdict.code]).toEqual([2, 'policy_missing']);
    const pcrs = ['--pcr0', '--pcr1', '--pcr2'].flatMap((name) => [name, '11'.repeat(48)]);
    const other = await folder.verifyProof(file, ...root, ...pcrs);
    expect([other.exit, other.verdict.code]).toEqual([1, 'pcr_mismatch']);
    const aws = await folder.verifyProof(file, '--policy', folder.path('policy.json'));
    expect([aws.exit, aws.verdict.code]).toEqual([1, 'chain_root']);
  });

  it('needs a file, and only one', async () => {
    for (const [code, ...args] of [
      ['usage_invalid'],
      ['usage_invalid', 'a', 'b'],
      ['usage_invalid', 'a', '--nonsense'],
      ['file_unreadable', folder.path('nothing')],
    ] as const) {
      const { exit, err } = await runCommand(runVerifyProof, ...args);
      expect([exit, err.split(/[ :]+/u)[1]]).toEqual([2, code]);
    }
    expect((await runCommand(runVerifyProof, '--help')).out).toContain('trackseal verify proof');
    expect((await runCommand(runLogProve, '--help')).out).toContain('trackseal log prove');
  });

  it('may have an old head, but none that contradicts a remembered one', async () => {
    const file = await folder.prove(output);
    const memory = assertAccepted(await HeadMemory.load(folder.heads));
    const { logKeyHash } = epoch.link();
    const later = { origin: epoch.origin, logKeyHash, size: epoch.size + 9, root: logKeyHash };
    memory.remember(later, 1);
    await memory.save();
    const args = [file, ...folder.trust(), '--heads', folder.heads];
    const compared = (await folder.verifyProof(...args)).verdict;
    expect(compared.verdict).toBe('verified');
    expect(compared.skipped).toContain('consistency');
    const alone = (await folder.verifyProof(file, ...folder.trust(), '--no-heads')).verdict;
    expect(alone.skipped).toContain('remembered_heads');
    memory.remember({ ...later, size: epoch.size }, 1);
    await memory.save();
    const { exit, verdict } = await folder.verifyProof(...args);
    expect([exit, verdict.code]).toEqual([1, 'fork']);
    await folder.forget();
  });
});

describe('log prove', () => {
  it('makes no proof from a damaged log', async () => {
    const out = ['-o', folder.path('out')];
    for (const [expected, path, change] of [
      ['root_mismatch', 'tile/entries/000.p/11', flipByte(-9)],
      ['note_signature', 'checkpoint', forgeSignature],
    ] as const) {
      await folder.write([epoch], (files) => {
        changeFile(files, 1, path, change);
      });
      const { exit, err } = await runCommand(runLogProve, folder.log, '--index', '5', ...out);
      expect(exit).toBe(1);
      expect(err).toContain(expected);
    }
    await folder.write([epoch]);
  });

  it('answers 2 for wrong usage', async () => {
    const out = ['-o', folder.path('out')];
    await writeFile(folder.path('other.pem'), generateComplianceKey().pem);
    const wrong: readonly (readonly [string, ...(readonly string[])])[] = [
      ['usage_invalid', folder.log, '--index', '1'],
      ['usage_invalid', '--index', '1', ...out],
      ['usage_invalid', folder.log, ...out],
      ['usage_invalid', folder.log, '--index', '-1', ...out],
      ['usage_invalid', folder.log, '--index', String(epoch.size), ...out],
      ['file_unreadable', folder.path('nothing'), '--index', '1', ...out],
      ['file_unreadable', folder.log, '--epoch', '9', '--index', '1', ...out],
      [
        'disclosure_key_wrong',
        folder.log,
        '--index',
        String(output),
        '--key',
        folder.path('other.pem'),
        ...out,
      ],
    ];
    for (const [code, ...args] of wrong) {
      const made = await runCommand(runLogProve, ...args);
      expect([made.exit, made.err.split(/[ :]+/u)[1], made.out]).toEqual([2, code, '']);
    }
    const good = await runCommand(runLogProve, folder.log, '--index', '1', ...out, '--json');
    expect(JSON.parse(good.out)).toMatchObject({ index: 1, size: epoch.size, disclosed: true });
  });
});

describe('decimals and times', () => {
  it('are exact', () => {
    expect(decimalOf(0, 0)).toBe('0');
    expect(decimalOf(5, 2)).toBe('0.05');
    expect(decimalOf(-123, 2)).toBe('-1.23');
    expect(decimalOf(9_007_199_254_740_991, 8)).toBe('90071992.54740991');
    expect(isoOfNs(1_723_161_254_206_652_067n)).toBe('2024-08-08T23:54:14.206652067Z');
  });
});
