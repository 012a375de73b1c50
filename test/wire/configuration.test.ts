import { describe, expect, it } from 'vitest';
import { utf8 } from '../../wire/bytes.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson, parseConfiguration } from '../../wire/configuration.ts';
import { MAX_CONFIGURATION_BYTES } from '../../wire/limits.ts';

const CONFIGURATION: Configuration = {
  version: 1,
  log_id: 'trackseal.example/test',
  feed_mode: 'replay',
  commit_policy: 'spool',
  compliance_public_key: 'ab'.repeat(32),
  instruments: [
    {
      id: 1,
      venue: 'binance',
      symbol: 'ETHUSDT',
      market: 'spot',
      price_scale: 2,
      quantity_scale: 4,
      sequence_rule: 'binance-spot',
    },
  ],
  streams: [{ id: 1, name: 'binance-spot' }],
  strategies: [
    { name: 'imbalance', version: '1', commitment: 'cd'.repeat(32), time_budget_ms: 1000 },
  ],
  intervals: { anchor_ms: 60_000, heartbeat_ms: 1000, commit_ms: 5 },
  limits: { clock_divergence_ms: 5000, attestations_per_second: 5 },
  tls_names: ['localhost'],
};

function codeOf(bytes: Uint8Array): string {
  const result = parseConfiguration(bytes);
  return result.ok ? 'accepted' : result.refusal.code;
}

describe('parseConfiguration', () => {
  it('takes the canonical form', () => {
    expect(parseConfiguration(canonicalJson(CONFIGURATION))).toEqual({
      ok: true,
      value: CONFIGURATION,
    });
  });

  it('refuses every other spelling of the same value', () => {
    expect(codeOf(utf8(JSON.stringify(CONFIGURATION)))).toBe('config_not_canonical');
    const text = JSON.stringify(CONFIGURATION, null, 2);
    expect(codeOf(utf8(text))).toBe('config_not_canonical');
    const twice = `${text.replace('"version": 1,', '"version": 2,\n  "version": 1,')}\n`;
    expect(codeOf(utf8(twice))).toBe('config_not_canonical');
    expect(codeOf(utf8(text.slice(0, -1)))).toBe('json_malformed');
    expect(codeOf(Uint8Array.of(0xff))).toBe('json_malformed');
  });

  it.each<[string, unknown]>([
    ['an unknown key', { ...CONFIGURATION, debug: true }],
    ['an unknown key inside', { ...CONFIGURATION, limits: { ...CONFIGURATION.limits, x: 1 } }],
    ['a missing key', { ...CONFIGURATION, tls_names: undefined }],
    ['another version', { ...CONFIGURATION, version: 2 }],
    ['an upper-case log id', { ...CONFIGURATION, log_id: 'Log' }],
    ['a short compliance key', { ...CONFIGURATION, compliance_public_key: 'ab' }],
    ['no stream', { ...CONFIGURATION, streams: [] }],
    ['stream 1000', { ...CONFIGURATION, streams: [{ id: 1000, name: 'x' }] }],
    [
      'a stream twice',
      { ...CONFIGURATION, streams: [CONFIGURATION.streams[0], CONFIGURATION.streams[0]] },
    ],
    [
      'an instrument twice',
      {
        ...CONFIGURATION,
        instruments: [CONFIGURATION.instruments[0], CONFIGURATION.instruments[0]],
      },
    ],
    [
      'a strategy twice',
      { ...CONFIGURATION, strategies: [CONFIGURATION.strategies[0], CONFIGURATION.strategies[0]] },
    ],
    ['a fraction', { ...CONFIGURATION, intervals: { ...CONFIGURATION.intervals, commit_ms: 1.5 } }],
    ['null', null],
  ])('refuses %s', (_, value) => {
    expect(codeOf(canonicalJson(value))).toBe('config_invalid');
  });

  it('refuses JSON of any depth', () => {
    for (const depth of [10, 1000, MAX_CONFIGURATION_BYTES / 2]) {
      expect(codeOf(utf8('['.repeat(depth) + ']'.repeat(depth)))).toBe('config_invalid');
    }
    const deep = '['.repeat(10_000) + ']'.repeat(10_000);
    const text = JSON.stringify(CONFIGURATION).replace('"spool"', deep);
    expect(codeOf(utf8(text))).toBe('config_invalid');
  });

  it('refuses more than the limit before it parses', () => {
    expect(codeOf(new Uint8Array(MAX_CONFIGURATION_BYTES))).toBe('json_malformed');
    expect(codeOf(new Uint8Array(MAX_CONFIGURATION_BYTES + 1))).toBe('config_invalid');
  });
});
