// A track record that enclaves have signed, for tests of the verifier: statements in a chain, in leaves of one or more
// epochs, with the boot documents of these epochs. Figures are honest unless a test changes them.

import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { utf8 } from '../../wire/bytes.ts';
import { OUTCOME } from '../../wire/exchange-call.ts';
import type { PreviousEpoch } from '../../wire/header.ts';
import { KIND, LABEL, parseLeaf, STREAM } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { hourReturn } from '../../wire/performance/hour-return.ts';
import { metricsFigures } from '../../wire/performance/metrics-figures.ts';
import { performanceOf } from '../../wire/performance/performance.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { SignedStatement, TrackEvidence } from '../../wire/track/evidence.ts';
import { encodeTrackEvidence } from '../../wire/track/evidence.ts';
import type { HourFigures } from '../../wire/track/figures.ts';
import { HOUR_MS } from '../../wire/track/figures.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { ChainStatement, TrackStatement } from '../../wire/track/statement.ts';
import {
  encodeTrackLeaf,
  encodeTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import { EpochBuilder } from './epoch-builder.ts';

export const RECORD_ACCOUNT: Pick<HourStatement, 'accountCommitment' | 'venue' | 'environment'> = {
  accountCommitment: Uint8Array.from({ length: 32 }, (_, index) => 0xa0 + index),
  venue: 'kraken',
  environment: 'live',
};

type Place = 'origin' | 'accountCommitment' | 'venue' | 'environment' | 'counter' | 'previous';
type Without<T> = T extends ChainStatement ? Omit<T, Place> & Partial<Pick<T, Place>> : never;
/** What says its place in the chain is made, unless it is given. */
export type Placeless = Without<ChainStatement>;

const HOURS_OF_A_LEAF = 3;

interface Signer {
  readonly builder: EpochBuilder;
  readonly key: KeyObject;
}

function pollsOf({ startMs, polls }: HourFigures): HourStatement['basis']['polls'] {
  return Array.from({ length: polls }, (_, at) => ({
    origin: 'trackseal.test/polls',
    leafIndex: at,
    startedMs: startMs + at,
    outcome: OUTCOME.complete,
  }));
}

/** The hour as an honest enclave states it. */
export function hourStatement(
  figures: HourFigures,
  more: Partial<Pick<HourStatement, 'supersedes' | 'return' | 'basis'>> = {},
): Placeless {
  return {
    kind: 'hour',
    supersedes: null,
    figures,
    return: hourReturn(figures),
    basis: { polls: pollsOf(figures), missingPrices: [], late: 0 },
    lotMethod: 'fifo',
    ...more,
  };
}

export class RecordBuilder {
  readonly statements: SignedStatement[] = [];
  readonly attestations: Uint8Array[] = [];
  readonly #epochs: EpochBuilder[] = [];
  readonly #account: typeof RECORD_ACCOUNT;
  #signer: Signer;
  #counter = 0;
  #previous: Uint8Array | null = null;
  readonly #hours = new Map<number, HourFigures>();

  private constructor(signer: Signer, account: typeof RECORD_ACCOUNT) {
    this.#signer = signer;
    this.#account = account;
    this.#attest();
  }

  static async create(account: typeof RECORD_ACCOUNT = RECORD_ACCOUNT): Promise<RecordBuilder> {
    return new RecordBuilder(await signerOf(1), account);
  }

  get origin(): string {
    return this.#signer.builder.origin;
  }

  get head(): { readonly counter: number; readonly hash: Uint8Array } {
    return { counter: this.#counter, hash: this.#previous ?? new Uint8Array(32) };
  }

  /** The next statements are of another epoch, with keys of its own. */
  async nextEpoch(epoch: number): Promise<void> {
    this.#signer = await signerOf(epoch, this.#signer.builder);
    this.#attest();
  }

  /** Links, signs and keeps it, in a leaf of its own. */
  add(statement: Placeless): void {
    this.addLeaf([statement]);
  }

  /** Several in one leaf. */
  addLeaf(statements: readonly Placeless[]): void {
    const linked = statements.map((statement) => {
      const complete = {
        origin: this.origin,
        ...this.#account,
        counter: this.#counter + 1,
        previous: this.#previous,
        ...statement,
      } as ChainStatement;
      this.#counter = complete.counter;
      this.#previous = nodeCrypto.sha256(encodeTrackStatement(complete));
      if (complete.kind === 'hour') this.#hours.set(complete.figures.startMs, complete.figures);
      return complete;
    });
    this.sign(linked);
  }

  addHours(hours: readonly HourFigures[]): void {
    for (let at = 0; at < hours.length; at += HOURS_OF_A_LEAF) {
      this.addLeaf(hours.slice(at, at + HOURS_OF_A_LEAF).map((figures) => hourStatement(figures)));
    }
  }

  /** Over all hours so far. */
  addMetrics(change: (statement: MetricsStatement) => MetricsStatement = (same) => same): void {
    const hours = [...this.#hours].toSorted(([a], [b]) => a - b).map(([, figures]) => figures);
    const performance = performanceOf(hours);
    const fromMs = hours[0]?.startMs ?? 0;
    const toMs = (hours.at(-1)?.startMs ?? 0) + HOUR_MS;
    const first = this.statements[0]?.statement ?? new Uint8Array();
    this.sign([
      change({
        kind: 'metrics',
        origin: this.origin,
        ...this.#account,
        fromMs,
        toMs,
        asOfMs: toMs,
        first: { counter: 1, hash: nodeCrypto.sha256(first) },
        last: this.head,
        ...metricsFigures(performance),
      }),
    ]);
  }

  /** Signs statements of one leaf, and logs it. */
  sign(statements: readonly TrackStatement[]): void {
    const { builder, key } = this.#signer;
    const all = statements.map(encodeTrackStatement);
    const leafIndex = builder.size;
    const leafSalt = nodeCrypto.sha256(utf8(`salt ${leafIndex}`)).slice(0, 16);
    for (const [position, statement] of all.entries()) {
      const message = trackSignedBytes(
        trackDomainOf(statement) ?? '',
        leafIndex,
        position,
        statement,
      );
      const signature = new Uint8Array(sign(null, message, key));
      const { origin } = this;
      this.statements.push({ statement, signature, origin, leafIndex, position, leafSalt });
    }
    const { results: stream } = STREAM;
    builder.add({ kind: KIND.result, stream, label: LABEL.enclave }, encodeTrackLeaf(all), true);
    builder.commit();
  }

  /** With the log of each. */
  get epochs(): readonly EpochBuilder[] {
    return this.#epochs;
  }

  evidence(change: Partial<TrackEvidence> = {}): TrackEvidence {
    return { statements: this.statements, attestations: this.attestations, ...change };
  }

  /** As a file. */
  file(change: Partial<TrackEvidence> = {}): string {
    return encodeTrackEvidence(this.evidence(change));
  }

  #attest(): void {
    this.#epochs.push(this.#signer.builder);
    const leaf = assertAccepted(parseLeaf(this.#signer.builder.leaves[1] ?? new Uint8Array()));
    this.attestations.push(assertAccepted(openLeaf(nodeCrypto, leaf, null, null)).plaintext);
  }
}

async function signerOf(epoch: number, before: EpochBuilder | null = null): Promise<Signer> {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  const builder = await EpochBuilder.create({
    epoch,
    previous: before === null ? null : previousOf(before),
    header: (header) => ({ ...header, ed25519Key: raw }),
  });
  return { builder, key: privateKey };
}

function previousOf({ header, size, tree }: EpochBuilder): PreviousEpoch {
  const logKeyHash = nodeCrypto.sha256(header.logKey);
  return { epoch: header.epoch, size, root: tree.root(), logKeyHash, clean: false };
}
