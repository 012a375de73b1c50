// Everything that leaves the desk, under faults too, and no key of a trader in any of it, whatever its form.

import { connect } from 'node:tls';
import process from 'node:process';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { refuse } from '../../../wire/result.ts';
import { ApiScene } from '../../helpers/api-scene.ts';
import type { FakeDeskOptions } from '../../helpers/fake-desk.ts';
import { FULL_PERMISSIONS } from '../../helpers/fake-desk.ts';
import { SecretSearch } from '../../helpers/secret-search.ts';
import type { HttpAnswer } from '../../helpers/trader.ts';
import { JSON_TYPE, post, sealFor } from '../../helpers/trader.ts';

const SECRETS = {
  userId: 'user-of-the-test_77',
  apiKey: 'LEAK-KEY-5f1d/+&"quoted"',
  secret: 'LEAK-SECRET\nof two lines é €',
  passphrase: 'LEAK PASSPHRASE <html>',
} as const;
const VAULT_KEY = new Uint8Array(32).fill(3);

class Watched {
  readonly one: ApiScene;
  readonly answers: Buffer[] = [];
  readonly printed: string[] = [];
  readonly restore: () => void;

  constructor(one: ApiScene) {
    this.one = one;
    const spies = [process.stderr, process.stdout].map((stream) =>
      vi.spyOn(stream, 'write').mockImplementation((chunk) => {
        this.printed.push(String(chunk));
        return true;
      }),
    );
    this.restore = () => {
      for (const spy of spies) spy.mockRestore();
    };
  }

  note({ headers, body }: HttpAnswer): HttpAnswer {
    this.answers.push(Buffer.from(JSON.stringify(headers)), body);
    return { status: 0, headers, body };
  }

  async send(path: string, body: string | Buffer, headers = JSON_TYPE): Promise<HttpAnswer> {
    const answer = await this.one.ask(path, { method: 'POST', headers, body });
    this.answers.push(Buffer.from(JSON.stringify(answer.headers)), answer.body);
    return answer;
  }

  /** What a secret was found in. `allowed` are secrets that the caller itself was answered. */
  found(extra: Readonly<Record<string, string>> = {}): readonly string[] {
    const { desk, traders } = this.one;
    const search = new SecretSearch({ ...SECRETS, ...extra, vaultKey: toHex(VAULT_KEY) });
    return search.inAll({
      'leaves as the host has them': desk.leaves.map(({ bytes }) => bytes),
      // Whom compliance discloses a leaf to reads this.
      'plaintexts of leaves': desk.leaves.map(({ plaintext }) => plaintext),
      'vault records': desk.written,
      answers: this.answers,
      'standard output and error': this.printed,
      'codes of diagnostics': desk.fatal,
      counters: [JSON.stringify(traders.counters)],
      'state of the host': [...desk.records.keys()],
    });
  }
}

const watched: Watched[] = [];

async function watch(options: FakeDeskOptions = {}): Promise<Watched> {
  const one = await ApiScene.open({ vaultKeys: new Map([[1, VAULT_KEY]]), ...options });
  const made = new Watched(one);
  watched.push(made);
  return made;
}

afterEach(async () => {
  for (const { one, restore } of watched.splice(0)) {
    restore();
    one.desk.release();
    await one.close();
  }
});

describe('the search', () => {
  const search = new SecretSearch(SECRETS);

  it.each([
    ['as it is', (bytes: Buffer) => bytes.toString('utf8')],
    ['in JSON', (bytes: Buffer) => JSON.stringify({ x: bytes.toString('utf8') })],
    ['in a URL', (bytes: Buffer) => encodeURIComponent(bytes.toString('utf8'))],
    ['in hex', (bytes: Buffer) => `00${bytes.toString('hex')}00`],
    ['in base64', (bytes: Buffer) => bytes.toString('base64')],
    [
      'in base64, one byte later',
      (bytes: Buffer) => Buffer.concat([utf8('x'), bytes, utf8('yz')]).toString('base64'),
    ],
    [
      'in base64, two bytes later',
      (bytes: Buffer) => Buffer.concat([utf8('xy'), bytes, utf8('z')]).toString('base64'),
    ],
    ['in base64url', (bytes: Buffer) => bytes.toString('base64url')],
    ['in UTF-16', (bytes: Buffer) => Buffer.from(bytes.toString('utf8'), 'utf16le')],
  ])('finds a secret %s', (_, write) => {
    for (const [name, secret] of Object.entries(SECRETS)) {
      expect(search.in(write(Buffer.from(secret)))).toEqual([name]);
    }
  });

  it('finds one that is cut in two, and nothing where there is nothing', () => {
    const [head, tail] = [SECRETS.apiKey.slice(0, 9), SECRETS.apiKey.slice(9)];
    expect(search.inAll({ here: [head, tail], there: [head, 'x', tail] })).toEqual([
      'here: apiKey',
    ]);
    expect(search.in(JSON.stringify({ apiKey: 'other', secret: 'other' }))).toEqual([]);
  });
});

describe('no key of a trader leaves the desk', () => {
  it('in the whole life of a session', async () => {
    const it = await watch();
    const { one } = it;
    const call = one.seal({ op: 'register', exchange: 'kraken' }, SECRETS);
    await it.send('/enclave/sessions', call.body);
    const opened = await post(
      one.ask,
      '/enclave/sessions',
      one.seal({ op: 'register', exchange: 'okx' }, SECRETS),
    );
    expect(opened.status).toBe(200);
    const inside = JSON.stringify(opened.inside);
    expect(new SecretSearch(SECRETS).in(inside)).toEqual([]);
    const id = String(opened.inside['session_id']);
    for (const op of ['summary', 'metrics', 'renew']) {
      const asked = one.seal({ op }, { session_id: id });
      await it.send('/enclave/envelopes', asked.body);
    }
    const [accountId] = one.polling.added.keys();
    one.polling.state(accountId ?? '', utf8('state'));
    const pin = { 'trackseal-tls-pin': toHex(one.desk.services.keys.tls.spkiHash) };
    for (const path of ['/health', '/openapi.json', `/enclave/summary/${id}`]) {
      it.note(await one.ask(path, { headers: pin }));
    }
    await it.send('/enclave/envelopes', one.seal({ op: 'revoke' }, { session_id: id }).body);
    await one.traders.close();
    // The id of the session is the trader's own secret, and in nothing that the host can read.
    expect(it.found({ sessionId: id })).toEqual([]);
    expect(one.desk.written.length).toBeGreaterThan(2);
    expect(one.desk.leaves.length).toBeGreaterThan(5);
    expect(it.answers.length).toBeGreaterThan(10);
    // What does leave would be found: it is looked at.
    const { origin } = one.desk.services;
    expect(it.found({ origin })).toEqual(['plaintexts of leaves: origin', 'answers: origin']);
  });

  it('when a restart brings the session back', async () => {
    const first = await watch();
    const id = await first.one.register({}, SECRETS);
    const second = await watch({ records: first.one.desk.records, epoch: 2 });
    const { one } = second;
    const asked = one.seal({ op: 'summary' }, { session_id: String(id.inside['session_id']) });
    expect((await second.send('/enclave/envelopes', asked.body)).status).toBe(200);
    const credentials = [...one.polling.added.values()][0]?.account.credentials;
    // The session is really there.
    expect(credentials?.secret.toString()).toBe(SECRETS.secret);
    expect([...first.found(), ...second.found()]).toEqual([]);
  });

  it.each(['exchange_refused', 'exchange_network', 'tls_untrusted', 'exchange_blocked'] as const)(
    'when the exchange answers %s',
    async (code) => {
      const it = await watch();
      it.one.polling.answer = () =>
        // A detail that repeats what was sent: it must not come out.
        Promise.resolve(refuse(code, { what: SECRETS.apiKey, url: `?key=${SECRETS.secret}` }));
      const call = it.one.seal({ op: 'register', exchange: 'kraken' }, SECRETS);
      const { inside } = await post(it.one.ask, '/enclave/sessions', call);
      expect(inside['error']).toBe(code);
      expect(new SecretSearch(SECRETS).in(JSON.stringify(inside))).toEqual([]);
      expect(it.found()).toEqual([]);
    },
  );

  it('when the key can trade, and is refused for it', async () => {
    const it = await watch();
    const permissions = { ...FULL_PERMISSIONS, trade: true, accountId: null };
    it.one.polling.answer = () => Promise.resolve({ ok: true, value: permissions });
    await it.one.register({}, SECRETS);
    expect(it.found()).toEqual([]);
  });

  it('when something throws with the secret in its message: a closed code is all that is left', async () => {
    const it = await watch();
    it.one.polling.answer = ({ credentials }) =>
      Promise.reject(new Error(`cannot sign with ${credentials.secret.toString()}`));
    const call = it.one.seal({ op: 'register', exchange: 'kraken' }, SECRETS);
    const controller = new AbortController();
    const sending = it.one
      .ask('/enclave/sessions', {
        method: 'POST',
        headers: JSON_TYPE,
        body: call.body,
        signal: controller.signal,
      })
      .catch(() => null);
    await expect.poll(() => it.one.desk.fatal).toEqual(['internal']);
    controller.abort();
    await sending;
    expect(it.found()).toEqual([]);
  });

  it('when envelopes are broken, replayed, sent to the wrong place or not envelopes at all', async () => {
    const it = await watch();
    const { one } = it;
    const text = JSON.stringify(SECRETS);
    const good = one.seal({ op: 'register', exchange: 'kraken' }, SECRETS);
    const other = await watch();
    const bodies = (): readonly string[] => [
      text,
      `{"v":1,"ephemeral_pub":${text}`,
      JSON.stringify({ v: 1, ...SECRETS }),
      JSON.stringify({ metadata: SECRETS }),
      good.body.slice(0, -10),
      good.body,
      good.body,
      one.seal({ op: 'register', exchange: 'kraken' }, `${text}x`).body,
      one.seal({ op: 'register', exchange: 'kraken' }, `[${text}]`).body,
      one.seal({ op: 'register', exchange: 'kraken' }, { ...SECRETS, [SECRETS.apiKey]: 1 }).body,
      one.seal({ op: 'register', exchange: 'kraken' }, { ...SECRETS, secret: [SECRETS.secret] })
        .body,
      one.seal({ op: 'register', exchange: 'nowhere' }, SECRETS).body,
      one.seal({ op: 'summary' }, { session_id: SECRETS.secret, apiKey: SECRETS.apiKey }).body,
      one.seal({ op: 'summary' }, { session_id: SECRETS.secret }).body,
      one.seal({ op: 'renew' }, { session_id: SECRETS.secret, ttl: 1 }).body,
      sealFor(other.one.desk.services, { op: 'register', time: 0 }, SECRETS).body,
      'x'.repeat(40_000) + text,
    ];
    const seen = new Set<number>();
    for (const path of [
      '/enclave/sessions',
      '/enclave/submit_key',
      '/enclave/envelopes',
      '/other',
    ]) {
      for (const body of bodies()) seen.add((await it.send(path, body)).status);
    }
    const secretPath = encodeURIComponent(SECRETS.apiKey);
    for (const path of [
      `/enclave/summary/${secretPath}`,
      `/enclave/summary/LEAK-SECRET`,
      `/attestation?nonce=${secretPath}`,
      `/attestation/quote?nonce=${secretPath}`,
      `/${secretPath}`,
    ]) {
      const headers = { 'trackseal-tls-pin': Buffer.from(SECRETS.secret).toString('hex') };
      it.note(await one.ask(path, { headers }));
      it.note(await one.ask(path, { method: 'DELETE', headers, body: text }));
    }
    expect(seen).toEqual(new Set([200, 400, 401, 409, 413]));
    expect(it.found()).toEqual([]);
    expect(one.desk.fatal).toEqual([]);
  });

  it('when connections are cut in the middle of a body', async () => {
    const it = await watch();
    const call = it.one.seal({ op: 'register', exchange: 'kraken' }, SECRETS);
    for (let cut = 50; cut < call.body.length; cut += 200) {
      const socket = connect({ host: '127.0.0.1', port: it.one.port, rejectUnauthorized: false });
      socket.on('error', () => undefined);
      socket.write(
        `POST /enclave/sessions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n` +
          `content-length: ${call.body.length}\r\n\r\n${call.body.slice(0, cut)}`,
      );
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      socket.destroy();
    }
    expect(it.one.polling.checked).toEqual([]);
    expect(it.found()).toEqual([]);
  });

  it('when the log or the vault fails under it', async () => {
    for (const fails of ['append', 'put'] as const) {
      const it = await watch();
      const { services } = it.one.desk;
      const failure = (): Promise<never> => Promise.reject(new Error(SECRETS.secret));
      if (fails === 'append') Object.assign(services, { append: failure });
      else Object.assign(services.vault, { put: failure });
      const controller = new AbortController();
      const sending = it.one
        .ask('/enclave/sessions', {
          method: 'POST',
          headers: JSON_TYPE,
          body: it.one.seal({ op: 'register', exchange: 'kraken' }, SECRETS).body,
          signal: controller.signal,
        })
        .catch(() => null);
      await expect.poll(() => it.one.desk.fatal).toEqual(['internal']);
      controller.abort();
      await sending;
      expect(it.found()).toEqual([]);
      if (fails === 'append')
        Object.assign(services, { append: () => Promise.resolve({ index: 0 }) });
    }
  });
});
