// Rows of a track record as a client gets them: each is what its signed statement says. The enclave's readable row beside it
// is compared and not used: a row that says something else than what was signed is refused, whichever field it is. No
// statement has the salt of its leaf, which only the log proves, and when an account was last polled.

import { toHex } from '../../wire/bytes.ts';
import type * as Wire from '../../wire/grpc/messages.ts';
import {
  AccountMetricsSchema,
  DailySnapshotSchema,
  ReturnSchema,
} from '../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../wire/grpc/protobuf.ts';
import {
  amountText,
  metricsMessage,
  netReturnOf,
  periodOf,
  returnMessage,
  snapshotMessage,
} from '../../wire/grpc/track-messages.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import type { HourStatement } from '../../wire/track/hour.ts';
import type { MetricsStatement } from '../../wire/track/metrics.ts';
import type { SnapshotStatement } from '../../wire/track/snapshot.ts';
import type { TrackStatement } from '../../wire/track/statement.ts';
import {
  parseTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import { differenceOf } from './message-difference.ts';

const SIGNATURE_BYTES = 64;
const SALT_BYTES = 16;

/** Raw Ed25519 keys of attested epochs, by origin. */
export type EpochKeys = ReadonlyMap<string, Uint8Array>;
export type VerifyEd25519 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => Promise<boolean>;

export interface Verified<Statement extends TrackStatement> {
  readonly statement: Statement;
  /** True: an attested epoch signed it. False: it is of an epoch for which there is no document; nothing proves it. */
  readonly verified: boolean;
  readonly evidence: SignedStatement;
}

export interface VerifiedReturn extends Verified<HourStatement> {
  readonly startMs: number;
  readonly endMs: number;
  readonly exchange: string;
  /** Commitment of the account, hex. */
  readonly account: string;
  readonly counter: number;
  /** 0.01 is one per cent; null over a gap. */
  readonly ratio: string | null;
  readonly method: 'twr' | 'modified_dietz' | null;
  readonly reason: string | null;
  /** Change of equity without flows; null where a part of it is unknown. */
  readonly netReturn: string | null;
  readonly equity: string | null;
  readonly residual: string | null;
  readonly reconciliation: 'reconciled' | 'beyond' | 'unknown';
  readonly complete: boolean;
  readonly gaps: readonly string[];
  /** Worked out backwards, not seen: in no figure but those named `rebuilt.`, and not to be chained with the others. */
  readonly rebuilt: boolean;
  readonly supersedes: number | null;
  readonly currency: 'USD';
}

export interface VerifiedSnapshot extends Verified<SnapshotStatement> {
  readonly atMs: number;
  readonly exchange: string;
  readonly account: string;
  readonly counter: number;
  readonly equity: string | null;
  readonly realizedBalance: string | null;
  readonly unrealizedPnl: string | null;
  readonly deposits: string | null;
  readonly withdrawals: string | null;
  readonly supersedes: number | null;
  readonly currency: 'USD';
}

export interface VerifiedMetrics extends Verified<MetricsStatement> {
  readonly exchange: string;
  readonly account: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** By name; what is null has its reason beside it. */
  readonly figures: Readonly<Record<string, string | number | null>>;
  readonly reasons: Readonly<Record<string, string>>;
  readonly conventions: Readonly<Record<string, string>>;
}

function isKind<Kind extends TrackStatement['kind']>(
  statement: TrackStatement,
  kind: Kind,
): statement is Extract<TrackStatement, { kind: Kind }> {
  return statement.kind === kind;
}

/** Refuses `record_malformed`, `record_signature`, `record_mismatch`. */
async function verify<Kind extends TrackStatement['kind']>(
  kind: Kind,
  shown: Wire.Evidence | null,
  keys: EpochKeys,
  verifyEd25519: VerifyEd25519,
): Promise<Result<Verified<Extract<TrackStatement, { kind: Kind }>>>> {
  if (shown === null) return refuse('record_malformed', { what: 'evidence' });
  const { origin, leafIndex, position } = shown;
  // Views of a whole page: who keeps a row would keep its page.
  const [bytes, signature, leafSalt] = [
    new Uint8Array(shown.statement),
    new Uint8Array(shown.signature),
    new Uint8Array(shown.leafSalt),
  ];
  const isForm = signature.length === SIGNATURE_BYTES && leafSalt.length === SALT_BYTES;
  if (!isForm || leafIndex < 0 || position < 0)
    return refuse('record_malformed', { what: 'evidence' });
  const parsed = parseTrackStatement(bytes);
  if (!parsed.ok || !isKind(parsed.value, kind)) {
    return refuse('record_malformed', { what: 'statement' });
  }
  const statement = parsed.value;
  if (statement.origin !== origin) return refuse('record_mismatch', { what: 'origin' });
  if (toHex(statement.accountCommitment) !== toHex(shown.account)) {
    return refuse('record_mismatch', { what: 'account' });
  }
  const counter = 'counter' in statement ? statement.counter : null;
  if (counter !== shown.counter) return refuse('record_mismatch', { what: 'counter' });
  const key = keys.get(origin);
  if (key !== undefined) {
    const signed = trackSignedBytes(trackDomainOf(bytes) ?? '', leafIndex, position, bytes);
    if (!(await verifyEd25519(key, signed, signature))) {
      return refuse('record_signature', { origin, leaf: leafIndex, position });
    }
  }
  const evidence = { statement: bytes, signature, origin, leafIndex, position, leafSalt };
  return accept({ statement, verified: key !== undefined, evidence });
}

/** Names the first field that differs. */
function compare<Message extends object>(
  schema: MessageSchema<Message>,
  signed: Message,
  shown: Message,
): Result<null> {
  const what = differenceOf(schema, signed, shown);
  return what === null ? accept(null) : refuse('record_mismatch', { what });
}

export async function readReturn(
  row: Wire.Return,
  keys: EpochKeys,
  verifyEd25519: VerifyEd25519,
): Promise<Result<VerifiedReturn>> {
  const verified = await verify('hour', row.evidence, keys, verifyEd25519);
  if (!verified.ok) return verified;
  const { statement } = verified.value;
  const { figures, venue, counter } = statement;
  const same = compare(ReturnSchema, returnMessage(statement, row.evidence), row);
  if (!same.ok) return same;
  return accept({
    ...verified.value,
    startMs: figures.startMs,
    endMs: figures.startMs + 3_600_000,
    exchange: venue,
    account: toHex(statement.accountCommitment),
    counter,
    ...statement.return,
    netReturn: netReturnOf(statement),
    equity: amountText(figures.equityEnd),
    residual: amountText(figures.residual),
    reconciliation: figures.status,
    complete: figures.complete,
    gaps: figures.gaps,
    rebuilt: figures.rebuilt,
    supersedes: statement.supersedes?.counter ?? null,
    currency: 'USD',
  });
}

/** `userUid`: who was asked for. */
export async function readSnapshot(
  row: Wire.DailySnapshot,
  userUid: string,
  keys: EpochKeys,
  verifyEd25519: VerifyEd25519,
): Promise<Result<VerifiedSnapshot>> {
  const verified = await verify('snapshot', row.evidence, keys, verifyEd25519);
  if (!verified.ok) return verified;
  const { statement } = verified.value;
  const expected = snapshotMessage(statement, userUid, row.evidence);
  const same = compare(DailySnapshotSchema, expected, row);
  if (!same.ok) return same;
  return accept({
    ...verified.value,
    equity: amountText(statement.equity),
    realizedBalance: amountText(statement.balance),
    unrealizedPnl: amountText(statement.unrealised),
    deposits: amountText(statement.deposits),
    withdrawals: amountText(statement.withdrawals),
    atMs: statement.atMs,
    exchange: statement.venue,
    account: toHex(statement.accountCommitment),
    counter: statement.counter,
    supersedes: statement.supersedes?.counter ?? null,
    currency: 'USD',
  });
}

/** Their order says nothing. */
function byName(row: Wire.AccountMetrics): Wire.AccountMetrics {
  const conventions = row.conventions.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { ...row, conventions };
}

export async function readMetrics(
  row: Wire.AccountMetrics,
  keys: EpochKeys,
  verifyEd25519: VerifyEd25519,
): Promise<Result<VerifiedMetrics>> {
  const verified = await verify('metrics', row.evidence, keys, verifyEd25519);
  if (!verified.ok) return verified;
  const { statement } = verified.value;
  const { fromMs, toMs } = periodOf(statement);
  const expected = metricsMessage(statement, row.lastSync, row.evidence);
  const same = compare(AccountMetricsSchema, byName(expected), byName(row));
  if (!same.ok) return same;
  return accept({
    ...verified.value,
    exchange: statement.venue,
    account: toHex(statement.accountCommitment),
    fromMs,
    toMs,
    figures: Object.fromEntries(statement.figures),
    reasons: Object.fromEntries(statement.reasons),
    conventions: Object.fromEntries(statement.conventions),
  });
}
