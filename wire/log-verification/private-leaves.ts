// Private leaves, for those who hold compliance's key: each is opened, its digest and padding checked,
// and what it says is compared with the rest of the log. Without the key a log verifies all the same,
// only what the private leaves say stays unknown.

import { equalBytes, parseHex } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { unwrapDisclosureKey } from '../open-disclosure.ts';
import type { Leaf } from '../leaf.ts';
import { KIND, leafKey } from '../leaf.ts';
import { openLeaf } from '../open-leaf.ts';
import type { Report, Signal } from '../enclave-payloads.ts';
import { clientOrderIdOf, parseReport, parseSeed, parseSignal } from '../payloads.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { MemoryTree } from '../tlog/merkle.ts';
import type { VerifiedBoot } from './boot.ts';

export interface PrivateKeys {
  /** Compliance's X25519 key, raw. */
  readonly privateKey: Uint8Array;
  readonly publicKey: Uint8Array;
}

export class PrivateLeaves {
  readonly #crypto: WireCrypto;
  readonly #boot: VerifiedBoot;
  readonly #disclosureKey: Uint8Array;
  readonly #instruments: ReadonlySet<number>;
  /** Batch times by leaf index, for the decision times of signals. */
  readonly #batchTimes = new Map<number, bigint>();
  #opened = 0;

  private constructor(crypto: WireCrypto, boot: VerifiedBoot, disclosureKey: Uint8Array) {
    this.#crypto = crypto;
    this.#boot = boot;
    this.#disclosureKey = disclosureKey;
    this.#instruments = new Set(boot.configuration.instruments.map(({ id }) => id));
  }

  /** Refuses with `disclosure_key_wrong` when the key is not the configuration's. */
  static open(crypto: WireCrypto, boot: VerifiedBoot, keys: PrivateKeys): Result<PrivateLeaves> {
    const { header, configuration } = boot;
    const named = parseHex(configuration.compliance_public_key);
    if (named === null || !equalBytes(named, keys.publicKey)) return refuse('disclosure_key_wrong');
    const key = unwrapDisclosureKey(crypto, header.wrappedDisclosureKey, keys, header.origin);
    return key.ok ? accept(new PrivateLeaves(crypto, boot, key.value)) : key;
  }

  get opened(): number {
    return this.#opened;
  }

  /** The key of one leaf, as it is given away to disclose it. */
  keyOf(index: number): Uint8Array {
    return leafKey(this.#crypto, this.#disclosureKey, this.#boot.header.origin, index);
  }

  addBatch(index: number, timeNs: bigint): void {
    this.#batchTimes.set(index, timeNs);
  }

  /** Opens the leaf at `index`; `signals` counts the earlier signals of its stream. */
  add(
    index: number,
    leaf: Leaf,
    blob: Uint8Array | null,
    signals: number,
    tree: MemoryTree,
  ): Result<null> {
    const opened = openLeaf(this.#crypto, leaf, this.keyOf(index), blob);
    if (!opened.ok) return opened;
    this.#opened++;
    const { plaintext } = opened.value;
    if (leaf.kind === KIND.output) {
      const signal = parseSignal(plaintext);
      return signal.ok ? this.#checkSignal(index, leaf, signal.value, signals) : signal;
    }
    if (leaf.kind === KIND.report) {
      const report = parseReport(plaintext);
      if (!report.ok) return report;
      if (report.value.epoch !== undefined) return this.#checkLate(index, leaf, report.value.epoch);
      return checkReport(index, leaf, report.value, tree);
    }
    if (leaf.kind !== KIND.seed) return accept(null);
    const seed = parseSeed(plaintext);
    return seed.ok ? accept(null) : seed;
  }

  #checkLate(index: number, leaf: Leaf, epoch: number): Result<null> {
    return leaf.causes.length === 0 && epoch < this.#boot.header.epoch
      ? accept(null)
      : refuse('cause_invalid', { index, epoch });
  }

  #checkSignal(index: number, leaf: Leaf, signal: Signal, signals: number): Result<null> {
    if (signal.id !== signals) {
      return refuse('sequence_gap', { index, expected: signals, actual: signal.id });
    }
    const sameCauses =
      signal.causes.length === leaf.causes.length &&
      signal.causes.every((cause, at) => cause === leaf.causes[at]);
    const decided = leaf.causes.some((cause) => this.#batchTimes.get(cause) === signal.decisionNs);
    if (!sameCauses || !decided) return refuse('cause_invalid', { index });
    if (!this.#instruments.has(signal.instrument)) {
      return refuse('instrument_unknown', { index, instrument: signal.instrument });
    }
    return accept(null);
  }
}

function checkReport(index: number, leaf: Leaf, report: Report, tree: MemoryTree): Result<null> {
  const output = tree.node(0, report.output);
  if (report.output !== leaf.causes[0] || output === null) {
    return refuse('cause_invalid', { index, output: report.output });
  }
  return report.clientOrderId === clientOrderIdOf(output)
    ? accept(null)
    : refuse('cause_invalid', { index, output: report.output, what: 'client_order_id' });
}
