import { afterEach, describe, expect, it, vi } from 'vitest';
import { sealedAccountId } from '../../../enclave/desk/sealed-accounts.ts';
import { stateRecordId } from '../../../enclave/desk/sessions.ts';
import type { AuditEntry } from '../../../wire/audit.ts';
import { AUDIT_EVENT } from '../../../wire/audit.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { DeskSecret } from '../../../wire/desk-messages.ts';
import { MAX_VAULT_RECORDS } from '../../../wire/limits.ts';
import { accept } from '../../../wire/result.ts';
import { ApiScene, CREDENTIALS } from '../../helpers/api-scene.ts';
import { apiScenes } from '../../helpers/api-scenes.ts';
import type { FakeDeskOptions } from '../../helpers/fake-desk.ts';
import { FULL_PERMISSIONS, START_MS } from '../../helpers/fake-desk.ts';

const KEYS = new Map([[1, new Uint8Array(32).fill(3)]]);
const scenes = apiScenes();

/** The next epoch of the log, with what the host kept. */
async function restart(before: ApiScene, options: FakeDeskOptions = {}): Promise<ApiScene> {
  await scenes.close(before);
  const { desk } = before;
  return scenes.open({
    records: desk.records,
    vaultKeys: KEYS,
    epoch: desk.services.epoch + 1,
    nowMs: desk.nowMs,
    ...options,
  });
}

afterEach(() => {
  vi.useRealTimers();
});

function entries({ desk }: ApiScene, event: keyof typeof AUDIT_EVENT): readonly AuditEntry[] {
  return desk.audit.filter((entry) => entry.event === AUDIT_EVENT[event]);
}

function accountIdOf({ polling }: ApiScene): string {
  return [...polling.added.keys()][0] ?? '';
}

describe('a session', () => {
  it.each([
    ['default', undefined, 86_400_000],
    ['shortest', 300, 300_000],
    ['longest', 604_800, 604_800_000],
  ])(
    'with the %s TTL ends then, to the millisecond, by the clock of the enclave',
    async (...row) => {
      const [, ttl, lifeMs] = row;
      const limits = {
        clock_divergence_ms: 1,
        attestations_per_second: 1,
        api: { session_per_minute: 1000 },
      };
      const one = await scenes.open({ configuration: { limits } });
      const id = await one.session(ttl === undefined ? {} : { ttl });
      one.desk.nowMs = START_MS + lifeMs - 1;
      expect((await one.operate('summary', id)).status).toBe(200);
      const secret = [...one.polling.added.values()][0]?.account.credentials.secret;
      one.desk.nowMs = START_MS + lifeMs;
      const over = await one.operate('summary', id);
      expect([over.status, over.inside['error']]).toEqual([401, 'session_unknown']);
      // Nobody waited for a sweep.
      await expect.poll(() => one.desk.events).toContain('sessionExpired');
      expect(one.polling.removed).toHaveLength(1);
      expect(secret?.every((byte) => byte === 0)).toBe(true);
    },
  );

  it('that nobody asks for is ended by its own timer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    const one = await scenes.open();
    await one.session({ ttl: 300 });
    one.desk.nowMs += 299_999;
    await vi.advanceTimersByTimeAsync(299_999);
    expect(one.polling.removed).toEqual([]);
    // The timer is early by the enclave's clock, which is what counts.
    await vi.advanceTimersByTimeAsync(1);
    expect(one.polling.removed).toEqual([]);
    one.desk.nowMs += 1;
    await vi.advanceTimersByTimeAsync(1);
    expect(one.polling.removed).toHaveLength(1);
    expect(one.desk.events).toContain('sessionExpired');
  });

  it('is swept every hour, should its timer have failed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const one = await scenes.open();
    await one.session({ ttl: 300 });
    one.desk.nowMs += 300_000;
    await vi.advanceTimersByTimeAsync(3_599_999);
    expect(one.polling.removed).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    await vi.waitFor(() => {
      expect(one.polling.removed).toHaveLength(1);
    });
  });

  it('is renewed from now on, and told when it ends', async () => {
    const one = await scenes.open();
    const id = await one.session({ ttl: 300 });
    one.desk.nowMs += 200_000;
    const renewed = await one.operate('renew', id, { ttl: 600 });
    expect(renewed.inside).toEqual({
      expires_at: new Date(one.desk.nowMs + 600_000).toISOString(),
      status: 'active',
    });
    one.desk.nowMs += 599_999;
    expect((await one.operate('summary', id)).status).toBe(200);
    one.desk.nowMs += 1;
    expect((await one.operate('summary', id)).status).toBe(401);
    for (const ttl of [299, 604_801, '600', null]) {
      expect((await one.operate('renew', id, { ttl })).inside['error']).toBe('api_malformed');
    }
  });

  it('is revoked at once: not polled, wiped, forgotten by the host, in the log before it is said', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    const account = [...one.polling.added.values()][0]?.account;
    expect(one.desk.records.size).toBe(1);
    one.desk.hold = true;
    const revoking = one.operate('revoke', id);
    await expect.poll(() => one.desk.events).toContain('sessionRevoked');
    expect(one.polling.removed).toEqual([account?.id]);
    expect(one.desk.records.size).toBe(0);
    expect(account?.credentials.apiKey.every((byte) => byte === 0)).toBe(true);
    expect(account?.credentials.secret.every((byte) => byte === 0)).toBe(true);
    expect(account?.credentials.passphrase?.every((byte) => byte === 0)).toBe(true);
    one.desk.release();
    expect((await revoking).inside).toEqual({ status: 'revoked' });
    for (const op of ['summary', 'metrics', 'renew', 'revoke']) {
      expect((await one.operate(op, id)).inside['error']).toBe('session_unknown');
    }
  });

  it('of another id, or of no id at all, is unknown', async () => {
    const one = await scenes.open();
    const id = await one.session();
    for (const wrong of [id.slice(1), `${id}A`, 'A'.repeat(43), id.toUpperCase(), '', ` ${id}`]) {
      const { status, inside } = await one.operate('summary', wrong);
      expect([wrong, status, inside['error']]).toEqual([wrong, 401, 'session_unknown']);
    }
  });
});

describe('after a restart', () => {
  it('a session is there again, with its account, its end and the state of its polling', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session({
      label: 'main',
      exchange: 'okx',
      symbols: ['BTC/EUR'],
      ttl: 600,
    });
    const accountId = accountIdOf(one);
    const before = one.polling.added.get(accountId)?.account;
    one.polling.state(accountId, utf8('state 1'));
    one.polling.state(accountId, utf8('state 2'));
    one.polling.state(accountId, utf8('state 3'));
    await expect.poll(() => one.desk.records.size).toBe(2);
    const expected = { ...before, credentials: null };
    const two = await restart(one);
    const after = two.polling.added.get(accountId);
    expect({ ...after?.account, credentials: null }).toEqual(expected);
    expect(after?.account.credentials.apiKey.toString()).toBe(CREDENTIALS.apiKey);
    expect(after?.account.credentials.secret.toString()).toBe(CREDENTIALS.secret);
    expect(after?.account.credentials.passphrase?.toString()).toBe(CREDENTIALS.passphrase);
    expect(Buffer.from(after?.restored ?? []).toString()).toBe('state 3');
    expect((await two.operate('summary', id)).status).toBe(200);
    two.desk.nowMs += 600_000;
    expect((await two.operate('summary', id)).status).toBe(401);
  });

  it('a renewed session has its new end', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session({ ttl: 300 });
    await one.operate('renew', id, { ttl: 6000 });
    one.desk.nowMs += 300_001;
    const two = await restart(one);
    expect((await two.operate('summary', id)).status).toBe(200);
  });

  it.each([
    ['expired', async (one: ApiScene) => Promise.resolve(void (one.desk.nowMs += 86_400_000))],
    [
      'revoked',
      async (one: ApiScene, id: string) => {
        await one.operate('revoke', id);
      },
    ],
  ] as const)('a session that was %s is not', async (_, end) => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    await end(one, id);
    const two = await restart(one);
    expect((await two.operate('summary', id)).status).toBe(401);
    expect([two.polling.added.size, two.polling.removed]).toEqual([0, []]);
    expect(two.desk.records.size).toBe(0);
  });

  it('without a data key there is nothing, and nothing was kept', async () => {
    const one = await scenes.open();
    const id = await one.session();
    expect(one.desk.written).toEqual([]);
    const two = await restart(one, { vaultKeys: new Map() });
    expect((await two.operate('summary', id)).status).toBe(401);
  });

  it('the audit trail names each record that came back, by the number that it was written with', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    await one.session();
    await one.session();
    await scenes.close(one);
    const written = entries(one, 'vaultWritten').flatMap(({ records }) => records ?? []);
    expect(written).toHaveLength(2);
    const two = await scenes.open({ records: one.desk.records, vaultKeys: KEYS, epoch: 2 });
    const restored = entries(two, 'restored').flatMap(({ records }) => records ?? []);
    expect(restored.map(toHex).toSorted()).toEqual(written.map(toHex).toSorted());
  });

  it('mistake 5: a record that the host rolled back shows in the log by its number', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session({ ttl: 604_800 });
    const older = new Map(one.desk.records);
    await one.operate('renew', id, { ttl: 300 });
    await one.traders.close();
    const [, newest] = entries(one, 'vaultWritten').flatMap(({ records }) => records ?? []);
    const two = await scenes.open({ records: older, vaultKeys: KEYS, epoch: 2 });
    const [restored] = entries(two, 'restored').flatMap(({ records }) => records ?? []);
    // The same record with a lower number than the last one written: that is the evidence.
    expect(toHex(restored ?? new Uint8Array()).slice(0, 32)).toBe(
      toHex(newest ?? new Uint8Array()).slice(0, 32),
    );
    expect(toHex(restored ?? new Uint8Array()) < toHex(newest ?? new Uint8Array())).toBe(true);
  });

  it('what does not open is forgotten, and said in the log', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    const records = new Map(
      [...one.desk.records].map(([name, bytes]) => [name, bytes.with(60, (bytes[60] ?? 0) ^ 1)]),
    );
    records.set('00'.repeat(16), new Uint8Array(10));
    const two = await restart(one, { records });
    expect((await two.operate('summary', id)).status).toBe(401);
    expect(entries(two, 'restored')).toMatchObject([
      { code: 'vault_record_malformed', counter: 2 },
    ]);
    expect(two.desk.records.size).toBe(0);
  });

  it('the same session twice, or more than configured, is there once', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    await one.session();
    await one.session();
    const desk = { polling_ms: 300_000, max_sessions: 1, sandbox: true };
    const two = await restart(one, { configuration: { desk } });
    expect(two.polling.added.size).toBe(1);
    expect(entries(two, 'restored').map(({ code }) => code)).toEqual([
      null,
      'vault_record_malformed',
    ]);
  });
});

describe('while the host is slow', () => {
  it('a registration is answered only when the host has the record', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    one.desk.holdVault = true;
    let answered = false;
    const registering = one.register().then((opened) => {
      answered = true;
      return opened;
    });
    await expect.poll(() => one.polling.checked).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([answered, one.polling.added.size]).toEqual([false, 0]);
    one.desk.release();
    expect((await registering).status).toBe(200);
  });

  it('a session that ends while its record or state is written leaves nothing with the host', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    one.desk.holdVault = true;
    const renewing = one.operate('renew', id);
    one.polling.state(accountIdOf(one), utf8('state'));
    one.polling.state(accountIdOf(one), utf8('another that waits'));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const revoking = one.operate('revoke', id);
    await expect.poll(() => one.polling.removed).toHaveLength(1);
    one.desk.release();
    await Promise.all([renewing, revoking]);
    await expect.poll(() => one.desk.records.size).toBe(0);
  });

  it('a session that is revoked while it is renewed is not said to go on', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    one.desk.holdVault = true;
    const renewing = one.operate('renew', id);
    await expect.poll(() => one.desk.heldWrites).toBe(1);
    const revoking = one.operate('revoke', id);
    await expect.poll(() => one.polling.removed).toHaveLength(1);
    one.desk.release();
    expect((await revoking).inside['status']).toBe('revoked');
    expect((await renewing).inside['error']).toBe('session_unknown');
    expect(one.desk.events).not.toContain('sessionRenewed');
  });

  it('a renewal that is under way at the close is there in the next epoch', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session({ ttl: 300 });
    one.desk.holdVault = true;
    const renewing = one.operate('renew', id, { ttl: 6000 }).catch(() => null);
    await expect.poll(() => one.desk.heldWrites).toBe(1);
    const closing = one.traders.close();
    one.desk.release();
    await Promise.all([closing, renewing]);
    one.desk.nowMs += 300_001;
    const two = await restart(one);
    expect((await two.operate('summary', id)).status).toBe(200);
  });

  it('the room of the vault that a registration waits for is not given to states', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    await one.session();
    await one.session();
    const { records } = one.desk;
    for (let at = 0; records.size < MAX_VAULT_RECORDS - 2; at++) {
      records.set(at.toString(16).padStart(32, '0'), new Uint8Array(1));
    }
    const { promise, resolve } = Promise.withResolvers<null>();
    one.polling.answer = async () => {
      await promise;
      return accept(FULL_PERMISSIONS);
    };
    const registering = one.register();
    await expect.poll(() => one.polling.checked.length).toBe(3);
    for (const id of one.polling.added.keys()) one.polling.state(id, utf8('state'));
    resolve(null);
    expect((await registering).status).toBe(200);
    expect(records.size).toBe(MAX_VAULT_RECORDS - 1);
  });

  it('states in between are not written: the latest one is', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    await one.session();
    one.desk.written.length = 0;
    one.desk.holdVault = true;
    for (let count = 0; count < 10; count++) one.polling.state(accountIdOf(one), utf8(`${count}`));
    one.desk.release();
    await expect.poll(() => one.desk.records.has(stateRecordId(accountIdOf(one)))).toBe(true);
    await expect.poll(() => one.desk.written.length).toBe(2);
  });
});

describe('the audit trail', () => {
  it('has session and account by hash, uses of credentials by count, and each end', async () => {
    const one = await scenes.open({ vaultKeys: KEYS });
    const id = await one.session();
    const [account] = [...one.polling.added.values()].map((added) => added.account);
    for (let count = 0; count < 3; count++) {
      if (account !== undefined) one.polling.used(account);
    }
    await one.operate('renew', id);
    await one.operate('revoke', id);
    await one.traders.close();
    expect(one.desk.events).toEqual([
      'opened',
      'sessionCreated',
      'sessionRenewed',
      'sessionRevoked',
      'vaultWritten',
      'credentialsUsed',
    ]);
    const hash = toHex(
      new Uint8Array(await crypto.subtle.digest('SHA-256', Buffer.from(id, 'latin1'))),
    );
    const [created] = entries(one, 'sessionCreated');
    expect(toHex(created?.sessionHash ?? new Uint8Array())).toBe(hash);
    expect(created?.accountCommitment).toEqual(account?.commitment);
    expect(created?.counter).toBe((START_MS + 86_400_000) / 1000);
    // One at registration, three polls.
    expect(entries(one, 'credentialsUsed').map(({ counter }) => counter)).toEqual([4]);
    expect(entries(one, 'sessionRevoked')[0]?.records).toHaveLength(1);
  });

  it('says why a registration was refused', async () => {
    const one = await scenes.open();
    const permissions = { ...FULL_PERMISSIONS, trade: true };
    one.polling.answer = () => Promise.resolve({ ok: true, value: permissions });
    await one.register();
    expect(entries(one, 'permissionsRefused')).toMatchObject([{ code: 'permission_excessive' }]);
  });
});

function sealedAccount(fields: object, name = 'firm'): DeskSecret {
  return { name, version: 1, bytes: utf8(JSON.stringify(fields)) };
}

const SESSION_ID = 'S'.repeat(43);
const FIELDS = {
  userId: 'firm',
  apiKey: 'FIRM-KEY',
  secret: 'FIRM-SECRET',
  exchange: 'binance',
  accountType: 'futures',
  allowTrading: true,
  symbols: ['BTC/USDT:USDT'],
  salt: 'ab'.repeat(32),
  sessionId: SESSION_ID,
};

function sealedOptions(): FakeDeskOptions {
  return { sealedAccounts: [sealedAccount(FIELDS)], vaultKeys: KEYS };
}

describe('accounts that the owner sealed', () => {
  it('are polled from the start, trading allowed, and answer to the id that the owner chose', async () => {
    const secret = sealedAccount(FIELDS);
    const one = await scenes.open({ sealedAccounts: [secret] });
    const { account } = one.polling.added.get(sealedAccountId('firm')) ?? {};
    expect(account).toMatchObject({
      venue: 'binanceusdm',
      source: 'sealed',
      label: 'firm',
      allowTrading: true,
    });
    expect(account?.credentials.secret.toString()).toBe('FIRM-SECRET');
    expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
    const { status, inside } = await one.operate('summary', SESSION_ID);
    expect([status, inside['session_expires']]).toEqual([200, null]);
    // No trader's command moves or ends what the owner sealed.
    for (const op of ['renew', 'revoke']) {
      expect((await one.operate(op, SESSION_ID)).inside['error']).toBe('session_unknown');
    }
    one.desk.nowMs += 700_000_000;
    expect((await one.operate('summary', SESSION_ID)).status).toBe(200);
    expect(one.desk.written).toEqual([]);
  });

  it('have one commitment and one state in all epochs', async () => {
    const one = await scenes.open(sealedOptions());
    const first = one.polling.added.get(sealedAccountId('firm'))?.account.commitment;
    one.polling.state(sealedAccountId('firm'), utf8('where it was'));
    await expect.poll(() => one.desk.records.size).toBe(1);
    const two = await restart(one, sealedOptions());
    const added = two.polling.added.get(sealedAccountId('firm'));
    expect(added?.account.commitment).toEqual(first);
    expect(Buffer.from(added?.restored ?? []).toString()).toBe('where it was');
  });

  it.each([
    ['an unknown venue', { exchange: 'nowhere' }, 'venue_unknown'],
    ['FTX', { exchange: 'ftx' }, 'venue_closed'],
    ['no secret', { secret: undefined }, 'seal_malformed'],
    ['a short salt', { salt: 'ab' }, 'seal_malformed'],
    ['a short session id', { sessionId: 'S' }, 'seal_malformed'],
    ['a field too many', { extra: 'x' }, 'seal_malformed'],
    ['a wrong type', { accountType: 'savings' }, 'seal_malformed'],
  ])('with %s end the boot', async (_, fields, code) => {
    const secret = sealedAccount({ ...FIELDS, ...fields });
    await expect(ApiScene.open({ sealedAccounts: [secret] })).rejects.toMatchObject({ code });
  });
});
