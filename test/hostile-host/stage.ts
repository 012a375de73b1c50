// The stage of the catalogue: a real enclave core whose host is the test, and the real verifier over the
// log that came out. What the host does between the two is the lie.

import { createServer as createTcpServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { request } from 'node:https';
import { writeFile } from 'node:fs/promises';
import { afterAll, expect } from 'vitest';
import type { ClockSource } from '../../enclave/clock.ts';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { measurementsJson } from '../../simulator/nsm/measure.ts';
import type { AttestationReport } from '../../verifier/attestation-report.ts';
import { run as runAttest } from '../../verifier/commands/attest.ts';
import { run as runVerifyAttestation } from '../../verifier/commands/verify-attestation.ts';
import type { LogVerdict } from '../../verifier/log/verdict.ts';
import type { Risk } from '../../verifier/residual-risks.ts';
import { BOOK_SIDE, ROW, parseBatch } from '../../wire/batch.ts';
import { toHex } from '../../wire/bytes.ts';
import type { Configuration, SequenceRule } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { parseHeader } from '../../wire/header.ts';
import { KIND } from '../../wire/leaf.ts';
import { FRAME, PORT, parseProgress, parseRefused } from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { CLOSE_REASON, GAP, parseGap } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { HostOptions, TestHost } from '../helpers/enclave-host.ts';
import {
  INSTRUMENT,
  STREAM_A,
  STREAM_B,
  checkpointOf,
  hostConfiguration,
  newNsm,
  previousOf,
  startHost,
} from '../helpers/enclave-host.ts';
import { measurements } from '../helpers/epoch-builder.ts';
import type { BuiltEpoch } from '../helpers/epoch-files.ts';
import type { FakeStrategies } from '../helpers/fake-strategy.ts';
import { fakeStrategies } from '../helpers/fake-strategy.ts';
import type { FileMap, Judged } from '../verifier/log/log-folder.ts';
import { LogFolder, runCommand } from '../verifier/log/log-folder.ts';

export const TIME_NS = 1_700_000_000_000_000_000n;
export const LIMIT = 6_000_000;

let folders: LogFolder[] = [];
let closers: (() => void)[] = [];
afterAll(async () => {
  for (const close of closers) close();
  await Promise.all(folders.map((folder) => folder.remove()));
  folders = [];
  closers = [];
});

/** A verifier's machine: policy, root, compliance's key, a memory of heads, and a copy of the log. */
export async function newVerifier(): Promise<LogFolder> {
  const folder = await LogFolder.create();
  folders.push(folder);
  return folder;
}

/** The options of a verifier whose policy pins more than the image. */
export async function pinning(folder: LogFolder, pins: object): Promise<readonly string[]> {
  const path = folder.path(`pinned-${folders.length}-${JSON.stringify(pins).length}.json`);
  const base = JSON.parse(measurementsJson(measurements)) as object;
  await writeFile(path, JSON.stringify({ ...base, ...pins }));
  return ['--policy', path, '--unsafe-root', folder.path('root.pem')];
}

export function digestOf(configuration: Configuration): string {
  return toHex(nodeCrypto.sha256(canonicalJson(configuration)));
}

/** One signal for each batch with a row. */
export function trader(): FakeStrategies {
  return fakeStrategies({
    limits: (input) => (assertAccepted(parseBatch(input.batch)).rows > 0 ? [LIMIT] : []),
  });
}

/** A ready enclave with a feed. */
export async function boot(options: HostOptions = {}): Promise<TestHost> {
  const host = await startHost({ strategies: trader(), ...options });
  await host.ready();
  await host.connectFeed();
  return host;
}

/** The next epoch, offered what this one left. */
export function bootAfter(host: TestHost, options: HostOptions = {}): Promise<TestHost> {
  return boot({ previous: previousOf(host), ...options });
}

export interface Trade {
  readonly id?: number;
  readonly instrument?: number;
  readonly price?: number;
}

export interface BatchOptions {
  readonly stream?: number;
  readonly timeNs?: bigint;
  readonly trades?: readonly Trade[];
}

/** Trades; without more, one whose id is the batch's sequence + 1. */
export function batch(sequence: number, options: BatchOptions = {}): Uint8Array {
  const { stream = STREAM_A, timeNs = TIME_NS, trades = [{ id: sequence + 1 }] } = options;
  const builder = new BatchBuilder(stream);
  for (const { id = 0, instrument = INSTRUMENT, price = LIMIT } of trades) {
    builder.addRow({
      instrument,
      kind: ROW.trade,
      side: BOOK_SIDE.bid,
      exchangeTimeNs: null,
      receiveTimeNs: timeNs,
      price,
      quantity: 1000,
      id,
    });
  }
  return new Uint8Array(builder.encode(sequence, timeNs));
}

type Sent = readonly [type: number, payload: Uint8Array];

/** Sends batches (or frames of other types) and waits until the enclave is done with all of them. */
export async function send(
  host: TestHost,
  ...frames: readonly (Uint8Array | Sent)[]
): Promise<void> {
  for (const frame of frames) {
    const [type, payload] = frame instanceof Uint8Array ? ([FRAME.batch, frame] as const) : frame;
    host.feed?.send(type, payload);
  }
  // A last batch on the other stream, without rows: what was sent before it is dealt with by then.
  const markers = marks(host);
  const live = host.configuration.feed_mode === 'live';
  const timeNs = live ? BigInt(Date.now()) * 1_000_000n : TIME_NS;
  host.feed?.send(FRAME.batch, batch(markers, { stream: STREAM_B, trades: [], timeNs }));
  await host.until(() => marks(host) > markers);
}

function marks(host: TestHost): number {
  const streams = host.feedOf(FRAME.progress).map((bytes) => assertAccepted(parseProgress(bytes)));
  return streams.filter(({ stream }) => stream === STREAM_B).length;
}

export async function close(host: TestHost): Promise<void> {
  host.enclave.close(CLOSE_REASON.signal);
  expect(await host.end).toEqual({ code: null });
}

/** Codes of REFUSED frames. */
export function refusals(host: TestHost): readonly string[] {
  return host.feedOf(FRAME.refused).map((bytes) => assertAccepted(parseRefused(bytes)).code);
}

const GAP_NAMES = new Map<number, string>(Object.entries(GAP).map(([name, id]) => [id, name]));

/** Gap leaves: `reason, first missing, count` and the code, if any. */
export function gaps(host: TestHost): readonly string[] {
  return host.leavesOf(KIND.gap).map((index) => {
    const { reason, firstMissing, count, code } = assertAccepted(parseGap(host.open(index)));
    const fields = [GAP_NAMES.get(reason), firstMissing, count, code];
    return fields.filter((field) => field !== null).join(' ');
  });
}

/** What an honest host would have put into the log folder so far. */
export function logOf(host: TestHost, commits: number = host.commits.length): BuiltEpoch {
  const kept = host.commits.slice(0, commits);
  const notes = kept.map((commit) => ({ size: checkpointOf(commit).size, note: commit.note }));
  const blobs = kept.flatMap((commit) => commit.blobs);
  return {
    notes,
    leaves: kept.flatMap(({ leaves }) => leaves),
    tree: host.tree,
    blobs: new Map(blobs.map((blob) => [toHex(nodeCrypto.sha256(blob)), blob])),
    header: assertAccepted(parseHeader(host.open(0))),
    checkpoint: notes.at(-1)?.note ?? new Uint8Array(),
  };
}

/** `verify log` over what the hosts left, with compliance's key and without a memory. */
export async function verify(
  folder: LogFolder,
  hosts: readonly TestHost[],
  change?: (files: FileMap) => void,
  ...args: readonly string[]
): Promise<Judged<LogVerdict>> {
  await folder.write(
    hosts.map((host) => logOf(host)),
    change,
  );
  return folder.verify('--key', folder.path('key.pem'), ...args);
}

/** What of these risks the verdict does not name; a log that did not verify names none. */
export function unnamedIn(
  judged: Judged<LogVerdict>,
  ...risks: readonly Risk[]
): readonly string[] {
  const { code, residual_risks: named } = judged.verdict;
  if (code !== null || judged.exit !== 0 || named === null) return [refusalOf(judged)];
  return risks.filter((risk) => !named.includes(risk));
}

/** The code of a refusal, which exits with 1; anything else says how it exits. */
export function refusalOf({ verdict, exit }: Judged<LogVerdict>): string {
  const code = verdict.code ?? verdict.verdict;
  return exit === 1 ? code : `${code}, exit ${exit}`;
}

/** The host's ingress: every TCP connection ends in the enclave. Answers the URL. */
export async function serve(host: TestHost): Promise<string> {
  const server = createTcpServer((socket) => {
    const stream = host.dial(PORT.https);
    socket.on('error', () => stream.destroy());
    stream.on('error', () => socket.destroy());
    socket.pipe(stream).pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  closers.push(() => server.close());
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export interface Attested {
  readonly exit: number;
  readonly report: AttestationReport;
}

/** `trackseal attest`, as an LP of that machine. */
export async function attest(
  folder: LogFolder,
  url: string,
  trust: readonly string[] = folder.trust(),
): Promise<Attested> {
  const args = [url, '--timeout-ms', '10000', ...trust, '--heads', folder.heads, '--json'];
  const { exit, out } = await runCommand(runAttest, ...args);
  return { exit, report: JSON.parse(out) as AttestationReport };
}

/** `trackseal verify attestation` of these bytes. */
export async function verifyDocument(
  folder: LogFolder,
  document: Uint8Array,
  ...args: readonly string[]
): Promise<Attested> {
  const path = folder.path('document.cbor');
  await writeFile(path, document);
  const all = [path, ...folder.trust(), ...args, '--json'];
  const { exit, out } = await runCommand(runVerifyAttestation, ...all);
  return { exit, report: JSON.parse(out) as AttestationReport };
}

export interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

/** GET, whoever ends the TLS connection. */
export function get(url: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { rejectUnauthorized: false, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const body = new Uint8Array(Buffer.concat(chunks));
        resolve({ status: response.statusCode ?? 0, body });
      });
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

export interface MovableTime {
  readonly options: HostOptions;
  /** Time goes on by this, for the guest and for the hypervisor. */
  pass(ms: number): void;
}

/** An enclave whose hours take no time. */
export async function movableTime(): Promise<MovableTime> {
  let offsetMs = 0;
  const clock: ClockSource = {
    wallNs: () => BigInt(Date.now() + offsetMs) * 1_000_000n,
    monotonicNs: () => process.hrtime.bigint() + BigInt(offsetMs) * 1_000_000n,
  };
  const nsmDevice = await newNsm(() => Date.now() + offsetMs);
  return {
    options: { clock, nsmDevice },
    pass: (ms) => {
      offsetMs += ms;
    },
  };
}

/** Two instruments under one rule: 1 and 2. */
export function instruments(rule: SequenceRule): Partial<Configuration> {
  const [first] = hostConfiguration().instruments;
  if (first === undefined) throw new Error('the configuration of the tests');
  const base = { ...first, sequence_rule: rule };
  return { instruments: [base, { ...base, id: 2, symbol: 'ETHUSDT' }] };
}
