// A host for tests of the enclave core, over streams in memory: it boots the enclave, keeps what the
// enclave logs, acknowledges when the test wants it to, feeds batches, and records every byte that
// leaves the enclave on any port.

import { duplexPair } from 'node:stream';
import type { Duplex } from 'node:stream';
import { startEnclave } from '../../enclave/core.ts';
import type { Enclave, EnclaveEnd, EnclaveOptions } from '../../enclave/core.ts';
import type { NsmDevice } from '../../enclave/nsm/nsm.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { Channel } from '../../wire/channel.ts';
import type { Commit } from '../../wire/commit.ts';
import { parseCommit } from '../../wire/commit.ts';
import { encodeAck } from '../../wire/messages.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import type { Frame } from '../../wire/frame.ts';
import type { MeasuredManifest } from '../../wire/manifest.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { leafKey, parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import {
  FIRST_CREDIT_BULK_BYTES,
  FIRST_CREDIT_BYTES,
  MAX_BOOT_BYTES,
  MAX_DIAGNOSTIC_BYTES,
  MAX_FEED_OUT_BYTES,
  MAX_LOG_OUT_BYTES,
} from '../../wire/limits.ts';
import type { AwsCredentials, DataKeys } from '../../wire/kms-messages.ts';
import { encodeCredentials, encodeDataKeys } from '../../wire/kms-messages.ts';
import type { Diagnostic, Failed, Item, Previous, Ready } from '../../wire/messages.ts';
import {
  encodeItem,
  encodePrevious,
  FRAME,
  parseDiagnostic,
  parseFailed,
  parseReady,
  PORT,
} from '../../wire/messages.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Transport } from '../../wire/node/transport.ts';
import { parseHeader } from '../../wire/header.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { assertAccepted } from '../../wire/result.ts';
import { inclusionProof, MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import type { TestDeskOptions } from './desk.ts';
import { deskInProcess } from './desk.ts';
import { complianceKeys, measurements, simulatedRoot } from './epoch-builder.ts';
import type { FakeStrategies } from './fake-strategy.ts';
import { fakeStrategies } from './fake-strategy.ts';

const LOG_ID = 'trackseal.test/log';
export const INSTRUMENT = 1;
export const STREAM_A = 1;
export const STREAM_B = 2;

const SALT = new Uint8Array(32).fill(7);
const BUNDLE = utf8('export default {};');
const PARAMETERS = utf8('{}');

export function commitmentOf(item: Item): string {
  return toHex(nodeCrypto.sha256(item.salt, item.bytes));
}

/** Bundle and parameters of one strategy; fresh bytes each time, because the enclave wipes them. */
export function testItems(name = 'example'): [strategy: Item, parameters: Item] {
  const common = { name, version: '1.0.0', salt: SALT };
  return [
    { ...common, purpose: 'strategy', bytes: BUNDLE.slice() },
    { ...common, purpose: 'parameters', bytes: PARAMETERS.slice() },
  ];
}

export function hostConfiguration(changes: Partial<Configuration> = {}): Configuration {
  return {
    version: 1,
    log_id: LOG_ID,
    feed_mode: 'replay',
    commit_policy: 'spool',
    compliance_public_key: toHex(complianceKeys().publicKey),
    instruments: [
      {
        id: INSTRUMENT,
        venue: 'binance',
        symbol: 'BTCUSDT',
        market: 'spot',
        price_scale: 2,
        quantity_scale: 5,
        sequence_rule: 'binance-spot',
      },
    ],
    streams: [
      { id: STREAM_A, name: 'btcusdt' },
      { id: STREAM_B, name: 'other' },
    ],
    strategies: [
      {
        name: 'example',
        version: '1.0.0',
        commitment: commitmentOf(testItems()[0]),
        time_budget_ms: 100,
      },
    ],
    intervals: { anchor_ms: 3_600_000, heartbeat_ms: 3_600_000, commit_ms: 2 },
    limits: { clock_divergence_ms: 1000, attestations_per_second: 1000 },
    tls_names: ['localhost'],
    ...changes,
  };
}

export function manifestOf(configuration: Configuration): Uint8Array {
  const strategies = configuration.strategies.map(({ name, version, commitment }) => ({
    name,
    version,
    commitment,
  }));
  return canonicalJson({
    version: 2,
    strategies,
    owner_key: null,
    hosts: [],
    roots_sha256: toHex(nodeCrypto.sha256(new Uint8Array(0))),
  } satisfies MeasuredManifest);
}

export interface HostOptions {
  readonly configuration?: Partial<Configuration>;
  readonly previous?: Previous | null;
  readonly items?: readonly Item[];
  readonly measured?: Uint8Array;
  readonly roots?: Uint8Array;
  /** Payloads of SEALED. */
  readonly sealed?: readonly Uint8Array[];
  readonly dataKeys?: DataKeys;
  /** Payloads of VAULT. */
  readonly vault?: readonly Uint8Array[];
  readonly credentials?: AwsCredentials;
  /** A stream of the enclave's to port 7002. */
  readonly onEgress?: (stream: Duplex) => void;
  readonly nsmDevice?: NsmDevice;
  readonly strategies?: FakeStrategies;
  /** A real process in place of the fake ones. */
  readonly startStrategy?: EnclaveOptions['startStrategy'];
  readonly strategyRunner?: EnclaveOptions['strategyRunner'];
  readonly startDesk?: EnclaveOptions['startDesk'];
  readonly desk?: TestDeskOptions;
  readonly startTap?: EnclaveOptions['startTap'];
  readonly clock?: EnclaveOptions['clock'];
  readonly timeouts?: EnclaveOptions['timeouts'];
  /** Acknowledges each commit at once. Default true. */
  readonly acknowledge?: boolean;
  /** Ports on which nobody accepts. */
  readonly deafPorts?: readonly number[];
  /** Sends the boot messages in place of the host. */
  readonly bootMessages?: (send: (type: number, payload: Uint8Array) => void) => void;
  /** Called when the enclave begins to listen. */
  readonly onListen?: (host: TestHost, port: number) => void;
}

/** Both ends of one stream in memory. */
export interface Wire {
  readonly enclave: Duplex;
  readonly host: Duplex;
}

const NOTHING = new Uint8Array(0);

export class TestHost {
  readonly enclave: Enclave;
  readonly end: Promise<EnclaveEnd>;
  readonly strategies: FakeStrategies;
  readonly configuration: Configuration;
  /** Every byte that left the enclave, by port. */
  readonly tapped: Map<number, Uint8Array[]> = new Map<number, Uint8Array[]>();
  /** Largest single write on any port. */
  largestWrite = 0;
  readonly commits: Commit[] = [];
  readonly leaves: Uint8Array[] = [];
  readonly blobs: Uint8Array[] = [];
  readonly tree: MemoryTree = new MemoryTree(nodeCrypto);
  readonly diagnostics: Diagnostic[] = [];
  /** Frames on the feed stream. */
  readonly feedFrames: Frame[] = [];
  readonly bootFrames: Frame[] = [];
  acknowledge: boolean;
  feed: Channel | null = null;
  readonly wires: Map<number, Wire> = new Map<number, Wire>();
  readonly #options: HostOptions;
  readonly #listeners = new Map<number, (stream: Duplex) => void>();
  #logChannel: Channel | null = null;
  #bootChannel: Channel | null = null;
  #watchers: (() => void)[] = [];

  constructor(options: HostOptions, nsmDevice: NsmDevice) {
    this.#options = options;
    this.acknowledge = options.acknowledge ?? true;
    this.strategies = options.strategies ?? fakeStrategies();
    this.configuration = hostConfiguration(options.configuration);
    const end = Promise.withResolvers<EnclaveEnd>();
    this.end = end.promise;
    const transport = this.#transport();
    this.enclave = startEnclave({
      transport,
      startDesk: options.startDesk ?? deskInProcess(transport, options.desk),
      nsmDevice,
      measured: options.measured ?? manifestOf(this.configuration),
      roots: options.roots ?? new Uint8Array(),
      strategyRunner: options.strategyRunner ?? { execPath: '', flags: [], path: '' },
      startStrategy: options.startStrategy ?? this.strategies.start,
      timeouts: { tearDownMs: 500, ...options.timeouts },
      ...(options.clock === undefined ? {} : { clock: options.clock }),
      ...(options.startTap === undefined ? {} : { startTap: options.startTap }),
      onExit: (how) => {
        end.resolve(how);
        this.#changed();
      },
    });
  }

  /** Resolves when `condition` holds; it is looked at after everything that arrives. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#watchers.push(resolve));
  }

  /** Resolves at READY; rejects with the code when the boot fails. */
  async ready(): Promise<Ready> {
    const frameOf = (type: number): Frame | undefined =>
      this.bootFrames.find((frame) => frame.type === type);
    await this.until(
      () => frameOf(FRAME.ready) !== undefined || frameOf(FRAME.failed) !== undefined,
    );
    const failed = frameOf(FRAME.failed);
    if (failed !== undefined) throw new Error(assertAccepted(parseFailed(failed.payload)).code);
    return assertAccepted(parseReady(frameOf(FRAME.ready)?.payload ?? NOTHING));
  }

  /** The code of FAILED. */
  async failed(): Promise<string> {
    return (await this.failure()).code;
  }

  /** FAILED, as far as it has come. */
  get failures(): readonly Failed[] {
    return this.bootFrames.flatMap(({ type, payload }) =>
      type === FRAME.failed ? [assertAccepted(parseFailed(payload))] : [],
    );
  }

  /** All that FAILED says. */
  async failure(): Promise<Failed> {
    await this.until(() => this.bootFrames.some(({ type }) => type === FRAME.failed));
    const frame = this.bootFrames.find(({ type }) => type === FRAME.failed);
    return assertAccepted(parseFailed(frame?.payload ?? NOTHING));
  }

  /** The data-key records that the enclave gave away. */
  get kept(): readonly Uint8Array[] {
    return this.bootFrames.flatMap(({ type, payload }) => (type === FRAME.kept ? [payload] : []));
  }

  async connectFeed(): Promise<Channel> {
    const stream = this.dial(PORT.feed);
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_FEED_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.release, FRAME.progress, FRAME.refused],
      onFrame: (frame) => {
        this.feedFrames.push(frame);
        this.#changed();
      },
      onEnd: () => {
        this.#changed();
      },
    });
    this.feed = channel;
    await Promise.resolve();
    return channel;
  }

  feedOf(type: number): readonly Uint8Array[] {
    return this.feedFrames.filter((frame) => frame.type === type).map(({ payload }) => payload);
  }

  /** A stream to a port on which the enclave listens. */
  dial(port: number): Duplex {
    const wire = this.#wire(port);
    this.handOver(port, wire.enclave);
    return wire.host;
  }

  /** The enclave's end of a stream that the test has made. */
  handOver(port: number, stream: Duplex): void {
    const listener = this.#listeners.get(port);
    if (listener === undefined) throw new Error(`the enclave does not listen on ${port}`);
    listener(stream);
  }

  listens(port: number): boolean {
    return this.#listeners.has(port);
  }

  /** What `sendBoot` was given and the enclave has not taken. */
  get bootWaitingBytes(): number {
    return this.#bootChannel?.queuedBytes ?? 0;
  }

  sendBoot(type: number, payload: Uint8Array = NOTHING): void {
    this.#bootChannel?.send(type, payload);
  }

  sendAck(size: number, root: Uint8Array, epoch: number = this.epoch): void {
    this.#logChannel?.send(FRAME.ack, encodeAck({ epoch, size, root }));
  }

  /** Acknowledges all that has arrived. */
  ackAll(): void {
    this.sendAck(this.tree.size, this.tree.root());
  }

  get epoch(): number {
    return this.commits[0]?.epoch ?? 1;
  }

  leaf(index: number): Leaf {
    const bytes = this.leaves[index];
    if (bytes === undefined) throw new Error(`no leaf ${index}`);
    return assertAccepted(parseLeaf(bytes));
  }

  parsedLeaves(): readonly Leaf[] {
    return this.leaves.map((_, index) => this.leaf(index));
  }

  leavesOf(kind: number): readonly number[] {
    return this.parsedLeaves().flatMap((leaf, index) => (leaf.kind === kind ? [index] : []));
  }

  /** What compliance reads in a leaf. */
  open(index: number): Uint8Array {
    const leaf = this.leaf(index);
    const isPrivate = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
    const key = isPrivate ? this.#leafKey(index) : null;
    return assertAccepted(openLeaf(nodeCrypto, leaf, key, null)).plaintext;
  }

  #leafKey(index: number): Uint8Array {
    const header = assertAccepted(parseHeader(this.open(0)));
    const { wrappedDisclosureKey, origin } = header;
    const keys = complianceKeys();
    const key = assertAccepted(unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, keys, origin));
    return leafKey(nodeCrypto, key, origin, index);
  }

  #changed(): void {
    for (const resolve of this.#watchers.splice(0)) resolve();
  }

  #wire(port: number): Wire {
    const [enclave, host] = duplexPair();
    const chunks = this.tapped.get(port) ?? [];
    this.tapped.set(port, chunks);
    const write = enclave.write.bind(enclave) as (...rest: unknown[]) => boolean;
    enclave.write = (chunk: Uint8Array, ...rest: unknown[]): boolean => {
      chunks.push(chunk.slice());
      this.largestWrite = Math.max(this.largestWrite, chunk.length);
      return write(chunk, ...rest);
    };
    enclave.on('error', () => null);
    host.on('error', () => null);
    // As sockets do, and a pair in memory does not.
    enclave.on('close', () => host.destroy());
    host.on('close', () => enclave.destroy());
    this.wires.set(port, { enclave, host });
    return { enclave, host };
  }

  #transport(): Transport {
    return {
      connect: (port) => {
        if (this.#options.deafPorts?.includes(port) === true) {
          return Promise.reject(new Error('refused'));
        }
        const { enclave, host } = this.#wire(port);
        this.#serve(port, host);
        return Promise.resolve(enclave);
      },
      listen: (port, onStream) => {
        this.#listeners.set(port, onStream);
        this.#options.onListen?.(this, port);
        this.#changed();
        return Promise.resolve({
          close: () => {
            this.#listeners.delete(port);
            return Promise.resolve();
          },
        });
      },
    };
  }

  #serve(port: number, stream: Duplex): void {
    if (port === PORT.boot) this.#serveBoot(stream);
    else if (port === PORT.log) this.#serveLog(stream);
    else if (port === PORT.egress) this.#options.onEgress?.(stream);
    else this.#serveDiagnostics(stream);
  }

  #serveBoot(stream: Duplex): void {
    const channel = new Channel(stream, {
      maxReceiveBytes: MAX_BOOT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.hello, FRAME.ready, FRAME.failed, FRAME.kept, FRAME.vault],
      onFrame: (frame) => {
        this.bootFrames.push(frame);
        if (frame.type === FRAME.hello) this.#boot();
        this.#changed();
      },
      onEnd: () => {
        this.#changed();
      },
    });
    this.#bootChannel = channel;
  }

  #boot(): void {
    const send = (type: number, payload: Uint8Array): void => {
      this.sendBoot(type, payload);
    };
    if (this.#options.bootMessages !== undefined) {
      this.#options.bootMessages(send);
      return;
    }
    const { previous = null, items = testItems() } = this.#options;
    send(FRAME.config, canonicalJson(this.configuration));
    for (const item of items) send(FRAME.item, encodeItem(item));
    const { credentials, sealed = [], dataKeys } = this.#options;
    if (credentials !== undefined) send(FRAME.credentials, encodeCredentials(credentials));
    for (const one of sealed) send(FRAME.sealed, one);
    if (dataKeys !== undefined) send(FRAME.dataKeys, encodeDataKeys(dataKeys));
    for (const record of this.#options.vault ?? []) send(FRAME.vault, record);
    send(FRAME.previous, previous === null ? NOTHING : encodePrevious(previous));
    send(FRAME.go, NOTHING);
  }

  #serveLog(stream: Duplex): void {
    this.#logChannel = new Channel(stream, {
      maxReceiveBytes: MAX_LOG_OUT_BYTES,
      firstCreditBytes: FIRST_CREDIT_BULK_BYTES,
      types: [FRAME.commit],
      onFrame: ({ payload }) => {
        this.#keep(assertAccepted(parseCommit(payload)));
        this.#changed();
      },
      onEnd: () => {
        this.#changed();
      },
    });
  }

  #keep(commit: Commit): void {
    this.commits.push(commit);
    for (const leaf of commit.leaves) {
      this.leaves.push(leaf);
      this.tree.append(leafHash(nodeCrypto, leaf));
    }
    this.blobs.push(...commit.blobs);
    if (this.acknowledge) this.ackAll();
  }

  #serveDiagnostics(stream: Duplex): void {
    void new Channel(stream, {
      maxReceiveBytes: MAX_DIAGNOSTIC_BYTES,
      firstCreditBytes: FIRST_CREDIT_BYTES,
      types: [FRAME.diagnostic],
      onFrame: ({ payload }) => {
        this.diagnostics.push(assertAccepted(parseDiagnostic(payload)));
        this.#changed();
      },
      onEnd: () => {
        this.#changed();
      },
    });
  }
}

export async function newNsm(now?: () => number): Promise<SimulatedNsm> {
  const root = await simulatedRoot();
  return new SimulatedNsm({ root, measurements, ...(now === undefined ? {} : { now }) });
}

/** Starts an enclave with a fresh simulated NSM; does not wait for READY. */
export async function startHost(options: HostOptions = {}): Promise<TestHost> {
  return new TestHost(options, options.nsmDevice ?? (await newNsm()));
}

/** The text of the signed note of a commit. */
export function checkpointOf(commit: Commit): { readonly size: number; readonly root: Uint8Array } {
  const text = Buffer.from(commit.note).toString('utf8').split('\n\n')[0] ?? '';
  return assertAccepted(parseCheckpoint(`${text}\n`));
}

/** What the next epoch is offered after this one. */
export function previousOf(host: TestHost, changes: Partial<Previous> = {}): Previous {
  const header = assertAccepted(parseHeader(host.open(0)));
  const size = host.tree.size;
  return {
    origin: header.origin,
    note: host.commits.at(-1)?.note ?? NOTHING,
    logKey: header.logKey,
    lastLeaf: host.leaves[size - 1] ?? NOTHING,
    proof: inclusionProof(nodeCrypto, host.tree, size - 1, size),
    unreleased: [],
    leafZero: host.leaves[0] ?? NOTHING,
    leafZeroProof: inclusionProof(nodeCrypto, host.tree, 0, size),
    nextCommit: null,
    ...changes,
  };
}
