// wire/messages.ts, wire/commit.ts, wire/strategy-messages.ts, wire/strategy-fill.ts: all frames' payloads
// of all streams.

import * as commits from '../../../wire/commit.ts';
import * as desk from '../../../wire/desk-messages.ts';
import { LOG_KEY_SPKI_BYTES } from '../../../wire/header.ts';
import { MAX_BOOT_BYTES } from '../../../wire/limits.ts';
import * as messages from '../../../wire/messages.ts';
import type { Result } from '../../../wire/result.ts';
import * as strategy from '../../../wire/strategy-messages.ts';
import { encodeStrategyFill } from '../../../wire/strategy-fill.ts';
import { parseStrategyFill } from '../../../wire/strategy-messages.ts';
import { wireVectors } from '../../vectors/wire.ts';
import type { Target } from '../target.ts';
import { canonicalTarget, codec } from './canonical.ts';

const HASH = new Uint8Array(32).fill(9);
const KEY = new Uint8Array(LOG_KEY_SPKI_BYTES).fill(4);
const ORIGIN = 'trackseal.test/log/e0000000001';

function vector(name: string): Uint8Array {
  return Buffer.from(wireVectors()[name] ?? '', 'hex');
}

/** The version that HELLO says is always ours. */
function parseHello(bytes: Uint8Array): Result<number> {
  return messages.parseHello(bytes);
}

const item: messages.Item = {
  purpose: 'strategy',
  name: 'example',
  version: '1.0.0',
  salt: HASH,
  bytes: new Uint8Array(20),
};

const previous: messages.Previous = {
  origin: ORIGIN,
  note: vector('note with a signature of 8 made-up bytes'),
  logKey: KEY,
  lastLeaf: vector('heartbeat leaf, public'),
  proof: [HASH, HASH],
  unreleased: [5, 6],
  leafZero: vector('heartbeat leaf, public'),
  leafZeroProof: [HASH],
  nextCommit: 12,
};

export function bootMessagesTarget(): Target {
  return canonicalTarget({
    name: 'boot-messages',
    files: ['wire/messages.ts', 'wire/enclave-messages.ts', 'wire/fields.ts', 'wire/cbor.ts'],
    maxBytes: MAX_BOOT_BYTES,
    codecs: [
      codec('hello', parseHello, () => messages.encodeHello(), [1]),
      codec('item', messages.parseItem, messages.encodeItem, [
        item,
        { ...item, purpose: 'parameters' },
      ]),
      codec('previous', messages.parsePrevious, messages.encodePrevious, [
        previous,
        { ...previous, nextCommit: null },
      ]),
      codec('ready', messages.parseReady, messages.encodeReady, [
        { origin: ORIGIN, logKey: KEY, leaf0Hash: HASH },
      ]),
      codec('failed', messages.parseFailed, messages.encodeFailed, [
        { code: 'boot_timeout', position: null, purpose: null, name: null },
        { code: 'kms_denied', position: 2, purpose: 'strategy', name: 'example' },
        { code: 'kms_denied', position: null, purpose: 'data_key', name: 'book' },
      ]),
    ],
  });
}

export function feedMessagesTarget(): Target {
  return canonicalTarget({
    name: 'feed-messages',
    files: ['wire/messages.ts', 'wire/enclave-messages.ts', 'wire/fields.ts'],
    maxBytes: 64 * 1024,
    words: ['batches', 'gaps', 'log_full', 'ready', 'counters'],
    codecs: [
      codec('declared gap', messages.parseDeclaredGap, messages.encodeDeclaredGap, [
        { stream: 1, firstMissing: 5, batches: 3, rows: null },
        { stream: 1, firstMissing: 5, batches: 3, rows: 70 },
      ]),
      codec('release', messages.parseRelease, messages.encodeRelease, [
        { leafIndex: 97, salt: new Uint8Array(16), plaintext: vector('signal') },
      ]),
      codec('progress', messages.parseProgress, messages.encodeProgress, [
        { stream: 1, sequence: 3, leafIndex: 7, acknowledgedSize: 9 },
      ]),
      codec('refused', messages.parseRefused, messages.encodeRefused, [
        { code: 'batch_replayed', stream: 1, sequence: 3 },
        { code: 'batch_malformed', stream: null, sequence: null },
      ]),
      codec('diagnostic', messages.parseDiagnostic, messages.encodeDiagnostic, [
        { code: 'counters', counters: { batches: 4, gaps: 0 } },
      ]),
    ],
  });
}

export function commitTarget(): Target {
  const leaf = vector('heartbeat leaf, public');
  return canonicalTarget({
    name: 'commit',
    files: ['wire/commit.ts', 'wire/messages.ts', 'wire/fields.ts'],
    maxBytes: 256 * 1024,
    codecs: [
      codec('commit', commits.parseCommit, messages.encodeCommit, [
        {
          epoch: 7,
          firstIndex: 0,
          leaves: [leaf, vector('output leaf, private')],
          blobs: [new Uint8Array(100)],
          note: vector('note with a signature of 8 made-up bytes'),
        },
      ]),
      codec('ack', commits.parseAck, messages.encodeAck, [{ epoch: 7, size: 2, root: HASH }]),
    ],
  });
}

export function strategyMessagesTarget(): Target {
  const start: strategy.StrategyStart = {
    name: 'example',
    bundle: new Uint8Array(12).fill(0x20),
    parameters: new Uint8Array(2).fill(0x20),
    seed: HASH,
    instruments: [
      {
        id: 1,
        venue: 'binance',
        symbol: 'BTCUSDT',
        market: 'spot',
        price_scale: 2,
        quantity_scale: 5,
        sequence_rule: 'binance-spot',
      },
    ],
    stream: 1000,
  };
  return canonicalTarget({
    name: 'strategy-messages',
    files: [
      'wire/strategy-messages.ts',
      'wire/strategy-frames.ts',
      'wire/strategy-fill.ts',
      'wire/fields.ts',
    ],
    maxBytes: 300 * 1024,
    words: ['linear', 'inverse', 'binance-futures', 'none', 'strategy_crashed'],
    codecs: [
      codec('start', strategy.parseStrategyStart, strategy.encodeStrategyStart, [start]),
      codec('input', strategy.parseStrategyInput, strategy.encodeStrategyInput, [
        { leafIndex: 5, bytes: new Uint8Array(8) },
      ]),
      codec('fill', parseStrategyFill, encodeStrategyFill, [
        { leafIndex: 5, report: vector('report'), signal: 3 },
      ]),
      codec('started', strategy.parseStrategyStarted, strategy.encodeStrategyStarted, [[1, 2], []]),
      codec('outputs', strategy.parseStrategyOutputs, strategy.encodeStrategyOutputs, [
        { leafIndex: 5, outputs: [vector('signal'), vector('signal')] },
      ]),
      codec('ended', strategy.parseStrategyEnded, strategy.encodeStrategyEnded, [
        'strategy_crashed',
      ]),
    ],
  });
}

/** What core and desk say to one another, and the vault's records on their way through the host. */
export function deskMessagesTarget(): Target {
  const id16 = HASH.subarray(0, 16);
  return canonicalTarget({
    name: 'desk-messages',
    files: [
      'wire/desk-frames.ts',
      'wire/desk-messages.ts',
      'wire/desk-open.ts',
      'wire/fields.ts',
      'wire/cbor.ts',
    ],
    maxBytes: 64 * 1024,
    words: ['nsm_error', 'challenges', 'ts0123456789abcdef'],
    codecs: [
      codec('keys', desk.parseDeskKeys, desk.encodeDeskKeys, [
        { tlsSpki: KEY, x25519: HASH, ed25519: HASH },
      ]),
      codec('append', desk.parseDeskAppend, desk.encodeDeskAppend, [
        { id: 1, kind: 4, plaintext: HASH, causes: [2, 5] },
        { id: 2, kind: 15, plaintext: HASH, causes: [] },
      ]),
      codec('attest', desk.parseDeskAttest, desk.encodeDeskAttest, [{ id: 1, nonce: HASH }]),
      codec('vault write', desk.parseVaultWrite, desk.encodeVaultWrite, [
        { id: 1, recordId: id16, bytes: HASH },
        { id: 2, recordId: id16, bytes: null },
      ]),
      codec('vault record', desk.parseVaultRecord, messages.encodeVaultRecord, [
        { recordId: id16, bytes: HASH },
      ]),
      codec('counters', desk.parseDeskCounters, desk.encodeDeskCounters, [
        {},
        { challenges: 1, polls_complete: 2 },
      ]),
      codec('open', desk.parseDeskOpen, desk.encodeDeskOpen, [
        {
          origin: ORIGIN,
          epoch: 1,
          configuration: HASH,
          nowNs: 1_700_000_000_000_000_000n,
          vaultKeys: [{ name: 'vault', version: 1, bytes: HASH }],
          accounts: [],
          clientCa: HASH,
          databasePassword: null,
          manifest: HASH,
          roots: HASH,
          document: HASH,
          leafZeroHash: HASH,
        },
      ]),
      codec('attested', desk.parseDeskAttested, desk.encodeDeskAttested, [
        { id: 1, document: HASH, code: null },
        { id: 1, document: null, code: 'nsm_error' },
      ]),
      codec('output', desk.parseDeskOutput, desk.encodeDeskOutput, [
        { leafIndex: 5, clientOrderId: 'ts0123456789abcdef', instrument: 1 },
      ]),
    ],
  });
}
