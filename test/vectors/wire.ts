// The values behind test/vectors/wire.json: fixed inputs, so that somebody who writes another
// implementation can make the same bytes. `node test/vectors/wire.ts` writes the file anew.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { encodeUserData, PURPOSE } from '../../wire/attestation/user-data.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { encodeAck, encodeCommit } from '../../wire/messages.ts';
import { wrapDisclosureKey } from '../../wire/disclosure.ts';
import type { ExchangePoll } from '../../wire/exchange-call.ts';
import { encodeExchangePoll, OUTCOME, requestDigest, TRIGGER } from '../../wire/exchange-call.ts';
import { encodeFrame } from '../../wire/frame.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { originOf } from '../../wire/header.ts';
import { encodeAnyHeader } from '../helpers/old-header.ts';
import { encodePublicLeaf, KIND, LABEL, leafKey, sealLeaf, STREAM } from '../../wire/leaf.ts';
import { encodeHandOver } from '../../wire/kms-messages.ts';
import * as messages from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import * as payloads from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SealStatement } from '../../wire/sealed.ts';
import { encodeDataKeyRecord, sealContext, signedBytes } from '../../wire/sealed.ts';
import { encodeSealed, encodeStatement, sealContent } from '../../wire/seal.ts';
import { encodeCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash, nodeHash } from '../../wire/tlog/merkle.ts';
import { encodeNote, noteKeyId } from '../../wire/tlog/note.ts';
import { verifierKey } from '../../wire/tlog/verifier-key.ts';

const ORIGIN = originOf('trackseal.example/vectors', 7);
const TIME_NS = 1_723_161_254_024_619_568n;

/** `count` bytes: `first`, `first` + 1, … modulo 256. */
function bytes(count: number, first: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, index) => (first + index) & 255);
}

// P-256 SubjectPublicKeyInfo of the generator, whose private key is 1: a key that nobody can mistake.
const LOG_KEY: Uint8Array = Buffer.from(
  '3059301306072a8648ce3d020106082a8648ce3d03010703420004' +
    '6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296' +
    '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  'hex',
);
/** X25519, raw. The ephemeral key is Bob's of RFC 7748 6.1. */
export const COMPLIANCE: { readonly privateKey: Uint8Array; readonly publicKey: Uint8Array } = {
  privateKey: bytes(32, 1),
  publicKey: Buffer.from('07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c', 'hex'),
};
const BOB = {
  privateKey: Buffer.from(
    '5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb',
    'hex',
  ),
  publicKey: Buffer.from('de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f', 'hex'),
};

const DISCLOSURE_KEY = bytes(32, 0x40);
const SALT = bytes(16, 0xa0);

const SIGNAL: payloads.Signal = {
  id: 3,
  instrument: 1,
  side: payloads.SIDE.sell,
  quantity: 10_000,
  limit: 268_317,
  ttlMs: 500,
  decisionNs: TIME_NS,
  causes: [96],
};

const REPORT: payloads.Report = {
  output: 97,
  clientOrderId: payloads.clientOrderIdOf(bytes(32, 0x10)),
  status: payloads.STATUS.filled,
  reason: null,
  filledQuantity: 10_000,
  fills: [{ number: 0, price: 268_316, quantity: 10_000, fee: 13_415_800, timeNs: TIME_NS }],
  environment: 'paper',
  timeNs: TIME_NS,
};

const TARGET = '/api/v3/myTrades?symbol=BTCUSDT&fromId=7';

const POLL: ExchangePoll = {
  accountCommitment: bytes(32, 0xe0),
  venue: 'binance',
  environment: 'live',
  scheduledNs: TIME_NS - 1_000_000_000n,
  startedNs: TIME_NS,
  endedNs: TIME_NS + 500_000_000n,
  outcome: OUTCOME.partial,
  refusal: 'exchange_rate_limited',
  trigger: TRIGGER.schedule,
  calls: [
    {
      host: 'api.binance.com',
      tlsName: 'api.binance.com',
      spkiHash: bytes(32, 0x50),
      method: 'GET',
      path: '/api/v3/myTrades',
      requestDigest: requestDigest(nodeCrypto, 'GET', 'api.binance.com', TARGET, new Uint8Array(0)),
      responseDigest: nodeCrypto.sha256(utf8('[]')),
      status: 200,
      startNs: TIME_NS,
      endNs: TIME_NS + 20_000_000n,
      weight: '20',
      attempt: 1,
      class: 'ok',
    },
  ],
  coverage: [
    {
      what: 'fills',
      market: 'spot',
      fromMs: 1_723_160_000_000,
      toMs: 1_723_161_254_000,
      complete: false,
      reason: 'rate_limited',
    },
  ],
};

const KEY_ARN = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const STATEMENT: SealStatement = {
  purpose: 'parameters',
  logId: 'trackseal.example/vectors',
  name: 'imbalance',
  label: '1.0.0',
  version: 3,
  configurationDigest: nodeCrypto.sha256(utf8('{}\n')),
  commitment: nodeCrypto.sha256(bytes(32, 0x70), utf8('{}')),
  keyArn: KEY_ARN,
  image: bytes(48, 0x11),
};

function outputLeaf(plaintext: Uint8Array, key: Uint8Array): Uint8Array {
  const header = {
    kind: KIND.output,
    timeNs: TIME_NS,
    stream: STREAM.firstStrategy,
    label: LABEL.strategy,
    sequence: 2,
    causes: [96],
  } as const;
  return sealLeaf(nodeCrypto, header, SALT, plaintext, key).bytes;
}

/** Name to hex; texts as their UTF-8 bytes. */
export function wireVectors(): Readonly<Record<string, string>> {
  const signal = payloads.encodeSignal(SIGNAL);
  const key = leafKey(nodeCrypto, DISCLOSURE_KEY, ORIGIN, 97);
  const heartbeat = payloads.encodeHeartbeat({ acknowledgedSize: 12 });
  const heartbeatLeaf = encodePublicLeaf(
    nodeCrypto,
    {
      kind: KIND.heartbeat,
      timeNs: TIME_NS,
      stream: STREAM.enclave,
      label: LABEL.enclave,
      sequence: 2,
      causes: [],
    },
    SALT,
    heartbeat,
  ).bytes;
  const sealed = outputLeaf(signal, key);
  const [left, right] = [leafHash(nodeCrypto, heartbeatLeaf), leafHash(nodeCrypto, sealed)];
  const root = nodeHash(nodeCrypto, left, right);
  const checkpoint = encodeCheckpoint({ origin: ORIGIN, size: 2, root });
  // Not a signature: only the form of a note is shown here.
  const note = encodeNote(checkpoint, ORIGIN, noteKeyId(nodeCrypto, LOG_KEY), bytes(8, 0x30));
  const wrapped = assertAccepted(
    wrapDisclosureKey(nodeCrypto, DISCLOSURE_KEY, COMPLIANCE.publicKey, BOB, ORIGIN),
  );
  const header: EpochHeader = {
    origin: ORIGIN,
    epoch: 7,
    logKey: LOG_KEY,
    tlsKeyHash: bytes(32, 0x60),
    x25519Key: bytes(32, 0x61),
    ed25519Key: bytes(32, 0x62),
    configurationDigest: nodeCrypto.sha256(utf8('{}\n')),
    configuration: utf8('{}\n'),
    version: 3,
    commitPolicy: 'spool',
    sealed: [
      {
        purpose: 'parameters',
        name: 'imbalance',
        version: 3,
        commitment: STATEMENT.commitment,
        keyArn: KEY_ARN,
      },
    ],
    dataKeys: [{ name: 'book', version: 1, mark: bytes(32, 0xd0) }],
    feedMode: 'replay',
    streams: [{ id: 0, label: LABEL.enclave, name: 'enclave' }],
    strategies: [],
    wrappedDisclosureKey: wrapped,
    previous: {
      epoch: 6,
      size: 9,
      root: bytes(32, 0x90),
      logKeyHash: bytes(32, 0xb0),
      clean: false,
    },
    clock: { wallNs: TIME_NS, nsmTimestampMs: 1_723_161_254_024, errorBoundNs: 1_000_000 },
    moduleId: 'i-0123456789abcdef0-enc0123456789abcdef',
  };
  const statement = encodeStatement(STATEMENT);
  const salt = bytes(32, 0x70);
  const content = sealContent(nodeCrypto, bytes(32, 9), bytes(12, 5), statement, salt, utf8('{}'));
  const vectors: Record<string, Uint8Array> = {
    'frame HELLO': encodeFrame(messages.FRAME.hello, messages.encodeHello()),
    signal,
    report: payloads.encodeReport(REPORT),
    'poll of an account': encodeExchangePoll(POLL),
    heartbeat,
    'leaf key of index 97': key,
    'heartbeat leaf, public': heartbeatLeaf,
    'output leaf, private': sealed,
    'leaf hash of the heartbeat leaf': left,
    'leaf hash of the output leaf': right,
    'root over both': root,
    'client order id of the output leaf': utf8(payloads.clientOrderIdOf(right)),
    'checkpoint text': utf8(checkpoint),
    'note with a signature of 8 made-up bytes': note,
    'verifier key': utf8(verifierKey(nodeCrypto, ORIGIN, LOG_KEY)),
    'wrapped disclosure key': wrapped,
    commit: encodeCommit({
      epoch: 7,
      firstIndex: 0,
      leaves: [heartbeatLeaf, sealed],
      blobs: [],
      note,
    }),
    ack: encodeAck({ epoch: 7, size: 2, root }),
    release: messages.encodeRelease({ leafIndex: 97, salt: SALT, plaintext: signal }),
    'user data of a challenge': encodeUserData({
      purpose: PURPOSE.challenge,
      origin: ORIGIN,
      head: { size: 2, root },
      leafZeroHash: left,
      x25519Key: header.x25519Key,
      tlsKeyHash: bytes(32, 0x60),
      ed25519Key: header.ed25519Key,
      configDigest: bytes(32, 0x80),
    }),
    'hand-over': encodeHandOver({
      pcrs: [bytes(48, 1), bytes(48, 2), bytes(48, 3)],
      note: 'release 2',
    }),
    'seal statement': statement,
    'what the owner signs': signedBytes(statement),
    'sealed content': content,
    'sealed item with a signature of 8 made-up bytes': encodeSealed({
      statement,
      signature: bytes(8, 0x30),
      wrappedKey: bytes(16, 0x20),
      content,
    }),
    'encryption context of the sealed item, as JSON': utf8(JSON.stringify(sealContext(STATEMENT))),
    'data-key record': encodeDataKeyRecord({
      name: 'book',
      version: 1,
      keyArn: KEY_ARN,
      image: bytes(48, 0x11),
      ciphertext: bytes(16, 0x20),
    }),
    'header of version 1': encodeAnyHeader({ ...header, version: 1, sealed: [], dataKeys: [] }),
    header: encodeAnyHeader(header),
  };
  return Object.fromEntries(Object.entries(vectors).map(([name, value]) => [name, toHex(value)]));
}

if (import.meta.main) {
  const text = `${JSON.stringify(wireVectors(), null, 2)}\n`;
  writeFileSync(join(import.meta.dirname, 'wire.json'), text);
}
