// trackseal bucket check: what is wrong with the bucket of a log, and until when what is in it is locked.

import { S3Store } from '../../wire/node/objects/s3.ts';
import type { Result } from '../../wire/result.ts';
import { accept } from '../../wire/result.ts';
import type { BucketAddress } from '../bucket/address.ts';
import {
  BUCKET_OPTIONS,
  BUCKET_USAGE,
  bucketFailure,
  openBucket,
  parseBucketName,
} from '../bucket/address.ts';
import { judgeSettings } from '../bucket/judge.ts';
import { Progress } from '../bucket/pool.ts';
import { checkArns, parseDays } from '../bucket/policy-options.ts';
import { renderFindings, renderParts } from '../bucket/render.ts';
import type { SurveyReport } from '../bucket/retention.ts';
import { survey } from '../bucket/retention.ts';
import { readSettings } from '../bucket/settings.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, refused } from '../command-line.ts';

const USAGE = `usage: trackseal bucket check s3://BUCKET[/PREFIX] [OPTIONS]

Audits the bucket of a log: versioning, Object Lock, default retention, public access, default encryption, lifecycle
rules, and what its policy lets happen; then every version below the prefix: what is not locked, was written over or
hidden, and a report of retention. It reads only. IAM and the organisation's policies are not looked at: they can deny
more, never less.

  --retention-days N  what the log's configuration asks for (s3.retention_days)
  --writer ARN        ask the policy what this writer may do; may be repeated
  --settings-only     do not look at objects (one request for each)
  --strict            warnings count as errors
${BUCKET_USAGE}  --json              {verdict, bucket, prefix, findings: [{code, severity, where, count, what, next}],
                      parts: [{part, objects, bytes, earliest, latest, unlocked, governance, over, holds,
                      laterVersions, deleteMarkers}]}

Exit codes: 0 no errors, 1 errors, 2 not reached or not readable, or wrong usage.
`;

interface CheckOptions {
  readonly retentionDays: number | null;
  readonly writers: readonly string[];
  readonly settingsOnly: boolean;
  readonly strict: boolean;
  readonly json: boolean;
}

const NOTHING: SurveyReport = { parts: [], findings: [] };

async function look(
  address: BucketAddress,
  retentionDays: number | null,
  io: CommandIo,
): Promise<Result<SurveyReport>> {
  const { client, bucket, prefix, target } = address;
  const { ExpectedBucketOwner: owner } = target;
  const expected = owner === undefined ? {} : { expectedBucketOwner: owner };
  const progress = new Progress(io, 'versions', null);
  try {
    const store = new S3Store({ client, bucket, prefix, ...expected });
    const onVersion = (): void => {
      progress.step();
    };
    return accept(await survey(store, { retentionDays, now: new Date(), onVersion }));
  } catch (error) {
    return bucketFailure(error);
  } finally {
    progress.clear();
  }
}

async function check(
  address: BucketAddress,
  options: CheckOptions,
  io: CommandIo,
): Promise<number> {
  const { retentionDays, writers, settingsOnly, strict, json } = options;
  const { bucket, prefix } = address;
  const facts = await readSettings(address);
  if (!facts.ok) return refused(io, facts.refusal, json);
  const objects = settingsOnly ? accept(NOTHING) : await look(address, retentionDays, io);
  if (!objects.ok) return refused(io, objects.refusal, json);
  const { parts } = objects.value;
  const settings = judgeSettings(facts.value, { bucket, prefix, retentionDays, writers });
  const findings = [...settings, ...objects.value.findings];
  const failing = findings.filter(({ severity }) => {
    return severity === 'error' || (severity === 'warning' && strict);
  });
  const verdict = failing.length === 0 ? 'passed' : 'refused';
  if (json) {
    io.stdout(`${JSON.stringify({ verdict, bucket, prefix, findings, parts }, null, 2)}\n`);
  } else {
    const counts = `${String(failing.length)} to correct, ${String(findings.length)} findings`;
    io.stdout(renderFindings(findings));
    if (!settingsOnly) io.stdout(renderParts(parts));
    io.stdout(`${verdict.toUpperCase()}  ${counts}\n`);
  }
  return failing.length === 0 ? 0 : 1;
}

/** Exit codes: 0 no errors, 1 errors, 2 could not look. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      ...BUCKET_OPTIONS,
      'retention-days': { type: 'string' },
      writer: { type: 'string', multiple: true },
      'settings-only': { type: 'boolean' },
      strict: { type: 'boolean' },
      json: { type: 'boolean' },
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const { positionals, values } = parsed.value;
  const name = parseBucketName(positionals);
  if (!name.ok) return refused(io, name.refusal, json);
  const days = parseDays('retention-days', values['retention-days']);
  if (!days.ok) return refused(io, days.refusal, json);
  const writers = checkArns('writer', values.writer ?? []);
  if (!writers.ok) return refused(io, writers.refusal, json);
  const address = await openBucket(name.value, values, io);
  if (!address.ok) return refused(io, address.refusal, json);
  const options: CheckOptions = {
    retentionDays: days.value,
    writers: writers.value,
    settingsOnly: values['settings-only'] === true,
    strict: values.strict === true,
    json,
  };
  try {
    return await check(address.value, options, io);
  } finally {
    address.value.client.destroy();
  }
}
