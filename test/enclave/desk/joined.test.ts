// The whole enclave of a test: core, desk and a connector with ccxt, behind one host, in front of the simulated
// exchange. A trader registers, the enclave polls, the results are signed, and no key is in anything that the
// host gets: commits, diagnostics, boot messages, bytes on every port, answers before TLS.

import { afterEach, describe, expect, it } from 'vitest';
import type { Control } from '../../../simulator/exchange/control.ts';
import type { AuditEntry } from '../../../wire/audit.ts';
import { AUDIT_EVENT } from '../../../wire/audit.ts';
import { parseAuditEntry } from '../../../wire/parse-audit.ts';
import { parseBase64, toHex } from '../../../wire/bytes.ts';
import { OUTCOME } from '../../../wire/exchange-call.ts';
import { KIND } from '../../../wire/leaf.ts';
import { PORT } from '../../../wire/messages.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { parseResultStatement } from '../../../wire/result-statement.ts';
import { ExchangeScene, OTHER_HOST, VENUE_HOSTS } from '../../helpers/exchange-scene.ts';
import { simulatedKms } from '../../helpers/kms.ts';

type Ledger = ReturnType<Control['ledger']>;

let scene: ExchangeScene | null = null;
afterEach(async () => {
  await scene?.close();
  scene = null;
});

function auditOf(one: ExchangeScene, event: keyof typeof AUDIT_EVENT): readonly AuditEntry[] {
  return one
    .plaintexts(KIND.audit)
    .map((bytes) => assertAccepted(parseAuditEntry(bytes)))
    .filter((entry) => entry.event === AUDIT_EVENT[event]);
}

describe('a trader, an enclave and an exchange', () => {
  it('a restart: the session comes back sealed under a key of KMS, polling goes on, and nothing counts twice', async () => {
    const kms = await simulatedKms();
    const first = (scene = await ExchangeScene.start(kms));
    const { control } = first.exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USDT', amount: '1000' });
    control.trade({ ...of, symbol: 'BTC/USDT', side: 'buy', price: '10', amount: '1' });
    const secrets = { userId: 'joined-user-77', apiKey: account.api_key, secret: account.secret };
    const settings = { op: 'register', exchange: 'binance', symbols: ['BTC/USDT'] } as const;
    const registered = await first.send('/enclave/sessions', settings, secrets);
    const id = String(registered.inside['session_id']);
    const ready = async (one: ExchangeScene): Promise<Record<string, unknown>> => {
      await expect
        .poll(async () => (await one.operate('summary', id)).status, { timeout: 30_000 })
        .toBe(200);
      return (await one.operate('summary', id)).inside['summary'] as Record<string, unknown>;
    };
    const before = await ready(first);
    await expect.poll(() => first.kept.size).toBe(2);
    expect(first.leaks({ ...secrets, sessionId: id })).toEqual([]);
    const second = (scene = await first.restart());
    const after = await ready(second);
    expect(after['account_commitment']).toBe(before['account_commitment']);
    expect(after['observed_since_ns']).toBe(before['observed_since_ns']);
    expect([after['trades'], after['volume']]).toEqual([before['trades'], before['volume']]);
    // Each record that came back is one that was written, by its number.
    const written = auditOf(first, 'vaultWritten').flatMap(({ records }) => records ?? []);
    const restored = auditOf(second, 'restored').flatMap(({ records }) => records ?? []);
    expect(restored).toHaveLength(2);
    for (const mark of restored) expect(written.map(toHex)).toContain(toHex(mark));
    expect((await second.operate('revoke', id)).status).toBe(200);
    expect(second.kept.size).toBe(0);
    expect(second.leaks({ ...secrets, sessionId: id })).toEqual([]);
    expect(kms.events.some(({ eventName }) => eventName === 'GenerateDataKey')).toBe(true);
    expect(kms.events.some(({ eventName }) => eventName === 'Decrypt')).toBe(true);
  }, 120_000);

  it('register, poll, and a signed result that is what the ledger holds, with no key anywhere', async () => {
    const one = (scene = await ExchangeScene.start());
    const { control } = one.exchange;
    const account = control.account({ venue: 'binance' });
    const of = { account: account.account };
    control.deposit({ ...of, currency: 'USDT', amount: '100000.00000001' });
    control.trade({ ...of, symbol: 'BTC/USDT', side: 'buy', price: '65000.01', amount: '0.5' });
    const secrets = { userId: 'joined-user-77', apiKey: account.api_key, secret: account.secret };
    const registered = await one.send(
      '/enclave/sessions',
      { op: 'register', exchange: 'binance', symbols: ['BTC/USDT'] },
      secrets,
    );
    expect(registered.inside).toMatchObject({ status: 'active' });
    const id = String(registered.inside['session_id']);
    // The first poll follows at once.
    await expect
      .poll(async () => (await one.operate('summary', id)).status, { timeout: 30_000 })
      .toBe(200);
    const { inside } = await one.operate('summary', id);
    const statement = assertAccepted(
      parseResultStatement(parseBase64(String(inside['statement'])) ?? new Uint8Array()),
    );
    expect(statement.venue).toBe('binance');
    expect(statement.hosts.map(({ host }) => host)).toContain('api.binance.com');
    const ledger: Ledger = control.ledger(of);
    expect(Object.fromEntries(statement.figures.balances ?? [])).toEqual(ledger.balances['spot']);
    // Logged before it was answered, at the index that it names.
    const leaf = one.host.open(Number(inside['leaf_index']));
    expect(Buffer.from(leaf).toString('base64')).toBe(inside['statement']);
    expect(one.polls().some(({ outcome }) => outcome !== OUTCOME.failed)).toBe(true);
    await one.operate('revoke', id);
    const names = one
      .plaintexts(KIND.audit)
      .map((bytes) => assertAccepted(parseAuditEntry(bytes)).event);
    expect(names).toEqual([1, 2, 5]);
    expect(one.leaks({ ...secrets, sessionId: id })).toEqual([]);
    // The exchange itself, and nobody else, was told.
    expect([...one.dialed].every((host) => VENUE_HOSTS.includes(host))).toBe(true);
    expect(control.requests.every(({ venue }) => venue === 'binance')).toBe(true);
    expect(one.host.tapped.get(PORT.egress)?.length).toBeGreaterThan(10);
  }, 90_000);

  it.each<readonly [string, string, (control: Control, key: string) => unknown]>([
    ['a wrong secret', 'exchange_refused', () => null],
    [
      'a page that repeats the key',
      'exchange_unavailable',
      (control, key) =>
        control.fault({ type: 'status', status: 500, body: `<html>bad key ${key}</html>` }),
    ],
    ['a cut body', 'exchange_network', (control) => control.fault({ type: 'cut' })],
    [
      'a redirect',
      'exchange_answer_invalid',
      (control) => control.fault({ type: 'redirect', location: `https://${OTHER_HOST}/` }),
    ],
    [
      'a wrong certificate',
      'tls_untrusted',
      (control) => control.fault({ type: 'certificate', kind: 'wrong-authority' }),
    ],
  ] as const)(
    'with %s: no session, and no key anywhere',
    async (what, code, prepare) => {
      const one = (scene = await ExchangeScene.start());
      const { control } = one.exchange;
      const account = control.account({ venue: 'binance' });
      prepare(control, account.api_key);
      const secret = what === 'a wrong secret' ? 'W'.repeat(64) : account.secret;
      const secrets = { userId: 'joined-user-77', apiKey: account.api_key, secret };
      const { status, inside } = await one.send(
        '/enclave/sessions',
        { op: 'register', exchange: 'binance' },
        secrets,
      );
      expect(status).toBeGreaterThanOrEqual(400);
      expect(inside['error']).toBe(code);
      expect(one.leaks(secrets)).toEqual([]);
      expect([...one.dialed].every((host) => VENUE_HOSTS.includes(host))).toBe(true);
      await one.host.until(() => one.host.leavesOf(KIND.audit).length === 2);
      expect(one.leaks(secrets)).toEqual([]);
    },
    90_000,
  );
});
