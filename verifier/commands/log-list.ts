// trackseal log list SOURCE: what is in an epoch, leaf by leaf, for whoever looks for one of them. With
// compliance's key also what the private leaves say. It reads, and holds the log together under its own
// key; whether an enclave has that key is for `verify log`.

import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import type { WireCrypto } from '../../wire/crypto.ts';
import type { Configuration } from '../../wire/configuration.ts';
import { parseConfiguration } from '../../wire/configuration.ts';
import type { EpochHeader } from '../../wire/header.ts';
import type { Kind } from '../../wire/leaf.ts';
import { KIND, LABEL, leafKey } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import type { PrivateKeys } from '../../wire/log-verification/private-leaves.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { refused, runCommand } from '../command-line.ts';
import { readComplianceKey } from '../compliance-key.ts';
import type { CommandIo } from '../io.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import type { SelectedEpoch } from '../log/epoch-list.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import { STORE_OPTIONS, STORE_USAGE } from '../log/store-options.ts';
import { nameOf, snakeCase } from '../log/names.ts';
import type { Payload } from '../log/payload.ts';
import { describePayload, isoOfNs } from '../log/payload.ts';
import { printable } from '../log/verdict-frame.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { ReplayLeaf } from '../replay/epoch-leaves.ts';
import { EpochLeaves } from '../replay/epoch-leaves.ts';

const USAGE = `usage: trackseal log list SOURCE [OPTIONS]

Lists the leaves of an epoch. SOURCE is a log, or the folder of one epoch in it: a folder, a URL or
s3://BUCKET/PREFIX.

  --epoch N              which epoch; the newest by default
  --kind NAME            only this kind: ${Object.keys(KIND).map(snakeCase).join(', ')}
  --key FILE             compliance's private key (PEM): shows what private leaves say
${STORE_USAGE}
  --json                 one JSON object per line on stdout
  --help

Exit codes: 0 listed, 1 the log does not hold together, 2 wrong usage or unreadable files.
`;

const OPTIONS = {
  ...STORE_OPTIONS,
  epoch: { type: 'string' },
  kind: { type: 'string' },
  key: { type: 'string' },
} as const;

type Values = StoreOptionValues & {
  readonly epoch?: string | undefined;
  readonly kind?: string | undefined;
  readonly key?: string | undefined;
};

interface Task {
  readonly kind: Kind | null;
  readonly keys: PrivateKeys | null;
  readonly selected: SelectedEpoch;
}

interface Opener {
  readonly crypto: WireCrypto;
  readonly origin: string;
  readonly configuration: Configuration;
  readonly disclosureKey: Uint8Array | null;
}

/** One line of the list; times in ns are text, being larger than 2^53. */
export interface ListedLeaf {
  readonly index: number;
  readonly kind: string;
  readonly time_ns: string;
  readonly stream: number;
  readonly label: string;
  readonly sequence: number;
  readonly causes: readonly number[];
  /** Null for a private leaf without its key. */
  readonly payload: Payload | null;
}

export function run(args: readonly string[], io: CommandIo): Promise<number> {
  return runCommand(args, io, { usage: USAGE, options: OPTIONS, prepare, perform });
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: CommandIo,
): Promise<Result<Task>> {
  const [address] = positionals;
  const kind = Object.entries(KIND).find(([name]) => snakeCase(name) === values.kind)?.[1] ?? null;
  if (
    address === undefined ||
    positionals.length !== 1 ||
    (values.kind !== undefined && kind === null)
  ) {
    return refuse('usage_invalid', { what: 'DIR or URL, --kind' });
  }
  const keys = values.key === undefined ? accept(null) : await readComplianceKey(values.key);
  if (!keys.ok) return keys;
  const selected = await selectEpoch(address, values.epoch, values, env);
  if (!selected.ok) return selected;
  return accept({ kind, keys: keys.value, selected: selected.value });
}

async function perform(
  { kind, keys, selected }: Task,
  io: CommandIo,
  json: boolean,
): Promise<number> {
  const crypto = verifierCrypto();
  const leaves = await EpochLeaves.open(crypto, selected.files);
  if (!leaves.ok) return refused(io, leaves.refusal, json);
  const opener = openerOf(crypto, leaves.value.head.header, keys);
  if (!opener.ok) return refused(io, opener.refusal, json);
  const read = await leaves.value.read((leaf) => {
    if (kind !== null && leaf.leaf.kind !== kind) return Promise.resolve(accept(null));
    const listed = listLeaf(opener.value, leaf);
    if (!listed.ok) return Promise.resolve(listed);
    io.stdout(json ? `${JSON.stringify(listed.value)}\n` : renderLeaf(listed.value));
    return Promise.resolve(accept(null));
  });
  // The lines before it are leaves: the verdict is on stderr only.
  return read.ok ? 0 : refused(io, read.refusal, false);
}

function openerOf(
  crypto: WireCrypto,
  header: EpochHeader,
  keys: PrivateKeys | null,
): Result<Opener> {
  const { origin, wrappedDisclosureKey } = header;
  const configuration = parseConfiguration(header.configuration);
  if (!configuration.ok) return configuration;
  const base = { crypto, origin, configuration: configuration.value };
  if (keys === null) return accept({ ...base, disclosureKey: null });
  const unwrapped = unwrapDisclosureKey(crypto, wrappedDisclosureKey, keys, origin);
  return unwrapped.ok ? accept({ ...base, disclosureKey: unwrapped.value }) : unwrapped;
}

function listLeaf(opener: Opener, entry: ReplayLeaf): Result<ListedLeaf> {
  const { index, leaf } = entry;
  const payload = describeLeaf(opener, entry);
  if (!payload.ok) return refuse(payload.refusal.code, { index, ...payload.refusal.detail });
  const { kind, timeNs, stream, label, sequence, causes } = leaf;
  return accept({
    index,
    kind: nameOf(KIND, kind),
    time_ns: String(timeNs),
    stream,
    label: nameOf(LABEL, label),
    sequence,
    causes,
    payload: payload.value,
  });
}

function describeLeaf(opener: Opener, { index, leaf, blob }: ReplayLeaf): Result<Payload | null> {
  const { crypto, origin, configuration, disclosureKey } = opener;
  const closed = leaf.body.form === 'private' || leaf.body.form === 'private-blob';
  if (closed && disclosureKey === null) return accept(null);
  const key =
    closed && disclosureKey !== null ? leafKey(crypto, disclosureKey, origin, index) : null;
  const opened = openLeaf(crypto, leaf, key, blob);
  if (!opened.ok) return opened;
  return describePayload(leaf.kind, opened.value.plaintext, configuration);
}

function renderLeaf(listed: ListedLeaf): string {
  const { index, kind, time_ns, stream, sequence, payload } = listed;
  const fields = Object.entries(payload ?? {})
    .filter(([, value]) => value === null || typeof value !== 'object')
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  const text = payload === null ? '(private)' : fields.join(' ');
  const place = `${stream}/${sequence}`.padEnd(12);
  const time = isoOfNs(BigInt(time_ns));
  const line = `${String(index).padStart(8)}  ${time}  ${kind.padEnd(14)}${place}${text.slice(0, 200)}`;
  return `${printable(line)}\n`;
}
