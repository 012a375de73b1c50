// The verdict on an epoch, as `--json` prints it: a stable schema. Facts are null unless all of the epoch
// verified: a reader might take them for evidence. Hashes are lower-case hex, `*_ms` are milliseconds
// and `*_ns` nanoseconds (as text, being larger than 2^53) since the Unix epoch.

import { toHex } from '../../wire/bytes.ts';
import { KIND, LABEL } from '../../wire/leaf.ts';
import type { EpochFacts } from '../../wire/log-verification/epoch-verifier.ts';
import { GAP } from '../../wire/payloads.ts';
import type { Refusal } from '../../wire/result.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { RiskFields } from '../residual-risks.ts';
import { NO_RISKS, riskFields } from '../residual-risks.ts';
import { nameOf, snakeCase } from './names.ts';
import type { EpochEnd } from './log-risks.ts';
import { endOf, risksOfLog } from './log-risks.ts';
import type { HandOver } from '../../wire/kms-messages.ts';
import type { EpochChange, Succession } from './epoch-changes.ts';
import { changesSince, successionOf } from './epoch-changes.ts';
import type { KeyFacts } from './key-accounts.ts';
import { keyFacts, keyTrust } from './key-accounts.ts';
import type { JudgedEpoch } from './judge-epoch.ts';
import type { StoreFacts } from './source.ts';
import type { Judgement } from './verdict-frame.ts';
import { isImageChecked, refusedJudgement, verifiedJudgement } from './verdict-frame.ts';

export type LinkState = 'verified' | 'not_present';

export interface LogFacts extends RiskFields, KeyFacts {
  readonly origin: string;
  readonly epoch: number;
  readonly size: number;
  readonly root: string;
  readonly log_key: string;
  readonly commit_policy: string;
  readonly feed_mode: string;
  readonly config_digest: string;
  readonly streams: readonly {
    readonly id: number;
    readonly label: string;
    readonly name: string;
  }[];
  readonly strategies: readonly {
    readonly stream: number;
    readonly name: string;
    readonly version: string;
    readonly commitment: string;
    readonly parameters_commitment: string;
  }[];
  /** Leaves by kind. */
  readonly counts: Readonly<Record<string, number>>;
  /** Rows of market data in all batches. */
  readonly rows: number;
  readonly gaps: {
    readonly total: number;
    readonly by_reason: Readonly<Record<string, number>>;
    readonly list: readonly GapEntry[];
    readonly truncated: boolean;
  };
  readonly feed: {
    readonly instruments: readonly {
      readonly id: number;
      readonly symbol: string;
      readonly rows: number;
      /** Without any data of it, by the enclave's clock, from the boot to the last leaf. */
      readonly longest_silence_ms: number;
    }[];
    /** How far batch times lie behind the enclave's clock; null in a replay, whose times are old. */
    readonly lag_ms: { readonly smallest: number; readonly largest: number } | null;
  };
  readonly time: {
    readonly first_ns: string;
    readonly last_ns: string;
    readonly error_bound_ns: number;
  };
  readonly end: EpochEnd;
  readonly close_reason: 'signal' | 'host' | 'hand_over' | null;
  /** The next image, as this epoch announces it; nobody has to believe in it for that. */
  readonly hand_over: HandOverFact | null;
  readonly attestation: {
    readonly module_id: string;
    readonly timestamp_ms: number;
    readonly pcrs: Readonly<Record<string, string>>;
    readonly image_checked: boolean;
  };
  readonly anchors: {
    readonly count: number;
    readonly last_size: number | null;
    readonly last_timestamp_ms: number;
    readonly longest_interval_ms: number;
    readonly largest_divergence_ms: number;
  };
  readonly commits: {
    readonly checked: boolean;
    readonly notes: number;
    readonly covered_size: number;
    readonly beyond_checkpoint: { readonly size: number; readonly root: string } | null;
    /** In a store of objects: the epoch that took over, and so ended this one's commits. */
    readonly superseded_by: string | null;
  };
  /** What the store says of versions and locks of what was read; null for other sources. */
  readonly storage: {
    readonly store: string;
    readonly objects: number;
    readonly locked: number;
    readonly findings: StoreFacts['findings'];
  } | null;
  readonly private_leaves: { readonly total: number; readonly opened: number | null };
  readonly blobs: number;
  readonly previous: {
    readonly epoch: number;
    readonly size: number;
    readonly root: string;
    readonly clean: boolean;
    readonly link: LinkState;
    /** In what this epoch differs from it; null when it is not there. */
    readonly changed: readonly EpochChange[] | null;
    /** What it had announced; null when it had not, or is not there. */
    readonly hand_over: HandOverFact | null;
    /** How this image follows from its: see `Succession`; null when it is not there. */
    readonly succession: Succession | null;
  } | null;
  readonly consistency: { readonly result: 'ok' | 'none'; readonly remembered_heads: number };
}

export interface HandOverFact {
  readonly pcr0: string;
  readonly pcr1: string;
  readonly pcr2: string;
  readonly note: string;
}

export interface GapEntry {
  readonly index: number;
  readonly stream: number;
  readonly reason: string;
  readonly first_missing: number | null;
  readonly count: number | null;
  readonly instrument: number | null;
  readonly code: string | null;
}

type NoFacts = { readonly [name in keyof LogFacts]: null };

export type LogVerdict = Judgement & (LogFacts | NoFacts);

/** Kinds whose leaves only the compliance key opens. */
const PRIVATE_KINDS = [
  KIND.output,
  KIND.report,
  KIND.seed,
  KIND.exchangeCall,
  KIND.result,
  KIND.audit,
] as const;

const NO_FACTS: NoFacts = {
  origin: null,
  epoch: null,
  size: null,
  root: null,
  log_key: null,
  commit_policy: null,
  feed_mode: null,
  config_digest: null,
  streams: null,
  strategies: null,
  sealed: null,
  data_keys: null,
  key_accounts: null,
  counts: null,
  rows: null,
  gaps: null,
  feed: null,
  time: null,
  end: null,
  close_reason: null,
  hand_over: null,
  attestation: null,
  anchors: null,
  commits: null,
  storage: null,
  private_leaves: null,
  blobs: null,
  previous: null,
  consistency: null,
  ...NO_RISKS,
};

export function refusedVerdict(source: string, trust: TrustOptions, refusal: Refusal): LogVerdict {
  return { ...refusedJudgement(source, trust, refusal), ...NO_FACTS };
}

/** `undecided` with `policy_missing` when no image policy was given: then all else was checked. */
export function verifiedVerdict(
  source: string,
  trust: TrustOptions,
  findings: JudgedEpoch,
): LogVerdict {
  const skipped = [
    ...(findings.epoch.commits.checked ? [] : ['commits']),
    ...(findings.remembrance === null ? ['remembered_heads'] : []),
    ...(findings.remembrance?.unlinked === true ? ['earlier_epochs'] : []),
    ...(findings.epoch.facts.privateOpened === null ? ['private_leaves'] : []),
  ];
  return { ...verifiedJudgement(source, trust, skipped), ...factsOf(findings, trust) };
}

function factsOf(findings: JudgedEpoch, trust: TrustOptions): LogFacts {
  const { facts, commits } = findings.epoch;
  const { boot, checkpoint, counts } = facts;
  const { header, attestation } = boot;
  const { document } = attestation;
  const countOf = (kind: number): number => counts.get(kind as 0) ?? 0;
  const { beyond } = commits;
  const remembered = findings.remembrance?.heads ?? 0;
  return {
    origin: header.origin,
    epoch: header.epoch,
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    log_key: toHex(header.logKey),
    commit_policy: header.commitPolicy,
    feed_mode: header.feedMode,
    config_digest: toHex(header.configurationDigest),
    streams: header.streams.map(({ id, label, name }) => ({
      id,
      label: nameOf(LABEL, label),
      name,
    })),
    strategies: header.strategies.map((strategy) => ({
      stream: strategy.stream,
      name: strategy.name,
      version: strategy.version,
      commitment: toHex(strategy.bundleCommitment),
      parameters_commitment: toHex(strategy.parametersCommitment),
    })),
    counts: Object.fromEntries(
      Object.entries(KIND).map(([name, kind]) => [snakeCase(name), countOf(kind)]),
    ),
    rows: facts.rows,
    gaps: gapsOf(facts),
    feed: feedOf(facts),
    time: {
      first_ns: String(facts.firstNs),
      last_ns: String(facts.lastNs),
      error_bound_ns: header.clock.errorBoundNs,
    },
    end: endOf(findings),
    close_reason: closeReasonOf(facts),
    hand_over: facts.handOver === null ? null : handOverOf(facts.handOver),
    ...keyFacts(boot),
    attestation: {
      module_id: document.moduleId,
      timestamp_ms: document.timestampMs,
      pcrs: Object.fromEntries(Array.from(document.pcrs, ([index, pcr]) => [index, toHex(pcr)])),
      image_checked: isImageChecked(trust),
    },
    anchors: {
      count: facts.anchors.count,
      last_size: facts.anchors.lastSize,
      last_timestamp_ms: facts.anchors.lastTimestampMs,
      longest_interval_ms: facts.anchors.longestIntervalMs,
      largest_divergence_ms: facts.anchors.largestDivergenceMs,
    },
    commits: {
      checked: commits.checked,
      notes: commits.notes,
      covered_size: commits.coveredSize,
      beyond_checkpoint: beyond === null ? null : { size: beyond.size, root: toHex(beyond.root) },
      superseded_by: commits.supersededBy,
    },
    storage: storageOf(findings),
    private_leaves: {
      total: PRIVATE_KINDS.reduce((sum, kind) => sum + countOf(kind), 0),
      opened: facts.privateOpened,
    },
    blobs: facts.blobs,
    previous: previousOf(findings),
    consistency: { result: remembered > 0 ? 'ok' : 'none', remembered_heads: remembered },
    ...riskFields(trust, risksOfLog(findings, trust), keyTrust(boot)),
  };
}

function gapsOf({ gaps, gapTotals }: EpochFacts): LogFacts['gaps'] {
  const total = Array.from(gapTotals.values()).reduce((sum, count) => sum + count, 0);
  return {
    total,
    by_reason: Object.fromEntries(
      Array.from(gapTotals, ([reason, count]) => [nameOf(GAP, reason), count]),
    ),
    list: gaps.map(({ index, stream, reason, firstMissing, count, instrument, code }) => ({
      index,
      stream,
      reason: nameOf(GAP, reason),
      first_missing: firstMissing,
      count,
      instrument,
      code,
    })),
    truncated: total > gaps.length,
  };
}

function feedOf({ feed, boot }: EpochFacts): LogFacts['feed'] {
  return {
    instruments: boot.configuration.instruments.map(({ id, symbol }) => {
      const { rows, longestSilenceMs } = feed.instruments.get(id) ?? {
        rows: 0,
        longestSilenceMs: 0,
      };
      return { id, symbol, rows, longest_silence_ms: longestSilenceMs };
    }),
    lag_ms: boot.header.feedMode === 'live' ? feed.lagMs : null,
  };
}

function closeReasonOf({ closeReason }: EpochFacts): LogFacts['close_reason'] {
  if (closeReason === null) return null;
  return ({ 1: 'signal', 2: 'host', 3: 'hand_over' } as const)[closeReason];
}

function handOverOf({ pcrs, note }: HandOver): HandOverFact {
  const [pcr0 = '', pcr1 = '', pcr2 = ''] = pcrs.map((pcr) => toHex(pcr));
  return { pcr0, pcr1, pcr2, note };
}

function storageOf({ storage }: JudgedEpoch): LogFacts['storage'] {
  if (storage === null) return null;
  const { store, objects, findings } = storage;
  const locked = objects.filter(({ mode }) => mode === 'COMPLIANCE').length;
  return { store, objects: objects.length, locked, findings };
}

function previousOf({ epoch: { facts }, chain }: JudgedEpoch): LogFacts['previous'] {
  const { previous } = facts.boot.header;
  if (previous === null) return null;
  const { epoch, size, root, clean } = previous;
  const linked = chain[0]?.linked ?? null;
  return {
    epoch,
    size,
    root: toHex(root),
    clean,
    link: linked === null ? 'not_present' : 'verified',
    changed: linked === null ? null : changesSince(linked.boot, facts.boot),
    hand_over: linked === null || linked.handOver === null ? null : handOverOf(linked.handOver),
    succession: linked === null ? null : successionOf(linked, facts.boot),
  };
}
