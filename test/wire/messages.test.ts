import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../../wire/bytes.ts';
import type { CborValue } from '../../wire/cbor.ts';
import { encodeCbor, parseCbor } from '../../wire/cbor.ts';
import { parseAck, parseCommit } from '../../wire/commit.ts';
import { encodeAck, encodeCommit } from '../../wire/messages.ts';
import { originOf, parseHeader, parseOrigin } from '../../wire/header.ts';
import { encodeAnyHeader } from '../helpers/old-header.ts';
import type { EpochHeader } from '../../wire/header.ts';
import * as desk from '../../wire/desk-messages.ts';
import * as kms from '../../wire/kms-messages.ts';
import * as messages from '../../wire/messages.ts';
import * as payloads from '../../wire/payloads.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import * as seal from '../../wire/seal.ts';
import * as sealed from '../../wire/sealed.ts';
import * as strategy from '../../wire/strategy-messages.ts';

const HASH = new Uint8Array(32).fill(1);
const SPKI = new Uint8Array(91).fill(2);
const INSTRUMENT = {
  id: 1,
  venue: 'binance',
  symbol: 'ETHUSDT',
  market: 'spot',
  price_scale: 2,
  quantity_scale: 4,
  sequence_rule: 'binance-spot',
} as const;
const KEY_ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const HEADER: EpochHeader = {
  origin: 'trackseal.example/demo/e0000000003',
  epoch: 3,
  logKey: SPKI,
  tlsKeyHash: HASH,
  x25519Key: HASH,
  ed25519Key: HASH,
  configurationDigest: HASH,
  configuration: new Uint8Array(100),
  version: 3,
  commitPolicy: 'spool',
  sealed: [],
  dataKeys: [],
  feedMode: 'replay',
  streams: [{ id: 0, label: 0, name: 'enclave' }],
  strategies: [
    {
      stream: 1000,
      name: 'imbalance',
      version: '1',
      bundleCommitment: HASH,
      parametersCommitment: HASH,
    },
  ],
  wrappedDisclosureKey: new Uint8Array(80),
  previous: { epoch: 2, size: 10, root: HASH, logKeyHash: HASH, clean: false },
  clock: { wallNs: 1_723_161_254_024_619_568n, nsmTimestampMs: 1_723_161_254_024, errorBoundNs: 9 },
  moduleId: 'i-0123456789abcdef0-enc0123456789abcdef',
};

const NO_DESK = { x25519Key: null, ed25519Key: null };

interface Codec {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly parse: (bytes: Uint8Array) => Result<unknown>;
  readonly value: unknown;
  /** Fields that may be missing. */
  readonly optional: readonly number[];
}

function codec<T>(
  name: string,
  encode: (value: T) => Uint8Array,
  parse: (bytes: Uint8Array) => Result<unknown>,
  value: T,
  optional: readonly number[] = [],
): Codec {
  return { name, bytes: encode(value), parse, value, optional };
}

const CODECS: readonly Codec[] = [
  codec('header', encodeAnyHeader, parseHeader, HEADER),
  codec('header of an epoch with secrets', encodeAnyHeader, parseHeader, {
    ...HEADER,
    commitPolicy: 's3',
    sealed: [
      { purpose: 'strategy', name: 'imbalance', version: 2, commitment: HASH, keyArn: KEY_ARN },
    ],
    dataKeys: [{ name: 'book', version: 1, mark: HASH }],
  }),
  codec('header of version 1', encodeAnyHeader, parseHeader, {
    ...HEADER,
    ...NO_DESK,
    version: 1,
  }),
  codec('header of version 2', encodeAnyHeader, parseHeader, { ...HEADER, ...NO_DESK, version: 2 }),
  codec('first header', encodeAnyHeader, parseHeader, { ...HEADER, previous: null }),
  codec('commit', encodeCommit, parseCommit, {
    epoch: 1,
    firstIndex: 2,
    leaves: [Uint8Array.of(1)],
    blobs: [],
    note: Uint8Array.of(3),
  }),
  codec('ack', encodeAck, parseAck, { epoch: 1, size: 5, root: HASH }),
  codec('item', messages.encodeItem, messages.parseItem, {
    purpose: 'parameters' as const,
    name: 'imbalance',
    version: '1',
    salt: HASH,
    bytes: Uint8Array.of(1),
  }),
  codec('previous', messages.encodePrevious, messages.parsePrevious, {
    origin: HEADER.origin,
    note: Uint8Array.of(1),
    logKey: SPKI,
    lastLeaf: Uint8Array.of(1),
    proof: [HASH, HASH],
    unreleased: [4, 9],
    leafZero: Uint8Array.of(2),
    leafZeroProof: [HASH],
    nextCommit: 7,
  }),
  codec('credentials', kms.encodeCredentials, kms.parseCredentials, {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'secret',
    sessionToken: 'token',
    expiresMs: 1_723_161_254_024,
  }),
  codec('sealed', seal.encodeSealed, sealed.parseSealed, {
    statement: HASH,
    signature: new Uint8Array(70),
    wrappedKey: Uint8Array.of(1),
    content: new Uint8Array(61),
  }),
  codec('seal statement', seal.encodeStatement, sealed.parseStatement, {
    purpose: 'exchange_account',
    logId: 'trackseal.example/demo',
    name: 'binance/main',
    label: '',
    version: 3,
    configurationDigest: HASH,
    commitment: HASH,
    keyArn: KEY_ARN,
    image: new Uint8Array(48).fill(5),
  }),
  codec('data-key record', sealed.encodeDataKeyRecord, sealed.parseDataKeyRecord, {
    name: 'book',
    version: 1,
    keyArn: KEY_ARN,
    image: new Uint8Array(48).fill(5),
    ciphertext: Uint8Array.of(1),
  }),
  codec('data keys', kms.encodeDataKeys, kms.parseDataKeys, {
    records: [Uint8Array.of(1)],
    rotate: ['book'],
  }),
  codec('hand-over', kms.encodeHandOver, kms.parseHandOver, {
    pcrs: [1, 2, 3].map((fill) => new Uint8Array(48).fill(fill)),
    note: 'release 2',
  }),
  codec('dial', kms.encodeDial, kms.parseDial, { host: 'kms.example', port: 443 }),
  codec('dialed', kms.encodeDialed, kms.parseDialed, 'egress_refused' as const),
  codec('ready', messages.encodeReady, messages.parseReady, {
    origin: HEADER.origin,
    logKey: SPKI,
    leaf0Hash: HASH,
  }),
  codec('failed', messages.encodeFailed, messages.parseFailed, {
    code: 'kms_denied',
    position: 3,
    purpose: 'parameters',
    name: 'imbalance',
  }),
  codec('declared gap', messages.encodeDeclaredGap, messages.parseDeclaredGap, {
    stream: 1,
    firstMissing: 4,
    batches: 2,
    rows: null,
  }),
  codec('release', messages.encodeRelease, messages.parseRelease, {
    leafIndex: 3,
    salt: new Uint8Array(16),
    plaintext: Uint8Array.of(1),
  }),
  codec('progress', messages.encodeProgress, messages.parseProgress, {
    stream: 1,
    sequence: 0,
    leafIndex: 2,
    acknowledgedSize: 3,
  }),
  codec('refused', messages.encodeRefused, messages.parseRefused, {
    code: 'batch_malformed',
    stream: null,
    sequence: 5,
  }),
  codec('diagnostic', messages.encodeDiagnostic, messages.parseDiagnostic, {
    code: 'stopped',
    counters: { leaves: 4, stalls: 0 },
  }),
  codec('gap', payloads.encodeGap, payloads.parseGap, {
    reason: payloads.GAP.refused,
    firstMissing: 1,
    count: null,
    instrument: null,
    code: 'batch_malformed',
  }),
  codec('signal', payloads.encodeSignal, payloads.parseSignal, {
    id: 0,
    instrument: 1,
    side: payloads.SIDE.sell,
    quantity: 1000,
    limit: 268_380,
    ttlMs: 500,
    decisionNs: HEADER.clock.wallNs,
    causes: [3],
  }),
  codec('report', payloads.encodeReport, payloads.parseReport, {
    output: 9,
    clientOrderId: 'ts0011223344556677',
    status: payloads.STATUS.rejected,
    reason: 'risk_kill_switch',
    filledQuantity: 10,
    fills: [{ number: 0, price: 5, quantity: 10, fee: -1, timeNs: 1n }],
    environment: 'paper',
    timeNs: 2n,
  }),
  codec(
    'late report',
    payloads.encodeReport,
    payloads.parseReport,
    {
      epoch: 3,
      output: 9,
      clientOrderId: 'ts0011223344556677',
      status: payloads.STATUS.cancelled,
      reason: null,
      filledQuantity: 0,
      fills: [],
      environment: 'paper',
      timeNs: 2n,
    },
    [9],
  ),
  codec('anchor', payloads.encodeAnchor, payloads.parseAnchor, { size: 1, document: HASH }),
  codec('heartbeat', payloads.encodeHeartbeat, payloads.parseHeartbeat, { acknowledgedSize: 1 }),
  codec('close', payloads.encodeClose, payloads.parseClose, payloads.CLOSE_REASON.handOver),
  codec('seed', payloads.encodeSeed, payloads.parseSeed, HASH),
  codec('recovery', payloads.encodeRecovery, payloads.parseRecovery, {
    previousEpoch: 1,
    unreleased: [7],
  }),
  codec('strategy event', payloads.encodeStrategyEvent, payloads.parseStrategyEvent, {
    event: payloads.STRATEGY_EVENT.ended,
    code: 'strategy_crashed',
  }),
  codec('start', strategy.encodeStrategyStart, strategy.parseStrategyStart, {
    name: 'imbalance',
    bundle: Uint8Array.of(1),
    parameters: Uint8Array.of(2),
    seed: HASH,
    instruments: [INSTRUMENT],
    stream: 1000,
  }),
  codec('input', strategy.encodeStrategyInput, strategy.parseStrategyInput, {
    leafIndex: 4,
    bytes: Uint8Array.of(1),
  }),
  codec('started', strategy.encodeStrategyStarted, strategy.parseStrategyStarted, [1]),
  codec('outputs', strategy.encodeStrategyOutputs, strategy.parseStrategyOutputs, {
    leafIndex: 4,
    outputs: [Uint8Array.of(1)],
  }),
  codec('ended', strategy.encodeStrategyEnded, strategy.parseStrategyEnded, 'strategy_crashed'),
  codec('desk open', desk.encodeDeskOpen, desk.parseDeskOpen, {
    origin: 'trackseal.example/demo/e0000000003',
    epoch: 3,
    configuration: new Uint8Array(100),
    nowNs: 1_723_161_254_024_619_568n,
    vaultKeys: [{ name: 'vault', version: 2, bytes: HASH }],
    accounts: [{ name: 'firm', version: 1, bytes: HASH }],
    clientCa: null,
    databasePassword: HASH,
    manifest: HASH,
    roots: new Uint8Array(0),
    document: HASH,
    leafZeroHash: HASH,
  }),
  codec('desk state', desk.encodeDeskState, desk.parseDeskState, {
    acknowledgedSize: 9,
    ready: true,
    stalled: false,
  }),
  codec('desk appended', desk.encodeDeskAppended, desk.parseDeskAppended, {
    id: 1,
    index: 7,
    salt: HASH.subarray(0, 16),
    hash: HASH,
  }),
  codec('desk attested', desk.encodeDeskAttested, desk.parseDeskAttested, {
    id: 1,
    document: HASH,
    code: null,
  }),
  codec('desk attested, without a document', desk.encodeDeskAttested, desk.parseDeskAttested, {
    id: 1,
    document: null,
    code: 'nsm_error',
  }),
  codec('desk output', desk.encodeDeskOutput, desk.parseDeskOutput, {
    leafIndex: 7,
    clientOrderId: 'ts0123456789abcdef',
    instrument: 1,
  }),
  codec('desk keys', desk.encodeDeskKeys, desk.parseDeskKeys, {
    tlsSpki: SPKI,
    x25519: HASH,
    ed25519: HASH,
  }),
  codec('desk append', desk.encodeDeskAppend, desk.parseDeskAppend, {
    id: 1,
    kind: 4,
    plaintext: HASH,
    causes: [2, 5],
  }),
  codec('desk attest', desk.encodeDeskAttest, desk.parseDeskAttest, {
    id: 1,
    nonce: new Uint8Array(16),
  }),
  codec('vault write', desk.encodeVaultWrite, desk.parseVaultWrite, {
    id: 1,
    recordId: HASH.subarray(0, 16),
    bytes: HASH,
  }),
  codec('vault write that forgets', desk.encodeVaultWrite, desk.parseVaultWrite, {
    id: 1,
    recordId: HASH.subarray(0, 16),
    bytes: null,
  }),
  codec('vault kept', messages.encodeVaultKept, desk.parseVaultKept, 5),
  codec('vault record', messages.encodeVaultRecord, desk.parseVaultRecord, {
    recordId: HASH.subarray(0, 16),
    bytes: HASH,
  }),
  codec('desk counters', desk.encodeDeskCounters, desk.parseDeskCounters, {
    https_connections: 3,
    challenges: 0,
  }),
];

/** The shape of a value with every bigint and number alike, to compare what came back. */
function normal(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, item: unknown) => {
      if (typeof item === 'bigint') return item.toString();
      return item instanceof Uint8Array ? Buffer.from(item).toString('hex') : item;
    }),
  );
}

describe.each(CODECS)('$name', ({ bytes, parse, value, optional }) => {
  it('comes back as it was', () => {
    expect(normal(assertAccepted(parse(bytes)))).toEqual(normal(value));
  });

  it('refuses a missing field, an unknown field and every truncation', () => {
    const map = assertAccepted(parseCbor(bytes, { maxBytes: bytes.length })) as Map<
      number,
      CborValue
    >;
    for (const field of map.keys()) {
      if (optional.includes(field)) continue;
      const less = new Map(map);
      less.delete(field);
      expect(parse(encodeCbor(less))).toMatchObject({ refusal: { code: 'message_malformed' } });
    }
    const more = new Map(map).set(99, 0);
    expect(parse(encodeCbor(more))).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 99 } },
    });
    for (let length = 0; length < bytes.length; length++) {
      expect(parse(bytes.subarray(0, length)).ok).toBe(false);
    }
  });

  it('refuses or reads every flipped byte, and never throws', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (offset, mask) => {
        const flipped = bytes.slice();
        flipped[offset] = (flipped[offset] ?? 0) ^ mask;
        const result = parse(flipped);
        const same = result.ok && isDeepStrictEqual(normal(result.value), normal(value));
        expect(same).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the head of an INPUT', () => {
  it.each([0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER])(
    'with leaf %d and its batch make the message',
    (leafIndex) => {
      for (const length of [1, 23, 24, 255, 256, 65_535, 65_536]) {
        const bytes = new Uint8Array(length).fill(7);
        const joined = concatBytes(strategy.encodeStrategyInputHead(leafIndex, length), bytes);
        expect(Buffer.compare(joined, strategy.encodeStrategyInput({ leafIndex, bytes }))).toBe(0);
      }
    },
  );
});

describe('counters', () => {
  it.each(['__proto__', '0', '', 'A', 'a-b', 'a'.repeat(65)])('have no name %j', (name) => {
    const bytes = encodeCbor(
      new Map<number, CborValue>([
        [1, 'counters'],
        [2, new Map([[name, 1]])],
      ]),
    );
    expect(messages.parseDiagnostic(bytes)).toMatchObject({
      refusal: { code: 'message_malformed', detail: { field: 2 } },
    });
  });

  it('keep names that mean something to JavaScript', () => {
    const diagnostic = { code: 'counters', counters: { constructor: 1, a_9: 2 } };
    const parsed = assertAccepted(messages.parseDiagnostic(messages.encodeDiagnostic(diagnostic)));
    expect(Object.entries(parsed.counters)).toEqual([
      ['a_9', 2],
      ['constructor', 1],
    ]);
  });
});

describe('origins', () => {
  it('are made and read the same way', () => {
    expect(originOf('log.example', 7)).toBe('log.example/e0000000007');
    expect(parseOrigin('log.example/e0000000007')).toEqual({ logId: 'log.example', epoch: 7 });
  });

  it.each([
    'log.example',
    'log.example/e7',
    'log.example/e0000000000',
    'Log/e0000000001',
    '/e0000000001',
    `${'a'.repeat(84)}/e0000000001`,
    'log/e0000000001\n',
  ])('%s is none', (text) => {
    expect(parseOrigin(text)).toBeNull();
  });
});

describe('the header', () => {
  it('refuses an origin of another epoch, another policy and another mode', () => {
    for (const [field, value] of [
      [3, 4],
      [8, 'none'],
      [9, 'paper'],
    ] as const) {
      const map = assertAccepted(parseCbor(encodeAnyHeader(HEADER), { maxBytes: 10_000 })) as Map<
        number,
        CborValue
      >;
      map.set(field, value);
      expect(parseHeader(encodeCbor(map)).ok).toBe(false);
    }
  });
});
