// EnclaveClient: a track record over gRPC, for gateways and allocators with a certificate of the owner's client CA. The enclave
// proves itself first, under the policy, over HTTPS; gRPC then goes only to the TLS key that it proved. Of an answer the
// signed statements count. An enclave that started anew is challenged again, and has to be of the same log.

import type { RefusalCode } from '../../wire/codes.ts';
import type {
  HealthCheckResponse,
  HistoricalReturnsRequest,
  SyncJobResponse,
} from '../../wire/grpc/messages.ts';
import { Freshness, HealthCheckResponseStatus, SyncType } from '../../wire/grpc/messages.ts';
import type { GrpcMethod } from '../../wire/grpc/services.ts';
import { enclaveService } from '../../wire/grpc/services.ts';
import { parseOrigin } from '../../wire/header.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import { encodeTrackEvidence } from '../../wire/track/evidence.ts';
import type { AttestedEnclave } from '../attested.ts';
import { judgeEpoch } from '../attested.ts';
import { Channel } from '../channel.ts';
import { valueOf } from '../error.ts';
import { parseBase } from '../http.ts';
import type { ClientTrust, Environment } from '../secure-client.ts';
import type { Policy, Trust, UnsafeOptions } from '../trust.ts';
import { readTrust } from '../trust.ts';
import type { RangeQuestion, TrackQuestion } from './asked-rows.ts';
import { AskedRows } from './asked-rows.ts';
import type { ClientIdentity } from './grpc-channel.ts';
import { GrpcChannel, parseGrpcAddress } from './grpc-channel.ts';
import type { ChainEnds, ChainRow } from './track-chain.ts';
import { chainsOf, goesOn } from './track-chain.ts';
import type { EpochKeys, VerifiedMetrics, VerifiedReturn, VerifiedSnapshot } from './track-rows.ts';
import { readMetrics, readReturn, readSnapshot } from './track-rows.ts';
import type { TrackTotals } from './track-totals.ts';
import { compareTotals, totalsOf } from './track-totals.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** The enclave waits for a poll so long. */
const SYNC_MS = 660_000;
const HTTPS_PORT = 443;
const MAY_BE_ANEW: ReadonlySet<RefusalCode> = new Set(['source_unreachable', 'tls_key_mismatch']);
const PAGE_ROWS = 500;
/** Ten years of hours, and corrections of them. */
const MAX_ROWS = 200_000;

export interface EnclaveClientOptions extends UnsafeOptions, ClientIdentity {
  /** Where the enclave proves itself: `https://enclave.example:3000`. */
  readonly enclaveUrl: string;
  /** `enclave.example:50051`; by default that port of the same host. */
  readonly grpcAddress?: string;
  /** What the enclave must be. There is no default. */
  readonly policy: Policy;
  readonly timeoutMs?: number;
  /** Attestation documents (CBOR) of earlier epochs, whose statements are verified with them. */
  readonly epochs?: readonly Uint8Array[];
}

export interface EnclaveClientSettings extends ClientTrust, ClientIdentity {
  readonly enclaveUrl: string;
  readonly grpcAddress?: string | undefined;
  readonly epochs?: readonly Uint8Array[] | undefined;
}

/** `verified`: every statement is signed by an attested epoch. `fresh`: as of the newest that the enclave itself has seen. */
export interface TrackAnswer<Row> {
  readonly rows: readonly Row[];
  readonly verified: boolean;
  readonly fresh: boolean;
}

/** `totals` are added up by this client from the signed statements of the rows; as `verified` as they are. */
export interface MetricsAnswer extends TrackAnswer<VerifiedMetrics> {
  readonly totals: TrackTotals;
}

export interface ChainAnswer extends TrackAnswer<ChainRow> {
  readonly missing: number;
}

export type EnclaveHealth = Pick<
  HealthCheckResponse,
  'origin' | 'stored' | 'uptime' | 'version'
> & {
  readonly healthy: boolean;
};

export type SyncOutcome = Pick<SyncJobResponse, 'accounts' | 'hourlyReturnsGenerated' | 'synced'>;

interface Connected {
  readonly enclave: AttestedEnclave;
  readonly grpc: GrpcChannel;
  readonly keys: EpochKeys;
}

type PageRequest = HistoricalReturnsRequest;
type AnyRow = VerifiedMetrics | VerifiedReturn | VerifiedSnapshot;

export class EnclaveClient {
  readonly #environment: Environment;
  readonly #settings: EnclaveClientSettings;
  readonly #trust: Trust;
  readonly #channel: Channel;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #https: { readonly host: string; readonly port: number };
  readonly #timeoutMs: number;
  #connected: Promise<Result<Connected>> | null = null;

  constructor(environment: Environment, settings: EnclaveClientSettings) {
    const { enclaveUrl, grpcAddress, policy, trust, timeoutMs, ...unsafe } = settings;
    const base = parseBase(enclaveUrl);
    if (base === null) {
      throw new TypeError('enclaveUrl: an address that starts with https://, without a query');
    }
    const target = parseGrpcAddress(grpcAddress ?? `${base.hostname}:50051`);
    if (target === null) throw new TypeError('grpcAddress: HOST:PORT');
    const { crypto, platform, nowMs } = environment;
    this.#environment = environment;
    this.#settings = settings;
    this.#timeoutMs = timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#trust = trust ?? valueOf(readTrust(crypto, policy, unsafe));
    this.#target = target;
    this.#https = {
      host: base.hostname.replaceAll(/[[\]]/gu, ''),
      port: base.port === '' ? HTTPS_PORT : Number(base.port),
    };
    const http = environment.http(base, this.#timeoutMs);
    this.#channel = new Channel({ crypto, platform, http, trust: this.#trust, nowMs });
  }

  /** Challenges the enclave and connects; the others do it by themselves. The origin of its log. */
  async attest(): Promise<string> {
    const { enclave } = valueOf(await this.#connect());
    return enclave.envelope.origin;
  }

  /** Hours in the order of time, all pages. */
  async calculateHistoricalReturns(question: RangeQuestion): Promise<TrackAnswer<VerifiedReturn>> {
    const { methods } = enclaveService;
    const verify = await this.#verifier();
    return this.#pages(
      question,
      (request) => this.#call(methods.calculateHistoricalReturns, request),
      ({ returns, ...page }) => ({ ...page, rows: returns }),
      (row, keys) => readReturn(row, keys, verify),
      ({ startMs }) => startMs,
    );
  }

  /** Snapshots at 00:00 UTC, all pages. */
  async getSnapshotTimeSeries(question: RangeQuestion): Promise<TrackAnswer<VerifiedSnapshot>> {
    const { methods } = enclaveService;
    const verify = await this.#verifier();
    return this.#pages(
      question,
      (request) => this.#call(methods.getSnapshotTimeSeries, request),
      ({ snapshots, ...page }) => ({ ...page, rows: snapshots }),
      (row, keys) => readSnapshot(row, question.userId, keys, verify),
      ({ atMs }) => atMs,
    );
  }

  /** One row for each account, and their sums. */
  async getAggregatedMetrics(question: TrackQuestion): Promise<MetricsAnswer> {
    const { getAggregatedMetrics } = enclaveService.methods;
    const verify = await this.#verifier();
    const { userId: userUid, exchange = '' } = question;
    const { keys, answer } = valueOf(await this.#call(getAggregatedMetrics, { userUid, exchange }));
    const asked = new AskedRows({ userId: userUid, exchange });
    const rows: VerifiedMetrics[] = [];
    for (const account of answer.accounts) {
      const row = valueOf(await readMetrics(account, keys, verify));
      // An account that is there twice would be in the sums twice.
      valueOf(asked.take(row, 0));
      rows.push(row);
    }
    const totals = totalsOf(rows.map(({ statement }) => statement));
    valueOf(compareTotals(totals, answer));
    return { ...answerOf(rows, answer.freshness === Freshness.FRESH), totals };
  }

  /**
   * Has the user's accounts read anew by their next poll, and waits for it. Refused once a snapshot of the period exists
   * (`snapshot_exists`), and where the venue did not tell everything (`poll_incomplete`, `poll_missed`). Polls come by a
   * schedule, five minutes by default; after `call_deadline` the next poll does it all the same.
   */
  async processSyncJob(
    question: TrackQuestion,
    deadlineMs: number = SYNC_MS,
  ): Promise<SyncOutcome> {
    const { userId: userUid, exchange = '' } = question;
    const request = { userUid, exchange, type: SyncType.INCREMENTAL, startDate: 0, endDate: 0 };
    const { answer } = valueOf(
      await this.#call(enclaveService.methods.processSyncJob, request, {
        again: false,
        deadlineMs,
      }),
    );
    const { accounts, hourlyReturnsGenerated, synced } = answer;
    return { accounts, hourlyReturnsGenerated, synced };
  }

  async healthCheck(): Promise<EnclaveHealth> {
    const { answer } = valueOf(await this.#call(enclaveService.methods.healthCheck, {}));
    const { origin, stored, uptime, version, status } = answer;
    return {
      origin,
      stored,
      uptime,
      version,
      healthy: status === HealthCheckResponseStatus.HEALTHY,
    };
  }

  /**
   * Hours and snapshots of all time. `missing` statements were corrected or revoke others, which no row shows: with any,
   * `trackseal verify record` refuses a file of these rows (`chain_hole`).
   */
  async readChain({ userId, exchange }: TrackQuestion): Promise<ChainAnswer> {
    const question = { userId, ...(exchange === undefined ? {} : { exchange }) };
    let returns = await this.calculateHistoricalReturns(question);
    const ends = await this.#endsOf(returns.rows);
    // What was stated since then is a row of a later answer, and no hole.
    if (goesOn(returns.rows, ends)) returns = await this.calculateHistoricalReturns(question);
    const snapshots = await this.getSnapshotTimeSeries(question);
    const { rows, missing } = chainsOf(returns.rows, snapshots.rows, ends);
    return { ...answerOf(rows, returns.fresh && snapshots.fresh), missing };
  }

  /**
   * Statements as a file, with the documents of their epochs: text, UTF-8, in the order that is given. For `trackseal verify
   * record` and `trackseal report` they have to be whole chains: rows of `readChain`, with none missing.
   */
  async evidenceOf(rows: readonly { readonly evidence: SignedStatement }[]): Promise<string> {
    const { enclave } = valueOf(await this.#connect());
    const attestations = [enclave.document, ...(this.#settings.epochs ?? [])];
    return encodeTrackEvidence({ statements: rows.map(({ evidence }) => evidence), attestations });
  }

  close(): void {
    const connected = this.#connected;
    this.#connected = null;
    void connected?.then((result) => {
      if (result.ok) result.value.grpc.close();
    });
  }

  /** Of each account that has a row: its metrics are signed over all of its chain. */
  async #endsOf(rows: readonly ChainRow[]): Promise<ChainEnds> {
    const ends = new Map<string, number>();
    for (const account of new Set(rows.map((row) => row.account))) {
      const [metrics] = (await this.getAggregatedMetrics({ userId: account })).rows;
      if (metrics === undefined) return valueOf(refuse('record_malformed', { what: 'metrics' }));
      ends.set(account, metrics.statement.last.counter);
    }
    return ends;
  }

  async #verifier(): Promise<Parameters<typeof readReturn>[2]> {
    return (await this.#channel.curves()).verifyEd25519;
  }

  #connect(): Promise<Result<Connected>> {
    this.#connected ??= this.#open().then((result) => {
      if (!result.ok) this.#connected = null;
      return result;
    });
    return this.#connected;
  }

  async #open(): Promise<Result<Connected>> {
    const attested = await this.#channel.attest();
    if (!attested.ok) return attested;
    const enclave = attested.value;
    const keys = this.#keys(enclave);
    if (!keys.ok) return keys;
    const { certificate, key } = this.#settings;
    const timeoutMs = this.#timeoutMs;
    const target = { ...this.#target, https: this.#https, certificate, key, timeoutMs };
    const grpc = await GrpcChannel.open(target, enclave.tlsKeyHash);
    return grpc.ok ? accept({ enclave, grpc: grpc.value, keys: keys.value }) : grpc;
  }

  /** Of this epoch, and of those for which there is a document; all of one log. */
  #keys(enclave: AttestedEnclave): Result<EpochKeys> {
    const { origin } = enclave.envelope;
    const keys = new Map([[origin, enclave.resultKey]]);
    for (const document of this.#settings.epochs ?? []) {
      const judged = judgeEpoch(this.#environment.crypto, document, this.#trust);
      if (!judged.ok) return judged;
      const expected = parseOrigin(origin)?.logId ?? null;
      const actual = parseOrigin(judged.value.origin)?.logId ?? null;
      if (expected !== actual) return refuse('origin_mismatch', { expected, actual });
      if (!keys.has(judged.value.origin)) keys.set(judged.value.origin, judged.value.resultKey);
    }
    return accept(keys);
  }

  /** Once more, to an enclave that verified again, when it cannot be reached as before: it may have started anew. */
  async #call<Request extends object, Response extends object>(
    method: GrpcMethod<Request, Response>,
    request: Request,
    { again = true, deadlineMs = this.#timeoutMs } = {},
  ): Promise<Result<{ readonly keys: EpochKeys; readonly answer: Response }>> {
    const connected = await this.#connect();
    if (!connected.ok) return connected;
    const { grpc, keys } = connected.value;
    const answer = await grpc.call(method, request, deadlineMs);
    if (answer.ok) return accept({ keys, answer: answer.value });
    if (!MAY_BE_ANEW.has(answer.refusal.code)) return answer;
    this.close();
    return again ? this.#call(method, request, { again: false, deadlineMs }) : answer;
  }

  async #pages<Response extends object, Shown, Row extends AnyRow>(
    question: RangeQuestion,
    ask: (
      request: PageRequest,
    ) => Promise<Result<{ readonly keys: EpochKeys; readonly answer: Response }>>,
    pageOf: (answer: Response) => {
      readonly rows: readonly Shown[];
      readonly nextPageToken: string;
      readonly freshness: number;
    },
    read: (row: Shown, keys: EpochKeys) => Promise<Result<Row>>,
    timeOf: (row: Row) => number,
  ): Promise<TrackAnswer<Row>> {
    const { userId: userUid, exchange = '', fromMs = 0, toMs = 0 } = question;
    const asked = new AskedRows(question);
    const rows: Row[] = [];
    const range = { userUid, exchange, startDate: fromMs, endDate: toMs };
    let pageToken = '';
    let fresh = true;
    do {
      const { answer, keys } = valueOf(await ask({ ...range, pageSize: PAGE_ROWS, pageToken }));
      const page = pageOf(answer);
      for (const shown of page.rows) {
        const row = valueOf(await read(shown, keys));
        valueOf(asked.take(row, timeOf(row)));
        rows.push(row);
      }
      if (page.nextPageToken !== '' && (page.rows.length === 0 || rows.length > MAX_ROWS)) {
        return valueOf(refuse('record_malformed', { what: 'pages without end' }));
      }
      fresh &&= page.freshness === Freshness.FRESH;
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return answerOf(rows, fresh);
  }
}

function answerOf<Row extends { readonly verified: boolean }>(
  rows: readonly Row[],
  fresh: boolean,
): TrackAnswer<Row> {
  return { rows, verified: rows.every(({ verified }) => verified), fresh };
}
