// The verdict on an evidence file, as JSON and for people: what is shown, what is withheld, and what the
// range proves by itself. The reason, and what the store said of versions and locks, are words: the verdict
// calls them so.

import { toHex } from '../../wire/bytes.ts';
import { KIND } from '../../wire/leaf.ts';
import type { Refusal } from '../../wire/result.ts';
import { risksOfInputs, risksOfOutputs, risksOfPolicy } from '../log/log-risks.ts';
import { nameOf } from '../log/names.ts';
import { isoOfNs } from '../log/payload.ts';
import type { StoreFacts } from '../log/source.ts';
import type { KeyFacts } from '../log/key-accounts.ts';
import { keyFacts, keyTrust } from '../log/key-accounts.ts';
import type { EnclaveFacts, Judgement } from '../log/verdict-frame.ts';
import {
  isImageChecked,
  printable,
  refusedJudgement,
  renderEnclave,
  renderJudgement,
  row,
  verifiedJudgement,
} from '../log/verdict-frame.ts';
import { keysText } from '../log/verdict-text.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { ResidualRisk, RiskFields } from '../residual-risks.ts';
import { NO_RISKS, renderRisks, riskFields, risksOfOptions } from '../residual-risks.ts';
import type { OtherEpochs } from './epoch-range.ts';
import type { Redaction, Selection } from './manifest.ts';
import type { ShownLeaf } from './parts.ts';
import type { VerifiedBundle } from './verify-bundle.ts';

/** Where a range of time ends: a later leaf, the last leaf of the epoch, or the head, behind which all is open. */
export type RangeEnd = 'later_leaf' | 'close' | 'head';

export interface BundleFacts extends RiskFields, KeyFacts, EnclaveFacts {
  readonly origin: string;
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
  readonly selection: Selection;
  /** The word of whoever made the file. */
  readonly reason: string;
  readonly range: { readonly first: number; readonly last: number };
  /** Leaves of the range; shown ones are open or closed. */
  readonly counts: {
    readonly shown: number;
    readonly closed: number;
    readonly disclosed: number;
    readonly withheld: number;
    readonly kinds: Readonly<Record<string, number>>;
  };
  readonly redactions: readonly Redaction[];
  readonly proofs: number;
  /** Of a range of time: the neighbours that bound it, and so whether nothing else was logged in it. */
  readonly time: {
    readonly before_ns: string | null;
    readonly after_ns: string | null;
    readonly end: RangeEnd;
  } | null;
  /** Of a range of time: which other epochs it touches; not proven unless `range_inside`. */
  readonly other_epochs: OtherEpochFacts | null;
  /** What the store said when the file was made; null for a folder or a URL. */
  readonly unproven_versions: {
    readonly store: string;
    readonly objects: number;
    readonly locked: number;
    readonly findings: StoreFacts['findings'];
  } | null;
}

export interface OtherEpochFacts extends Omit<OtherEpochs, 'looked'> {
  /** Null: the manifest does not say, nobody has looked. */
  readonly looked: OtherEpochs['looked'] | null;
  /** The range lies between two leaves of this epoch: no other one is needed. */
  readonly range_inside: boolean;
}

type NoFacts = { readonly [name in keyof BundleFacts]: null };

export type BundleVerdict = Judgement & (BundleFacts | NoFacts);

const NO_FACTS: NoFacts = {
  origin: null,
  epoch: null,
  size: null,
  root: null,
  selection: null,
  reason: null,
  range: null,
  counts: null,
  redactions: null,
  proofs: null,
  time: null,
  other_epochs: null,
  commit_policy: null,
  feed_mode: null,
  config_digest: null,
  sealed: null,
  data_keys: null,
  key_accounts: null,
  attestation: null,
  unproven_versions: null,
  ...NO_RISKS,
};

export function refusedBundle(
  source: string,
  trust: TrustOptions,
  refusal: Refusal,
): BundleVerdict {
  return { ...refusedJudgement(source, trust, refusal), ...NO_FACTS };
}

/** `undecided` with `policy_missing` when no image policy was given: then all else was checked. */
export function verifiedBundle(
  source: string,
  trust: TrustOptions,
  bundle: VerifiedBundle,
  comparedHeads: boolean,
): BundleVerdict {
  return {
    ...verifiedJudgement(source, trust, [
      ...(comparedHeads ? ['consistency'] : ['remembered_heads']),
      'object_versions',
    ]),
    ...factsOf(bundle, isImageChecked(trust)),
    ...riskFields(trust, risksOfBundle(bundle, trust, comparedHeads), keyTrust(bundle.boot)),
  };
}

function shownOf({ leaves }: VerifiedBundle): readonly ShownLeaf[] {
  return leaves.filter((leaf): leaf is ShownLeaf => !('why' in leaf));
}

function factsOf(
  bundle: VerifiedBundle,
  imageChecked: boolean,
): Omit<BundleFacts, keyof RiskFields> {
  const { manifest, boot, checkpoint, leaves, proofs } = bundle;
  const { header, attestation } = boot;
  const shown = shownOf(bundle);
  const kinds: Record<string, number> = {};
  for (const { leaf } of shown) {
    const kind = nameOf(KIND, leaf.kind);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return {
    origin: header.origin,
    epoch: header.epoch,
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    selection: manifest.selection,
    reason: manifest.reason,
    range: manifest.range,
    counts: {
      shown: shown.length,
      closed: shown.filter(({ plaintext }) => plaintext === null).length,
      disclosed: manifest.disclosed.length,
      withheld: leaves.length - shown.length,
      kinds,
    },
    redactions: manifest.redactions,
    proofs,
    time: timeOf(bundle),
    other_epochs: otherEpochsOf(bundle),
    commit_policy: header.commitPolicy,
    feed_mode: header.feedMode,
    config_digest: toHex(header.configurationDigest),
    ...keyFacts(boot),
    attestation: {
      module_id: attestation.document.moduleId,
      timestamp_ms: attestation.document.timestampMs,
      image_checked: imageChecked,
    },
    unproven_versions: versionsOf(bundle),
  };
}

function timeOf(bundle: VerifiedBundle): BundleFacts['time'] {
  const { boundary, manifest } = bundle;
  if (manifest.selection.by !== 'time') return null;
  const { before, after } = boundary;
  const closed = shownOf(bundle).at(-1)?.leaf.kind === KIND.close;
  return {
    before_ns: before === null ? null : String(before.timeNs),
    after_ns: after === null ? null : String(after.timeNs),
    end: after !== null ? 'later_leaf' : closed ? 'close' : 'head',
  };
}

function otherEpochsOf({ boundary, manifest }: VerifiedBundle): OtherEpochFacts | null {
  if (manifest.selection.by !== 'time') return null;
  const said = manifest.other_epochs ?? { looked: null, touched: [], missing: [] };
  return { ...said, range_inside: boundary.before !== null && boundary.after !== null };
}

function versionsOf({ versions }: VerifiedBundle): BundleFacts['unproven_versions'] {
  if (versions === null) return null;
  const { store, objects, findings } = versions;
  const locked = objects.filter(({ mode }) => mode === 'COMPLIANCE').length;
  return { store, objects: objects.length, locked, findings };
}

function risksOfBundle(
  bundle: VerifiedBundle,
  trust: TrustOptions,
  comparedHeads: boolean,
): readonly ResidualRisk[] {
  const { boot, checkpoint, manifest } = bundle;
  const { header } = boot;
  const risks: ResidualRisk[] = [
    ...risksOfOptions(trust),
    {
      risk: 'chosen_leaf',
      sentence:
        manifest.selection.by === 'time'
          ? 'choose which time to show: nothing is missing inside of it, and it says nothing of the rest'
          : 'choose which leaves to show: they say nothing of the others, and later reports may be missing; `trackseal verify log` reads all',
    },
    {
      risk: 'tail_cut',
      sentence: `have cut off everything above this head (size ${checkpoint.size}), or show it to nobody else: compare it with what others have seen`,
    },
  ];
  if (manifest.selection.by === 'order') {
    const sentence = `keep back later reports about this order: what was reported behind leaf ${manifest.range.last}, above this head, late, or in a later epoch is not excluded by this file`;
    risks.push({ risk: 'later_reports', sentence });
  }
  if (otherEpochsOf(bundle)?.range_inside === false) {
    const sentence =
      'keep back what other epochs have of that time: which of them it touches is the word of whoever made this file';
    risks.push({ risk: 'other_epochs', sentence });
  }
  if (!comparedHeads) {
    const sentence = 'show a log that contradicts the one you knew: no heads are remembered';
    risks.push({ risk: 'no_memory', sentence });
  }
  risks.push(...risksOfPolicy(header), ...risksOfInputs(header), {
    risk: 'delay',
    sentence: 'delay the enclave: the times of a few leaves are without the anchors around them',
  });
  const kinds = new Set(shownOf(bundle).map(({ leaf }) => leaf.kind));
  const outputs = risksOfOutputs(header).filter(
    ({ risk }) =>
      (risk === 'forged_reports' && kinds.has(KIND.report)) ||
      (risk === 'front_running' && kinds.has(KIND.output)),
  );
  return [...risks, ...outputs];
}

export function renderBundle(verdict: BundleVerdict): string {
  return renderJudgement(verdict, verdict.origin === null ? [] : renderFacts(verdict));
}

function selectionText({
  selection,
  time,
  range,
  other_epochs: others,
}: BundleFacts): readonly string[] {
  if (selection.by === 'index') return [row('asked for', `leaf ${selection.index}`)];
  if (selection.by === 'order') {
    return [
      row('asked for', `order ${selection.order}`),
      row(
        'complete',
        `NO: reports behind leaf ${range.last}, late or in later epochs, are not excluded`,
      ),
    ];
  }
  const [from, to] = [isoOfNs(BigInt(selection.from_ns)), isoOfNs(BigInt(selection.to_ns))];
  const begin =
    time?.before_ns === null || time === null
      ? 'the epoch begins in it'
      : `the leaf before is of ${isoOfNs(BigInt(time.before_ns))}`;
  const end =
    time?.end === 'later_leaf'
      ? `the leaf behind is of ${isoOfNs(BigInt(time.after_ns ?? '0'))}`
      : time?.end === 'close'
        ? 'the epoch was closed in it'
        : 'it ends with the head: what was logged after that is not known';
  return [
    row('asked for', `${from} to ${to}`),
    row('complete', `every leaf of that time is shown or withheld: ${begin}; ${end}`),
    ...(others === null ? [] : otherEpochsText(others)),
  ];
}

function otherEpochsText(facts: OtherEpochFacts): readonly string[] {
  const { looked, touched, missing, range_inside: inside } = facts;
  const word =
    looked === 'neighbours' ? 'not proven, only neighbours were looked at' : 'not proven';
  if (touched.length === 0 && missing.length === 0) {
    if (inside) return [row('other epochs', 'none: the range lies between two leaves of this one')];
    const nothing = 'UNKNOWN: the range leaves this epoch, and nobody has looked';
    return [row('other epochs', looked === null ? nothing : `none touched, it says (${word})`)];
  }
  return [
    ...touched.flatMap(({ epoch, command }) => [
      row('OTHER EPOCH', `${epoch} has leaves of that time, which are not here, it says (${word})`),
      row('', command),
    ]),
    ...missing.map(({ first, last }) => {
      const numbers = first === last ? String(first) : `${first} to ${last}`;
      const text = `${numbers} was not there, and may be of that time, it says (${word})`;
      return row('OTHER EPOCH', text);
    }),
  ];
}

function renderFacts(facts: BundleFacts): readonly string[] {
  const { counts, redactions, range } = facts;
  const kinds = Object.entries(counts.kinds).map(([kind, count]) => `${count} ${kind}`);
  return [
    row('origin', facts.origin),
    row('log head', `size ${facts.size}, root ${facts.root}`),
    ...selectionText(facts),
    row('range', `leaves ${range.first} to ${range.last}, without holes`),
    row('shown', `${counts.shown}: ${kinds.join(', ')}`),
    row('disclosed', `${counts.disclosed} private leaves, ${counts.closed} shown and closed`),
    row('withheld', withheldText(counts.withheld, redactions)),
    row('proofs', `${facts.proofs}, each for one order or report`),
    row('reason', facts.reason === '' ? 'none given' : `${facts.reason} (not proven)`),
    ...renderEnclave(facts),
    ...keysText(facts),
    ...versionsText(facts.unproven_versions),
    ...renderRisks(facts).map(printable),
  ];
}

function withheldText(count: number, redactions: readonly Redaction[]): string {
  if (count === 0) return 'nothing';
  const ofKind = redactions.some(({ why }) => why === 'kind');
  const why = ofKind ? 'kinds that were left out' : 'not what was asked for';
  return `${count} leaves in ${redactions.length} places: ${why}; only their hashes are here`;
}

function versionsText(versions: BundleFacts['unproven_versions']): readonly string[] {
  if (versions === null) return [row('store', 'a copy without versions and locks')];
  const { store, objects, locked, findings } = versions;
  return [
    row('store', `${store}: ${locked} of ${objects} objects locked, as it said (not proven)`),
    ...findings.map(({ problem, key }) => row('FINDING', `${problem} ${key}`)),
  ];
}
