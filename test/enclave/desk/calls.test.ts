import { describe, expect, it } from 'vitest';
import { Breaker } from '../../../enclave/desk/breaker.ts';
import type { CallSink } from '../../../enclave/desk/calls.ts';
import { JobCalls } from '../../../enclave/desk/calls.ts';
import type { HttpRequest } from '../../../enclave/desk/http.ts';
import { Limiter } from '../../../enclave/desk/limiter.ts';
import { RetryBudget } from '../../../enclave/desk/retry-budget.ts';
import type { Venue } from '../../../enclave/connector/classes.ts';
import { VENUES } from '../../../enclave/connector/classes.ts';
import type { Fetch } from '../../../enclave/connector/protocol.ts';
import { hostsOf } from '../../../enclave/desk/venues.ts';
import { OUTCOME, encodeExchangePoll } from '../../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../../wire/parse-exchange-call.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { VirtualTime } from '../../helpers/virtual-time.ts';

const MAX_CALLS = 10;
const FETCH: Fetch = {
  job: 1,
  call: 1,
  method: 'GET',
  url: 'https://api.kraken.com/0/public/Time',
  headers: new Map(),
  body: null,
  weight: '1',
  attempt: 0,
};

async function* emptyBody(): AsyncGenerator<Uint8Array> {}

function job(venue: Venue = 'kraken'): {
  readonly calls: JobCalls;
  readonly sent: HttpRequest[];
  readonly ask: (fetch: Partial<Fetch>) => Promise<string>;
} {
  const time = new VirtualTime(1_760_000_000_000);
  const sent: HttpRequest[] = [];
  const calls = new JobCalls(
    {
      crypto: nodeCrypto,
      http: {
        send: (request) => {
          sent.push(request);
          const body = emptyBody();
          return Promise.resolve({
            status: 200,
            headers: new Map(),
            spkiHash: new Uint8Array(32),
            body,
          });
        },
      },
      limiter: new Limiter(time),
      nowNs: () => BigInt(time.nowMs()) * 1_000_000n,
      nowMs: () => time.nowMs(),
      tlsNameOf: (host) => host,
      onVersionNotice: () => undefined,
    },
    {
      account: 'a',
      venue,
      environment: 'live',
      priority: 0,
      breaker: new Breaker(() => 0),
      retries: new RetryBudget(),
      maxCalls: MAX_CALLS,
    },
  );
  const ask = async (fetch: Partial<Fetch>): Promise<string> => {
    let outcome = '';
    const sink: CallSink = {
      fetched: ({ status }) => {
        outcome = String(status);
      },
      body: () => Promise.resolve(true),
      failed: ({ errorClass }) => {
        outcome = errorClass;
      },
    };
    await calls.fetch({ ...FETCH, ...fetch }, sink);
    return outcome;
  };
  return { calls, sent, ask };
}

describe('a call of a connector that is not ours any more', () => {
  it('only reads: nothing that could trade, transfer or withdraw goes out, whatever the key may do', async () => {
    for (const venue of VENUES) {
      const { ask, sent } = job(venue);
      for (const host of hostsOf(venue, 'live')) {
        const paths = ['/0/private/AddOrder', '/0/private/Withdraw', '/api/v3/order', '/v2/orders'];
        for (const path of [...paths, '/0/private/Balance/../AddOrder', '/0/private/Balance/x']) {
          for (const method of ['POST', 'PUT', 'DELETE'] as const) {
            expect(await ask({ method, url: `https://${host}${path}` })).toBe('not_supported');
          }
        }
        expect(await ask({ url: `https://${host}/` })).toBe('200');
      }
      expect(sent.every(({ method }) => method === 'GET')).toBe(true);
    }
    const url = 'https://api.kraken.com/0/private/Balance';
    expect(await job().ask({ method: 'POST', url })).toBe('200');
    expect(await job().ask({ method: 'PUT', url })).toBe('not_supported');
  });

  it.each(['k\r\nhost: evil.example', 'k\n', '\0', '\u20ac'])(
    'with a key of %j in its head is refused, and the desk goes on',
    async (key) => {
      const { calls, ask, sent } = job();
      expect(await ask({ headers: new Map([['api-key', key]]) })).toBe('authentication');
      expect(await ask({ headers: new Map([[`a ${key}`, 'b']]) })).toBe('authentication');
      expect([sent.length, calls.calls.length]).toEqual([0, 0]);
      expect(await ask({ headers: new Map([['api-key', 'k\u00e9']]) })).toBe('200');
    },
  );

  it('counts when it is refused, too: answers that nobody takes are as many as calls', async () => {
    const { calls, ask } = job();
    for (let call = 0; call < MAX_CALLS; call++) {
      const fetch = { ...FETCH, call, url: 'https://evil.example/' };
      expect(calls.admits(fetch)).toBe(true);
      expect(await ask(fetch)).toBe('host_not_allowed');
    }
    expect(calls.admits({ ...FETCH, call: MAX_CALLS })).toBe(false);
  });

  it.each(['99999999999999999999', '12345678901234.5', '0.12345678901234567', '7'])(
    'with a weight of %s has a leaf that readers take',
    async (weight) => {
      const { calls, ask } = job();
      await ask({ weight });
      const poll = {
        accountCommitment: new Uint8Array(32),
        venue: 'kraken',
        environment: 'live',
        scheduledNs: 1n,
        startedNs: 1n,
        endedNs: 1n,
        outcome: OUTCOME.complete,
        refusal: null,
        trigger: 0,
        calls: calls.calls,
        coverage: [],
      } as const;
      const read = assertAccepted(parseExchangePoll(encodeExchangePoll(poll)));
      expect(read.calls).toHaveLength(1);
    },
  );
});
