import { createHash } from 'node:crypto';
import { Agent } from 'node:https';
import { connect } from 'node:tls';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import * as z from 'zod';
import { Envelopes } from '../../../enclave/desk/envelopes.ts';
import { Results } from '../../../enclave/desk/results.ts';
import { encodeCbor } from '../../../wire/cbor.ts';
import { REFUSAL_CODES } from '../../../wire/codes.ts';
import { MAX_ENVELOPE_BYTES } from '../../../wire/envelope.ts';
import { refuse } from '../../../wire/result.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import type { ApiScene } from '../../helpers/api-scene.ts';
import { CREDENTIALS } from '../../helpers/api-scene.ts';
import { apiScenes } from '../../helpers/api-scenes.ts';
import { FULL_PERMISSIONS } from '../../helpers/fake-desk.ts';
import type { HttpAnswer, SealedCall } from '../../helpers/trader.ts';
import { JSON_TYPE, openSealed, post, sealFor } from '../../helpers/trader.ts';

const scenes = apiScenes();

function json({ body }: HttpAnswer): Record<string, unknown> {
  return JSON.parse(body.toString('utf8')) as Record<string, unknown>;
}

function pinOf({ desk }: ApiScene): Record<string, string> {
  return { 'trackseal-tls-pin': toHex(desk.services.keys.tls.spkiHash) };
}

const NONCE = 'ab'.repeat(16);

describe('registration', () => {
  it('checks with the exchange first, then answers a session inside of the envelope', async () => {
    const one = await scenes.open();
    const { status, inside } = await one.register({ label: 'main', ttl: 600 });
    expect(status).toBe(200);
    expect(inside).toMatchObject({
      status: 'active',
      expires_at: new Date(one.desk.nowMs + 600_000).toISOString(),
      permissions: { read: true, trade: false, withdraw: false },
    });
    expect(inside['session_id']).toMatch(/^[A-Za-z0-9_-]{43}$/u);
    const [checked] = one.polling.checked;
    expect(checked?.credentials.apiKey.toString()).toBe(CREDENTIALS.apiKey);
    expect(checked?.credentials.secret.toString()).toBe(CREDENTIALS.secret);
    expect(checked?.credentials.passphrase?.toString()).toBe(CREDENTIALS.passphrase);
    const [added] = [...one.polling.added.values()];
    expect(added?.account).toMatchObject({ venue: 'kraken', label: 'main', environment: 'live' });
    expect(toHex(added?.account.commitment ?? new Uint8Array())).toBe(inside['account_commitment']);
    expect(one.desk.events).toEqual(['opened', 'sessionCreated']);
  });

  it('answers only when its audit leaf is acknowledged', async () => {
    const one = await scenes.open();
    one.desk.hold = true;
    let answered = false;
    const registering = one.register().then((opened) => {
      answered = true;
      return opened;
    });
    await expect.poll(() => one.desk.events).toContain('sessionCreated');
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    one.desk.release();
    expect((await registering).status).toBe(200);
  });

  it('the commitment opens with the salt, and is not the same twice', async () => {
    const one = await scenes.open();
    const first = await one.register({ label: 'main' });
    const second = await one.register({ label: 'main' });
    const { account_commitment: commitment, account_salt: salt, ...told } = first.inside;
    expect(told).toMatchObject({ venue: 'kraken', account_id: 'venue-account-7' });
    const fields = [CREDENTIALS.userId, 'kraken', 'main', 'live', 'venue-account-7'];
    const named = encodeCbor(new Map(fields.map((value, at) => [at + 1, value])));
    const opened = createHash('sha256').update(String(salt), 'hex').update(named).digest('hex');
    expect(opened).toBe(commitment);
    expect(first.inside['account_commitment']).not.toBe(second.inside['account_commitment']);
    expect(first.inside['account_salt']).not.toBe(second.inside['account_salt']);
  });

  it.each(['ftx', 'ftxus'])('of an account at %s is refused with its reason', async (exchange) => {
    const one = await scenes.open();
    const { status, inside } = await one.register({ exchange });
    expect(status).toBe(410);
    expect(inside['error']).toBe('venue_closed');
    expect(inside['message']).toContain('2022');
    expect(one.polling.checked).toEqual([]);
  });

  it.each([
    ['trade', { trade: true }, {}, 'permission_excessive'],
    ['transfer', { transfer: true }, {}, 'permission_excessive'],
    ['withdraw', { withdraw: true }, {}, 'permission_excessive'],
    ['withdraw', { withdraw: true }, { allowTrading: true }, 'permission_excessive'],
    ['trade', { trade: true }, { allowTrading: true }, null],
    ['withdraw', { withdraw: true }, { allowWithdrawals: true }, null],
    ['do what the venue does not tell', { trade: null, withdraw: null }, {}, null],
    ['not read', { read: false }, {}, 'exchange_refused'],
  ])('with a key that can %s (%j, %j): %s', async (_, has, settings, code) => {
    const one = await scenes.open();
    const permissions = { ...FULL_PERMISSIONS, ...has };
    one.polling.answer = () => Promise.resolve({ ok: true, value: permissions });
    const { inside } = await one.register(settings);
    expect(inside['error'] ?? null).toBe(code);
    expect(one.polling.added.size).toBe(code === null ? 1 : 0);
    if (code === null) return;
    const event = code === 'permission_excessive' ? 'permissionsRefused' : 'sessionRefused';
    expect(one.desk.events).toEqual(['opened', event]);
    const buffers = one.polling.checked[0]?.credentials;
    await expect.poll(() => buffers?.secret.every((byte) => byte === 0)).toBe(true);
    expect(buffers?.apiKey.every((byte) => byte === 0)).toBe(true);
  });

  it('that the exchange refuses makes no session, and wipes the credentials', async () => {
    const one = await scenes.open();
    one.polling.answer = () => Promise.resolve(refuse('exchange_refused'));
    const { status, inside } = await one.register();
    expect([status, inside['error'], inside['code']]).toEqual([
      401,
      'exchange_refused',
      'INVALID_CREDENTIALS',
    ]);
    expect(one.polling.added.size).toBe(0);
    const secret = one.polling.checked[0]?.credentials.secret;
    await expect.poll(() => secret?.every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    ['an unknown venue', { exchange: 'nowhere' }, 'venue_unknown'],
    ['no venue', { exchange: null }, 'api_malformed'],
    ['a TTL of 299 seconds', { ttl: 299 }, 'api_malformed'],
    ['a TTL over seven days', { ttl: 604_801 }, 'api_malformed'],
    ['an unknown type', { accountType: 'savings' }, 'api_malformed'],
    ['an unknown setting', { allowtrading: true }, 'api_malformed'],
    ['a control character in the label', { label: 'a\u0007b' }, 'api_malformed'],
    ['an odd symbol', { symbols: ['BTC USDT'] }, 'api_malformed'],
    ['another operation', { op: 'summary' }, 'api_malformed'],
  ])('with %s is refused: %j %s', async (_, settings, code) => {
    const one = await scenes.open();
    const { status, inside } = await one.register(settings);
    expect([status, inside['error']]).toEqual([400, code]);
    expect(JSON.stringify(inside)).not.toContain('savings');
  });

  it.each([
    ['no key', { ...CREDENTIALS, apiKey: undefined }],
    ['an empty secret', { ...CREDENTIALS, secret: '' }],
    ['a number for a secret', { ...CREDENTIALS, secret: 5 }],
    ['two secrets', { ...CREDENTIALS, apiSecret: 'x' }],
    ['a field too many', { ...CREDENTIALS, extra: 'x' }],
    ['a secret of 4097 bytes', { ...CREDENTIALS, secret: 'x'.repeat(4097) }],
    ['a user id of 101 bytes', { ...CREDENTIALS, userId: 'x'.repeat(101) }],
    ['an array', []],
  ])('with %s inside is refused', async (_, secrets) => {
    const one = await scenes.open();
    const { status, inside } = await one.register({}, secrets);
    expect([
      status,
      inside['code'] === 'INVALID_REQUEST' || inside['code'] === 'ENCRYPTION_ERROR',
    ]).toEqual([400, true]);
    expect(one.polling.checked).toEqual([]);
  });

  it.each([
    [{ ttl: 300 }, {}],
    [{ ttl: 604_800 }, {}],
    [{ label: '' }, {}],
    [{ symbols: ['BTC/USDT:USDT'] }, {}],
    [{}, { userId: 'x'.repeat(100) }],
    [{}, { secret: 'x'.repeat(4096) }],
  ])('with %j and %j is taken', async (settings, secrets) => {
    const one = await scenes.open();
    expect((await one.register(settings, { ...CREDENTIALS, ...secrets })).status).toBe(200);
  });

  it('mistake 14 (in part): a user id with an underscore is one user id', async () => {
    const one = await scenes.open();
    const first = await one.register({}, { ...CREDENTIALS, userId: 'a_b_c' });
    expect(first.status).toBe(200);
  });

  it('mistake 15 (in part): secret or apiSecret, as older clients have it', async () => {
    const one = await scenes.open();
    const { secret, ...rest } = CREDENTIALS;
    const { status } = await one.register({}, { ...rest, apiSecret: secret });
    expect(status).toBe(200);
    expect(one.polling.checked[0]?.credentials.secret.toString()).toBe(secret);
  });

  it('maps a venue and a type of older clients to the venue that polls it', async () => {
    const one = await scenes.open();
    for (const [exchange, accountType] of [
      ['binance', 'spot'],
      ['binance', 'futures'],
      ['binance', 'margin'],
      ['kraken', 'futures'],
    ]) {
      await one.register({ exchange: exchange ?? '', accountType: accountType ?? '' });
    }
    const venues = [...one.polling.added.values()].map(({ account }) => account.venue);
    expect(venues).toEqual(['binance', 'binanceusdm', 'binancemargin', 'krakenfutures']);
  });

  it('takes as many sessions as configured, and as the environment allows', async () => {
    const desk = { polling_ms: 300_000, max_sessions: 2, sandbox: false };
    const one = await scenes.open({ configuration: { desk } });
    expect((await one.register({ sandbox: true })).inside['error']).toBe('environment_refused');
    await one.session();
    await one.session();
    const refused = await one.register();
    expect([refused.status, refused.inside['error']]).toEqual([503, 'session_limit']);
    expect(one.polling.checked).toHaveLength(2);
  });

  it('a place is held while the exchange is asked, and given back when it refuses', async () => {
    const desk = { polling_ms: 300_000, max_sessions: 1, sandbox: false };
    const one = await scenes.open({ configuration: { desk } });
    const asked = Promise.withResolvers<null>();
    one.polling.answer = async () => {
      await asked.promise;
      return refuse('exchange_refused');
    };
    const first = one.register();
    await expect.poll(() => one.polling.checked).toHaveLength(1);
    expect((await one.register()).inside['error']).toBe('session_limit');
    asked.resolve(null);
    expect((await first).inside['error']).toBe('exchange_refused');
    one.polling.answer = () => Promise.resolve({ ok: true, value: FULL_PERMISSIONS });
    expect((await one.register()).status).toBe(200);
  });

  it('mistake 1: without an envelope for this enclave nothing is taken, whatever it says', async () => {
    const one = await scenes.open();
    const plain = JSON.stringify({ ...CREDENTIALS, exchange: 'kraken' });
    const mock = JSON.stringify({
      ephemeral_pub: 'mock-ephemeral',
      nonce: 'mock-nonce',
      ciphertext: Buffer.from(plain).toString('base64'),
      tag: 'mock-tag',
      metadata: { exchange: 'kraken', label: 'x', ttl: 86_400 },
    });
    for (const body of [plain, mock]) {
      for (const path of ['/enclave/sessions', '/enclave/submit_key']) {
        const answer = await one.ask(path, { method: 'POST', headers: JSON_TYPE, body });
        expect([answer.status, json(answer)['error']]).toEqual([400, 'envelope_malformed']);
        expect(answer.body.toString()).not.toContain(CREDENTIALS.apiKey);
      }
    }
    expect(one.polling.checked).toEqual([]);
  });

  it('mistake 1: session ids are random and long, and known here by their hash alone', async () => {
    const one = await scenes.open();
    const ids = [await one.session(), await one.session(), await one.session()];
    expect(new Set(ids.map((id) => id.slice(0, 8))).size).toBe(3);
    for (const id of ids) {
      expect(Buffer.from(id, 'base64url')).toHaveLength(32);
      for (const { plaintext } of one.desk.leaves) {
        expect(Buffer.from(plaintext).includes(id)).toBe(false);
      }
    }
  });

  it('mistake 3: an envelope for another enclave, log or epoch does not open here', async () => {
    const one = await scenes.open();
    const other = await scenes.open();
    const secrets = CREDENTIALS;
    const metadata = { op: 'register', exchange: 'kraken', time: one.desk.nowMs };
    const { services } = one.desk;
    for (const wrong of [
      { ...services, keys: other.desk.services.keys },
      { ...services, origin: services.origin.replace('desk', 'disk') },
      { ...services, leafZeroHash: new Uint8Array(32) },
    ]) {
      const call = sealFor(wrong, metadata, secrets);
      const answer = await one.ask('/enclave/sessions', {
        method: 'POST',
        headers: JSON_TYPE,
        body: call.body,
      });
      expect([answer.status, json(answer)['error']]).toEqual([400, 'envelope_unopened']);
    }
    expect(one.polling.checked).toEqual([]);
  });

  it('mistake 4: keys in clear fields, and equal keys that show, do not exist', async () => {
    const one = await scenes.open({ vaultKeys: new Map([[1, new Uint8Array(32).fill(3)]]) });
    await one.register();
    await one.register();
    // The same key twice: nothing that the host gets is the same twice, or says that it is.
    const [first, second] = one.desk.written;
    expect(first).toBeDefined();
    expect(Buffer.from(first ?? []).equals(Buffer.from(second ?? []))).toBe(false);
    const hash = toHex(
      new Uint8Array(
        await crypto.subtle.digest(
          'SHA-256',
          Buffer.from(`${CREDENTIALS.apiKey}:${CREDENTIALS.secret}`),
        ),
      ),
    );
    const outside = [...one.desk.written, ...one.desk.leaves.map(({ plaintext }) => plaintext)];
    for (const bytes of outside) {
      expect(Buffer.from(bytes).includes(Buffer.from(hash, 'hex'))).toBe(false);
      expect(Buffer.from(bytes).includes(hash)).toBe(false);
    }
  });
});

describe('envelopes at the desk', () => {
  it('are taken once', async () => {
    const one = await scenes.open();
    const call = one.seal({ op: 'register', exchange: 'kraken' }, CREDENTIALS);
    expect((await post(one.ask, '/enclave/sessions', call)).status).toBe(200);
    const options = { method: 'POST', headers: JSON_TYPE, body: call.body };
    const again = await one.ask('/enclave/sessions', options);
    expect([again.status, json(again)['error']]).toEqual([409, 'envelope_replayed']);
    // Nor on the other path, nor by the time that it takes to forget it.
    one.desk.nowMs += 300_000;
    expect(json(await one.ask('/enclave/submit_key', options))['error']).toBe('envelope_replayed');
    one.desk.nowMs += 1;
    expect(json(await one.ask('/enclave/sessions', options))['error']).toBe('envelope_time');
    expect(one.polling.checked).toHaveLength(1);
  });

  it.each([
    [-300_001, 'envelope_time'],
    [-300_000, null],
    [300_000, null],
    [300_001, 'envelope_time'],
  ])('with a time that is %d ms off: %s', async (offMs, code) => {
    const one = await scenes.open();
    const time = one.desk.nowMs + offMs;
    const call = one.seal({ op: 'register', exchange: 'kraken', time }, CREDENTIALS);
    const answer = await one.ask('/enclave/sessions', {
      method: 'POST',
      headers: JSON_TYPE,
      body: call.body,
    });
    expect(code === null ? answer.status : json(answer)['error']).toBe(code ?? 200);
  });

  it('are remembered in bounds: what is over by its time is forgotten first', async () => {
    const one = await scenes.open();
    const { services } = one.desk;
    const envelopes = new Envelopes(services, 2);
    const open = (call: SealedCall): string => {
      const opened = envelopes.open(utf8(call.body));
      return opened.ok ? 'opened' : opened.refusal.code;
    };
    const [first, second, third] = [1, 2, 3].map((op) => one.seal({ op: `${op}` }, {}));
    if (first === undefined || second === undefined || third === undefined) return;
    expect([open(first), open(second), open(third)]).toEqual(['opened', 'opened', 'rate_limited']);
    // At their last millisecond they could still be played back: none is forgotten.
    one.desk.nowMs += 300_000;
    expect([open(third), open(first)]).toEqual(['rate_limited', 'envelope_replayed']);
    one.desk.nowMs += 1;
    const fourth = one.seal({ op: '4' }, {});
    expect([open(fourth), open(first)]).toEqual(['opened', 'envelope_time']);
  });

  it('without a time are refused', async () => {
    const one = await scenes.open();
    const call = sealFor(one.desk.services, { op: 'register', exchange: 'kraken' }, CREDENTIALS);
    const options = { method: 'POST', headers: JSON_TYPE, body: call.body };
    expect(json(await one.ask('/enclave/sessions', options))['error']).toBe('envelope_malformed');
  });

  it('are answered inside once they opened, and nobody else can read the answer', async () => {
    const one = await scenes.open();
    const call = one.seal({ op: 'register', exchange: 'ftx' }, CREDENTIALS);
    const options = { method: 'POST', headers: JSON_TYPE, body: call.body };
    const answer = await one.ask('/enclave/sessions', options);
    expect(Object.keys(json(answer)).toSorted()).toEqual(['ciphertext', 'nonce', 'tag', 'v']);
    expect(openSealed(call, answer.body)['error']).toBe('venue_closed');
    const other = one.seal({ op: 'register', exchange: 'ftx' }, CREDENTIALS);
    expect(() => openSealed(other, answer.body)).toThrow('envelope_unopened');
  });
});

describe('results', () => {
  it('carry what the statement says, and when the session ends', async () => {
    const one = await scenes.open();
    const id = await one.session();
    const summary = await one.operate('summary', id);
    expect(summary.status).toBe(200);
    expect(summary.inside).toMatchObject({
      session_expires: new Date(one.desk.nowMs + 86_400_000).toISOString(),
      summary: {
        environment: 'live',
        volume: { EUR: '1000.00000001', USDT: '12.5' },
        deposits: { EUR: '500' },
        unrealized: null,
        polls: { failed: 1 },
        missing: ['returns', 'valuation', 'fee_conversion', 'hours'],
      },
    });
    const metrics = await one.operate('metrics', id);
    expect(metrics.inside['metrics']).toHaveLength(1);
    expect(metrics.inside['leaf_index']).not.toBe(summary.inside['leaf_index']);
  });

  it('are the same result until the next poll, so that nobody can fill the log or choose', async () => {
    const one = await scenes.open();
    const id = await one.session();
    const first = await one.operate('summary', id);
    const leaves = one.desk.leaves.length;
    const second = await one.operate('summary', id);
    expect(second.inside).toEqual(first.inside);
    expect(one.desk.leaves).toHaveLength(leaves);
  });

  it('before the first poll there are none', async () => {
    const one = await scenes.open();
    const id = await one.session();
    one.polling.figuresOf = () => null;
    const { status, inside } = await one.operate('summary', id);
    expect([status, inside['error']]).toEqual([503, 'no_figures']);
  });

  it('are answered only when their leaf is acknowledged', async () => {
    const one = await scenes.open();
    const id = await one.session();
    one.desk.hold = true;
    let answered = false;
    const asking = one.operate('summary', id).then((opened) => {
      answered = true;
      return opened;
    });
    const leaves = one.desk.leaves.length;
    await expect.poll(() => one.desk.leaves.length).toBe(leaves + 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(answered).toBe(false);
    one.desk.release();
    expect((await asking).status).toBe(200);
  });

  it('of a session that was revoked meanwhile are not answered', async () => {
    const one = await scenes.open();
    const id = await one.session();
    one.desk.hold = true;
    const asking = one.operate('summary', id);
    const leaves = one.desk.leaves.length;
    await expect.poll(() => one.desk.leaves.length).toBe(leaves + 1);
    const revoking = one.operate('revoke', id);
    await expect.poll(() => one.desk.events).toContain('sessionRevoked');
    one.desk.release();
    expect((await revoking).status).toBe(200);
    expect((await asking).inside['error']).toBe('session_unknown');
  });
});

describe('what is kept of an account', () => {
  it('goes with its session, also when nobody revoked it', async () => {
    const forget = vi.spyOn(Results.prototype, 'forget');
    onTestFinished(() => {
      forget.mockRestore();
    });
    const one = await scenes.open();
    const id = await one.session({ ttl: 300 });
    const [account] = one.polling.added.keys();
    expect((await one.operate('summary', id)).status).toBe(200);
    one.desk.nowMs += 300_001;
    expect((await one.operate('summary', id)).inside['error']).toBe('session_unknown');
    expect(forget.mock.calls).toEqual([[account]]);
  });
});

describe('the older paths', () => {
  it('want the pin of the TLS key, and answer in clear then', async () => {
    const one = await scenes.open();
    const id = await one.session();
    const calls: readonly [string, string][] = [
      ['GET', `/enclave/summary/${id}`],
      ['GET', `/enclave/metrics/${id}`],
      ['POST', `/enclave/sessions/${id}/renew`],
      ['DELETE', `/enclave/sessions/${id}`],
    ];
    for (const [method, path] of calls) {
      for (const pin of [undefined, '', 'ab'.repeat(32), toHex(new Uint8Array(32))]) {
        const headers = pin === undefined ? {} : { 'trackseal-tls-pin': pin };
        const answer = await one.ask(path, { method, headers });
        expect([answer.status, json(answer)['error']]).toEqual([421, 'tls_pin_required']);
      }
    }
    for (const [method, path] of calls) {
      const answer = await one.ask(path, { method, headers: pinOf(one) });
      expect([method, path, answer.status]).toEqual([method, path, 200]);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
    const gone = await one.ask(`/enclave/summary/${id}`, { headers: pinOf(one) });
    expect([gone.status, json(gone)['error']]).toEqual([401, 'session_unknown']);
  });

  it('renew takes a ttl', async () => {
    const one = await scenes.open();
    const id = await one.session({ ttl: 300 });
    const path = `/enclave/sessions/${id}/renew`;
    const headers = { ...pinOf(one), ...JSON_TYPE };
    const renewed = await one.ask(path, { method: 'POST', headers, body: '{"ttl":600}' });
    expect(json(renewed)).toEqual({
      expires_at: new Date(one.desk.nowMs + 600_000).toISOString(),
      status: 'active',
    });
    for (const body of ['{"ttl":299}', '{"ttl":"600"}', '{"tt":600}', '[]', '{']) {
      const refused = await one.ask(path, { method: 'POST', headers, body });
      expect([body, refused.status, json(refused)['error']]).toEqual([body, 400, 'api_malformed']);
    }
  });

  it('mistake 3: the quote answers a nonce with a document, never a constant', async () => {
    const one = await scenes.open();
    const quoted = await one.ask(`/attestation/quote?nonce=${NONCE}`);
    expect(json(quoted)).toMatchObject({
      attestation_type: 'AWS_NITRO',
      document: 'oA==',
      public_key: Buffer.from(one.desk.services.keys.x25519.publicKey).toString('base64'),
    });
    const without = await one.ask('/attestation/quote');
    expect([without.status, json(without)['error']]).toEqual([400, 'nonce_invalid']);
    one.desk.attested = refuse('nsm_error');
    const failed = await one.ask(`/attestation/quote?nonce=${NONCE}`);
    expect([failed.status, json(failed)['code']]).toEqual([503, 'ATTESTATION_FAILED']);
  });
});

describe('limits', () => {
  it.each([
    ['client_per_minute', '/enclave/envelopes'],
    ['client_per_minute', '/tls/csr'],
  ])('%s: N pass and N+1 does not, on %s', async (_, path) => {
    const limits = {
      clock_divergence_ms: 1,
      attestations_per_second: 1,
      api: { client_per_minute: 3 },
    };
    const one = await scenes.open({ configuration: { limits } });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const method = path === '/tls/csr' ? 'GET' : 'POST';
    const call = (): Promise<HttpAnswer> =>
      method === 'GET'
        ? one.ask(path, { agent })
        : one.ask(path, {
            agent,
            method,
            headers: JSON_TYPE,
            body: one.seal({ op: 'summary' }, { session_id: 'x' }).body,
          });
    const answers = [await call(), await call(), await call(), await call()];
    expect(answers.map(({ status }) => status === 429)).toEqual([false, false, false, true]);
    expect(answers.map(({ headers }) => headers['x-ratelimit-limit'])[3]).toBe('3');
    expect(answers[3]?.headers['x-ratelimit-remaining']).toBe('0');
    expect(answers[3]?.headers['retry-after']).toBe('60');
    const reset = Number(answers[3]?.headers['x-ratelimit-reset']);
    expect(reset).toBe(Math.ceil((one.desk.nowMs + 60_000) / 1000));
    // Another connection is another client.
    expect((await one.ask('/tls/csr')).status).toBe(200);
    one.desk.nowMs += 60_000;
    expect((await one.ask('/tls/csr', { agent })).status).toBe(200);
    agent.destroy();
  });

  it('by session, whichever way it is asked', async () => {
    const limits = {
      clock_divergence_ms: 1,
      attestations_per_second: 1,
      api: { session_per_minute: 3 },
    };
    const one = await scenes.open({ configuration: { limits } });
    const [id, other] = [await one.session(), await one.session()];
    const first = await one.operate('summary', id);
    expect(first.headers['x-ratelimit-limit']).toBe('3');
    expect(first.headers['x-ratelimit-remaining']).toBe('2');
    await one.operate('metrics', id);
    expect((await one.ask(`/enclave/summary/${id}`, { headers: pinOf(one) })).status).toBe(200);
    const over = await one.operate('summary', id);
    expect([over.status, over.inside['code']]).toEqual([429, 'RATE_LIMIT_EXCEEDED']);
    const pinned = await one.ask(`/enclave/summary/${id}`, { headers: pinOf(one) });
    expect(pinned.status).toBe(429);
    expect((await one.operate('summary', other)).status).toBe(200);
    one.desk.nowMs += 60_000;
    expect((await one.operate('summary', id)).status).toBe(200);
  });

  it('of registrations, over all clients', async () => {
    const limits = {
      clock_divergence_ms: 1,
      attestations_per_second: 1,
      api: { registrations_per_minute: 2 },
    };
    const one = await scenes.open({ configuration: { limits } });
    expect((await one.register()).headers['x-ratelimit-remaining']).toBe('1');
    await one.register();
    expect((await one.register()).inside['error']).toBe('rate_limited');
    expect(one.polling.checked).toHaveLength(2);
  });

  it('of the body: 32 KiB and not a byte more, announced or not', async () => {
    const one = await scenes.open();
    const call = one.seal({ op: 'register', exchange: 'kraken' }, CREDENTIALS);
    const padded = (bytes: number): string => call.body.padEnd(bytes, ' ');
    const send = (body: string, headers: Record<string, string>): Promise<HttpAnswer> =>
      one.ask('/enclave/sessions', { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body });
    for (const headers of [{}, { 'transfer-encoding': 'chunked' }]) {
      const refused = await send(padded(MAX_ENVELOPE_BYTES + 1), headers);
      expect([refused.status, json(refused)['error']]).toEqual([413, 'api_too_large']);
    }
    expect((await send(padded(MAX_ENVELOPE_BYTES), {})).status).toBe(200);
  });

  it('an envelope of another type of content is refused', async () => {
    const one = await scenes.open();
    const call = one.seal({ op: 'register', exchange: 'kraken' }, CREDENTIALS);
    for (const type of ['text/plain', 'application/jsonp', '']) {
      const answer = await one.ask('/enclave/sessions', {
        method: 'POST',
        headers: { 'content-type': type },
        body: call.body,
      });
      expect([answer.status, json(answer)['error']]).toEqual([400, 'api_malformed']);
    }
  });
});

describe('before READY and while the log stalls', () => {
  it('nothing is taken', async () => {
    const one = await scenes.open();
    for (const [change, code] of [
      [{ ready: false, stalled: false }, 'not_ready'],
      [{ ready: true, stalled: true }, 'log_stalled'],
    ] as const) {
      Object.assign(one.desk, change);
      const call = one.seal({ op: 'register', exchange: 'kraken' }, CREDENTIALS);
      const answer = await one.ask('/enclave/sessions', {
        method: 'POST',
        headers: JSON_TYPE,
        body: call.body,
      });
      expect([answer.status, json(answer)['error']]).toEqual([503, code]);
      expect(json(await one.ask('/ready'))['error']).toBe(code);
      expect((await one.ask('/health')).status).toBe(200);
    }
    expect(one.polling.checked).toEqual([]);
  });
});

describe('what HTTP can do', () => {
  it('other paths and methods get their code in the one form of an error', async () => {
    const one = await scenes.open();
    for (const path of [
      '/',
      '/health?x',
      '/enclave',
      '/enclave/sessions/',
      '/enclave/cleanup',
      '/enclave/summary/x/renew',
      '/enclave/sessions/../..',
    ]) {
      const answer = await one.ask(path);
      expect([path, answer.status, json(answer)['error']]).toEqual([path, 404, 'not_found']);
    }
    const wrong = await one.ask('/enclave/sessions');
    expect([wrong.status, wrong.headers.allow]).toEqual([405, 'POST']);
    const { error, message, code, request_id, timestamp, ...rest } = json(wrong);
    expect(rest).toEqual({});
    expect(error).toBe('method_not_allowed');
    expect(message).toBe(REFUSAL_CODES.method_not_allowed);
    expect(code).toBe('METHOD_NOT_ALLOWED');
    expect(request_id).toMatch(/^[0-9a-f]{32}$/u);
    expect(timestamp).toBe(new Date(one.desk.nowMs).toISOString());
    expect(json(await one.ask('/enclave/sessions'))['request_id']).not.toBe(request_id);
  });

  it('a page of any origin may use envelopes, and nothing with a session id in its URL', async () => {
    const one = await scenes.open();
    const asked = await one.ask('/enclave/sessions', { method: 'OPTIONS' });
    expect(asked.status).toBe(200);
    expect(asked.headers['access-control-allow-origin']).toBe('*');
    expect(asked.headers['access-control-allow-headers']).toBe('content-type');
    const pinned = await one.ask(`/enclave/summary/${'x'.repeat(43)}`, { method: 'OPTIONS' });
    expect(pinned.status).toBe(405);
    expect(pinned.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('a client that asks before it sends is told to go on', async () => {
    const one = await scenes.open();
    const call = one.seal({ op: 'register', exchange: 'kraken' }, CREDENTIALS);
    const headers = { ...JSON_TYPE, expect: '100-continue' };
    const answer = await one.ask('/enclave/sessions', { method: 'POST', headers, body: call.body });
    expect(answer.status).toBe(200);
  });

  it('a body that ends early harms nobody', async () => {
    const one = await scenes.open();
    for (let count = 0; count < 3; count++) {
      const socket = connect({ host: '127.0.0.1', port: one.port, rejectUnauthorized: false });
      socket.write(
        'POST /enclave/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n' +
          'content-length: 100\r\n\r\n{"v":1',
      );
      await new Promise((resolve) => setTimeout(resolve, 10));
      socket.destroy();
    }
    expect((await one.register()).status).toBe(200);
  });
});

interface OpenApi {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<
        Record<
          string,
          {
            readonly responses: Readonly<
              Record<
                string,
                { readonly content?: Record<string, { readonly schema: Record<string, unknown> }> }
              >
            >;
          }
        >
      >
    >
  >;
  readonly components: { readonly schemas: Readonly<Record<string, Record<string, unknown>>> };
}

/** By the document alone, as a stranger would. */
function checkAnswer(document: OpenApi, path: string, method: string, answer: HttpAnswer): void {
  const responses = document.paths[path]?.[method]?.responses ?? {};
  const response = responses[String(answer.status)];
  expect(response, `${method} ${path} ${answer.status}`).toBeDefined();
  const schema = response?.content?.['application/json']?.schema;
  if (schema === undefined) return;
  const { schemas } = document.components;
  const wanted = JSON.parse(
    JSON.stringify(schema).replaceAll('#/components/schemas/', '#/$defs/'),
  ) as Record<string, unknown>;
  const parsed = z.fromJSONSchema({ ...wanted, $defs: schemas }).safeParse(json(answer));
  expect(parsed.error?.issues ?? [], `${method} ${path} ${answer.status}`).toEqual([]);
}

async function served(one: ApiScene): Promise<OpenApi> {
  const answer = await one.ask('/openapi.json');
  expect(answer.headers['content-type']).toBe('application/json');
  return json(answer) as unknown as OpenApi;
}

describe('the OpenAPI document', () => {
  it('describes what the server really answers', async () => {
    const one = await scenes.open();
    const document = await served(one);
    const check = async (
      path: string,
      template: string,
      options: Parameters<ApiScene['ask']>[1] = {},
    ): Promise<number> => {
      const answer = await one.ask(path, options);
      checkAnswer(document, template, (options.method ?? 'GET').toLowerCase(), answer);
      return answer.status;
    };
    const id = await one.session();
    const headers = pinOf(one);
    const envelope = (op: string, plaintext: object): Parameters<ApiScene['ask']>[1] => ({
      method: 'POST',
      headers: JSON_TYPE,
      body: one.seal(op === 'register' ? { op, exchange: 'kraken' } : { op }, plaintext).body,
    });
    const replayed = envelope('register', CREDENTIALS);
    const seen = [
      await check('/health', '/health'),
      await check('/ready', '/ready'),
      await check(`/attestation?nonce=${NONCE}`, '/attestation'),
      await check('/attestation', '/attestation'),
      await check(`/attestation/quote?nonce=${NONCE}`, '/attestation/quote'),
      await check('/attestation/quote', '/attestation/quote'),
      await check('/attestation/boot', '/attestation/boot'),
      await check('/tls/csr', '/tls/csr'),
      await check('/enclave/sessions', '/enclave/sessions', replayed),
      await check('/enclave/sessions', '/enclave/sessions', { method: 'POST', headers: JSON_TYPE }),
      await check('/enclave/submit_key', '/enclave/submit_key', envelope('register', {})),
      await check(
        '/enclave/envelopes',
        '/enclave/envelopes',
        envelope('summary', { session_id: id }),
      ),
      await check(
        '/enclave/envelopes',
        '/enclave/envelopes',
        envelope('summary', { session_id: 'x' }),
      ),
      await check(`/enclave/summary/${id}`, '/enclave/summary/{id}', { headers }),
      await check(`/enclave/summary/${id}`, '/enclave/summary/{id}'),
      await check('/enclave/summary/x', '/enclave/summary/{id}', { headers }),
      await check(`/enclave/metrics/${id}`, '/enclave/metrics/{id}', { headers }),
      await check(`/enclave/sessions/${id}/renew`, '/enclave/sessions/{id}/renew', {
        method: 'POST',
        headers,
      }),
      await check(`/enclave/sessions/${id}`, '/enclave/sessions/{id}', {
        method: 'DELETE',
        headers,
      }),
    ];
    expect(new Set(seen)).toEqual(new Set([200, 400, 401, 421]));
  });

  it('describes what is inside of the envelopes', async () => {
    const one = await scenes.open();
    const { schemas } = (await served(one)).components;
    const check = (name: string, value: unknown): void => {
      const schema = schemas[name];
      if (schema === undefined) throw new Error(`no schema ${name}`);
      const parsed = z.fromJSONSchema(schema).safeParse(value);
      expect(parsed.error?.issues ?? [], name).toEqual([]);
    };
    const registered = await one.register();
    check('Registered', registered.inside);
    const id = String(registered.inside['session_id']);
    check('SummaryAnswer', (await one.operate('summary', id)).inside);
    check('MetricsAnswer', (await one.operate('metrics', id)).inside);
    check('Renewed', (await one.operate('renew', id, { ttl: 300 })).inside);
    check('Revoked', (await one.operate('revoke', id)).inside);
    check('Error', (await one.operate('revoke', id)).inside);
    // And would see it if they did not.
    const wrong = { ...registered.inside, session_id: 'short' };
    expect(z.fromJSONSchema(schemas['Registered'] ?? {}).safeParse(wrong).success).toBe(false);
  });

  it('lists every path that answers, and none that does not', async () => {
    const one = await scenes.open();
    const document = await served(one);
    const id = await one.session();
    for (const [template, methods] of Object.entries(document.paths)) {
      const path = template.replace('{id}', id);
      for (const method of ['get', 'post', 'delete', 'put', 'patch']) {
        const { status } = await one.ask(path, { method: method.toUpperCase() });
        expect([template, method, status === 405]).toEqual([
          template,
          method,
          !(method in methods),
        ]);
      }
    }
  });
});
