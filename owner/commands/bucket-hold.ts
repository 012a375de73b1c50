// trackseal bucket hold: legal holds on or off, for a log, an epoch, or one object.

import { S3Store } from '../../wire/node/objects/s3.ts';
import type { ObjectVersion } from '../../wire/node/objects/store.ts';
import { epochPrefix } from '../../wire/object-keys.ts';
import { isObjectKey } from '../../wire/host-keys.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import type { BucketAddress } from '../bucket/address.ts';
import {
  BUCKET_OPTIONS,
  BUCKET_USAGE,
  bucketFailure,
  openBucket,
  parseBucketName,
} from '../bucket/address.ts';
import type { HoldResult } from '../bucket/hold.ts';
import { setHolds } from '../bucket/hold.ts';
import { Progress } from '../bucket/pool.ts';
import type { CommandIo } from '../command-line.ts';
import { parseOptions, refused } from '../command-line.ts';

const USAGE = `usage: trackseal bucket hold s3://BUCKET[/PREFIX] --on|--off [--epoch N | --key KEY | --all] [OPTIONS]

Sets or removes the legal hold of every version: held ones are kept without a date, beside their retention. Blobs
are not under an epoch: hold them too where a leaf of it names one (blobs/), or use --all.

  --on | --off       set or remove
  --epoch N          all of one epoch
  --key KEY          one object, named below the prefix; a key that ends with / is all below it
  --all              everything below the prefix
${BUCKET_USAGE}  --json             {verdict, bucket, prefix, status, versions, changed, unchanged}

Exit codes: 0 done and confirmed, 1 refused or nothing there, 2 not reached, or wrong usage. After a failure what was
done stays done; the same command goes on.
`;

interface Selection {
  readonly prefix: string;
  /** Exactly this key. */
  readonly key: string | null;
}

interface HoldValues {
  readonly on?: boolean | undefined;
  readonly off?: boolean | undefined;
  readonly epoch?: string | undefined;
  readonly key?: string | undefined;
  readonly all?: boolean | undefined;
}

function statusOf({ on = false, off = false }: HoldValues): Result<'ON' | 'OFF'> {
  if (on !== off) return accept(on ? 'ON' : 'OFF');
  return refuse('usage_invalid', { what: 'either --on or --off' });
}

function selectionOf({ epoch, key, all }: HoldValues): Result<Selection> {
  const given = [epoch, key, all].filter((value) => value !== undefined).length;
  if (given !== 1) return refuse('usage_invalid', { what: 'one of --epoch, --key and --all' });
  if (epoch !== undefined) {
    if (!/^(?:0|[1-9]\d{0,9})$/u.test(epoch)) {
      return refuse('usage_invalid', { what: '--epoch takes a number' });
    }
    return accept({ prefix: epochPrefix(Number(epoch)), key: null });
  }
  if (key === undefined) return accept({ prefix: '', key: null });
  if (!isObjectKey(key.replace(/\/$/u, ''))) {
    return refuse('usage_invalid', { what: '--key takes the key of an object' });
  }
  return accept({ prefix: key, key: key.endsWith('/') ? null : key });
}

async function hold(
  address: BucketAddress,
  status: 'ON' | 'OFF',
  { prefix: below, key }: Selection,
  io: CommandIo,
): Promise<Result<HoldResult>> {
  const { client, bucket, prefix, target } = address;
  const { ExpectedBucketOwner: owner } = target;
  const expected = owner === undefined ? {} : { expectedBucketOwner: owner };
  const store = new S3Store({ client, bucket, prefix, ...expected });
  let progress: Progress | null = null;
  try {
    const versions: ObjectVersion[] = [];
    for await (const version of store.list(below)) {
      const isMeant = key === null || version.key === key;
      if (isMeant && !version.isDeleteMarker) versions.push(version);
    }
    if (versions.length === 0) return refuse('bucket_empty', { prefix: below });
    const bar = new Progress(io, 'legal hold', versions.length);
    progress = bar;
    const onVersion = (): void => {
      bar.step();
    };
    return accept(await setHolds({ address, store, versions, status, onVersion }));
  } catch (error) {
    return bucketFailure(error);
  } finally {
    progress?.clear();
  }
}

/** Exit codes: 0 done and confirmed, 1 refused or nothing there, 2 could not be done. */
export async function run(args: readonly string[], io: CommandIo): Promise<number> {
  const json = args.includes('--json');
  if (args.includes('--help')) {
    io.stdout(USAGE);
    return 0;
  }
  const flag = { type: 'boolean' } as const;
  const parsed = parseOptions({
    args: [...args],
    allowPositionals: true,
    options: {
      ...BUCKET_OPTIONS,
      on: flag,
      off: flag,
      epoch: { type: 'string' },
      key: { type: 'string' },
      all: flag,
      json: flag,
    },
  });
  if (!parsed.ok) return refused(io, parsed.refusal, json);
  const { positionals, values } = parsed.value;
  const name = parseBucketName(positionals);
  if (!name.ok) return refused(io, name.refusal, json);
  const status = statusOf(values);
  if (!status.ok) return refused(io, status.refusal, json);
  const selection = selectionOf(values);
  if (!selection.ok) return refused(io, selection.refusal, json);
  const address = await openBucket(name.value, values, io);
  if (!address.ok) return refused(io, address.refusal, json);
  const result = await hold(address.value, status.value, selection.value, io);
  address.value.client.destroy();
  if (!result.ok) return refused(io, result.refusal, json);
  const { versions, changed, unchanged } = result.value;
  const { bucket, prefix } = name.value;
  const report = { verdict: 'done', bucket, prefix, status: status.value };
  io.stdout(
    json
      ? `${JSON.stringify({ ...report, versions, changed, unchanged }, null, 2)}\n`
      : `DONE  legal hold ${status.value} on ${String(versions)} versions, ${String(changed)} of them changed\n`,
  );
  return 0;
}
