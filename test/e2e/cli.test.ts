import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { isRefusalCode } from '../../wire/codes.ts';
import { cleanUpAfterEach, LAUNCHER, temporaryFolder, trackseal } from './processes.ts';
import type { Json } from './processes.ts';

cleanUpAfterEach();

const FIXTURES = join(ROOT, 'test/fixtures/attestation');
const DOCUMENT = join(FIXTURES, 'real-2026-02-06-prod-indefmap-nonce32.cbor');

/** Those that have a verdict. */
const VERIFYING = [
  'verify attestation',
  'verify log',
  'verify proof',
  'verify bundle',
  'verify result',
  'verify record',
  'report',
  'attest',
  'replay',
];
const READING = ['log list', 'log prove', 'log pull'];
const MEASUREMENTS = ['measurements sign', 'measurements verify'];
const IMAGE = ['build', 'reproduce', 'describe', 'sign', 'verify'].map((name) => `image ${name}`);
const STRATEGY = ['strategy new', 'strategy test', 'strategy backtest', 'strategy pack'];
const BUCKET = ['create', 'policy', 'check', 'hold'].map((name) => `bucket ${name}`);
const OWNER = ['seal', 'kms policy', 'kms lint', 'kms canary', ...BUCKET];
const HOST = ['host', 'host hand-over', 'kms rotate', 'tls csr', 'tls install'];
const DATABASE = ['migrate', 'backup', 'restore', 'status', 'audit'].map(
  (name) => `database ${name}`,
);
const TRADER = [
  'register',
  ...['summary', 'metrics', 'track', 'renew', 'revoke'].map((name) => `session ${name}`),
  ...['returns', 'snapshots', 'metrics'].map((name) => `track ${name}`),
];
const OTHERS = [...TRADER, ...DATABASE, 'demo', ...STRATEGY, ...HOST, ...IMAGE, ...OWNER];
const COMMANDS = [...VERIFYING, ...READING, ...MEASUREMENTS, ...OTHERS];

describe('the list of commands', () => {
  it.each([['--help'], ['help'], ['verify', '--help']])('is shown by %s', async (...args) => {
    const { code, stdout, stderr } = await trackseal(args);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    const listed = Array.from(stdout.matchAll(/^ {2}([a-z -]+?) {2,}\S/gmu), (match) => match[1]);
    // A command that is not here is not tested.
    expect(new Set(listed)).toEqual(new Set(COMMANDS));
  });

  it.each([
    [[]],
    [['nothing']],
    [['verify']],
    [['verify', 'nothing']],
    [['--json']],
    [['log', '']],
  ])('is the answer to %j, on stderr with exit code 2', async (args) => {
    const { code, stdout, stderr } = await trackseal(args);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^usage: trackseal COMMAND/u);
  });
});

/** What takes many files takes 64. */
const SEVERAL: ReadonlySet<string> = new Set(['verify record', 'report']);
const TOO_MANY = Array.from({ length: 65 }, (_, at) => `file-${at}`);

describe.each(COMMANDS)('trackseal %s', (command) => {
  const words = command.split(' ');
  const names = SEVERAL.has(command) ? TOO_MANY : ['one', 'two', 'three'];

  it('--help explains it and its exit codes', async () => {
    const { code, stdout, stderr } = await trackseal([...words, '--help']);
    expect(code).toBe(0);
    expect(stderr).toBe('');
    expect(stdout.startsWith(`usage: trackseal ${command} `)).toBe(true);
    expect(stdout).toContain('--json');
    expect(stdout).toMatch(/exit codes: 0/iu);
  });

  it.each([[['--no-such-option']], [['--json=maybe']], [names]])(
    'refuses %j with exit code 2 and says how it is used',
    async (args) => {
      const { code, stdout, stderr } = await trackseal([...words, ...args]);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^usage: trackseal |usage_invalid(?:.|\n)*--help/u);
    },
  );
});

describe.each([...VERIFYING, ...READING])('trackseal %s --json', (command) => {
  it.each([
    ['--no-such-option', 'usage_invalid'],
    ['', 'usage_invalid'],
  ])('with %j answers a verdict and a code', async (option, expected) => {
    const { code, json, stderr } = await trackseal([...command.split(' '), '--json', option]);
    expect(code).toBe(2);
    expect(json['verdict']).toBe('undecided');
    expect(isRefusalCode(String(json['code']))).toBe(true);
    expect([expected, 'file_unreadable']).toContain(json['code']);
    expect(stderr).toMatch(/^UNDECIDED {2}/u);
  });
});

describe('what cannot be read or reached', () => {
  const anyImage = '--unsafe-any-image';
  it.each([
    [['verify', 'attestation', '/nonexistent', anyImage], 'file_unreadable'],
    [['verify', 'log', '/nonexistent', anyImage, '--no-heads'], 'file_unreadable'],
    [['verify', 'proof', '/nonexistent', anyImage, '--no-heads'], 'file_unreadable'],
    [['verify', 'log', 'http://127.0.0.1:1/', anyImage, '--no-heads'], 'source_unreachable'],
    [['attest', 'https://127.0.0.1:1', anyImage], 'source_unreachable'],
    [['attest', 'http://127.0.0.1:1', anyImage], 'usage_invalid'],
    [['register', 'http://127.0.0.1:1', anyImage], 'usage_invalid'],
    [
      ['register', 'https://127.0.0.1:1', '--user-id', 'u', '--exchange', 'binance'],
      'policy_missing',
    ],
    [['session', 'summary', '--session', '/nonexistent', anyImage], 'file_unreadable'],
    [['session', 'summary', '--session', '/nonexistent'], 'policy_missing'],
    [['log', 'list', '/nonexistent'], 'file_unreadable'],
    [['log', 'prove', '/nonexistent', '--index', '0', '-o', '/nonexistent/p'], 'file_unreadable'],
    [['replay', '/nonexistent', '--strategy', '/nonexistent', '--key', '/n'], 'file_unreadable'],
  ])('%j: exit code 2, %s', async (args, expected) => {
    const { code, json, stderr } = await trackseal([...args, '--json']);
    expect([code, json['verdict'], json['code']], stderr).toEqual([2, 'undecided', expected]);
  });

  it('a host without its configuration does not start', async () => {
    const { code, stdout, stderr } = await trackseal([
      'host',
      '--config',
      '/nonexistent',
      '--json',
    ]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain('/nonexistent');
  });

  it.each([['0'], ['-1'], ['soon'], ['']])('a demo at speed %j does not start', async (speed) => {
    const { code, stdout, stderr } = await trackseal(['demo', `--speed=${speed}`]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^usage: trackseal demo/u);
  });
});

function verify(...args: readonly string[]): ReturnType<typeof trackseal> {
  return trackseal(['verify', 'attestation', ...args, '--json']);
}

describe('the JSON of verify attestation', () => {
  let verified: Json = {};

  beforeAll(async () => {
    ({ json: verified } = await verify(DOCUMENT, '--at', 'signing', '--unsafe-any-image'));
  });

  it('has the documented fields, of an AWS document', () => {
    expect(verified).toMatchObject({
      verdict: 'verified',
      code: null,
      valid_at_signing: true,
      valid_now: false,
      nonce_checked: false,
      root: { aws: true },
      unsafe: ['--unsafe-any-image'],
    });
    expect(verified['module_id']).toMatch(/^i-[0-9a-f]{17}-enc[0-9a-f]+$/u);
    expect(Number(verified['timestamp'])).toBeGreaterThan(Date.parse('2026-02-06'));
    expect(Object.keys(verified['pcrs'] as object).slice(0, 3)).toEqual(['0', '1', '2']);
    expect(verified['nonce']).toMatch(/^[0-9a-f]{64}$/u);
    expect(verified).toHaveProperty('user_data');
  });

  it('tells verified, refused and undecided apart by exit code', async () => {
    const { pcrs, nonce } = verified as { pcrs: Record<string, string>; nonce: string };
    const image = [0, 1, 2].flatMap((index) => [`--pcr${index}`, pcrs[index] ?? '']);
    const signing = ['--at', 'signing'];
    const good = await verify(DOCUMENT, ...signing, ...image, '--nonce', nonce);
    expect([good.code, good.json['nonce_checked'], good.json['unsafe']]).toEqual([0, true, []]);
    const now = await verify(DOCUMENT, ...image);
    expect([now.code, now.json['verdict'], now.json['code']]).toEqual([
      1,
      'refused',
      'certificate_expired',
    ]);
    const nobody = await verify(DOCUMENT, ...signing);
    expect([nobody.code, nobody.json['code']]).toEqual([2, 'policy_missing']);
    const swapped = ['--pcr0', pcrs['1'] ?? '', '--pcr1', pcrs['0'] ?? '', ...image.slice(4)];
    const other = await verify(DOCUMENT, ...signing, ...swapped);
    expect([other.code, other.json['code']]).toEqual([1, 'pcr_mismatch']);
  });
});

describe('trackseal strategy pack --json', () => {
  it('answers the commitment that it has written', async () => {
    const out = join(temporaryFolder(), 'pack');
    const source = join(ROOT, 'strategies/order-flow.ts');
    const { code, json } = await trackseal(['strategy', 'pack', source, '-o', out, '--json']);
    expect(code).toBe(0);
    expect(json['commitment']).toMatch(/^[0-9a-f]{64}$/u);
    const written = readFileSync(join(out, 'commitment.json'), 'utf8');
    expect(JSON.parse(written)).toEqual(json);
  });
});

describe('the launcher', () => {
  it('works through a symbolic link, of a symbolic link, from anywhere, with a path of its own', async () => {
    const folder = temporaryFolder();
    const bin = join(folder, 'with a space');
    mkdirSync(bin);
    symlinkSync(LAUNCHER, join(bin, 'first'));
    symlinkSync('first', join(bin, 'trackseal'));
    const direct = await trackseal(['--help']);
    for (const cwd of [bin, '/', ROOT]) {
      const linked = await trackseal(['--help'], { launcher: join(bin, 'trackseal'), cwd });
      expect(linked).toEqual(direct);
    }
    const dotted = await trackseal(['--help'], { launcher: './trackseal', cwd: bin });
    expect(dotted).toEqual(direct);
  });

  it('takes file names relative to where it is called', async () => {
    const args = ['verify', 'attestation', relative(FIXTURES, DOCUMENT), '--unsafe-any-image'];
    const { code } = await trackseal([...args, '--at', 'signing'], { cwd: FIXTURES });
    expect(code).toBe(0);
  });

  it('does not take another node that is first in PATH', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'node'), '#!/bin/sh\nexit 99\n', { mode: 0o755 });
    const env = { PATH: `${folder}:/usr/bin:/bin` };
    expect((await trackseal(['--help'], { env })).code).toBe(0);
  });

  it('hands over arguments and exit code as they are', async () => {
    const folder = join(temporaryFolder(), 'a b');
    mkdirSync(join(folder, 'scripts'), { recursive: true });
    copyFileSync(LAUNCHER, join(folder, 'scripts/trackseal'));
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const program = `console.log(JSON.stringify(process.argv.slice(2))); process.exitCode = 7;\n`;
    writeFileSync(join(folder, 'scripts/trackseal.ts'), program);
    const args = ['', 'two words', '$HOME', '*', "it's", '"', '-n'];
    const { code, stdout } = await trackseal(args, { launcher: join(folder, 'scripts/trackseal') });
    expect([code, JSON.parse(stdout)]).toEqual([7, args]);
  });

  it('says what to do where the pinned Node is not installed', async () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'scripts'));
    const launcher = join(folder, 'scripts/trackseal');
    copyFileSync(LAUNCHER, launcher);
    chmodSync(launcher, 0o755);
    const { code, stdout, stderr } = await trackseal(['--help'], { launcher });
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`run 'npm ci' in ${folder}`);
  });
});
