// A bucket with Object Lock as a store, over a client that the caller has made: its address, credentials and
// TLS are the caller's. A key's oldest version is the record: S3 itself shows the newest, and lets a delete
// marker hide it. Trusts the answers as far as TLS goes; a checksum that is not the bytes', a missing version or
// a cut body is tried again and then refused.

import { createHash } from 'node:crypto';
import { addAbortSignal } from 'node:stream';
import type { Readable } from 'node:stream';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { ListObjectVersionsCommandOutput, S3Client } from '@aws-sdk/client-s3';
import { equalBytes } from '../../bytes.ts';
import { isObjectKey } from '../../host-keys.ts';
import { DEFAULT_RETRY, retryTransient } from './retry.ts';
import type { RetryPolicy } from './retry.ts';
import { s3Outcome } from './s3-error.ts';
import { StoreError } from './store.ts';
import type {
  ObjectHead,
  ObjectLock,
  ObjectStore,
  ObjectVersion,
  PutOptions,
  PutResult,
  StoredObject,
} from './store.ts';
import { groupVersions } from './versions.ts';

export interface S3StoreOptions {
  readonly client: S3Client;
  readonly bucket: string;
  /** Of all keys: '' or parts as in a key, without a slash at the end. */
  readonly prefix: string;
  /** Twelve digits. Refused by S3 (403) when the bucket has another owner. */
  readonly expectedBucketOwner?: string;
  readonly retry?: RetryPolicy;
  /** One request, body included. */
  readonly requestTimeoutMs?: number;
  /** Ends waiting and retrying: `stopped`. */
  readonly signal?: AbortSignal;
}

const REQUEST_TIMEOUT_MS = 30_000;
const SHA256_BYTES = 32;

interface LockFields {
  readonly ObjectLockMode?: string | undefined;
  readonly ObjectLockRetainUntilDate?: Date | undefined;
  readonly ObjectLockLegalHoldStatus?: string | undefined;
}

function lockOf(answer: LockFields): ObjectLock {
  const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = answer;
  const legalHold = answer.ObjectLockLegalHoldStatus === 'ON';
  if ((mode !== 'COMPLIANCE' && mode !== 'GOVERNANCE') || until === undefined) {
    return { mode: 'none', retainUntil: null, legalHold };
  }
  return { mode, retainUntil: until, legalHold };
}

function checksumOf(text: string | undefined): Uint8Array | null {
  const bytes = text === undefined ? null : new Uint8Array(Buffer.from(text, 'base64'));
  return bytes?.length === SHA256_BYTES ? bytes : null;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/** The body in memory that was bounded before it was allocated. */
async function readBody(body: Readable, length: number, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for await (const chunk of addAbortSignal(signal, body)) {
    const piece = chunk as Uint8Array;
    if (at + piece.length > length) throw new StoreError('answer_invalid', { reason: 'length' });
    bytes.set(piece, at);
    at += piece.length;
  }
  if (at !== length) throw new StoreError('unreachable', { reason: 'cut' });
  return bytes;
}

interface ListMarker {
  readonly KeyMarker?: string;
  readonly VersionIdMarker?: string;
}

/** Null at the end. A list that does not go on would never end. */
function nextMarker(page: ListObjectVersionsCommandOutput, last: ListMarker): ListMarker | null {
  if (page.IsTruncated !== true) return null;
  const { NextKeyMarker: key, NextVersionIdMarker: id } = page;
  const count = (page.Versions?.length ?? 0) + (page.DeleteMarkers?.length ?? 0);
  if (key === undefined || key < (last.KeyMarker ?? '') || count === 0) {
    throw new StoreError('answer_invalid', { reason: 'the list does not go on' });
  }
  return { KeyMarker: key, ...(id === undefined ? {} : { VersionIdMarker: id }) };
}

export class S3Store implements ObjectStore {
  readonly name: string;
  readonly #options: S3StoreOptions;
  readonly #bucket: { readonly Bucket: string; readonly ExpectedBucketOwner?: string };

  constructor(options: S3StoreOptions) {
    const { bucket, prefix, expectedBucketOwner: owner } = options;
    if (prefix !== '' && !isObjectKey(prefix)) throw new StoreError('key_invalid');
    this.name = `s3://${bucket}/${prefix}`;
    this.#options = options;
    this.#bucket = {
      Bucket: bucket,
      ...(owner === undefined ? {} : { ExpectedBucketOwner: owner }),
    };
  }

  putOnce(key: string, bytes: Uint8Array, { retainUntil }: PutOptions): Promise<PutResult> {
    const checksum = Buffer.from(sha256(bytes)).toString('base64');
    const lock =
      retainUntil === null
        ? {}
        : ({ ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: retainUntil } as const);
    const command = new PutObjectCommand({
      ...this.#bucket,
      Key: this.#full(key),
      Body: bytes,
      ContentLength: bytes.length,
      IfNoneMatch: '*',
      // Both: the value alone makes the SDK leave the algorithm out, and some servers then compare nothing.
      ChecksumAlgorithm: 'SHA256',
      ChecksumSHA256: checksum,
      ...lock,
    });
    return this.#retry(async () => {
      const answer = await this.#call(key, (abortSignal) =>
        this.#options.client.send(command, { abortSignal }),
      );
      if (answer === 'absent') throw new StoreError('request_refused', { key });
      if (answer === 'exists') return this.#compare(key, bytes);
      const { VersionId: versionId, ChecksumSHA256: told } = answer;
      if (versionId === undefined || versionId === 'null') {
        throw new StoreError('answer_invalid', { key, reason: 'no version: is versioning on?' });
      }
      if (told !== checksum) await this.#confirm(key, versionId, sha256(bytes), told);
      // A delete marker lets a second version through: the record is the first.
      const oldest = await this.#oldest(key);
      if (oldest?.versionId === versionId) return { outcome: 'written', versionId };
      return this.#compare(key, bytes);
    });
  }

  get(key: string, maxBytes: number, versionId?: string): Promise<StoredObject | null> {
    this.#full(key);
    return this.#retry(() => this.#get(key, maxBytes, versionId));
  }

  head(key: string, versionId?: string): Promise<ObjectHead | null> {
    this.#full(key);
    return this.#retry(async () => {
      const version = versionId ?? (await this.#oldest(key))?.versionId;
      return version === undefined ? null : this.#head(key, version);
    });
  }

  async *list(prefix: string, after = ''): AsyncIterable<ObjectVersion> {
    const { prefix: root } = this.#options;
    const base = root === '' ? '' : `${root}/`;
    const start = after === '' ? undefined : `${base}${after}`;
    for await (const version of groupVersions(this.#pages(`${base}${prefix}`, start))) {
      const key = version.key.slice(base.length);
      if (key > after) yield { ...version, key };
    }
  }

  async *#pages(
    prefix: string,
    start: string | undefined,
  ): AsyncIterable<ListObjectVersionsCommandOutput> {
    let marker: ListMarker | null = start === undefined ? {} : { KeyMarker: start };
    while (marker !== null) {
      const page: ListObjectVersionsCommandOutput = await this.#page(prefix, marker);
      yield page;
      marker = nextMarker(page, marker);
    }
  }

  #page(prefix: string, marker: ListMarker): Promise<ListObjectVersionsCommandOutput> {
    const command = new ListObjectVersionsCommand({ ...this.#bucket, Prefix: prefix, ...marker });
    return this.#retry(async () => {
      const answer = await this.#call(prefix, (abortSignal) =>
        this.#options.client.send(command, { abortSignal }),
      );
      if (typeof answer !== 'string') return answer;
      throw new StoreError('answer_invalid', { reason: answer });
    });
  }

  async #oldest(key: string): Promise<ObjectVersion | null> {
    const full = this.#full(key);
    for await (const version of groupVersions(this.#pages(full, undefined))) {
      if (version.key !== full) return null;
      if (version.ordinal === 1) return version;
    }
    return null;
  }

  async #get(key: string, maxBytes: number, versionId?: string): Promise<StoredObject | null> {
    const version = versionId ?? (await this.#oldest(key))?.versionId;
    if (version === undefined) return null;
    const Key = this.#full(key);
    const found = await this.#call(key, async (signal) => {
      const command = new GetObjectCommand({
        ...this.#bucket,
        Key,
        VersionId: version,
        ChecksumMode: 'ENABLED',
      });
      const answer = await this.#options.client.send(command, { abortSignal: signal });
      const { Body: body, ContentLength: length } = answer;
      if (body === undefined || length === undefined) {
        throw new StoreError('answer_invalid', { key, reason: 'no body' });
      }
      if (length > maxBytes) {
        (body as Readable).destroy();
        throw new StoreError('too_large', { key, bytes: length, maximum: maxBytes });
      }
      return { answer, bytes: await readBody(body as Readable, length, signal) };
    });
    if (found === 'absent') return null;
    if (found === 'exists') throw new StoreError('answer_invalid', { key, reason: 'status 412' });
    const { answer, bytes } = found;
    const digest = sha256(bytes);
    const told = checksumOf(answer.ChecksumSHA256);
    if (told !== null && !equalBytes(told, digest))
      throw new StoreError('checksum_mismatch', { key });
    if (answer.VersionId !== version) {
      throw new StoreError('answer_invalid', { key, reason: 'another version' });
    }
    return { bytes, versionId: version, sha256: digest, lock: lockOf(answer) };
  }

  async #head(key: string, version: string): Promise<ObjectHead | null> {
    const command = new HeadObjectCommand({
      ...this.#bucket,
      Key: this.#full(key),
      VersionId: version,
      ChecksumMode: 'ENABLED',
    });
    const answer = await this.#call(key, (abortSignal) =>
      this.#options.client.send(command, { abortSignal }),
    );
    if (answer === 'absent') return null;
    if (answer === 'exists' || answer.ContentLength === undefined || answer.VersionId !== version) {
      throw new StoreError('answer_invalid', { key, reason: 'head' });
    }
    return {
      key,
      versionId: version,
      bytes: answer.ContentLength,
      sha256: checksumOf(answer.ChecksumSHA256),
      lock: lockOf(answer),
    };
  }

  /** For servers that do not tell the checksum with the answer to a write. */
  async #confirm(key: string, version: string, digest: Uint8Array, told?: string): Promise<void> {
    const head = told === undefined ? await this.#head(key, version) : null;
    if (head?.sha256 === undefined || head.sha256 === null || !equalBytes(head.sha256, digest)) {
      throw new StoreError('checksum_mismatch', { key });
    }
  }

  /** There is a version: is it this one? */
  async #compare(key: string, bytes: Uint8Array): Promise<PutResult> {
    const oldest = await this.#oldest(key);
    // Gone between two answers, which a locked object cannot; or not there yet.
    if (oldest === null) throw new StoreError('conflict', { key });
    const { versionId } = oldest;
    if (oldest.bytes !== bytes.length) return { outcome: 'different', versionId };
    const there = await this.#get(key, bytes.length, versionId);
    if (there === null) throw new StoreError('conflict', { key });
    return { outcome: equalBytes(there.bytes, bytes) ? 'same' : 'different', versionId };
  }

  #full(key: string): string {
    if (!isObjectKey(key)) throw new StoreError('key_invalid');
    const { prefix } = this.#options;
    return prefix === '' ? key : `${prefix}/${key}`;
  }

  #retry<T>(call: () => Promise<T>): Promise<T> {
    const { retry = DEFAULT_RETRY, signal } = this.#options;
    return retryTransient(retry, signal, call);
  }

  async #call<T>(
    key: string,
    act: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | 'absent' | 'exists'> {
    const { signal, requestTimeoutMs = REQUEST_TIMEOUT_MS } = this.#options;
    const timeout = AbortSignal.timeout(requestTimeoutMs);
    try {
      return await act(signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
    } catch (error) {
      const outcome = s3Outcome(error, key);
      if (signal?.aborted === true) throw new StoreError('stopped');
      if (typeof outcome === 'string') return outcome;
      throw outcome;
    }
  }
}
