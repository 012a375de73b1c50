// Rows of gRPC against the statements that they come with: every field of every message is changed, whatever it is, and the
// row is refused with its name. What is in no statement is listed here.

import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { EpochKeys, Verified } from '../../client/node/track-rows.ts';
import { readMetrics, readReturn, readSnapshot } from '../../client/node/track-rows.ts';
import {
  metricsAnswer,
  returnsAnswer,
  snapshotsAnswer,
} from '../../enclave/ledger/grpc/answers.ts';
import { ed25519Verifier } from '../../wire/node/ed25519.ts';
import type * as Wire from '../../wire/grpc/messages.ts';
import type { MessageSchema } from '../../wire/grpc/protobuf.ts';
import { decodeMessage, encodeMessage } from '../../wire/grpc/protobuf.ts';
import {
  AccountMetricsSchema,
  AggregatedMetricsResponseSchema,
  DailySnapshotSchema,
  HistoricalReturnsResponseSchema,
  ReturnSchema,
  SnapshotTimeSeriesResponseSchema,
} from '../../wire/grpc/messages.ts';
import type { Result } from '../../wire/result.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { TrackStatement } from '../../wire/track/statement.ts';
import {
  encodeTrackStatement,
  trackDomainOf,
  trackSignedBytes,
} from '../../wire/track/statement.ts';
import { ORIGIN } from '../vectors/track.ts';
import {
  ACCOUNT_METRICS,
  DAILY_SNAPSHOT,
  HOUR_STATEMENT,
  METRICS_STATEMENT,
  RETURN,
  SNAPSHOT_STATEMENT,
} from '../vectors/track-messages.ts';
import { FakeTrack } from '../helpers/fake-track.ts';

const USER = 'trader-1';
const MAX_BYTES = 1_000_000;

/** Only the log proves the salt of a leaf; when an account was last polled is told by nobody else. */
const UNSIGNED: ReadonlySet<string> = new Set(['evidence.leaf_salt', 'last_sync']);

type Values = Readonly<Record<string, unknown>>;
type Read = (row: Values) => Promise<Result<unknown>>;

interface Change {
  readonly path: string;
  readonly row: Values;
}

const OTHER: Readonly<Record<string, (value: unknown) => unknown>> = {
  string: (value) => (typeof value === 'string' ? `${value}1` : '1'),
  int32: (value) => (typeof value === 'number' ? value + 1 : 1),
  int64: (value) => (typeof value === 'number' ? value + 1 : 1),
  bool: (value) => value !== true,
  bytes: (value) => {
    const changed = new Uint8Array(value as Uint8Array);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    return changed;
  },
};

function empty({ fields }: MessageSchema): Values {
  const bytes = encodeMessage({ name: 'none', fields: [] }, {});
  return assertAccepted(decodeMessage({ name: 'empty', fields }, bytes, 0)) as Values;
}

/** One value that is another; null for one that may be absent and is not. */
function otherValues(
  type: MessageSchema['fields'][number]['type'],
  value: unknown,
): readonly { readonly path: string; readonly value: unknown }[] {
  if (typeof type !== 'function') return [{ path: '', value: OTHER[type]?.(value) }];
  if (value === null) return [{ path: '', value: empty(type()) }];
  return changesOf(type(), value as Values).map(({ path, row }) => ({
    path: `.${path}`,
    value: row,
  }));
}

function changesOf(schema: MessageSchema, row: Values): readonly Change[] {
  return schema.fields.flatMap(({ name, type, label }): readonly Change[] => {
    const path = name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
    const value = row[name];
    const changes = (inner: string, changed: unknown): Change => ({
      path: path + inner,
      row: { ...row, [name]: changed },
    });
    if (label === 'repeated') {
      const list = value as readonly unknown[];
      const more = typeof type === 'function' ? empty(type()) : OTHER[type]?.(null);
      return [
        changes('', [...list, more]),
        ...(list.length > 0 ? [changes('', list.slice(1))] : []),
        ...list.flatMap((one, at) =>
          otherValues(type, one).map((other) => changes(other.path, list.with(at, other.value))),
        ),
      ];
    }
    const others = otherValues(type, value).map((other) => changes(other.path, other.value));
    return label === 'optional' && value !== null ? [...others, changes('', null)] : others;
  });
}

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
const keys: EpochKeys = new Map([[ORIGIN, raw]]);
const fake = new FakeTrack({ sign: (message) => new Uint8Array(sign(null, message, privateKey)) });
const caller = { certificate: new Uint8Array(32) };
const query = { userUid: USER, exchange: null };
const range = { ...query, range: null, pageSize: 500, pageToken: null };
const { signal } = new AbortController();

function verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  return Promise.resolve(ed25519Verifier(key)(message, signature));
}

function decoded<Message extends object>(
  schema: MessageSchema<Message>,
  message: Message,
): Message {
  return assertAccepted(decodeMessage(schema, encodeMessage(schema, message), MAX_BYTES));
}

/** Messages that were written out by hand: that they are taken is not of the code that makes them. */
function evidenceOf(statement: TrackStatement, counter: number | null): Wire.Evidence {
  const bytes = encodeTrackStatement(statement);
  const [leafIndex, position] = [7, 1];
  const message = trackSignedBytes(trackDomainOf(bytes) ?? '', leafIndex, position, bytes);
  return {
    statement: bytes,
    signature: new Uint8Array(sign(null, message, privateKey)),
    origin: ORIGIN,
    leafIndex,
    position,
    leafSalt: new Uint8Array(16),
    account: statement.accountCommitment,
    counter,
  };
}

const GOLDEN = {
  returns: [{ ...RETURN, evidence: evidenceOf(HOUR_STATEMENT, 41) }],
  snapshots: [{ userUid: USER, ...DAILY_SNAPSHOT, evidence: evidenceOf(SNAPSHOT_STATEMENT, 52) }],
  metrics: [{ ...ACCOUNT_METRICS, lastSync: 1, evidence: evidenceOf(METRICS_STATEMENT, null) }],
};

/** As they come over the wire: views of one page. */
const { returns } = decoded(
  HistoricalReturnsResponseSchema,
  returnsAnswer(assertAccepted(await fake.historicalReturns(caller, range, signal))),
);
const { snapshots } = decoded(
  SnapshotTimeSeriesResponseSchema,
  snapshotsAnswer(assertAccepted(await fake.snapshotTimeSeries(caller, range, signal)), query),
);
const { accounts } = decoded(
  AggregatedMetricsResponseSchema,
  metricsAnswer(assertAccepted(await fake.aggregatedMetrics(caller, query, signal))),
);

const MESSAGES: readonly (readonly [string, MessageSchema, readonly object[], Read])[] = [
  [
    'returns',
    ReturnSchema,
    [...returns, ...GOLDEN.returns],
    (row) => readReturn(row as never, keys, verify),
  ],
  [
    'snapshots',
    DailySnapshotSchema,
    [...snapshots, ...GOLDEN.snapshots],
    (row) => readSnapshot(row as never, USER, keys, verify),
  ],
  [
    'metrics',
    AccountMetricsSchema,
    [...accounts, ...GOLDEN.metrics],
    (row) => readMetrics(row as never, keys, verify),
  ],
];

/** What the signature is of, and itself. */
const SIGNED = /^evidence(?:\.(?:statement|signature|leaf_index|position))?$/u;

/** The field that is named. */
function saidOf(found: Result<unknown>): unknown {
  if (found.ok) return 'taken';
  const { code, detail } = found.refusal;
  return code === 'record_mismatch' ? detail['what'] : 'refused';
}

describe.each(MESSAGES)('%s', (_, schema, rows, read) => {
  it('are taken as they are', async () => {
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) expect(await read(row as Values)).toMatchObject({ ok: true });
  });

  it('are refused with any other value in any field, and it is named', async () => {
    const seen = new Set<string>();
    for (const row of rows) {
      for (const { path, row: changed } of changesOf(schema, row as Values)) {
        seen.add(path);
        const said = saidOf(await read(changed));
        const named = UNSIGNED.has(path) ? 'taken' : path.replace(/^evidence\./u, '');
        expect([path, said]).toEqual([path, SIGNED.test(path) ? 'refused' : named]);
      }
    }
    // Every field of the message, whatever the rows have.
    const top = schema.fields.map(({ name }) =>
      name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`),
    );
    const walked = new Set([...seen].map((path) => path.split('.')[0]));
    expect(top.filter((name) => !walked.has(name))).toEqual([]);
  });

  it('keep nothing of the page that they came in', async () => {
    for (const row of rows) {
      const found = assertAccepted(await read(row as Values)) as Verified<TrackStatement>;
      const { evidence, statement } = found;
      for (const bytes of [evidence.statement, evidence.signature, evidence.leafSalt]) {
        expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
      }
      const { accountCommitment } = statement;
      expect(accountCommitment.buffer.byteLength).toBeLessThanOrEqual(evidence.statement.length);
    }
  });
});

it('snapshots of another user than was asked for are refused', async () => {
  const [row] = snapshots;
  if (row === undefined) throw new Error('no snapshot');
  const found = await readSnapshot(row, 'trader-2', keys, verify);
  expect(found).toMatchObject({
    refusal: { code: 'record_mismatch', detail: { what: 'user_uid' } },
  });
});
