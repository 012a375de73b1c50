import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttestationReport } from '../../verifier/attestation-report.ts';
import { run } from '../../verifier/commands/verify-attestation.ts';
import { awsRoot } from '../../verifier/roots.ts';
import { fixturePath, MANIFEST, ROOT_DER, ROOT_PEM } from '../wire/attestation/fixtures.ts';
import type { ManifestEntry } from '../wire/attestation/fixtures.ts';
import { forgeChain, forgeDocument, SIGNED_MS } from '../wire/attestation/forge.ts';
import { listen } from './listen.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-verify-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function verify(
  ...args: readonly string[]
): Promise<{ exit: number; report: AttestationReport; text: string }> {
  const io = listen();
  const exit = await run([...args, '--json'], io);
  return { exit, report: JSON.parse(io.out) as AttestationReport, text: io.err };
}

function measurements(entry: ManifestEntry, changes: object = {}): object {
  const zero = '00'.repeat(48);
  const [PCR0, PCR1, PCR2] = ['0', '1', '2'].map((index) => entry.pcrs_nonzero[index] ?? zero);
  return { Measurements: { HashAlgorithm: 'Sha384 { ... }', PCR0, PCR1, PCR2 }, ...changes };
}

async function writePolicy(policy: object): Promise<string> {
  const path = join(folder, `policy-${Math.random()}.json`);
  await writeFile(path, JSON.stringify(policy));
  return path;
}

const genuine = MANIFEST.filter(({ expected }) => expected.startsWith('ACCEPT'));
const sample = genuine.find(({ file }) => file.includes('indefmap-nonce32'));
if (sample === undefined) throw new Error('the sample is missing');
const file = fixturePath(sample.file);
const pcrs = ['0', '1', '2'].flatMap((index) => [
  `--pcr${index}`,
  sample.pcrs_nonzero[index] ?? '',
]);

it('the pinned root is AWS Nitro Enclaves G1', () => {
  expect(awsRoot()).toEqual({
    der: ROOT_DER,
    sha256: '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b',
    aws: true,
  });
});

describe('every document of the manifest', () => {
  it.each(MANIFEST.map((entry) => [entry.file, entry] as const))(
    '%s gets the verdict that is expected',
    async (name, entry) => {
      const path = fixturePath(name);
      const policy = await writePolicy(measurements(entry));
      const accept = entry.expected.startsWith('ACCEPT');
      const image =
        entry.debug_mode === true
          ? ['--policy', policy, '--unsafe-allow-debug']
          : accept
            ? ['--policy', policy]
            : ['--unsafe-any-image'];

      const signing = await verify(path, ...image, '--at', 'signing');
      expect([signing.exit, signing.report.verdict]).toEqual(
        accept ? [0, 'verified'] : [1, 'refused'],
      );
      if (!accept) return;
      expect(signing.report).toMatchObject({
        code: null,
        module_id: entry.module_id,
        timestamp: entry.timestamp_ms,
        nonce: entry.nonce,
        nonce_checked: false,
        valid_at_signing: true,
        valid_now: false,
        user_data: null,
        user_data_raw: entry.user_data,
        root: { aws: true },
      });
      expect(signing.report.skipped).toContain('nonce');
      expect(signing.report.residual_risks).toEqual(
        expect.arrayContaining(['old_document', 'any_purpose', 'unbound_connection', 'aws_nitro']),
      );
      // Somebody else's enclave has no log of ours.
      expect(signing.report.residual_risks).not.toContain('unread_log');
      expect(signing.report.rests_on?.[0]).toContain('AWS: the Nitro hypervisor');
      expect(signing.report.pcrs).toMatchObject(entry.pcrs_nonzero);

      const now = await verify(path, ...image);
      expect([now.exit, now.report.code]).toEqual([1, 'certificate_expired']);
      expect(now.report.checks).toMatchObject({ time: 'certificate_expired', policy: 'passed' });

      const strict = await verify(path, '--unsafe-any-image', '--at', 'signing');
      expect(strict.report.code).toBe(entry.debug_mode === true ? 'debug_mode' : null);
    },
  );
});

describe('time', () => {
  const [from, to] = sample.valid_window ?? ['', ''];

  it.each([
    ['2026-02-06T08:24:14.999Z', 1],
    [from, 0],
    [to, 0],
    ['2026-02-06T11:24:18.001Z', 1],
    ['2026-02-06T08:24Z', 1],
    ['2026-02-06T08:25Z', 0],
  ])('--at %s exits with %d', async (at, exit) => {
    expect((await verify(file, ...pcrs, '--at', at)).exit).toBe(exit);
  });

  it.each(['tomorrow', '2026-02-30T00:00:00Z', '2026-02-06T08:25:00', '1770366258452'])(
    '--at %s is wrong usage',
    async (at) => {
      const { exit, report } = await verify(file, ...pcrs, '--at', at);
      expect([exit, report.code]).toEqual([2, 'usage_invalid']);
    },
  );
});

describe('the own timestamp of a document', () => {
  it.each<[string, number, number, string | null]>([
    ['of the time it is judged at', 0, 0, null],
    ['five minutes ahead', 0, 300_000, null],
    ['more than five minutes ahead', 0, 300_001, 'timestamp_future'],
    ['before its certificates', 0, -86_400_001, 'certificate_expired'],
    ['after its certificates', 86_400_000, 86_400_001, 'certificate_expired'],
  ])('%s', async (_, judgedMs, signedMs, code) => {
    const chain = await forgeChain();
    const document = join(folder, 'forged.cbor');
    const root = join(folder, 'forged.pem');
    await writeFile(document, await forgeDocument(chain, { timestamp: SIGNED_MS + signedMs }));
    await writeFile(root, new X509Certificate(chain.rootDer).toString());
    const at = new Date(SIGNED_MS + judgedMs).toISOString();
    const unsafe = ['--unsafe-root', root, '--unsafe-any-image'];
    const { report } = await verify(document, ...unsafe, '--at', at);
    expect(report.code).toBe(code);
    expect(report.root.aws).toBe(false);
  });
});

describe('policy', () => {
  it('without one, a good document is undecided and a bad one refused', async () => {
    const good = await verify(file, '--at', 'signing');
    expect([good.exit, good.report.verdict, good.report.code]).toEqual([
      2,
      'undecided',
      'policy_missing',
    ]);
    const bad = await verify(fixturePath('derived-payload-bitflip.cbor'), '--at', 'signing');
    expect([bad.exit, bad.report.code]).toEqual([1, 'cose_signature']);
    expect(bad.report.pcrs).toBeNull();
  });

  it.each([0, 1, 2])('PCR%d alone decides', async (index) => {
    const args = [...pcrs];
    args[index * 2 + 1] = 'ab'.repeat(48);
    const { exit, report } = await verify(file, ...args, '--at', 'signing');
    expect([exit, report.code, report.detail['index']]).toEqual([1, 'pcr_mismatch', index]);
    expect(report.detail).toMatchObject({
      expected: 'ab'.repeat(48),
      actual: sample.pcrs_nonzero[String(index)],
    });
  });

  it('takes hex of either case', async () => {
    const upper = pcrs.map((arg) => (arg.startsWith('--') ? arg : arg.toUpperCase()));
    expect((await verify(file, ...upper, '--at', 'signing')).exit).toBe(0);
  });

  it('compares further PCRs of the policy file', async () => {
    const base = measurements(sample) as { Measurements: object };
    const PCR8 = '00'.repeat(48);
    const PCR4 = sample.pcrs_nonzero['4'];
    const good = await writePolicy({ Measurements: { ...base.Measurements, PCR4, PCR8 } });
    expect((await verify(file, '--policy', good, '--at', 'signing')).exit).toBe(0);
    const bad = await writePolicy({ Measurements: { ...base.Measurements, PCR8: PCR4 } });
    const { report } = await verify(file, '--policy', bad, '--at', 'signing');
    expect([report.code, report.detail['index']]).toEqual(['pcr_mismatch', 8]);
  });

  it('demands user data of ours when the policy pins origin or configuration', async () => {
    for (const extra of [{ origin: 'log' }, { config_digest: 'ab'.repeat(32) }]) {
      const policy = await writePolicy(measurements(sample, extra));
      const { report } = await verify(file, '--policy', policy, '--at', 'signing');
      expect(report.code).toBe('user_data_malformed');
    }
  });

  it.each([
    ['an unknown key', { pcr16: 'ab' }],
    ['a digest of another length', { config_digest: 'abcd' }],
    ['a key that is not base64', { owner_key: '!' }],
    ['no measurements', { Measurements: undefined }],
    ['one PCR only', { Measurements: { HashAlgorithm: 'Sha384', PCR0: 'ab'.repeat(48) } }],
    [
      'another hash',
      {
        Measurements: {
          HashAlgorithm: 'Sha256 { ... }',
          PCR0: 'ab'.repeat(48),
          PCR1: 'ab'.repeat(48),
          PCR2: 'ab'.repeat(48),
        },
      },
    ],
  ])('refuses a policy file with %s', async (_, changes) => {
    const policy = await writePolicy(measurements(sample, changes));
    const { exit, report } = await verify(file, '--policy', policy, '--at', 'signing');
    expect([exit, report.code]).toEqual([2, 'policy_malformed']);
  });

  it('says which keys of the policy it cannot check', async () => {
    const policy = await writePolicy(measurements(sample, { owner_key: 'AAAA' }));
    const { report } = await verify(file, '--policy', policy, '--at', 'signing');
    expect(report.skipped).toContain('owner_key');
  });

  it.each([
    ['two of three PCRs', pcrs.slice(0, 4)],
    ['a short PCR0', pcrs.with(1, 'ab')],
    ['a short PCR1', pcrs.with(3, 'ab')],
    ['a long PCR2', pcrs.with(5, 'ab'.repeat(49))],
    ['a PCR that is no hex', pcrs.with(1, 'xy'.repeat(48))],
    ['PCRs and any image', [...pcrs, '--unsafe-any-image']],
  ])('%s is no policy', async (_, args) => {
    const { exit, report } = await verify(file, ...args, '--at', 'signing');
    expect([exit, report.code]).toEqual([2, 'policy_malformed']);
  });

  it('shows no control characters of a policy file', async () => {
    const policy = await writePolicy(measurements(sample, { ['\u001B[2J\n'.repeat(100)]: 1 }));
    const { report } = await verify(file, '--policy', policy, '--at', 'signing');
    expect(report.code).toBe('policy_malformed');
    expect(report.detail['what']).toMatch(/^[ -~]{1,200}$/u);
  });

  it('the root that a policy names must be the one in use', async () => {
    const wrong = await writePolicy(measurements(sample, { root: 'ab'.repeat(32) }));
    expect((await verify(file, '--policy', wrong, '--at', 'signing')).report.code).toBe(
      'chain_root',
    );
    const aws = '641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b';
    const right = await writePolicy(measurements(sample, { root: aws }));
    expect((await verify(file, '--policy', right, '--at', 'signing')).exit).toBe(0);
  });
});

describe('nonce', () => {
  const at = ['--at', 'signing'];

  it('is compared when given', async () => {
    const { exit, report } = await verify(file, ...pcrs, ...at, '--nonce', sample.nonce ?? '');
    expect([exit, report.nonce_checked]).toEqual([0, true]);
    expect(report.skipped).not.toContain('nonce');
  });

  it('of another value, or null, is a mismatch', async () => {
    const other = await verify(file, ...pcrs, ...at, '--nonce', 'ab'.repeat(32));
    expect([other.exit, other.report.code]).toEqual([1, 'nonce_mismatch']);
    const none = await verify(
      fixturePath('real-2025-04-15-prod.cbor'),
      '--unsafe-any-image',
      ...at,
      '--nonce',
      '00',
    );
    expect([none.report.code, none.report.detail['actual']]).toEqual(['nonce_mismatch', null]);
  });

  it.each(['', 'xy', 'abc'])('%j is wrong usage', async (nonce) => {
    const { exit, report } = await verify(file, ...pcrs, ...at, `--nonce=${nonce}`);
    expect([exit, report.code]).toEqual([2, 'usage_invalid']);
  });
});

describe('the command', () => {
  it('shows every unsafe flag in the verdict', async () => {
    const root = fixturePath('aws-nitro-enclaves-root-g1.pem');
    const all = ['--unsafe-root', root, '--unsafe-any-image', '--unsafe-allow-debug'];
    const { exit, report } = await verify(file, ...all, '--at', 'signing');
    expect([exit, report.unsafe]).toEqual([
      0,
      ['--unsafe-root', '--unsafe-any-image', '--unsafe-allow-debug'],
    ]);
    expect((await verify(file, ...pcrs, '--at', 'signing')).report.unsafe).toEqual([]);
  });

  it('prints for people what was expected, what came, and what to do', async () => {
    const io = listen();
    const args = [file, ...pcrs, '--at', 'signing', '--nonce', 'abcd'];
    expect(await run(args, io)).toBe(1);
    expect(io.out).toContain('REFUSED');
    expect(io.out).toMatch(/expected\s+abcd\n\s+got\s+800863bf/u);
    expect(io.out).toMatch(/next\s+\S/u);
  });

  it.each([
    [['no-such-file', '--unsafe-any-image'], 'file_unreadable'],
    [[], 'usage_invalid'],
    [[file, file], 'usage_invalid'],
    [[file, '--verbose'], 'usage_invalid'],
    [[file, '--unsafe-root', file, '--unsafe-any-image'], 'certificate_malformed'],
    [[file, '--purpose', 'party'], 'usage_invalid'],
  ])('%j exits with 2: %s', async (args, code) => {
    const { exit, report, text } = await verify(...args);
    expect([exit, report.verdict, report.code]).toEqual([2, 'undecided', code]);
    expect(text).toContain(code);
  });

  it('tells a document that is too large from one that cannot be read', async () => {
    const path = join(folder, 'large');
    await writeFile(path, new Uint8Array(16_385));
    const { exit, report } = await verify(path, '--unsafe-any-image');
    expect([exit, report.code]).toEqual([1, 'document_too_large']);
  });

  it('reads no file beyond what a document could need', async () => {
    const path = join(folder, 'huge');
    await writeFile(path, new Uint8Array(4 * 16_384 + 1));
    const { exit, report } = await verify(path, '--unsafe-any-image');
    expect([exit, report.code]).toEqual([2, 'file_unreadable']);
  });

  it('takes exactly one root', async () => {
    const path = join(folder, 'two-roots.pem');
    await writeFile(path, ROOT_PEM + ROOT_PEM);
    const { report } = await verify(file, '--unsafe-root', path, '--unsafe-any-image');
    expect(report.code).toBe('certificate_malformed');
  });

  it('takes an unsigned document only with the flag that says so, and shows it', async () => {
    const path = fixturePath('synthetic-qemu-shaped.cbor');
    const refused = await verify(path, '--unsafe-any-image');
    expect([refused.exit, refused.report.code]).toEqual([1, 'cose_algorithm']);
    const flags = ['--unsafe-unsigned', '--unsafe-any-image'];
    const { exit, report } = await verify(path, ...flags);
    expect([exit, report.verdict]).toEqual([0, 'verified']);
    expect(report.unsafe).toEqual(flags);
    expect(report.root).toEqual({ sha256: 'none', aws: false });
    expect(report.rests_on?.join()).toContain('not signed');
    const signed = await verify(file, ...flags);
    expect([signed.exit, signed.report.code]).toEqual([1, 'cose_algorithm']);
    const both = await verify(path, ...flags, '--unsafe-root', 'root.pem');
    expect([both.exit, both.report.code]).toEqual([2, 'usage_invalid']);
    const zero = '00'.repeat(48);
    const other = await verify(
      path,
      '--unsafe-unsigned',
      '--pcr0',
      zero,
      '--pcr1',
      zero,
      '--pcr2',
      zero,
    );
    expect(other.exit).toBe(1);
  });

  it('explains itself', async () => {
    const io = listen();
    expect(await run(['--help'], io)).toBe(0);
    expect(io.out).toContain('--unsafe-root');
  });
});
