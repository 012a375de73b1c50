import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Terminal } from '../../client/commands/prompt.ts';
import { promptSecret } from '../../client/commands/prompt.ts';
import { run as register } from '../../client/commands/register.ts';
import { runMetrics, runRenew, runRevoke, runSummary } from '../../client/commands/session.ts';
import { ROOT } from '../../scripts/bundle.ts';
import type { Listener } from '../verifier/listen.ts';
import { listen } from '../verifier/listen.ts';
import { COMMITMENT, FakeEnclave, registered, signedResult } from './fake-enclave.ts';

const API_KEY = 'the-api-key-of-the-trader';
const SECRET = 'the-secret-of-the-trader';
const ENV = { TRACKSEAL_API_KEY: API_KEY, TRACKSEAL_SECRET: SECRET };

let enclave: FakeEnclave;
let folder = '';
let file = '';
let files = 0;
let trust: readonly string[] = [];

beforeAll(async () => {
  enclave = await FakeEnclave.start();
  folder = await mkdtemp(join(tmpdir(), 'trackseal-register-'));
  await writeFile(join(folder, 'policy.json'), enclave.policy);
  await writeFile(join(folder, 'root.pem'), enclave.rootPem);
  trust = ['--policy', join(folder, 'policy.json'), '--unsafe-root', join(folder, 'root.pem')];
});
beforeEach(() => {
  file = join(folder, `session-${files++}.json`);
  enclave.requests.length = 0;
  enclave.received = '';
  enclave.behaviour = {
    answer: ({ metadata }) => {
      if (metadata['op'] === 'register') return registered();
      if (metadata['op'] === 'renew') return { expires_at: '2030-01-01T00:00:00.000Z' };
      if (metadata['op'] === 'revoke') return { status: 'revoked' };
      return signedResult(enclave);
    },
  };
});
afterAll(async () => {
  await enclave.stop();
  await rm(folder, { recursive: true });
});

/** Types what it is told to when it is asked; null: nobody is there. */
class FakeTerminal implements Terminal {
  readonly isTTY: boolean;
  readonly raw: boolean[] = [];
  readonly #typed: string[];
  #listener: ((text: string) => void) | null = null;

  constructor(typed: readonly string[] | null) {
    this.isTTY = typed !== null;
    this.#typed = [...(typed ?? [])];
  }

  setRawMode(raw: boolean): void {
    this.raw.push(raw);
  }

  setEncoding(): void {
    // Texts come as they are.
  }

  on(_: 'data', listener: (text: string) => void): void {
    this.#listener = listener;
  }

  off(): void {
    this.#listener = null;
  }

  resume(): void {
    const typed = this.#typed.shift() ?? '';
    queueMicrotask(() => this.#listener?.(typed));
  }

  pause(): void {
    // Nothing comes unasked.
  }
}

const nobody = new FakeTerminal(null);

interface Outcome {
  readonly exit: number;
  readonly io: Listener;
  readonly json: Record<string, unknown>;
}

async function runRegister(
  extra: readonly string[] = [],
  env: Readonly<Record<string, string>> = ENV,
  terminal: Terminal = nobody,
): Promise<Outcome> {
  const io = listen(env);
  const account = ['--user-id', 'trader-1', '--exchange', 'binance', '--session', file];
  const exit = await register([enclave.url, ...account, ...trust, ...extra], io, terminal);
  const json = extra.includes('--json') ? (JSON.parse(io.out) as Outcome['json']) : {};
  return { exit, io, json };
}

describe('trackseal register', () => {
  it('takes secrets from the environment, and keeps the session for its owner alone', async () => {
    const { exit, io, json } = await runRegister(['--json', '--sandbox', '--symbols', 'A/B,C/D']);
    expect([exit, io.err]).toEqual([0, '']);
    expect(json).toMatchObject({
      registered: true,
      origin: enclave.origin,
      account_commitment: COMMITMENT,
      permissions: { read: true, trade: false, withdraw: null },
      unsafe: ['--unsafe-root'],
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const saved = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
    expect(saved['session_id']).toMatch(/^[A-Za-z0-9_-]{43}$/u);
    for (const secret of [API_KEY, SECRET, saved['session_id'] ?? '?']) {
      expect(io.out).not.toContain(secret);
    }
    for (const secret of [API_KEY, SECRET]) expect(JSON.stringify(saved)).not.toContain(secret);
    expect(enclave.requests[0]?.plaintext).toEqual({
      userId: 'trader-1',
      apiKey: API_KEY,
      secret: SECRET,
    });
    expect(enclave.requests[0]?.metadata).toMatchObject({ sandbox: true, symbols: ['A/B', 'C/D'] });
  });

  it('asks for them on a terminal, without echo', async () => {
    const terminal = new FakeTerminal([
      `${API_KEY}\r`,
      `wrong\u007f\u007f\u007f\u007f\u007f${SECRET}\n`,
    ]);
    const { exit, io } = await runRegister([], {}, terminal);
    expect([exit, io.out.startsWith('REGISTERED')]).toEqual([0, true]);
    expect(io.err).toBe('API key: \nsecret: \n');
    expect(terminal.raw).toEqual([true, false, true, false]);
    expect(enclave.requests[0]?.plaintext).toMatchObject({ apiKey: API_KEY, secret: SECRET });
  });

  it('asks for the passphrase of exchanges that have one', async () => {
    const terminal = new FakeTerminal(['pass phrase\r']);
    const { exit } = await runRegister(['--exchange', 'okx'], ENV, terminal);
    expect(exit).toBe(0);
    expect(enclave.requests[0]?.plaintext['passphrase']).toBe('pass phrase');
  });

  it('takes them from arguments and says who else reads those', async () => {
    const { exit, io } = await runRegister(['--api-key', API_KEY, '--secret', SECRET], {});
    expect(exit).toBe(0);
    expect(io.err).toContain('TRACKSEAL_API_KEY');
    expect(io.err).not.toContain(SECRET);
  });

  it.each<[string, readonly string[], Record<string, string>, number, string]>([
    ['no secrets and nobody to ask', [], {}, 2, 'set TRACKSEAL_API_KEY'],
    ['half of the secrets', [], { TRACKSEAL_API_KEY: API_KEY }, 2, 'set TRACKSEAL_SECRET'],
    ['a type that there is not', ['--account-type', 'stocks'], ENV, 2, 'accountType: one of spot'],
    ['no time', ['--ttl', '1'], ENV, 2, 'ttl: 300 to 604800'],
    ['a user with a space', ['--user-id', 'a b'], ENV, 2, 'userId'],
  ])('with %s sends nothing', async (_, extra, env, exit, text) => {
    const outcome = await runRegister(extra, env);
    expect(outcome.exit).toBe(exit);
    expect(outcome.io.err).toContain(text);
    expect(enclave.received).toBe('');
    await expect(stat(file)).rejects.toThrow(/ENOENT/u);
  });

  it('without a policy sends nothing, and asks for no secret', async () => {
    const io = listen(ENV);
    const account = ['--user-id', 'trader-1', '--exchange', 'binance', '--session', file];
    const exit = await register([enclave.url, ...account, '--json'], io, nobody);
    expect([exit, JSON.parse(io.out)]).toMatchObject([2, { code: 'policy_missing' }]);
    expect(enclave.received).toBe('');
  });

  it('does not overwrite a session, and sends nothing then', async () => {
    await writeFile(file, 'another session');
    const { exit, io } = await runRegister();
    expect([exit, await readFile(file, 'utf8')]).toEqual([2, 'another session']);
    expect(io.err).toContain('--session FILE');
    expect(enclave.received).toBe('');
  });

  it('says what to do when the exchange does not take the keys, and keeps no file', async () => {
    enclave.behaviour = { answer: () => ({ error: 'exchange_refused' }) };
    const { exit, io } = await runRegister();
    expect(exit).toBe(1);
    expect(io.err).toContain('exchange_refused');
    expect(io.err).toContain('compare key, secret');
    await expect(stat(file)).rejects.toThrow(/ENOENT/u);
  });

  it('refuses another image before it sends anything', async () => {
    const policy = join(folder, 'other.json');
    await writeFile(policy, enclave.policy.replaceAll(/[0-9a-f]{96}/gu, 'ab'.repeat(48)));
    const { exit, io } = await runRegister(['--policy', policy]);
    expect([exit, io.err.includes('pcr_mismatch')]).toEqual([1, true]);
    expect(enclave.received).not.toContain('POST');
  });
});

async function runVerb(
  verb: typeof runSummary,
  ...extra: readonly string[]
): Promise<{ exit: number; io: Listener }> {
  const io = listen();
  return { exit: await verb(['--session', file, ...trust, ...extra], io), io };
}

describe('trackseal session', () => {
  it('shows figures that are signed, and keeps them for a verifier', async () => {
    await runRegister();
    const output = join(folder, 'result.json');
    for (const verb of [runSummary, runMetrics]) {
      const { exit, io } = await runVerb(verb, '-o', output);
      expect([exit, io.out.startsWith('VERIFIED')], io.err).toEqual([0, true]);
      expect(io.out).toContain('1000.00000001 USDT');
      expect(io.out).toContain('GAP');
      expect(io.out).toMatch(/INCOMPLETE +funding/u);
      expect(io.out).toMatch(/balances +not known/u);
      expect(JSON.parse(await readFile(output, 'utf8'))).toMatchObject({ leaf_index: 41 });
    }
    const { io } = await runVerb(runSummary, '--json');
    expect(JSON.parse(io.out)).toMatchObject({ leaf_index: 41 });
  });

  it('renews and remembers it, and revokes and forgets', async () => {
    await runRegister();
    const renewed = await runVerb(runRenew, '--ttl', '600');
    expect([renewed.exit, renewed.io.out]).toEqual([
      0,
      'RENEWED  until 2030-01-01T00:00:00.000Z\n',
    ]);
    expect(await readFile(file, 'utf8')).toContain('2030-01-01');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await runVerb(runRevoke)).exit).toBe(0);
    await expect(stat(file)).rejects.toThrow(/ENOENT/u);
    expect((await runVerb(runSummary)).exit).toBe(2);
  });

  it.each(['{}', 'no JSON', '{"session_id":"x"}'])(
    'does not take %s for a session',
    async (text) => {
      await writeFile(file, text);
      const { exit, io } = await runVerb(runSummary, '--json');
      expect([exit, JSON.parse(io.out)]).toMatchObject([1, { code: 'json_malformed' }]);
      expect(enclave.received).toBe('');
    },
  );
});

describe('a prompt', () => {
  it.each([
    ['\u0003', null],
    ['abc\u0004', null],
    ['\r', ''],
    ['ab\u001bcd\r', 'abcd'],
    ['ümlaut\u007f\r', 'ümlau'],
  ])('%j is %j', async (typed, expected) => {
    const terminal = new FakeTerminal([typed]);
    let shown = '';
    const answer = await promptSecret(terminal, (text) => (shown += text), 'secret: ');
    expect([answer, shown, terminal.raw]).toEqual([expected, 'secret: \n', [true, false]]);
  });

  it('asks nobody where there is no terminal', async () => {
    expect(await promptSecret(nobody, () => undefined, 'secret: ')).toBeNull();
  });
});

describe('register-user.ps1', () => {
  it('says that it was never run, and hands no secret over as an argument', async () => {
    const text = await readFile(join(ROOT, 'client/register-user.ps1'), 'utf8');
    expect(text.slice(0, 600)).toContain('PowerShell cannot be run on the machines');
    for (const name of [
      'UserId',
      'Exchange',
      'ApiKey',
      'Secret',
      'ServiceUrl',
      'Secure',
      'AccountType',
      'Sandbox',
    ]) {
      expect(text).toMatch(new RegExp(`\\$${name}\\b`, 'u'));
    }
    const handed = text.split('\n').filter((line) => line.includes('$arguments'));
    expect(handed.length).toBeGreaterThan(3);
    for (const line of handed) expect(line).not.toMatch(/\$(?:ApiKey|Secret|Passphrase)\b/u);
    const used = [...text.matchAll(/'--([a-z-]+)'/gu)].map((match) => match[1] ?? '');
    const io = listen();
    await register(['--help'], io, nobody);
    for (const option of used) expect(io.out).toContain(`--${option}`);
  });
});
