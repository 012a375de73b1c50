import { describe, expect, it } from 'vitest';
import type { ErrorClass } from '../../../enclave/connector/classes.ts';
import { Breaker, retryAfterOf } from '../../../enclave/desk/breaker.ts';

const MINUTE_MS = 60_000;
const JOB = {};
const OTHER = {};
const plain = (): Breaker => new Breaker(() => 0);

function openFor(breaker: Breaker): number {
  return breaker.state === 'open' ? breaker.openUntilMs : -1;
}

describe('the breaker', () => {
  it.each<[ErrorClass, number, number]>([
    ['rate_limited', 1, MINUTE_MS],
    ['banned', 1, 5 * MINUTE_MS],
    ['maintenance', 1, MINUTE_MS],
    ['geo_blocked', 1, 60 * MINUTE_MS],
    ['unavailable', 5, 30_000],
    ['network', 5, 30_000],
    ['timeout', 5, 30_000],
    ['bad_response', 5, 30_000],
    ['tls_untrusted', 5, MINUTE_MS],
  ])('opens after %s × %i, for %i ms', (errorClass, count, forMs) => {
    const breaker = plain();
    for (let failure = 1; failure < count; failure++) breaker.note(errorClass, null, 0);
    expect(breaker.state).toBe('closed');
    breaker.note(errorClass, null, 0);
    expect([openFor(breaker), breaker.reason]).toEqual([forMs, errorClass]);
    expect(breaker.admitJob(JOB, forMs - 1)).toBe(errorClass);
    expect(breaker.admitCall(JOB)).toBe(errorClass);
  });

  it.each<ErrorClass>([
    'authentication',
    'permission',
    'account',
    'bad_request',
    'not_supported',
    'invalid_nonce',
    'host_not_allowed',
  ])('does not open for %s, which is a matter of one account', (errorClass) => {
    const breaker = plain();
    for (let count = 0; count < 100; count++) breaker.note(errorClass, null, 0);
    expect(breaker.state).toBe('closed');
  });

  it('starts to count anew after an answer', () => {
    const breaker = plain();
    for (let round = 0; round < 10; round++) {
      for (let failure = 0; failure < 4; failure++) breaker.note('network', null, 0);
      breaker.note(round % 2 === 0 ? 'ok' : 'authentication', null, 0);
    }
    expect(breaker.state).toBe('closed');
  });

  it('obeys Retry-After, and stays longer open where its own time is longer', () => {
    const late = plain();
    late.note('rate_limited', 600_000, 0);
    expect(openFor(late)).toBe(600_000);
    const early = plain();
    early.note('rate_limited', 1000, 0);
    expect(openFor(early)).toBe(MINUTE_MS);
    const days = plain();
    days.note('banned', 30 * 86_400_000, 0);
    expect(openFor(days)).toBe(86_400_000);
  });

  it('opens a little later each, never earlier', () => {
    const breaker = new Breaker(() => 1);
    breaker.note('rate_limited', 100_000, 0);
    expect(openFor(breaker)).toBe(120_000);
  });

  it('lets one job try, and closes with its first answer', () => {
    const breaker = plain();
    breaker.note('banned', null, 0);
    const atMs = breaker.openUntilMs;
    expect(breaker.admitJob(JOB, atMs)).toBeNull();
    expect(breaker.admitJob(OTHER, atMs)).toBe('banned');
    expect([breaker.admitCall(JOB), breaker.admitCall(OTHER)]).toEqual([null, 'banned']);
    breaker.note('ok', null, atMs);
    expect([breaker.state, breaker.reason, breaker.admitJob(OTHER, atMs)]).toEqual([
      'closed',
      null,
      null,
    ]);
    expect(breaker.counters).toEqual({ opened: 1, closed: 1, probes: 1 });
  });

  it('opens for twice as long after a try that failed, up to a maximum', () => {
    const breaker = plain();
    let nowMs = 0;
    const lengths: number[] = [];
    breaker.note('maintenance', null, nowMs);
    for (let round = 0; round < 7; round++) {
      lengths.push(breaker.openUntilMs - nowMs);
      nowMs = breaker.openUntilMs;
      const job = {};
      expect(breaker.admitJob(job, nowMs)).toBeNull();
      breaker.note('maintenance', null, nowMs);
      breaker.release(job);
    }
    expect(lengths.map((ms) => ms / MINUTE_MS)).toEqual([1, 2, 4, 8, 10, 10, 10]);
  });

  it('gives the place of a try that said nothing to the next', () => {
    const breaker = plain();
    breaker.note('banned', null, 0);
    const atMs = breaker.openUntilMs;
    expect(breaker.admitJob(JOB, atMs)).toBeNull();
    breaker.release(OTHER);
    expect(breaker.admitJob(OTHER, atMs)).toBe('banned');
    breaker.release(JOB);
    expect(breaker.admitJob(OTHER, atMs)).toBeNull();
  });

  it('is not closed by late answers to calls from before', () => {
    const breaker = plain();
    breaker.note('rate_limited', null, 0);
    breaker.note('ok', null, 1);
    expect(breaker.state).toBe('open');
  });
});

describe('Retry-After', () => {
  const at = Date.parse('2026-11-21T12:00:00Z');
  it.each<[string | null, number | null]>([
    [null, null],
    ['30', 30_000],
    ['0', 0],
    ['Sat, 21 Nov 2026 12:01:00 GMT', 60_000],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['soon', null],
    ['-5', null],
  ])('%s is %s ms', (text, ms) => {
    const headers = new Map(text === null ? [] : [['retry-after', text]]);
    expect(retryAfterOf(headers, at)).toBe(ms);
  });
});
