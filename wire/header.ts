// The epoch header, leaf 0 of every log (docs/PROTOCOL.md 6). It binds key, configuration, streams,
// strategies and the previous epoch; leaf 1 attests its hash. What it says of the previous epoch was
// checked by the enclave against what the host offered: an older one than the last is possible, and
// then signed evidence of a rollback.

import { utf8 } from './bytes.ts';
import { cborMap, encodeMap } from './cbor.ts';
import type { CommitPolicy, Configuration } from './configuration.ts';
import { WRAPPED_KEY_BYTES } from './disclosure.ts';
import type { Fields } from './fields.ts';
import { parseFields } from './fields.ts';
import type { Label } from './leaf.ts';
import { LABEL, STREAM } from './leaf.ts';
import { MAX_CONFIGURATION_BYTES, MAX_LEAF_BYTES, MAX_ORIGIN_CHARACTERS } from './limits.ts';
import type { Result } from './result.ts';
import type { SealedPurpose } from './sealed.ts';
import { MAX_DATA_KEY_RECORDS, MAX_SEALED_ITEMS, parseKeyArn, SEALED_PURPOSES } from './sealed.ts';

/** P-256 SubjectPublicKeyInfo, uncompressed point. */
export const LOG_KEY_SPKI_BYTES = 91;
const DESK_KEY_BYTES = 32;

export interface StreamEntry {
  readonly id: number;
  readonly label: Label;
  readonly name: string;
}

export interface StrategyEntry {
  readonly stream: number;
  readonly name: string;
  readonly version: string;
  /** SHA-256(salt ‖ bundle), measured into the image. */
  readonly bundleCommitment: Uint8Array;
  /** SHA-256(salt ‖ parameters). */
  readonly parametersCommitment: Uint8Array;
}

export interface PreviousEpoch {
  readonly epoch: number;
  readonly size: number;
  readonly root: Uint8Array;
  /** SHA-256 of the SPKI that signed its last checkpoint. */
  readonly logKeyHash: Uint8Array;
  /** Its last leaf was a close leaf. */
  readonly clean: boolean;
}

export interface HeaderClock {
  readonly wallNs: bigint;
  readonly nsmTimestampMs: number;
  readonly errorBoundNs: number;
}

/** An item that came sealed. */
export interface SealedEntry {
  readonly purpose: SealedPurpose;
  readonly name: string;
  readonly version: number;
  /** SHA-256(salt ‖ bytes). */
  readonly commitment: Uint8Array;
  readonly keyArn: string;
}

/** A data key that this epoch can use. */
export interface DataKeyEntry {
  readonly name: string;
  readonly version: number;
  /** HMAC-SHA256(key, `dataKeyMark(log id)`): the same key in two epochs shows, the key does not. */
  readonly mark: Uint8Array;
}

export interface EpochHeader {
  /** 1: before anything could come sealed, without fields 16 and 17; 2: before there was a desk, without 18 and 19. */
  readonly version: 1 | 2 | 3;
  readonly origin: string;
  readonly epoch: number;
  readonly logKey: Uint8Array;
  readonly tlsKeyHash: Uint8Array;
  /** To which clients encrypt; null before version 3. */
  readonly x25519Key: Uint8Array | null;
  /** Which signs results; null before version 3. */
  readonly ed25519Key: Uint8Array | null;
  readonly configurationDigest: Uint8Array;
  readonly configuration: Uint8Array;
  readonly commitPolicy: CommitPolicy;
  readonly feedMode: 'live' | 'replay';
  readonly streams: readonly StreamEntry[];
  readonly strategies: readonly StrategyEntry[];
  readonly wrappedDisclosureKey: Uint8Array;
  readonly previous: PreviousEpoch | null;
  readonly clock: HeaderClock;
  readonly moduleId: string;
  readonly sealed: readonly SealedEntry[];
  readonly dataKeys: readonly DataKeyEntry[];
}

export const HEADER_VERSION = 3;
const MAX_STREAMS = 2048;
const MAX_STRATEGIES = 16;

/** `<log id>/e<epoch, 10 digits>`: the name of the log and of its key. */
export function originOf(logId: string, epoch: number): string {
  return `${logId}/e${String(epoch).padStart(10, '0')}`;
}

/** What the mark of a data key is an HMAC of; the same in all epochs of a log. */
export function dataKeyMark(logId: string): Uint8Array {
  return utf8(`trackseal/data-key/v1${logId}`);
}

/** All streams of an epoch, as its configuration and its strategies make them. */
export function streamsOf(
  configuration: Pick<Configuration, 'streams'>,
  strategies: readonly Pick<StrategyEntry, 'stream' | 'name'>[],
): readonly StreamEntry[] {
  return [
    { id: STREAM.enclave, label: LABEL.enclave, name: 'enclave' },
    ...configuration.streams.map(({ id, name, source }) => {
      return { id, label: source === undefined ? LABEL.host : LABEL.tls, name };
    }),
    ...strategies.map(({ stream, name }) => ({ id: stream, label: LABEL.strategy, name })),
    { id: STREAM.reports, label: LABEL.host, name: 'reports' },
  ];
}

export interface ParsedOrigin {
  readonly logId: string;
  readonly epoch: number;
}

/** Null for anything that `originOf` does not make. */
export function parseOrigin(origin: string): ParsedOrigin | null {
  const match = /^([a-z0-9][a-z0-9.\-/]{0,82})\/e(\d{10})$/u.exec(origin);
  const epoch = Number(match?.[2]);
  if (match?.[1] === undefined || origin.length > MAX_ORIGIN_CHARACTERS || epoch < 1) return null;
  return { logId: match[1], epoch };
}

/** As this version writes it; older ones are only read. */
export function encodeHeader(header: EpochHeader): Uint8Array {
  const { previous, clock } = header;
  return encodeMap(
    [1, HEADER_VERSION],
    [2, header.origin],
    [3, header.epoch],
    [4, header.logKey],
    [5, header.tlsKeyHash],
    [6, header.configurationDigest],
    [7, header.configuration],
    [8, header.commitPolicy],
    [9, header.feedMode],
    [10, header.streams.map(({ id, label, name }) => cborMap([1, id], [2, label], [3, name]))],
    [
      11,
      header.strategies.map((strategy) =>
        cborMap(
          [1, strategy.stream],
          [2, strategy.name],
          [3, strategy.version],
          [4, strategy.bundleCommitment],
          [5, strategy.parametersCommitment],
        ),
      ),
    ],
    [12, header.wrappedDisclosureKey],
    [
      13,
      previous === null
        ? null
        : cborMap(
            [1, previous.epoch],
            [2, previous.size],
            [3, previous.root],
            [4, previous.logKeyHash],
            [5, previous.clean],
          ),
    ],
    [14, cborMap([1, clock.wallNs], [2, clock.nsmTimestampMs], [3, clock.errorBoundNs])],
    [15, header.moduleId],
    [
      16,
      header.sealed.map((entry) =>
        cborMap(
          [1, entry.purpose],
          [2, entry.name],
          [3, entry.version],
          [4, entry.commitment],
          [5, entry.keyArn],
        ),
      ),
    ],
    [
      17,
      header.dataKeys.map(({ name, version, mark }) => cborMap([1, name], [2, version], [3, mark])),
    ],
    [18, header.x25519Key],
    [19, header.ed25519Key],
  );
}

function readStrategy(fields: Fields): StrategyEntry {
  return {
    stream: fields.uint(1, STREAM.lastStrategy, STREAM.firstStrategy),
    name: fields.text(2, 64),
    version: fields.text(3, 32),
    bundleCommitment: fields.bytes(4, 32),
    parametersCommitment: fields.bytes(5, 32),
  };
}

function readPrevious(fields: Fields): PreviousEpoch {
  return {
    epoch: fields.uint(1, 9_999_999_999, 1),
    size: fields.uint(2, Number.MAX_SAFE_INTEGER, 1),
    root: fields.bytes(3, 32),
    logKeyHash: fields.bytes(4, 32),
    clean: fields.bool(5),
  };
}

function readSealed(fields: Fields): SealedEntry {
  const text = fields.text(1, 32);
  const keyArn = fields.text(5, 160);
  if (parseKeyArn(keyArn) === null) fields.refuse(5);
  return {
    purpose: SEALED_PURPOSES.find((purpose) => purpose === text) ?? fields.refuse(1),
    name: fields.text(2, 64),
    version: fields.uint(3, Number.MAX_SAFE_INTEGER, 1),
    commitment: fields.bytes(4, 32),
    keyArn,
  };
}

function readDataKey(fields: Fields): DataKeyEntry {
  return {
    name: fields.text(1, 64),
    version: fields.uint(2, Number.MAX_SAFE_INTEGER, 1),
    mark: fields.bytes(3, 32),
  };
}

export function parseHeader(bytes: Uint8Array): Result<EpochHeader> {
  return parseFields('header', bytes, MAX_LEAF_BYTES, (fields) => {
    const version = fields.uint(1, HEADER_VERSION, 1) as EpochHeader['version'];
    const origin = fields.text(2, MAX_ORIGIN_CHARACTERS);
    const epoch = fields.uint(3, 9_999_999_999, 1);
    if (parseOrigin(origin)?.epoch !== epoch) fields.refuse(2);
    const logKey = fields.bytes(4, LOG_KEY_SPKI_BYTES);
    const tlsKeyHash = fields.bytes(5, 32);
    const configurationDigest = fields.bytes(6, 32);
    const configuration = fields.bytes(7, 2, MAX_CONFIGURATION_BYTES);
    const commitPolicy = fields.text(8, 16);
    const feedMode = fields.text(9, 16);
    if (commitPolicy !== 'spool' && (commitPolicy !== 's3' || version === 1)) {
      return fields.refuse(8);
    }
    if (feedMode !== 'live' && feedMode !== 'replay') return fields.refuse(9);
    return {
      version,
      origin,
      epoch,
      logKey,
      tlsKeyHash,
      x25519Key: version < 3 ? null : fields.bytes(18, DESK_KEY_BYTES),
      ed25519Key: version < 3 ? null : fields.bytes(19, DESK_KEY_BYTES),
      configurationDigest,
      configuration,
      commitPolicy,
      feedMode,
      streams: fields.maps(10, MAX_STREAMS, (stream) => ({
        id: stream.uint(1, STREAM.reports),
        label: stream.uint(2, LABEL.strategy) as Label,
        name: stream.text(3, 64),
      })),
      strategies: fields.maps(11, MAX_STRATEGIES, readStrategy),
      wrappedDisclosureKey: fields.bytes(12, WRAPPED_KEY_BYTES),
      previous: fields.mapOrNull(13, readPrevious),
      clock: fields.map(14, (clock) => ({
        wallNs: clock.uint64(1),
        nsmTimestampMs: clock.uint(2),
        errorBoundNs: clock.uint(3),
      })),
      moduleId: fields.text(15, 128),
      sealed: version === 1 ? [] : fields.maps(16, MAX_SEALED_ITEMS, readSealed),
      dataKeys: version === 1 ? [] : fields.maps(17, MAX_DATA_KEY_RECORDS, readDataKey),
    };
  });
}
