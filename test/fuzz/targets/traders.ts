// What a trader's side of the internet sends to the desk, and what it is shown: envelopes, what is in them, and signed results.
// Whatever is accepted is the one form: written again it is the same, and JSON.parse reads nothing else in it.

import { parseSecretFields } from '../../../enclave/desk/secret-fields.ts';
import { parseUtf8, utf8 } from '../../../wire/bytes.ts';
import {
  canonicalMetadata,
  encodeAnswer,
  MAX_ENVELOPE_BYTES,
  parseEnvelope,
} from '../../../wire/envelope.ts';
import { encodeEnvelope, parseAnswer } from '../../../wire/client-envelope.ts';
import { encodeResultStatement, parseResultStatement } from '../../../wire/result-statement.ts';
import { hoursOf, summaryOf } from '../../../wire/result-summary.ts';
import { envelopeVectors } from '../../vectors/envelope.ts';
import { mix, mutateBytes } from '../mutate/bytes.ts';
import { mutateCbor } from '../mutate/cbor.ts';
import { mutateJson } from '../mutate/json.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge, sameValue } from '../target.ts';

function readJson(bytes: Uint8Array): unknown {
  return JSON.parse(parseUtf8(bytes) ?? '');
}

function runEnvelope(bytes: Uint8Array): string {
  const parsed = parseEnvelope(bytes);
  const answer = parseAnswer(bytes);
  if (parsed.ok) {
    const again = JSON.parse(encodeEnvelope(parsed.value)) as unknown;
    expectThat(sameValue(again, readJson(bytes)), 'the envelope says more than was understood');
    const text = canonicalMetadata(parsed.value.metadata);
    expectThat(sameValue(JSON.parse(text), parsed.value.metadata), 'settings with another form');
  }
  if (answer.ok) {
    const again = JSON.parse(encodeAnswer(answer.value)) as unknown;
    expectThat(sameValue(again, readJson(bytes)), 'the answer says more than was understood');
  }
  return `${judge(parsed)} ${judge(answer)}`;
}

export function envelopeTarget(): Target {
  const { request = '', answer = '' } = envelopeVectors();
  return {
    name: 'envelope',
    files: ['wire/envelope.ts', 'wire/client-envelope.ts'],
    maxBytes: MAX_ENVELOPE_BYTES + 1,
    seeds: [utf8(request), utf8(answer)],
    mutate: mix(
      [6, mutateJson({ words: ['v', 'metadata', 'ttl', 'symbols', ''], canonicalOfTen: 5 })],
      [2, mutateBytes],
    ),
    run: runEnvelope,
  };
}

function runSecretFields(bytes: Uint8Array): string {
  const parsed = parseSecretFields(bytes);
  if (!parsed.ok) return judge(parsed);
  const read = readJson(bytes) as Readonly<Record<string, unknown>>;
  const plain = Object.fromEntries(
    Array.from(parsed.value, ([name, value]) => {
      if (Buffer.isBuffer(value)) return [name, value.toString('utf8')];
      return [
        name,
        Array.isArray(value) ? value.map((one: Buffer) => one.toString('utf8')) : value,
      ];
    }),
  );
  expectThat(sameValue(plain, read), 'JSON.parse reads something else');
  return `accepted ${[...new Set([...parsed.value.values()].map((value) => typeof value))].join()}`;
}

export function secretFieldsTarget(): Target {
  const seeds = [
    { userId: 'u', apiKey: 'key', secret: 'line\n"two" \\ é €', passphrase: null },
    { session_id: 'A'.repeat(43), ttl: 300 },
    { exchange: 'kraken', symbols: ['BTC/EUR', ''], sandbox: false, allowTrading: true, n: -12 },
  ];
  return {
    name: 'secret-fields',
    files: ['enclave/desk/secret-fields.ts'],
    maxBytes: MAX_ENVELOPE_BYTES + 1,
    seeds: seeds.map((seed) => utf8(JSON.stringify(seed))),
    mutate: mix(
      [3, mutateJson({ words: ['secret', '\\u0041', 'ttl', ''], canonicalOfTen: 5 })],
      [3, mutateBytes],
    ),
    run: runSecretFields,
  };
}

const AMOUNTS = new Map([['EUR', '1000.00000001']]);

function statement(): Uint8Array {
  const matched = { trades: 1, volume: AMOUNTS };
  return encodeResultStatement({
    origin: 'log.example/e0000000001',
    accountCommitment: new Uint8Array(32).fill(1),
    venue: 'kraken',
    hosts: [{ host: 'api.kraken.com', spkiHash: new Uint8Array(32).fill(2) }],
    environment: 'live',
    observedSinceNs: 1_790_000_000_000_000_000n,
    periodStartNs: 1n,
    periodEndNs: 1_790_000_000_000_000_000n,
    asOfNs: 1_790_000_000_000_000_000n,
    polls: { scheduled: 1, complete: 1, partial: 0, failed: 0, missed: 0 },
    coverage: [
      { what: 'fills', market: null, fromMs: 1, toMs: 2, complete: false, reason: 'network' },
    ],
    gaps: [{ fromMs: 1, toMs: 2, reason: 'network' }],
    method: 'sums/v1',
    figures: {
      trades: 1,
      volume: AMOUNTS,
      fees: AMOUNTS,
      funding: new Map(),
      deposits: AMOUNTS,
      withdrawals: AMOUNTS,
      balances: AMOUNTS,
      positions: 0,
      unrealized: null,
      matched,
      unmatched: matched,
      hours: [{ startMs: 0, trades: 1, volume: AMOUNTS, fees: AMOUNTS, complete: true }],
    },
    missing: ['returns'],
  });
}

function runResult(bytes: Uint8Array): string {
  const parsed = parseResultStatement(bytes);
  const outcome = judge(parsed);
  if (!parsed.ok) return outcome;
  expectSameBytes(encodeResultStatement(parsed.value), bytes, 'a statement of another form');
  const readable = { ...summaryOf(parsed.value), hours: hoursOf(parsed.value) };
  expectThat(sameValue(JSON.parse(JSON.stringify(readable)), readable), 'JSON says it otherwise');
  const { hours, gaps, matched } = readable;
  return `${outcome} ${hours.length > 0} ${gaps.length > 0} ${matched !== null}`;
}

export function resultTarget(): Target {
  return {
    name: 'result',
    files: ['wire/result-statement.ts', 'wire/result-summary.ts', 'verifier/result/result-file.ts'],
    maxBytes: 4096,
    seeds: [statement()],
    mutate: mix([6, mutateCbor({ maxBytes: 4096 })], [1, mutateBytes]),
    run: runResult,
  };
}
