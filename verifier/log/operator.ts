// What the operator of the host could still have done, given all that verified: the part of a verdict
// that keeps it honest. Each sentence belongs to a commit policy, a stream label or a missing piece.

import type { EpochHeader } from '../../wire/header.ts';
import { LABEL } from '../../wire/leaf.ts';
import type { EpochFacts } from '../../wire/log-verification/epoch-verifier.ts';
import type { Remembrance } from './check-memory.ts';
import type { CommitFacts } from './verify-epoch.ts';

export interface OperatorFacts {
  readonly facts: EpochFacts;
  readonly commits: CommitFacts;
  readonly end: 'clean' | 'unclean' | 'open';
  /** Whether PCRs of a policy were compared. */
  readonly imageChecked: boolean;
  /** Null when no memory was asked. */
  readonly remembrance: Remembrance | null;
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** What follows from the commit policy alone. */
export function underPolicy({ commitPolicy }: EpochHeader): string {
  return `run a second enclave of the same image and log, and hide a whole epoch or show different logs to different readers: policy "${commitPolicy}" has no lease and no witness`;
}

/** What follows from where the inputs come from: stream labels, feed mode, reports. */
export function withInputs({ streams, feedMode }: EpochHeader): readonly string[] {
  const sentences: string[] = [];
  const hostStreams = streams.filter(({ label, id }) => label === LABEL.host && id < 1000);
  if (hostStreams.length > 0) {
    const names = hostStreams.map(({ name }) => name).join(', ');
    sentences.push(`invent, change or withhold market data on streams labelled "host": ${names}`);
  }
  if (feedMode === 'replay') {
    sentences.push('choose which recorded data was replayed: feed mode is "replay", not "live"');
  }
  sentences.push('report orders and fills that did not happen so: execution reports are its word');
  return sentences;
}

export function operatorCouldStill(input: OperatorFacts): readonly string[] {
  const { facts, commits, end, imageChecked, remembrance } = input;
  const { boot, checkpoint, anchors } = facts;
  const { header } = boot;
  const sinceLastMs = Math.max(0, Number(facts.lastNs / 1_000_000n) - anchors.lastTimestampMs);
  const longestMs = Math.max(anchors.longestIntervalMs, sinceLastMs);
  const sentences: string[] = [];
  if (!imageChecked) {
    sentences.push('run any code in the enclave: no image policy was compared');
  }
  if (end !== 'clean') {
    sentences.push(
      `have cut off what the enclave logged after leaf ${checkpoint.size - 1}: there is no close leaf, and policy "${header.commitPolicy}" keeps no copy outside`,
    );
  }
  if (commits.beyond !== null) {
    sentences.push(
      `withhold leaves ${checkpoint.size} to ${commits.beyond.size - 1}: the enclave has signed them, and they are not in what was verified`,
    );
  }
  sentences.push(underPolicy(header));
  if (remembrance === null) {
    sentences.push('go back to an older state between two of your checks: no heads are remembered');
  } else if (remembrance.unlinked) {
    sentences.push(
      'have rewritten the epochs that you remember: verify those in between with --epoch N, oldest first',
    );
  }
  sentences.push(...withInputs(header));
  sentences.push(
    anchors.count === 0
      ? 'delay the enclave without trace: the epoch has no time anchor after its boot'
      : `delay the enclave for up to ${duration(longestMs)} without trace, the longest time between two anchors`,
  );
  if (!commits.checked) {
    sentences.push('have shown other intermediate heads: commits/ could not be listed here');
  }
  return sentences;
}
