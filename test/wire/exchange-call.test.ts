import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex, utf8 } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import type { Coverage, ExchangeCall, ExchangePoll } from '../../wire/exchange-call.ts';
import {
  encodeExchangePoll,
  MAX_POLL_CALLS,
  MAX_POLL_COVERAGE,
  OUTCOME,
  requestDigest,
  TRIGGER,
} from '../../wire/exchange-call.ts';
import { parseExchangePoll } from '../../wire/parse-exchange-call.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';

const word = fc.stringMatching(/^[a-z0-9_]{1,32}$/u);
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
const ns = fc.bigInt({ min: 0n, max: 2n ** 62n });

const anyCall: fc.Arbitrary<ExchangeCall> = fc.record({
  host: fc.domain(),
  tlsName: fc.domain(),
  spkiHash: fc.option(hash),
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  path: fc.webPath({ size: 'small' }).map((path) => `/${path}`.slice(0, 128)),
  requestDigest: hash,
  responseDigest: fc.option(hash),
  status: fc.option(fc.nat(999)),
  startNs: ns,
  endNs: ns.map((late) => late + 2n ** 62n),
  weight: fc.constantFrom('1', '0', '0.5', '20'),
  attempt: fc.integer({ min: 1, max: 1000 }),
  class: word,
});

const anyCoverage: fc.Arbitrary<Coverage> = fc.record({
  what: word,
  market: fc.option(fc.string({ minLength: 1, maxLength: 64 })),
  fromMs: fc.nat(),
  toMs: fc.nat().map((late) => late + 2 ** 31),
  complete: fc.constant(false),
  reason: fc.option(word),
});

const anyPoll: fc.Arbitrary<ExchangePoll> = fc.record({
  accountCommitment: hash,
  venue: word,
  environment: fc.constantFrom('live', 'sandbox'),
  scheduledNs: ns,
  startedNs: ns,
  endedNs: ns.map((late) => late + 2n ** 62n),
  outcome: fc.constantFrom(OUTCOME.partial, OUTCOME.failed),
  refusal: fc.constantFrom('exchange_network', 'poll_incomplete'),
  trigger: fc.constantFrom(TRIGGER.schedule, TRIGGER.registration, TRIGGER.snapshot, TRIGGER.retry),
  calls: fc.array(anyCall, { maxLength: 4 }),
  coverage: fc.array(anyCoverage, { maxLength: 4 }),
});

const CALL: ExchangeCall = {
  host: 'api.example',
  tlsName: 'api.example',
  spkiHash: null,
  method: 'GET',
  path: '/a',
  requestDigest: new Uint8Array(32),
  responseDigest: null,
  status: null,
  startNs: 1n,
  endNs: 1n,
  weight: '1',
  attempt: 1,
  class: 'network',
};
const ROW: Coverage = {
  what: 'fills',
  market: null,
  fromMs: 0,
  toMs: 0,
  complete: true,
  reason: null,
};
const POLL: ExchangePoll = {
  accountCommitment: new Uint8Array(32),
  venue: 'binance',
  environment: 'live',
  scheduledNs: 1n,
  startedNs: 1n,
  endedNs: 1n,
  outcome: OUTCOME.failed,
  refusal: 'exchange_network',
  trigger: TRIGGER.schedule,
  calls: [CALL],
  coverage: [ROW],
};

function codeOf(poll: ExchangePoll): string {
  const parsed = parseExchangePoll(encodeExchangePoll(poll));
  return parsed.ok ? 'ok' : `${parsed.refusal.code} ${String(parsed.refusal.detail['field'])}`;
}

function digest(method: string, host: string, target: string, body: string): string {
  return toHex(requestDigest(nodeCrypto, method, host, target, utf8(body)));
}

describe('a poll', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(anyPoll, (poll) => {
        expect(assertAccepted(parseExchangePoll(encodeExchangePoll(poll)))).toEqual(poll);
      }),
    );
  });

  it.each<[string, Partial<ExchangePoll>, string]>([
    ['as it is', {}, 'ok'],
    ['complete with a code', { outcome: OUTCOME.complete }, 'message_malformed 8'],
    ['complete', { outcome: OUTCOME.complete, refusal: null }, 'ok'],
    ['failed without a code', { refusal: null }, 'message_malformed 8'],
    ['missed, with a call', { outcome: OUTCOME.missed }, 'message_malformed 10'],
    ['missed', { outcome: OUTCOME.missed, calls: [] }, 'ok'],
    ['that ends before it begins', { startedNs: 2n }, 'message_malformed 6'],
    [
      'of a commitment that is too short',
      { accountCommitment: new Uint8Array(31) },
      'message_malformed 1',
    ],
    ['of an environment of its own', { environment: 'paper' as 'live' }, 'message_malformed 3'],
    ['with an unknown code', { refusal: 'toString' as 'poll_missed' }, 'message_malformed 8'],
    ['with an unknown outcome', { outcome: 4 as 2 }, 'message_malformed 7'],
    ['with an unknown trigger', { trigger: 5 as 2 }, 'message_malformed 9'],
  ])('%s', (_, change, outcome) => {
    expect(codeOf({ ...POLL, ...change })).toBe(outcome);
  });

  it.each<[string, Partial<ExchangeCall>, string]>([
    ['a path of 128', { path: 'p'.repeat(128) }, 'ok'],
    ['a path of 129', { path: 'p'.repeat(129) }, 'message_malformed 5'],
    ['no path', { path: '' }, 'message_malformed 5'],
    ['attempt 0', { attempt: 0 }, 'message_malformed 12'],
    ['a weight that is no decimal', { weight: '1e3' }, 'message_malformed 11'],
    ['a method with a space', { method: 'GET /' }, 'message_malformed 4'],
    ['a class that is no word', { class: 'Not ok' }, 'message_malformed 13'],
    ['an end before its begin', { startNs: 2n }, 'message_malformed 10'],
    ['a status of four digits', { status: 1000 }, 'message_malformed 8'],
  ])('with a call that has %s', (_, change, outcome) => {
    expect(codeOf({ ...POLL, calls: [{ ...CALL, ...change }] })).toBe(outcome);
  });

  it.each<[string, Partial<Coverage>, string]>([
    ['complete for a reason', { reason: 'network' }, 'message_malformed 6'],
    ['that goes back', { fromMs: 1 }, 'message_malformed 4'],
  ])('with coverage %s', (_, change, outcome) => {
    expect(codeOf({ ...POLL, coverage: [{ ...ROW, ...change }] })).toBe(outcome);
  });

  it.each([
    ['calls', MAX_POLL_CALLS, 'ok'],
    ['calls', MAX_POLL_CALLS + 1, 'message_malformed 10'],
    ['coverage', MAX_POLL_COVERAGE, 'ok'],
    ['coverage', MAX_POLL_COVERAGE + 1, 'message_malformed 11'],
  ])('of %s × %i: %s', (what, count, outcome) => {
    const calls = Array.from({ length: what === 'calls' ? count : MAX_POLL_CALLS }, () => CALL);
    const coverage = Array.from(
      { length: what === 'coverage' ? count : MAX_POLL_COVERAGE },
      () => ROW,
    );
    expect(codeOf({ ...POLL, calls, coverage })).toBe(outcome);
  });

  it('refuses what is missing and what it does not know', () => {
    const map = assertAccepted(parseCbor(encodeExchangePoll(POLL), { maxBytes: 4096 }));
    for (const key of (map as Map<number, CborValue>).keys()) {
      const less = new Map(map as Map<number, CborValue>);
      less.delete(key);
      expect(parseExchangePoll(encodeCbor(less)).ok, `without ${key}`).toBe(false);
    }
    const more = new Map(map as Map<number, CborValue>).set(12, 0);
    expect(parseExchangePoll(encodeCbor(more))).toMatchObject({
      refusal: { detail: { field: 12 } },
    });
  });
});

describe('the digest of a request', () => {
  it('is another one when a part moves a byte to the next', () => {
    const all = [
      digest('GET', 'a.b', '/c', 'd'),
      digest('GETa', '.b', '/c', 'd'),
      digest('GET', 'a.b/', 'c', 'd'),
      digest('GET', 'a.b', '/cd', ''),
      digest('GET', 'a.b', '/c', ''),
    ];
    expect(new Set(all).size).toBe(all.length);
  });
});
