// trackseal log pull: evidence out of a log, in one file: a range of time, one order with its reports, or one
// leaf. With compliance's key it discloses the trades in it, and nothing else.

import { writeFile } from 'node:fs/promises';
import { refused, runCommand, undecided } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import { chooseEpoch } from '../evidence/choose-epoch.ts';
import type { OtherEpochs, TimeRange } from '../evidence/epoch-range.ts';
import { makeBundle } from '../evidence/make-bundle.ts';
import type { MadeBundle, PullRequest } from '../evidence/make-bundle.ts';
import type { Selection } from '../evidence/manifest.ts';
import { isReason } from '../evidence/manifest.ts';
import { refuseWriting } from '../heads.ts';
import type { CommandIo } from '../io.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import { snakeCase } from '../log/names.ts';
import { ProgressBar } from '../log/progress.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { Kind } from '../../wire/leaf.ts';
import { KIND } from '../../wire/leaf.ts';
import type { RefusalDetail, Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { parseInstantNs } from '../log/instant.ts';

const KINDS = Object.entries(KIND).map(([name, kind]) => [snakeCase(name), kind] as const);

const USAGE = `usage: trackseal log pull SOURCE (--from T --to T | --order ID | --index N) -o FILE [OPTIONS]

Writes one evidence file (ZIP) that \`trackseal verify bundle\` checks offline. SOURCE is a log, or the
folder of one epoch in it: a folder, a URL or s3://BUCKET/PREFIX. Reads only what is needed for the leaves
that are asked for, and checks that against the signed head.

  --from T --to T        all leaves of a time, in UTC: 2026-11-21T09:30:00Z, fractions down to 1 ns
  --order ID             one order (client order id, ts...) and all reports about it
  --index N              one leaf
  --epoch N              which epoch; by default the first that has a leaf of the time, or else the newest.
                         One file is about one epoch: which others the time reaches into is said, with
                         the command that pulls each
  --key FILE             compliance's private key (PEM): discloses orders and reports
  --withhold KINDS       of a time: only hashes of these kinds, for example input,gap
  --reason TEXT          why, for the manifest
  -o FILE                where to write the evidence
${STORE_USAGE}
  --json                 what was written, as JSON on stdout
  --help

Exit codes: 0 written, 1 the log is damaged, 2 wrong usage or unreadable files.
`;

const OPTIONS = {
  ...STORE_OPTIONS,
  from: { type: 'string' },
  to: { type: 'string' },
  order: { type: 'string' },
  index: { type: 'string' },
  epoch: { type: 'string' },
  key: { type: 'string' },
  withhold: { type: 'string' },
  reason: { type: 'string' },
  output: { type: 'string', short: 'o' },
} as const;

type Values = {
  readonly [name in keyof typeof OPTIONS]?: string | undefined;
};

interface Task {
  readonly request: Omit<PullRequest, 'onProgress'>;
  readonly output: string;
  /** The same for another epoch. */
  readonly commandOf: (epoch: number) => string;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function perform(
  { request, output, commandOf }: Task,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  const progress = new ProgressBar(io, 'evidence');
  const onProgress = (done: number, total: number): void => {
    progress.update(done, total);
  };
  const made = await makeBundle(verifierCrypto(), { ...request, onProgress });
  progress.clear();
  if (!made.ok) {
    const detail = { ...made.refusal.detail, ...othersDetail(request.otherEpochs) };
    return refused(io, { ...made.refusal, detail }, json);
  }
  const written = await writeFile(output, made.value.bytes).then(() => accept(null), refuseWriting);
  if (!written.ok) return undecided(io, written.refusal, json);
  const facts = factsOf(output, made.value, commandOf);
  io.stdout(json ? `${JSON.stringify(facts, null, 2)}\n` : textOf(facts));
  return 0;
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  io: CommandIo,
): Promise<Result<Task>> {
  const [address] = positionals;
  const { output, reason = '', key } = values;
  if (address === undefined || positionals.length !== 1 || output === undefined) {
    return refuse('usage_invalid', { what: 'give one SOURCE and -o FILE' });
  }
  const selection = selectionOf(values);
  if (!selection.ok) return selection;
  const withhold = kindsOf(values.withhold, selection.value);
  if (!withhold.ok) return withhold;
  if (!isReason(reason)) {
    return refuse('usage_invalid', { what: '--reason: up to 500 printable ASCII characters' });
  }
  const keys = key === undefined ? accept(null) : await readComplianceKey(key);
  if (!keys.ok) return keys;
  const progress = new ProgressBar(io, 'epochs');
  const chosen = await chooseEpoch({
    address,
    wanted: values.epoch,
    range: rangeOf(selection.value),
    values,
    env: io.env,
    onProgress: (done, total) => {
      progress.update(done, total);
    },
  });
  progress.clear();
  if (!chosen.ok) return chosen;
  const { files, otherEpochs } = chosen.value;
  return accept({
    request: {
      files,
      selection: selection.value,
      keys: keys.value,
      withhold: withhold.value,
      reason,
      otherEpochs,
    },
    output,
    commandOf: argumentsOf(values, positionals),
  });
}

function selectionOf({ from, to, order, index }: Values): Result<Selection> {
  const ways = [from !== undefined || to !== undefined, order !== undefined, index !== undefined];
  if (ways.filter(Boolean).length !== 1) {
    return refuse('usage_invalid', { what: 'give one of --from and --to, --order, --index' });
  }
  if (order !== undefined) {
    return /^ts[0-9a-f]{16}$/u.test(order)
      ? accept({ by: 'order', order })
      : refuse('usage_invalid', { what: '--order: ts and 16 hex digits' });
  }
  if (index !== undefined) {
    return /^\d{1,15}$/u.test(index)
      ? accept({ by: 'index', index: Number(index) })
      : refuse('usage_invalid', { what: '--index: a number from 0' });
  }
  const [fromNs, toNs] = [parseInstantNs(from ?? ''), parseInstantNs(to ?? '')];
  if (fromNs === null || toNs === null || fromNs > toNs) {
    const what = '--from, --to: two times in UTC, such as 2026-11-21T09:30:00Z';
    return refuse('usage_invalid', { what });
  }
  return accept({ by: 'time', from_ns: String(fromNs), to_ns: String(toNs) });
}

function rangeOf(selection: Selection): TimeRange | null {
  return selection.by === 'time'
    ? { fromNs: BigInt(selection.from_ns), toNs: BigInt(selection.to_ns) }
    : null;
}

function quoted(word: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/u.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** The same command for another epoch, for a shell. */
function argumentsOf(values: Values, [address = '']: readonly string[]): (epoch: number) => string {
  return (epoch) => {
    const output = `${(values.output ?? '').replace(/\.zip$/u, '')}.epoch-${epoch}.zip`;
    const options = Object.entries({ ...values, epoch: String(epoch), output }).flatMap(
      ([name, value]) => (typeof value === 'string' ? [`--${name}`, quoted(value)] : []),
    );
    return ['trackseal log pull', quoted(address), ...options].join(' ');
  };
}

function kindsOf(text: string | undefined, { by }: Selection): Result<ReadonlySet<Kind>> {
  if (text === undefined) return accept(new Set());
  if (by !== 'time') return refuse('usage_invalid', { what: '--withhold: with --from and --to' });
  const kinds = new Set<Kind>();
  for (const word of text.split(',')) {
    const kind = KINDS.find(([name]) => name === word)?.[1];
    if (kind === undefined) {
      return refuse('usage_invalid', {
        what: `--withhold: ${KINDS.map(([name]) => name).join(',')}`,
      });
    }
    kinds.add(kind);
  }
  return accept(kinds);
}

interface PulledFacts {
  readonly file: string;
  readonly bytes: number;
  readonly origin: string;
  readonly first: number;
  readonly last: number;
  readonly size: number;
  readonly disclosed: number;
  readonly withheld: number;
  readonly findings: number;
  /** As in the manifest, with this command for each. */
  readonly other_epochs: OtherEpochs | null;
}

function factsOf(
  file: string,
  { bytes, manifest, leaves, findings }: MadeBundle,
  commandOf: (epoch: number) => string,
): PulledFacts {
  const { origin, range, size, disclosed, other_epochs: others = null } = manifest;
  const withheld = leaves.filter((leaf) => 'why' in leaf).length;
  return {
    file,
    bytes: bytes.length,
    origin,
    ...range,
    size,
    disclosed: disclosed.length,
    withheld,
    findings,
    other_epochs:
      others === null
        ? null
        : {
            ...others,
            touched: others.touched.map(({ epoch, first_ns, last_ns }) => ({
              epoch,
              first_ns,
              last_ns,
              command: commandOf(epoch),
            })),
          },
  };
}

/** Where else a range could be that this epoch does not have. */
function othersDetail(others: OtherEpochs | null): RefusalDetail {
  const { touched = [], missing = [] } = others ?? {};
  const runs = missing.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`));
  return {
    ...(touched.length === 0 ? {} : { touches: touched.map(({ epoch }) => epoch).join(', ') }),
    ...(runs.length === 0 ? {} : { missing_epochs: runs.join(', ') }),
  };
}

/** What the file does not have of its time. */
function othersText(others: OtherEpochs | null): string {
  if (others === null) return '';
  const { looked, touched, missing } = others;
  const lines = [
    ...touched.map(
      ({ epoch, command }) =>
        `OTHER EPOCH: epoch ${epoch} has leaves of that time, which are not in this file:\n  ${command}`,
    ),
    ...missing.map(({ first, last }) => {
      const numbers = first === last ? `epoch ${first} is` : `epochs ${first} to ${last} are`;
      return `MISSING: ${numbers} not there or not readable, and may have leaves of that time`;
    }),
    ...(looked === 'all'
      ? []
      : ['the source lists no epochs: only neighbours of this one were looked at']),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function textOf(facts: PulledFacts): string {
  const { file, first, last, size, origin, disclosed, withheld, findings } = facts;
  const found = findings === 0 ? '' : `FINDINGS: ${findings} in the store, see s3-versions.json\n`;
  return (
    `wrote ${file}: leaves ${first} to ${last} of ${size} of ${origin}, ` +
    `${disclosed} disclosed, ${withheld} withheld\n${found}${othersText(facts.other_epochs)}`
  );
}
