// Builds small epochs as an honest enclave would, with a simulated NSM, and lets a test change any part
// of them: leaves, header, documents, notes. Deterministic but for keys.

import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { Nsm } from '../../enclave/nsm/nsm.ts';
import { BatchBuilder } from '../../wire/market/batch-builder.ts';
import { measure } from '../../simulator/nsm/measure.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { parseComplianceKey } from '../../verifier/compliance-key.ts';
import { PURPOSE, encodeUserData } from '../../wire/attestation/user-data.ts';
import type { UserData } from '../../wire/attestation/user-data.ts';
import { BOOK_SIDE, ROW, parseBatch } from '../../wire/batch.ts';
import { toHex, utf8 } from '../../wire/bytes.ts';
import { canonicalJson, parseConfiguration } from '../../wire/configuration.ts';
import type { Configuration } from '../../wire/configuration.ts';
import type { EpochHeader, PreviousEpoch } from '../../wire/header.ts';
import { encodeHeader } from '../../wire/header.ts';
import type { LeafHeader } from '../../wire/leaf.ts';
import { KIND, LABEL, STREAM, encodePublicLeaf, leafKey, sealLeaf } from '../../wire/leaf.ts';
import { SequenceTracker } from '../../wire/market/sequence.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { encodeHandOver } from '../../wire/kms-messages.ts';
import type { CloseReason, Gap, Report, Signal } from '../../wire/payloads.ts';
import {
  CLOSE_REASON,
  STRATEGY_EVENT,
  encodeAnchor,
  encodeClose,
  encodeGap,
  encodeHeartbeat,
  encodeRecovery,
  encodeReport,
  encodeSeed,
  encodeSignal,
  encodeStrategyEvent,
} from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { LogTrust } from '../../wire/log-verification/boot.ts';
import { encodeCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { MemoryTree, leafHash } from '../../wire/tlog/merkle.ts';
import { encodeNote, noteKeyId } from '../../wire/tlog/note.ts';
import {
  INPUT_STREAM,
  INSTRUMENT,
  LOG_ID,
  MILLISECOND_NS,
  STRATEGY_STREAM,
  compliance,
  honestHeader,
  testConfiguration,
} from './epoch-header.ts';

export { INPUT_STREAM, INSTRUMENT, LOG_ID, STRATEGY_STREAM, compliance } from './epoch-header.ts';

export const measurements: ReturnType<typeof measure> = measure({
  boot: utf8('boot parts of a test'),
  application: utf8('application of a test'),
});

let sharedRoot: Promise<SimulatedRoot> | null = null;

export function simulatedRoot(): Promise<SimulatedRoot> {
  sharedRoot ??= SimulatedRoot.create();
  return sharedRoot;
}

export async function testTrust(): Promise<LogTrust> {
  const { certificateDer } = await simulatedRoot();
  return { rootDer: certificateDer, policy: { pcrs: measurements } };
}

export function complianceKeys(): { privateKey: Uint8Array; publicKey: Uint8Array } {
  const keys = parseComplianceKey(compliance.pem);
  if (keys === null) throw new Error('the compliance key of the tests');
  return keys;
}

export interface EpochOptions {
  readonly epoch?: number;
  readonly previous?: PreviousEpoch | null;
  readonly configuration?: Partial<Configuration>;
  /** Changes to what an honest enclave would have made. */
  readonly header?: (header: EpochHeader) => EpochHeader;
  readonly bootUserData?: (userData: UserData) => UserData;
  readonly bootNonce?: Uint8Array;
  /** Extended into PCR16 in place of the configuration's digest. */
  readonly measuredDigest?: Uint8Array;
  readonly debugMode?: boolean;
  /** In the documents, in place of the header's log key. */
  readonly attestedKey?: Uint8Array;
  /** Time of the boot. */
  readonly startMs?: number;
  /** Of another image. */
  readonly image?: typeof measurements;
}

export interface SignedNote {
  readonly size: number;
  readonly note: Uint8Array;
}

export interface AnchorOptions {
  readonly size?: number;
  readonly nonce?: Uint8Array;
  readonly userData?: (userData: UserData) => UserData;
  /** Stands in for a document that was made elsewhere. */
  readonly document?: Uint8Array;
  /** The NSM's clock goes back by this. */
  readonly earlierMs?: number;
  /** Made by another image that says it is the same enclave. */
  readonly measurements?: typeof measurements;
}

/** One trade; `sequence` makes it unique. */
export function testBatch(
  sequence: number,
  timeNs: bigint,
  stream: number = INPUT_STREAM,
): Uint8Array {
  const builder = new BatchBuilder(stream);
  builder.addRow({
    instrument: INSTRUMENT,
    kind: ROW.trade,
    side: BOOK_SIDE.bid,
    exchangeTimeNs: timeNs,
    receiveTimeNs: timeNs,
    price: 6_000_000 + sequence,
    quantity: 1000,
    id: sequence + 1,
  });
  return builder.encode(sequence, timeNs);
}

export class EpochBuilder {
  readonly header: EpochHeader;
  readonly tree: MemoryTree = new MemoryTree(nodeCrypto);
  readonly leaves: Uint8Array[] = [];
  readonly notes: SignedNote[] = [];
  readonly blobs: Map<string, Uint8Array> = new Map<string, Uint8Array>();
  readonly #key: KeyObject;
  readonly #nsm: Nsm;
  readonly #sequences = new Map<number, number>();
  readonly #disclosureKey: Uint8Array;
  readonly #clock: { nowMs: number };
  readonly #tracker: SequenceTracker;
  #leafZeroHash: Uint8Array = new Uint8Array(32);
  #batch = 0;
  #signals = 0;

  private constructor(
    header: EpochHeader,
    key: KeyObject,
    nsm: Nsm,
    disclosureKey: Uint8Array,
    clock: { nowMs: number },
  ) {
    this.header = header;
    this.#key = key;
    this.#nsm = nsm;
    this.#disclosureKey = disclosureKey;
    this.#clock = clock;
    const configuration = parseConfiguration(header.configuration);
    this.#tracker = new SequenceTracker(configuration.ok ? configuration.value.instruments : []);
  }

  /** Leaves 0 and 1 are there, each under a note of its own. */
  static async create(options: EpochOptions = {}): Promise<EpochBuilder> {
    const clock = { nowMs: options.startMs ?? Date.UTC(2026, 8, 1) };
    const device = new SimulatedNsm({
      root: await simulatedRoot(),
      measurements: options.image ?? measurements,
      debugMode: options.debugMode ?? false,
      now: () => clock.nowMs,
    });
    const configuration = canonicalJson(testConfiguration(options.configuration));
    const digest = nodeCrypto.sha256(configuration);
    const nsm = await lockedNsm(device, options.measuredDigest ?? digest);
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const disclosureKey = nodeCrypto.sha256(utf8('disclosure key of a test'));
    const epoch = options.epoch ?? 1;
    const header = honestHeader(device.moduleId, {
      epoch,
      logKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
      configuration,
      disclosureKey,
      previous: options.previous ?? null,
      nowMs: clock.nowMs,
      logId: options.configuration?.log_id ?? LOG_ID,
      feedMode: options.configuration?.feed_mode ?? 'replay',
    });
    const changed = options.header?.(header) ?? header;
    const builder = new EpochBuilder(changed, privateKey, nsm, disclosureKey, clock);
    await builder.#boot(options);
    return builder;
  }

  get size(): number {
    return this.leaves.length;
  }

  get origin(): string {
    return this.header.origin;
  }

  get nowNs(): bigint {
    return BigInt(this.#clock.nowMs) * MILLISECOND_NS;
  }

  /** For the header of the next epoch. */
  link(changes: Partial<PreviousEpoch> = {}): PreviousEpoch {
    return {
      epoch: this.header.epoch,
      size: this.size,
      root: this.tree.root(),
      logKeyHash: nodeCrypto.sha256(this.header.logKey),
      clean: false,
      ...changes,
    };
  }

  /** Any leaf; what `header` leaves out is as an honest enclave would have it. Answers its index. */
  add(header: Partial<LeafHeader>, plaintext: Uint8Array, isPrivate = false): number {
    const stream = header.stream ?? STREAM.enclave;
    const index = this.size;
    const whole: LeafHeader = {
      kind: KIND.heartbeat,
      timeNs: this.nowNs,
      stream,
      label: labelOf(stream),
      sequence: this.#sequences.get(stream) ?? 0,
      causes: [],
      ...header,
    };
    this.#sequences.set(stream, whole.sequence + 1);
    const salt = nodeCrypto.sha256(utf8(`salt ${index}`)).slice(0, 16);
    const key = leafKey(nodeCrypto, this.#disclosureKey, this.origin, index);
    const leaf = isPrivate
      ? sealLeaf(nodeCrypto, whole, salt, plaintext, key)
      : encodePublicLeaf(nodeCrypto, whole, salt, plaintext);
    if (leaf.blob !== null) this.blobs.set(toHex(nodeCrypto.sha256(leaf.blob)), leaf.blob);
    return this.addBytes(leaf.bytes);
  }

  addBytes(leaf: Uint8Array): number {
    this.leaves.push(leaf);
    this.tree.append(leafHash(nodeCrypto, leaf));
    this.#clock.nowMs++;
    return this.size - 1;
  }

  /** One trade, and a gap leaf when its id shows that others are missing. Answers the input's index. */
  addInput(sequence: number = this.#batch, timeNs: bigint = this.nowNs): number {
    this.#batch = sequence + 1;
    return this.addBatch(testBatch(sequence, timeNs));
  }

  /** Any batch, with the gap leaves that it shows; `hide` drops those. Answers the input's index. */
  addBatch(bytes: Uint8Array, hide = false): number {
    const index = this.add({ kind: KIND.input, stream: INPUT_STREAM }, bytes);
    const gaps = this.#tracker.apply(assertAccepted(parseBatch(bytes)));
    if (!hide) for (const gap of gaps) this.addGap(gap, [index]);
    return index;
  }

  addGap(gap: Partial<Gap>, causes: readonly number[] = []): number {
    const whole = { reason: 1, firstMissing: 0, count: 1, instrument: null, code: null, ...gap };
    return this.add({ kind: KIND.gap, stream: INPUT_STREAM, causes }, encodeGap(whole as Gap));
  }

  startStrategy(): void {
    this.add({ kind: KIND.seed, stream: STRATEGY_STREAM }, encodeSeed(new Uint8Array(32)), true);
    this.addStrategyEvent();
  }

  addStrategyEvent(
    event: Parameters<typeof encodeStrategyEvent>[0] = {
      event: STRATEGY_EVENT.started,
      code: null,
    },
  ): number {
    const header = { kind: KIND.strategyEvent, stream: STRATEGY_STREAM };
    return this.add(header, encodeStrategyEvent(event));
  }

  /** `input` was made by `addInput` at the time that its leaf says. */
  addOutput(
    input: number,
    changes: Partial<Signal> = {},
    header: Partial<LeafHeader> = {},
  ): number {
    const signal: Signal = {
      id: this.#signals++,
      instrument: INSTRUMENT,
      side: 1,
      quantity: 1000,
      limit: 6_000_000,
      ttlMs: 1000,
      decisionNs: this.nowNs - BigInt(this.size - input) * MILLISECOND_NS,
      causes: [input],
      ...changes,
    };
    const whole = { kind: KIND.output, stream: STRATEGY_STREAM, causes: [input], ...header };
    return this.add(whole, encodeSignal(signal), true);
  }

  addReport(
    output: number,
    changes: Partial<Report> = {},
    header: Partial<LeafHeader> = {},
  ): number {
    const hash = this.tree.node(0, output) ?? new Uint8Array(32);
    const report: Report = {
      output,
      clientOrderId: `ts${toHex(hash.subarray(0, 8))}`,
      status: 3,
      reason: null,
      filledQuantity: 1000,
      fills: [{ number: 0, price: 6_000_000, quantity: 1000, fee: 1, timeNs: this.nowNs }],
      environment: 'paper',
      timeNs: this.nowNs,
      ...changes,
    };
    const whole = { kind: KIND.report, stream: STREAM.reports, causes: [output], ...header };
    return this.add(whole, encodeReport(report), true);
  }

  addHeartbeat(acknowledgedSize: number): number {
    return this.add({ kind: KIND.heartbeat }, encodeHeartbeat({ acknowledgedSize }));
  }

  async addAnchor(options: AnchorOptions = {}): Promise<number> {
    const size = options.size ?? this.size;
    const root = this.tree.root(Math.min(size, this.size));
    const userData = this.#userData(PURPOSE.anchor, { size, root });
    this.#clock.nowMs -= options.earlierMs ?? 0;
    const nsm =
      options.measurements === undefined ? this.#nsm : await this.#otherImage(options.measurements);
    const changed = options.userData?.(userData) ?? userData;
    const nonce = options.nonce ?? root;
    const document = options.document ?? (await attest(nsm, changed, nonce, this.header.logKey));
    this.#clock.nowMs += options.earlierMs ?? 0;
    return this.add({ kind: KIND.anchor }, encodeAnchor({ size, document }));
  }

  addRecovery(previousEpoch: number, unreleased: readonly number[] = []): number {
    return this.add({ kind: KIND.recovery }, encodeRecovery({ previousEpoch, unreleased }));
  }

  addClose(reason: CloseReason = CLOSE_REASON.host): number {
    return this.add({ kind: KIND.close }, encodeClose(reason));
  }

  /** Announces the next image. */
  addHandOver({ pcr0, pcr1, pcr2 }: typeof measurements, note = ''): number {
    return this.add({ kind: KIND.handOver }, encodeHandOver({ pcrs: [pcr0, pcr1, pcr2], note }));
  }

  /** Signs any head of this log. */
  signNote(size: number, root: Uint8Array, origin: string = this.origin): Uint8Array {
    const text = encodeCheckpoint({ origin, size, root });
    const signature = new Uint8Array(sign('sha256', utf8(text), this.#key));
    return encodeNote(text, origin, noteKeyId(nodeCrypto, this.header.logKey), signature);
  }

  /** Signs the tree as it is. */
  commit(): SignedNote {
    const note = { size: this.size, note: this.signNote(this.size, this.tree.root()) };
    this.notes.push(note);
    return note;
  }

  /** The last note, which is the checkpoint. */
  get checkpoint(): Uint8Array {
    return this.notes.at(-1)?.note ?? new Uint8Array();
  }

  async #boot(options: EpochOptions): Promise<void> {
    this.#leafZeroHash = leafHash(nodeCrypto, this.#addFirst(encodeHeader(this.header)));
    this.commit();
    const head = { size: 1, root: this.#leafZeroHash };
    const userData = this.#userData(PURPOSE.boot, head);
    const changed = options.bootUserData?.(userData) ?? userData;
    const key = options.attestedKey ?? this.header.logKey;
    const document = await attest(this.#nsm, changed, options.bootNonce ?? null, key);
    this.add({ kind: KIND.attestation }, document);
    this.commit();
  }

  #addFirst(header: Uint8Array): Uint8Array {
    const index = this.add({ kind: KIND.header }, header);
    return this.leaves[index] ?? new Uint8Array();
  }

  #userData(purpose: UserData['purpose'], head: UserData['head']): UserData {
    return {
      purpose,
      origin: this.origin,
      head,
      leafZeroHash: this.#leafZeroHash,
      x25519Key: this.header.x25519Key,
      tlsKeyHash: this.header.tlsKeyHash,
      ed25519Key: this.header.ed25519Key,
      configDigest: this.header.configurationDigest,
    };
  }

  /** An NSM of another image that goes by the same name. */
  async #otherImage(other: typeof measurements): Promise<Nsm> {
    const root = await simulatedRoot();
    const device = new SimulatedNsm({
      root,
      measurements: other,
      now: () => this.#clock.nowMs,
    });
    Object.assign(device, { moduleId: this.header.moduleId });
    return lockedNsm(device, this.header.configurationDigest);
  }
}

async function lockedNsm(device: SimulatedNsm, configurationDigest: Uint8Array): Promise<Nsm> {
  const nsm = new Nsm(device);
  assertAccepted(await nsm.extendPcr(16, configurationDigest));
  assertAccepted(await nsm.lockPcrs(32));
  return nsm;
}

async function attest(
  nsm: Nsm,
  userData: UserData,
  nonce: Uint8Array | null,
  publicKey: Uint8Array,
): Promise<Uint8Array> {
  const request = { userData: encodeUserData(userData), nonce, publicKey };
  return assertAccepted(await nsm.attest(request));
}

function labelOf(stream: number): LeafHeader['label'] {
  if (stream === STREAM.enclave) return LABEL.enclave;
  return stream >= STREAM.firstStrategy && stream <= STREAM.lastStrategy
    ? LABEL.strategy
    : LABEL.host;
}

/** A small epoch with a leaf of every kind; all honest. */
export async function sampleEpoch(options: EpochOptions = {}): Promise<EpochBuilder> {
  const epoch = await EpochBuilder.create(options);
  if (options.previous !== undefined && options.previous !== null) {
    epoch.addRecovery(options.previous.epoch);
  }
  epoch.startStrategy();
  const input = epoch.addInput();
  epoch.addOutput(input);
  epoch.commit();
  epoch.addReport(epoch.size - 1);
  await epoch.addAnchor();
  epoch.addHeartbeat(epoch.size);
  epoch.commit();
  epoch.addGap({ reason: 1, firstMissing: 1, count: 3 });
  // Trades 2 to 4 are missing: the second gap leaf.
  epoch.addInput(4);
  epoch.addInput();
  epoch.addOutput(epoch.size - 1);
  epoch.commit();
  epoch.addClose();
  epoch.commit();
  return epoch;
}
