import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CredentialsFeed } from '../../../host-proxy/credentials/credentials-feed.ts';
import type { CredentialsSource } from '../../../host-proxy/credentials/source.ts';
import { credentialsSource } from '../../../host-proxy/credentials/source.ts';
import { createLogger } from '../../../host-proxy/logger.ts';
import type { Imds, ImdsCredentials, ImdsFault } from '../../../simulator/imds/imds.ts';
import { startImds } from '../../../simulator/imds/imds.ts';
import type { AwsCredentials } from '../../../wire/kms-messages.ts';

const SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';
const TOKEN = 'IQoJb3JpZ2luX2VjEXAMPLETOKEN';
const HOUR_MS = 3_600_000;

function credentialsOf(expiresMs: number, accessKeyId = 'ASIAEXAMPLE'): ImdsCredentials {
  return { accessKeyId, secretAccessKey: SECRET, sessionToken: TOKEN, expiresMs };
}

/** To the second, as IMDS says it. */
function inOneHour(): number {
  return Math.floor(Date.now() / 1000) * 1000 + HOUR_MS;
}

describe('credentials of an instance', () => {
  let imds: Imds | null = null;
  let answer: ImdsCredentials | ImdsFault;

  beforeEach(async () => {
    imds = await startImds({ role: 'trackseal-host', credentials: () => answer });
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', imds.endpoint);
    // Nothing of the machine that runs the tests.
    for (const name of ['AWS_PROFILE', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
      vi.stubEnv(name, undefined);
    }
    vi.stubEnv('AWS_CONFIG_FILE', '/nonexistent');
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nonexistent');
  });

  afterEach(async () => {
    vi.unstubAllEnvs();
    await imds?.close();
  });

  it.each(['imds', 'chain'] as const)('come by IMDSv2 (%s)', async (name) => {
    answer = credentialsOf(inOneHour());
    const found = await credentialsSource(name)();
    expect(found).toEqual({ ok: true, credentials: answer });
    expect(imds?.refused).toBe(0);
  });

  it('are asked for anew each time', async () => {
    const source = credentialsSource('chain');
    answer = credentialsOf(inOneHour(), 'ASIAFIRST');
    expect(await source()).toMatchObject({ credentials: { accessKeyId: 'ASIAFIRST' } });
    answer = credentialsOf(inOneHour(), 'ASIASECOND');
    expect(await source()).toMatchObject({ credentials: { accessKeyId: 'ASIASECOND' } });
  });

  it('that have expired are not prolonged, whatever the SDK invents', async () => {
    answer = credentialsOf(Date.now() - 1000);
    expect(await credentialsSource('imds')()).toEqual({ ok: false, reason: 'expired' });
  });

  it.each([
    ['an error', { status: 500, body: SECRET }],
    ['no role', { status: 404, body: '' }],
    ['something else than JSON', { status: 200, body: `<html>${SECRET}` }],
    ['JSON without a key', { status: 200, body: JSON.stringify({ Code: SECRET }) }],
    ['silence', 'silence'],
  ] as const)('%s is a failure with a name and nothing of the answer', async (_, fault) => {
    answer = fault;
    const found = await credentialsSource('imds')();
    expect(found.ok).toBe(false);
    expect(JSON.stringify(found)).not.toContain(SECRET);
    expect(JSON.stringify(found)).toMatch(/"reason":"[A-Za-z0-9]{1,64}"/u);
  });

  it('a service without IMDSv2 is not asked by version 1', async () => {
    const asked: string[] = [];
    const old = createServer((request, response) => {
      asked.push(`${request.method ?? ''} ${request.url ?? ''}`);
      response.writeHead(request.method === 'PUT' ? 404 : 200).end('role');
    });
    await new Promise<void>((resolve) => {
      old.listen(0, '127.0.0.1', resolve);
    });
    const { port } = old.address() as AddressInfo;
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', `http://127.0.0.1:${port}`);
    expect((await credentialsSource('imds')()).ok).toBe(false);
    old.closeAllConnections();
    old.close();
    expect(asked).toEqual(['PUT /latest/api/token']);
  });

  it('a profile comes before the instance, in the chain', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aws-'));
    const file = join(folder, 'credentials');
    writeFileSync(
      file,
      `[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = ${SECRET}\n`,
    );
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', file);
    answer = credentialsOf(inOneHour());
    const found = await credentialsSource('chain', () => 1000)();
    rmSync(folder, { recursive: true });
    // A key that does not expire is taken anew after an hour.
    expect(found).toEqual({
      ok: true,
      credentials: {
        accessKeyId: 'AKIAFILE',
        secretAccessKey: SECRET,
        sessionToken: null,
        expiresMs: 1000 + HOUR_MS,
      },
    });
  });
});

describe('keeping credentials fresh', () => {
  const START_MS = Date.parse('2026-11-21T12:00:00Z');
  let log = '';
  let pushed: AwsCredentials[] = [];
  let found: Awaited<ReturnType<CredentialsSource>>;
  let asked = 0;
  let feed: CredentialsFeed;

  const has = (expiresMs: number, accessKeyId = 'ASIAONE'): void => {
    found = { ok: true, credentials: credentialsOf(expiresMs, accessKeyId) };
  };

  beforeEach(() => {
    vi.useFakeTimers({ now: START_MS });
    [log, pushed, asked] = ['', [], 0];
    feed = new CredentialsFeed({
      source: () => {
        asked++;
        return Promise.resolve(found);
      },
      refreshBeforeMs: 900_000,
      logger: createLogger({
        level: 'debug',
        write: (line) => (log += line),
        now: () => new Date(),
      }),
    });
  });

  afterEach(() => {
    feed.stop();
    vi.useRealTimers();
  });

  const listen = (): void => {
    feed.listen((credentials) => pushed.push(credentials));
  };

  it('whoever listens later gets the current ones, and new ones well before those expire', async () => {
    has(START_MS + HOUR_MS);
    await feed.refresh();
    listen();
    expect(pushed.map((one) => one.accessKeyId)).toEqual(['ASIAONE']);
    has(START_MS + 2 * HOUR_MS, 'ASIATWO');
    await vi.advanceTimersByTimeAsync(HOUR_MS - 900_000 - 1);
    expect(asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(pushed.map((one) => one.accessKeyId)).toEqual(['ASIAONE', 'ASIATWO']);
  });

  it('while the source has no newer ones it is asked again, and nothing is pushed twice', async () => {
    has(START_MS + HOUR_MS);
    listen();
    await feed.refresh();
    await vi.advanceTimersByTimeAsync(HOUR_MS - 900_000 + 5 * 60_000);
    expect(asked).toBeGreaterThan(4);
    expect(asked).toBeLessThan(9);
    expect(pushed).toHaveLength(1);
  });

  it('those that live for less than the time of refreshing are not asked for in a tight loop', async () => {
    has(START_MS + 60_000);
    await feed.refresh();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(asked).toBeLessThanOrEqual(11);
  });

  it('a failure is logged and counted, and the source asked again until it answers', async () => {
    listen();
    found = { ok: false, reason: 'TimeoutError' };
    await feed.refresh();
    await vi.advanceTimersByTimeAsync(3000);
    expect(feed.counters).toMatchObject({ fetched: 0, failed: 3, pushed: 0 });
    expect(log).toContain('"credentials_failed"');
    expect(log).toContain('"TimeoutError"');
    has(Date.now() + HOUR_MS);
    await vi.advanceTimersByTimeAsync(4000);
    expect(pushed).toHaveLength(1);
  });

  it('keeps what it has while the source fails, until it expires', async () => {
    has(START_MS + HOUR_MS);
    await feed.refresh();
    found = { ok: false, reason: 'TimeoutError' };
    await vi.advanceTimersByTimeAsync(HOUR_MS - 1);
    expect(feed.current).not.toBeNull();
    expect(feed.remainingMs).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(feed.current).toBeNull();
    listen();
    expect(pushed).toEqual([]);
  });

  it('an enclave that needs some is heard at once, but not more than once a second', async () => {
    has(START_MS + HOUR_MS);
    await feed.refresh();
    listen();
    await vi.advanceTimersByTimeAsync(5000);
    for (let at = 0; at < 100; at++) feed.wanted();
    await vi.advanceTimersByTimeAsync(0);
    expect(asked).toBe(2);
    // Even if they are the same: the enclave may have lost them.
    expect(pushed).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(999);
    feed.wanted();
    expect(asked).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    feed.wanted();
    expect(asked).toBe(3);
  });

  it('what the enclave would refuse is a failure', async () => {
    found = {
      ok: true,
      credentials: { ...credentialsOf(START_MS + HOUR_MS), sessionToken: 'a b' },
    };
    await feed.refresh();
    expect(feed.current).toBeNull();
    expect(log).toContain('"malformed"');
  });

  it('nothing of them is in the log', async () => {
    has(START_MS + HOUR_MS);
    listen();
    await feed.refresh();
    found = { ok: false, reason: 'expired' };
    await vi.advanceTimersByTimeAsync(2 * HOUR_MS);
    expect(log).toContain('"credentials_fetched"');
    expect(log).toContain('"credentials_failed"');
    for (const secret of [SECRET, TOKEN, 'ASIAONE']) expect(log).not.toContain(secret);
  });

  it('stops', async () => {
    has(START_MS + HOUR_MS);
    await feed.refresh();
    feed.stop();
    await vi.advanceTimersByTimeAsync(2 * HOUR_MS);
    await feed.refresh();
    expect(asked).toBe(1);
  });
});
