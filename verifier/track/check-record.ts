// Is a file the record of an account that attested enclaves signed? Documents of the epochs, signature of each statement at
// its leaf and position, the chain of all, and every derived figure computed again. The first that does not hold refuses the
// file. What a list alone cannot show, its missing end, is named by whoever prints the verdict.

import { toHex } from '../../wire/bytes.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { ChainHead } from '../../wire/track/chain.ts';
import { ChainCheck } from '../../wire/track/chain.ts';
import type { SignedStatement, TrackEvidence } from '../../wire/track/evidence.ts';
import type { TrackAccount } from '../../wire/track/head.ts';
import { DAY_MS, HOUR_MS } from '../../wire/track/head.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { LostRange, RevocationStatement } from '../../wire/track/revocation.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import type { ChainStatement, TrackStatement } from '../../wire/track/statement.ts';
import {
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import { ed25519Verifier } from '../../wire/node/ed25519.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { AttestedEpoch } from './attested-keys.ts';
import { attestedEpochs } from './attested-keys.ts';
import type { LeafPlace, Loss } from './losses.ts';
import { checkHour, checkMetrics, checkSnapshot } from './recompute.ts';
import { wrongUnrealised } from './unrealised.ts';

/** A statement with where it was signed. */
export interface Placed<T extends TrackStatement> {
  readonly statement: T;
  readonly leafIndex: number;
  readonly position: number;
}

export interface VerifiedRecord {
  readonly account: TrackAccount;
  readonly head: ChainHead;
  readonly ended: boolean;
  /** What holds now, in the order of time; an hour that was revoked is not there. */
  readonly hours: readonly Placed<HourStatement>[];
  readonly snapshots: readonly Placed<SnapshotStatement>[];
  /** Statements that replaced another, in the order of the chain. */
  readonly corrections: readonly Placed<HourStatement | SnapshotStatement>[];
  readonly revocations: readonly Placed<RevocationStatement>[];
  readonly metrics: readonly Placed<MetricsStatement>[];
  /** What revocations say was lost, in the order of the chain. */
  readonly losses: readonly Loss[];
  /** All of them, as they were signed, in the order of the file. */
  readonly signed: readonly SignedStatement[];
  /** Epochs that signed, in the order of their first statement. */
  readonly epochs: readonly SigningEpoch[];
}

export interface SigningEpoch extends AttestedEpoch {
  readonly statements: number;
  readonly firstCounter: number;
  readonly lastCounter: number;
  readonly firstLeaf: number;
  readonly lastLeaf: number;
}

interface Parsed {
  readonly signed: SignedStatement;
  readonly statement: TrackStatement;
}

function parseAll(statements: readonly SignedStatement[]): Result<readonly Parsed[]> {
  const parsed: Parsed[] = [];
  for (const [index, signed] of statements.entries()) {
    const one = parseTrackStatement(signed.statement);
    if (!one.ok) {
      const { code, detail } = one.refusal;
      return refuse('record_malformed', { ...detail, cause: code, index });
    }
    if (one.value.origin !== signed.origin) {
      return refuse('record_malformed', { what: 'origin', index });
    }
    parsed.push({ signed, statement: one.value });
  }
  return accept(parsed);
}

/** Those of one account; `account` is its commitment in hex, or the beginning of it. */
function select(parsed: readonly Parsed[], account: string | null): Result<readonly Parsed[]> {
  const names = parsed.map(({ statement }) => toHex(statement.accountCommitment));
  const wanted = new Set(names.filter((name) => account === null || name.startsWith(account)));
  if (wanted.size === 0) {
    return refuse('usage_invalid', { what: 'the file has no statement of this account' });
  }
  if (wanted.size > 1) {
    const what = `the file has ${wanted.size} such accounts: give --account with a commitment`;
    return refuse('usage_invalid', { what });
  }
  return accept(parsed.filter((_, at) => wanted.has(names[at] ?? '')));
}

function checkSignatures(
  parsed: readonly Parsed[],
  epochs: ReadonlyMap<string, AttestedEpoch>,
): Result<null> {
  const verifiers = new Map(
    Array.from(epochs, ([origin, { key }]) => [origin, ed25519Verifier(key)] as const),
  );
  for (const { signed } of parsed) {
    const { origin, leafIndex, position, statement, signature } = signed;
    const place = { origin, leaf: leafIndex, position };
    const verify = verifiers.get(origin);
    if (verify === undefined) return refuse('record_unattested', { origin });
    const domain = trackDomainOf(statement) ?? '';
    if (!verify(trackSignedBytes(domain, leafIndex, position, statement), signature)) {
      return refuse('record_signature', place);
    }
  }
  return accept(null);
}

/** The chain as it is walked: what holds at each place of it. */
class Walk {
  readonly chain: ChainCheck = new ChainCheck(nodeCrypto);
  readonly #hashes = new Map<number, Uint8Array>();
  readonly #places = new Map<number, LeafPlace>();
  readonly losses: Loss[] = [];
  /** By start. */
  readonly hours = new Map<number, Placed<HourStatement>>();
  readonly snapshots = new Map<number, Placed<SnapshotStatement>>();
  readonly corrections: Placed<HourStatement | SnapshotStatement>[] = [];
  readonly revocations: Placed<RevocationStatement>[] = [];
  readonly metrics: Placed<MetricsStatement>[] = [];
  /** All hours and snapshots, in the order of the chain. */
  readonly #placed: Placed<HourStatement | SnapshotStatement>[] = [];
  /** By the last counter they rest on: judged when the chain is there, as it was then. */
  readonly #waiting: ReadonlyMap<number, readonly Placed<MetricsStatement>[]>;

  constructor(metrics: readonly Placed<MetricsStatement>[]) {
    this.#waiting = Map.groupBy(metrics, ({ statement }) => statement.last.counter);
  }

  /** Refuses what the chain refuses, and `record_mismatch`. */
  take(parsed: Parsed): Result<null> {
    const { statement } = parsed;
    if (statement.kind === 'metrics') return accept(null);
    const taken = this.#place(parsed, statement);
    return taken.ok ? this.#judgeMetrics(statement.counter) : taken;
  }

  #judgeMetrics(counter: number): Result<null> {
    for (const metrics of this.#waiting.get(counter) ?? []) {
      const { statement } = metrics;
      const hours = inOrder(this.hours)
        .map((placed) => placed.statement)
        .filter(
          ({ figures: { startMs } }) => startMs >= statement.fromMs && startMs < statement.toMs,
        );
      const checked = checkMetrics(statement, hours, (at) => this.#hashes.get(at) ?? null);
      if (!checked.ok) return checked;
      this.metrics.push(metrics);
    }
    return accept(null);
  }

  #place({ signed }: Parsed, statement: ChainStatement): Result<null> {
    const added = this.chain.add(signed.statement, statement);
    if (!added.ok) return added;
    this.#hashes.set(statement.counter, nodeCrypto.sha256(signed.statement));
    const { origin, leafIndex, position } = signed;
    this.#places.set(statement.counter, { origin, leafIndex });
    if (statement.kind === 'revocation') {
      this.revocations.push({ statement, leafIndex, position });
      if (statement.lost !== null) this.#lose(statement, statement.lost, { origin, leafIndex });
      return accept(null);
    }
    if (statement.supersedes !== null) this.corrections.push({ statement, leafIndex, position });
    this.#placed.push({ statement, leafIndex, position });
    if (statement.kind === 'hour') return this.#placeHour({ statement, leafIndex, position });
    this.snapshots.set(statement.atMs, { statement, leafIndex, position });
    return checkSnapshot(statement, this.#dayBefore(statement.atMs));
  }

  #placeHour(placed: Placed<HourStatement>): Result<null> {
    const { statement, leafIndex } = placed;
    const { startMs } = statement.figures;
    const before = this.hours.get(startMs - HOUR_MS);
    this.hours.set(startMs, placed);
    const isOneRound =
      before?.leafIndex === leafIndex && before.statement.origin === statement.origin;
    const wrong = isOneRound ? wrongUnrealised(before.statement, statement) : null;
    if (wrong === null) return checkHour(statement);
    return refuse('record_mismatch', { ...wrong, counter: statement.counter });
  }

  #dayBefore(atMs: number): readonly HourStatement[] {
    const hours: HourStatement[] = [];
    for (let startMs = atMs - DAY_MS; startMs < atMs; startMs += HOUR_MS) {
      const found = this.hours.get(startMs);
      if (found !== undefined) hours.push(found.statement);
    }
    return hours;
  }

  #lose({ counter, reason, atMs }: RevocationStatement, lost: LostRange, before: LeafPlace): void {
    let present = 0;
    for (const at of this.#places.keys()) if (at >= lost.from && at <= lost.to) present++;
    const after = this.#places.get(lost.from - 1) ?? null;
    this.losses.push({ counter, lost, reason, atMs, present, after, before });
    this.#goBack();
  }

  /** To what the chain says that holds: some of it was taken back. */
  #goBack(): void {
    this.hours.clear();
    this.snapshots.clear();
    for (const { statement, ...place } of this.#placed) {
      if (!this.chain.holds(statement)) continue;
      if (statement.kind === 'hour') {
        this.hours.set(statement.figures.startMs, { statement, ...place });
      } else this.snapshots.set(statement.atMs, { statement, ...place });
    }
  }
}

function inOrder<T extends TrackStatement>(
  map: ReadonlyMap<number, Placed<T>>,
): readonly Placed<T>[] {
  return [...map].toSorted(([a], [b]) => a - b).map(([, placed]) => placed);
}

function signingEpochs(
  parsed: readonly Parsed[],
  epochs: ReadonlyMap<string, AttestedEpoch>,
): readonly SigningEpoch[] {
  const byOrigin = Map.groupBy(parsed, ({ statement }) => statement.origin);
  return [...byOrigin].flatMap(([origin, own]) => {
    const epoch = epochs.get(origin);
    if (epoch === undefined) return [];
    const counters = own.flatMap(({ statement }) =>
      statement.kind === 'metrics' ? [] : [statement.counter],
    );
    const leaves = own.map(({ signed }) => signed.leafIndex);
    return [
      {
        ...epoch,
        statements: own.length,
        firstCounter: counters[0] ?? 0,
        lastCounter: counters.at(-1) ?? 0,
        firstLeaf: leaves.reduce((a, b) => Math.min(a, b)),
        lastLeaf: leaves.reduce((a, b) => Math.max(a, b)),
      },
    ];
  });
}

/**
 * Refuses `record_malformed`, what attestation documents are refused for, `record_unattested`, `record_signature`, the
 * codes of the chain, and `record_mismatch`. Without a policy the rest is checked all the same.
 */
export function checkRecord(
  evidence: TrackEvidence,
  trust: TrustOptions,
  account: string | null,
): Result<VerifiedRecord> {
  const all = parseAll(evidence.statements);
  if (!all.ok) return all;
  const selected = select(all.value, account);
  if (!selected.ok) return selected;
  const parsed = selected.value;
  const epochs = attestedEpochs(evidence.attestations, trust);
  if (!epochs.ok) return epochs;
  const signed = checkSignatures(parsed, epochs.value);
  if (!signed.ok) return signed;
  const metrics = parsed.flatMap(({ signed: { leafIndex, position }, statement }) =>
    statement.kind === 'metrics' ? [{ statement, leafIndex, position }] : [],
  );
  const walk = new Walk(metrics);
  for (const one of parsed) {
    const taken = walk.take(one);
    if (!taken.ok) return taken;
  }
  if (walk.metrics.length < metrics.length) {
    return refuse('record_mismatch', { what: 'metrics that rest on statements that are not here' });
  }
  const [first] = parsed;
  if (first === undefined) return refuse('record_malformed', { what: 'statements' });
  const { accountCommitment, venue, environment } = first.statement;
  return accept({
    account: { accountCommitment, venue, environment },
    head: walk.chain.head,
    ended: walk.chain.ended,
    hours: inOrder(walk.hours),
    snapshots: inOrder(walk.snapshots),
    corrections: walk.corrections,
    revocations: walk.revocations,
    metrics: walk.metrics,
    losses: walk.losses,
    signed: parsed.map((one) => one.signed),
    epochs: signingEpochs(parsed, epochs.value),
  });
}
