// What `verify record` and `report` are given, and how both judge it: a file of a record, documents beside those that it
// has, and what to trust.

import type { RefusalCode } from '../../wire/codes.ts';
import { MAX_DOCUMENT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { TrackEvidence } from '../../wire/track/evidence.ts';
import { MAX_EVIDENCE_BYTES, parseTrackEvidence } from '../../wire/track/evidence.ts';
import type { CommandIo } from '../io.ts';
import { ProgressBar } from '../log/progress.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import { STORE_OPTIONS } from '../log/store-options.ts';
import type { PolicyOptionValues, TrustOptions } from '../policy-options.ts';
import { readTrustOptions } from '../policy-options.ts';
import { readSmallFile } from '../small-file.ts';
import { checkRecordLog } from './check-log.ts';
import type { VerifiedRecord } from './check-record.ts';
import { checkRecord } from './check-record.ts';
import type { LossLeaves } from './losses.ts';
import type { JudgedRecord, RecordVerdict } from './record-verdict.ts';
import { refusedRecord, verifiedRecord } from './record-verdict.ts';

export const RECORD_USAGE = `The file is what the enclave answered for the account: statements with their signatures, and attestation
documents of the epochs that signed them.

  --account HEX          the commitment of the account, or its beginning: where the file has several
  --attestation FILE     a further document (CBOR), of purpose boot or challenge; can be given again
  --log SOURCE           a copy of the log, a folder, a URL or a bucket: each statement is in it
`;

type RecordOptions = typeof STORE_OPTIONS & {
  readonly log: { readonly type: 'string' };
  readonly account: { readonly type: 'string' };
  readonly attestation: { readonly type: 'string'; readonly multiple: true };
};

export const RECORD_OPTIONS: RecordOptions = {
  ...STORE_OPTIONS,
  log: { type: 'string' },
  account: { type: 'string' },
  attestation: { type: 'string', multiple: true },
};

export type RecordValues = PolicyOptionValues &
  StoreOptionValues & {
    readonly log?: string | undefined;
    readonly account?: string | undefined;
    readonly attestation?: readonly string[] | undefined;
  };

export interface RecordTask {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly documents: readonly Uint8Array[];
  readonly account: string | null;
  readonly trust: TrustOptions;
  readonly values: RecordValues;
}

// Room to tell "too large" from "not readable": the parser has the exact limit.
const MAX_FILE_BYTES = 4 * MAX_DOCUMENT_BYTES;
const ACCOUNT = /^[0-9a-f]{8,64}$/u;

export async function readRecordTask(
  path: string,
  values: RecordValues,
  env: CommandIo['env'],
): Promise<Result<RecordTask>> {
  const account = values.account?.toLowerCase() ?? null;
  if (account !== null && !ACCOUNT.test(account)) {
    return refuse('usage_invalid', { what: '--account: 8 to 64 hex digits of the commitment' });
  }
  const trust = await readTrustOptions(values, env);
  if (!trust.ok) return trust;
  const documents: Uint8Array[] = [];
  for (const name of values.attestation ?? []) {
    const document = await readSmallFile(name, MAX_FILE_BYTES);
    if (!document.ok) return document;
    documents.push(document.value);
  }
  const bytes = await readSmallFile(path, MAX_EVIDENCE_BYTES);
  if (!bytes.ok) return bytes;
  return accept({ path, bytes: bytes.value, documents, account, trust: trust.value, values });
}

function check({ bytes, documents, account, trust }: RecordTask): Result<VerifiedRecord> {
  const parsed = parseTrackEvidence(bytes);
  if (!parsed.ok) return parsed;
  const { statements, attestations } = parsed.value;
  const evidence: TrackEvidence = { statements, attestations: [...attestations, ...documents] };
  return checkRecord(evidence, trust, account);
}

export interface RecordJudgement {
  readonly verdict: RecordVerdict;
  /** Null where the record was refused. */
  readonly found: (JudgedRecord & { readonly record: VerifiedRecord }) | null;
}

/** Codes that mean "I could not look". */
const UNREADABLE: ReadonlySet<RefusalCode> = new Set<RefusalCode>([
  'usage_invalid',
  'file_unreadable',
  'source_unreachable',
]);

/** Refuses only where nothing could be judged; all else is a verdict. */
export async function judgeRecord(
  task: RecordTask,
  io: CommandIo,
): Promise<Result<RecordJudgement>> {
  const { path, trust, values } = task;
  const record = check(task);
  const logged = record.ok ? await lookUp(record.value, trust, values, io) : record;
  if (!record.ok || !logged.ok) {
    const refusal = record.ok ? (logged.ok ? null : logged.refusal) : record.refusal;
    if (refusal === null) throw new Error('a refusal without a reason');
    if (UNREADABLE.has(refusal.code)) return { ok: false, refusal };
    return accept({ verdict: refusedRecord(path, trust, refusal), found: null });
  }
  const judged = verifiedRecord(path, trust, record.value, logged.value);
  return accept({ verdict: judged.verdict, found: { ...judged, record: record.value } });
}

/** Null without --log. */
async function lookUp(
  record: VerifiedRecord,
  trust: TrustOptions,
  values: RecordValues,
  io: CommandIo,
): Promise<Result<LossLeaves | null>> {
  const { log: address } = values;
  if (address === undefined) return accept(null);
  const progress = new ProgressBar(io, 'leaves');
  const checked = await checkRecordLog(record, trust, {
    address,
    values,
    env: io.env,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  return checked;
}
