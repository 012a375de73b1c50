import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../verifier/commands/verify-result.ts';
import type { ResultVerdict } from '../../verifier/result/result-verdict.ts';
import { parseBase64, toBase64 } from '../../wire/bytes.ts';
import { parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { ResultStatement } from '../../wire/result-statement.ts';
import { encodeResultStatement, parseResultStatement } from '../../wire/result-statement.ts';
import { EpochBuilder } from '../helpers/epoch-builder.ts';
import { someFigures } from '../helpers/fake-desk.ts';
import type { LoggedResult } from '../helpers/signed-result.ts';
import { loggedResult } from '../helpers/signed-result.ts';
import { LogFolder, runCommand } from './log/log-folder.ts';

let folder: LogFolder;
let logged: LoggedResult;

beforeAll(async () => {
  folder = await LogFolder.create();
  logged = await loggedResult();
  await folder.write([logged.epoch]);
  await writeFile(folder.path('boot.cbor'), bootDocument(logged.epoch));
});
afterAll(() => folder.remove());

/** Leaf 1. */
function bootDocument(epoch: EpochBuilder): Uint8Array {
  const leaf = assertAccepted(parseLeaf(epoch.leaves[1] ?? new Uint8Array()));
  return assertAccepted(openLeaf(nodeCrypto, leaf, null, null)).plaintext;
}

interface Outcome {
  readonly exit: number;
  readonly verdict: ResultVerdict;
  readonly err: string;
}

async function judge(file: object | string, ...args: readonly string[]): Promise<Outcome> {
  const path = folder.path(`result-${Math.random()}.json`);
  await writeFile(path, typeof file === 'string' ? file : JSON.stringify(file));
  const { exit, out, err } = await runCommand(run, path, ...args, '--json');
  return { exit, verdict: JSON.parse(out) as ResultVerdict, err };
}

/** Under the right policy and document. */
function verify(file: object | string, ...args: readonly string[]): Promise<Outcome> {
  return judge(file, '--attestation', folder.path('boot.cbor'), ...folder.trust(), ...args);
}

function changed(change: (statement: ResultStatement) => ResultStatement): object {
  const bytes = parseBase64(logged.file.statement) ?? new Uint8Array();
  const statement = change(assertAccepted(parseResultStatement(bytes)));
  const { summary, metrics, ...rest } = logged.file;
  void summary;
  void metrics;
  return { ...rest, statement: toBase64(encodeResultStatement(statement)) };
}

describe('a signed result', () => {
  it('verifies against the boot attestation of its epoch', async () => {
    const { exit, verdict } = await verify(logged.file);
    expect(verdict).toMatchObject({
      verdict: 'verified',
      code: null,
      leaf_index: logged.index,
      logged: false,
      hours: 1,
      result: {
        venue: 'kraken',
        environment: 'live',
        volume: { EUR: '1000.00000001', USDT: '12.5' },
        unrealized: null,
        missing: ['returns', 'valuation', 'fee_conversion'],
      },
    });
    expect(verdict.residual_risks).toEqual(
      expect.arrayContaining(['chosen_account', 'chosen_result', 'unlogged_result', 'venue_word']),
    );
    expect(exit).toBe(0);
  });

  it.each(['--proof', '--log'])('and against its leaf in the log, by %s', async (option) => {
    const path = option === '--log' ? folder.log : await folder.prove(logged.index);
    const { exit, verdict } = await verify(logged.file, option, path);
    expect([exit, verdict.verdict, verdict.logged]).toEqual([0, 'verified', true]);
    expect(verdict.residual_risks).not.toContain('unlogged_result');
  });

  it('is shown to people', async () => {
    const path = folder.path('person.json');
    await writeFile(path, JSON.stringify(logged.file));
    const args = ['--attestation', folder.path('boot.cbor'), ...folder.trust()];
    const { exit, out } = await runCommand(run, path, ...args);
    expect(exit).toBe(0);
    expect(out).toContain('VERIFIED');
    expect(out).toContain('1000.00000001 EUR, 12.5 USDT');
    expect(out).toContain('unrealized    not known');
    expect(out).toContain('1 complete, 1 partial, 1 failed, 0 missed');
    expect(out).toContain('[chosen_account]');
  });

  it('of a sandbox says so', async () => {
    const { verdict } = await verify(changed((one) => ({ ...one, environment: 'sandbox' })));
    // Whoever changes it breaks the signature.
    expect(verdict.code).toBe('result_signature');
  });

  it('without a policy is undecided, however good', async () => {
    const { exit, verdict } = await judge(
      logged.file,
      '--attestation',
      folder.path('boot.cbor'),
      '--unsafe-root',
      folder.path('root.pem'),
    );
    expect([exit, verdict.verdict, verdict.code]).toEqual([2, 'undecided', 'policy_missing']);
    expect(verdict.result?.venue).toBe('kraken');
  });

  it('without a policy and with a bad signature is refused', async () => {
    const { exit, verdict } = await judge(
      { ...logged.file, leaf_index: logged.index + 1 },
      '--attestation',
      folder.path('boot.cbor'),
      '--unsafe-root',
      folder.path('root.pem'),
    );
    expect([exit, verdict.code, verdict.result]).toEqual([1, 'result_signature', null]);
  });

  it('of an image that the policy does not allow is refused', async () => {
    const other = '11'.repeat(48);
    const { exit, verdict } = await judge(
      logged.file,
      '--attestation',
      folder.path('boot.cbor'),
      '--pcr0',
      other,
      '--pcr1',
      other,
      '--pcr2',
      other,
      '--unsafe-root',
      folder.path('root.pem'),
    );
    expect([exit, verdict.code]).toEqual([1, 'pcr_mismatch']);
  });

  it('under another root than the document has is refused', async () => {
    const { exit, verdict } = await judge(
      logged.file,
      '--attestation',
      folder.path('boot.cbor'),
      '--policy',
      folder.path('policy.json'),
    );
    expect([exit, verdict.code]).toEqual([1, 'chain_root']);
  });
});

describe('a result that was changed', () => {
  it('in any byte of its statement or its signature is refused', async () => {
    const statement = parseBase64(logged.file.statement) ?? new Uint8Array();
    const codes = new Set<unknown>();
    for (let offset = 0; offset < statement.length; offset += 7) {
      const flipped = statement.with(offset, (statement[offset] ?? 0) ^ 1);
      const { summary, metrics, ...rest } = logged.file;
      void summary;
      void metrics;
      const { exit, verdict } = await verify({ ...rest, statement: toBase64(flipped) });
      expect(exit, `byte ${offset}`).toBe(1);
      codes.add(verdict.code);
    }
    expect(codes).toEqual(new Set(['origin_mismatch', 'result_malformed', 'result_signature']));
    const signature = parseBase64(logged.file.signature) ?? new Uint8Array();
    for (let offset = 0; offset < signature.length; offset += 5) {
      const flipped = signature.with(offset, (signature[offset] ?? 0) ^ 1);
      const { verdict } = await verify({ ...logged.file, signature: toBase64(flipped) });
      expect(verdict.code).toBe('result_signature');
    }
  });

  it.each<[string, () => object]>([
    [
      'more volume',
      () =>
        changed((one) => ({
          ...one,
          figures: { ...one.figures, volume: new Map([['EUR', '1000000']]) },
        })),
    ],
    ['an earlier begin', () => changed((one) => ({ ...one, observedSinceNs: 1n }))],
    ['no gaps', () => changed((one) => ({ ...one, gaps: [] }))],
    [
      'another account',
      () =>
        changed((one) => ({
          ...one,
          accountCommitment: new Uint8Array(32),
        })),
    ],
    ['another leaf', () => ({ ...logged.file, leaf_index: logged.index + 1 })],
  ])('with %s: result_signature', async (_, make) => {
    const { exit, verdict } = await verify(make());
    expect([exit, verdict.code]).toEqual([1, 'result_signature']);
  });

  it('in its readable part only is refused too', async () => {
    const { summary, metrics } = logged.file;
    for (const file of [
      { ...logged.file, summary: { ...summary, volume: { EUR: '1000000' } } },
      { ...logged.file, summary: { ...summary, extra: 1 } },
      { ...logged.file, metrics: [] },
      { ...logged.file, metrics: [{ ...metrics?.[0], complete: true }] },
    ]) {
      const { exit, verdict } = await verify(file);
      expect([exit, verdict.code]).toEqual([1, 'result_mismatch']);
    }
    // Or may be left out.
    expect((await verify({ ...logged.file, summary: undefined, metrics: undefined })).exit).toBe(0);
  });

  it('for the leaf of another result is not in the log', async () => {
    const salted = { ...logged.file, leaf_salt: '00'.repeat(16) };
    // The salt is not signed: the log shows it.
    expect((await verify(salted)).exit).toBe(0);
    const { exit, verdict } = await verify(salted, '--log', folder.log);
    expect([exit, verdict.code]).toEqual([1, 'result_mismatch']);
    const proof = await folder.prove(0);
    const other = await verify(logged.file, '--proof', proof);
    expect([other.exit, other.verdict.code]).toEqual([1, 'result_mismatch']);
  });

  it.each([
    ['nothing', ''],
    ['no JSON', '{'],
    ['a list', '[]'],
    ['no statement', '{}'],
    ['a number for a statement', '{"statement":1}'],
  ])('into %s is refused', async (_, text) => {
    const { exit, verdict } = await verify(text);
    expect([exit, verdict.code]).toEqual([1, 'result_malformed']);
  });
});

describe('a document', () => {
  it('of another epoch, or of another enclave of the same epoch, does not do', async () => {
    const second = await EpochBuilder.create({ epoch: 2 });
    await writeFile(folder.path('second.cbor'), bootDocument(second));
    const other = await judge(
      logged.file,
      '--attestation',
      folder.path('second.cbor'),
      ...folder.trust(),
    );
    expect([other.exit, other.verdict.code]).toEqual([1, 'origin_mismatch']);
    const twin = await EpochBuilder.create();
    await writeFile(folder.path('twin.cbor'), bootDocument(twin));
    const twins = await judge(
      logged.file,
      '--attestation',
      folder.path('twin.cbor'),
      ...folder.trust(),
    );
    expect([twins.exit, twins.verdict.code]).toEqual([1, 'result_signature']);
  });

  it('for an anchor does not do', async () => {
    const { epoch, file } = await loggedResult();
    const index = await epoch.addAnchor();
    const leaf = assertAccepted(parseLeaf(epoch.leaves[index] ?? new Uint8Array()));
    const { plaintext } = assertAccepted(openLeaf(nodeCrypto, leaf, null, null));
    // {1: size, 2: document}: the document is all behind its head.
    const at = Buffer.from(plaintext).indexOf(Buffer.from([0x84, 0x44]));
    await writeFile(folder.path('anchor.cbor'), plaintext.subarray(at));
    const { exit, verdict } = await judge(
      file,
      '--attestation',
      folder.path('anchor.cbor'),
      ...folder.trust(),
    );
    expect([exit, verdict.code]).toEqual([1, 'purpose_mismatch']);
  });
});

describe('what the desk signs', () => {
  it('is domain, leaf index and statement, with Ed25519 of the attested key', () => {
    const { statement, signature } = logged.file;
    const index = Buffer.alloc(8);
    index.writeBigUInt64BE(BigInt(logged.index));
    const message = Buffer.concat([
      Buffer.from('trackseal/result/v1\0'),
      index,
      Buffer.from(statement, 'base64'),
    ]);
    const x = Buffer.from(logged.epoch.header.ed25519Key ?? []).toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    expect(verifySignature(null, message, key, Buffer.from(signature, 'base64'))).toBe(true);
  });

  it('has room: with too many hours it says that they are missing', async () => {
    const volume = Object.fromEntries(
      Array.from({ length: 100 }, (_, at) => [`COIN${at}`, '0.123456789']),
    );
    const hours = Array.from({ length: 168 }, (_, at) => ({
      start_ms: at * 3_600_000,
      trades: 1,
      volume,
      fees: {},
      complete: true,
    }));
    const { file } = await loggedResult('metrics', { figures: { ...someFigures(), hours } });
    expect(file.metrics).toEqual([]);
    expect(file.summary.missing).toContain('hours');
    const few = await loggedResult('metrics', {
      figures: { ...someFigures(), hours: hours.slice(0, 20) },
    });
    expect(few.file.metrics).toHaveLength(20);
    expect(few.file.summary.missing).not.toContain('hours');
  });

  it('never claims more than there was: what does not fit is folded into what is larger', async () => {
    const gaps = Array.from({ length: 2000 }, (_, at) => ({
      from_ms: at * 10,
      to_ms: at * 10 + 5,
      reason: 'network',
    }));
    const coverage = Array.from({ length: 300 }, (_, at) => ({
      what: 'fills',
      market: `M${at}`,
      from_ms: at,
      to_ms: at + 1,
      complete: at % 2 === 0,
      reason: at % 2 === 0 ? null : 'network',
    }));
    const figures = { ...someFigures(), gaps, coverage, hours: [] };
    const { file } = await loggedResult('summary', { figures });
    expect(file.summary.gaps).toHaveLength(1024);
    expect(file.summary.gaps[0]).toEqual({ from_ms: 0, to_ms: 9765, reason: 'several' });
    expect(file.summary.gaps.at(-1)).toEqual(gaps.at(-1));
    const rows = file.summary.coverage;
    expect(rows).toHaveLength(256);
    expect(rows.filter(({ reason }) => reason === 'network')).toHaveLength(150);
    expect(rows.at(-1)).toMatchObject({ complete: false, reason: 'several' });
  });
});
