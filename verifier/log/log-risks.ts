// What the operator of the host could still have done to an epoch, given all that verified. Each sentence
// belongs to a commit policy, a stream label, a missing piece, or to what was not looked at.

import { parseConfiguration } from '../../wire/configuration.ts';
import type { EpochHeader } from '../../wire/header.ts';
import { LABEL } from '../../wire/leaf.ts';
import type { EpochFacts } from '../../wire/log-verification/epoch-verifier.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { ResidualRisk } from '../residual-risks.ts';
import { risksOfOptions } from '../residual-risks.ts';
import { changesSince } from './epoch-changes.ts';
import type { JudgedEpoch } from './judge-epoch.ts';

const LAST_INPUT_STREAM = 999;

export type EpochEnd = 'clean' | 'unclean' | 'open';

/** Without a close leaf an epoch still runs, unless a later one is there. */
export function endOf({ epoch, succeeded }: JudgedEpoch): EpochEnd {
  if (epoch.facts.closeReason !== null) return 'clean';
  return succeeded ? 'unclean' : 'open';
}

const UNITS = [
  ['days', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** In the largest unit of which there are two; negative ones too. */
export function duration(ms: number): string {
  const unit = UNITS.find(([name, size]) => Math.abs(ms) >= (name === 's' ? size : 2 * size));
  return unit === undefined ? `${ms} ms` : `${(ms / unit[1]).toFixed(1)} ${unit[0]}`;
}

/** Where policy s3 keeps the log, as the attested configuration says; null under policy spool. */
function leasedPlace({ commitPolicy, configuration }: EpochHeader): string | null {
  const parsed = parseConfiguration(configuration);
  const s3 = parsed.ok ? parsed.value.s3 : undefined;
  return commitPolicy === 's3' && s3 !== undefined ? `s3://${s3.bucket}/${s3.prefix}` : null;
}

/** What follows from the commit policy, and from there being one log among others. */
export function risksOfPolicy(header: EpochHeader): readonly ResidualRisk[] {
  const { commitPolicy } = header;
  const place = leasedPlace(header);
  return [
    {
      risk: 'second_enclave',
      sentence:
        place === null
          ? `run a second enclave of the same image and log, and show different logs to different readers: policy "${commitPolicy}" has no lease and no witness`
          : `run a second enclave of the same image and log where the lease does not reach: with another bucket, prefix or policy, which is another "config_digest", or after hiding objects of ${place}, which leaves delete markers or second versions there`,
    },
    {
      risk: 'hidden_epoch',
      sentence:
        place === null
          ? 'hide a whole epoch, after this one or beside it, that nobody outside has seen'
          : `hide a whole epoch after this one from whoever does not look into ${place}`,
    },
    {
      risk: 'chosen_log',
      sentence:
        'run other logs under other names and show the best one: agree on the name before the period begins',
    },
    {
      risk: 'stopped_at_will',
      sentence: 'stop or starve it whenever it suits: time outside of the epochs is not covered',
    },
  ];
}

/** What follows from where the inputs come from: stream labels, feed mode. */
export function risksOfInputs({ streams, feedMode }: EpochHeader): readonly ResidualRisk[] {
  const risks: ResidualRisk[] = [];
  const ofHost = streams.filter(({ label, id }) => label === LABEL.host && id <= LAST_INPUT_STREAM);
  if (ofHost.length > 0) {
    const names = ofHost.map(({ name }) => name).join(', ');
    risks.push({
      risk: 'invented_prices',
      sentence: `invent, change or withhold market data on streams labelled "host": ${names}`,
    });
  }
  if (feedMode === 'replay') {
    risks.push({
      risk: 'chosen_data',
      sentence: 'choose which recorded data was replayed: feed mode is "replay", not "live"',
    });
  }
  return risks;
}

/** What becomes of signals outside of the enclave. */
export function risksOfOutputs({ strategies }: EpochHeader): readonly ResidualRisk[] {
  const risks: ResidualRisk[] = [
    {
      risk: 'forged_reports',
      sentence:
        'report orders and fills that did not happen so, or keep silent about them: execution reports are its word',
    },
  ];
  if (strategies.length === 0) return risks;
  return [
    ...risks,
    {
      risk: 'front_running',
      sentence: 'read each signal when it is released, and trade before it, later or not at all',
    },
    {
      risk: 'chosen_parameters',
      sentence:
        'start each epoch with other parameters of the strategy: compare their commitment from epoch to epoch',
    },
  ];
}

function withheldFeed({ feed, boot }: EpochFacts): ResidualRisk {
  const symbols = new Map(boot.configuration.instruments.map(({ id, symbol }) => [id, symbol]));
  const worst = Array.from(feed.instruments).reduce<{ id: number; silenceMs: number }>(
    (most, [id, { longestSilenceMs }]) =>
      longestSilenceMs > most.silenceMs ? { id, silenceMs: longestSilenceMs } : most,
    { id: 0, silenceMs: -1 },
  );
  const silence = `for up to ${duration(Math.max(0, worst.silenceMs))} (${symbols.get(worst.id) ?? 'none'})`;
  const live = boot.header.feedMode === 'live' && feed.lagMs !== null;
  const age = live ? `, and show data that was up to ${duration(feed.lagMs.largest)} old` : '';
  return {
    risk: 'withheld_feed',
    sentence: `withhold or delay single instruments ${silence}${age}: holes are proven only where the venue numbers its events, once later ones came`,
  };
}

function delay({ anchors, lastNs }: EpochFacts): ResidualRisk {
  const sinceLastMs = Math.max(0, Number(lastNs / 1_000_000n) - anchors.lastTimestampMs);
  const longestMs = Math.max(anchors.longestIntervalMs, sinceLastMs);
  return {
    risk: 'delay',
    sentence:
      anchors.count === 0
        ? 'delay the enclave without trace: the epoch has no time anchor after its boot'
        : `delay the enclave for up to ${duration(longestMs)} without trace, the longest time between two anchors`,
  };
}

/** What may be missing at the end of the log, and of the notes about it. */
function risksOfEnd(judged: JudgedEpoch): readonly ResidualRisk[] {
  const { facts, commits } = judged.epoch;
  const { size } = facts.checkpoint;
  const place = leasedPlace(facts.boot.header);
  const copy =
    place === null
      ? `policy "${facts.boot.header.commitPolicy}" keeps no copy outside`
      : `whatever was released is in ${place}`;
  const risks: ResidualRisk[] = [];
  if (endOf(judged) !== 'clean') {
    risks.push({
      risk: 'tail_cut',
      sentence: `have cut off what the enclave logged after leaf ${size - 1}: there is no close leaf, and ${copy}`,
    });
  }
  if (commits.beyond !== null) {
    risks.push({
      risk: 'withheld_tail',
      sentence: `withhold leaves ${size} to ${commits.beyond.size - 1}: the enclave has signed them, and they are not in what was verified`,
    });
  }
  if (commits.coveredSize < size) {
    const where = commits.checked ? `above leaf ${commits.coveredSize - 1} ` : '';
    const sentence = `have shown other intermediate heads ${where}to others: commits/ has no notes of them here`;
    risks.push({ risk: 'unchecked_notes', sentence });
  }
  return risks;
}

/** What the epochs before, and the memory of them, leave open. */
function risksOfChain({ epoch, chain, remembrance }: JudgedEpoch): readonly ResidualRisk[] {
  const { header } = epoch.facts.boot;
  const { previous } = header;
  const risks: ResidualRisk[] = [];
  if (remembrance === null) {
    const sentence =
      'go back to an older state between two of your checks: no heads are remembered';
    risks.push({ risk: 'no_memory', sentence });
  } else if (remembrance.unlinked) {
    risks.push({
      risk: 'unlinked_epochs',
      sentence:
        'have rewritten the epochs that you remember: ask for the folders of those in between',
    });
  }
  if (previous === null) return risks;
  const linked = chain[0]?.linked ?? null;
  if (linked === null || changesSince(linked.boot, epoch.facts.boot).includes('image')) {
    const why = linked === null ? 'its folder is not here' : 'it ran in another image';
    const sentence = `have made epoch ${previous.epoch} up, in part or as a whole: ${why}; verify it by itself`;
    risks.push({ risk: 'earlier_epoch', sentence });
  }
  if (!previous.clean || epoch.facts.unreleased.length > 0) {
    const sentence = `have used signals of epoch ${previous.epoch} that it says were never released: the list is its word`;
    risks.push({ risk: 'unreleased_word', sentence });
  }
  return risks;
}

export function risksOfLog(judged: JudgedEpoch, trust: TrustOptions): readonly ResidualRisk[] {
  const { facts } = judged.epoch;
  const { header } = facts.boot;
  return [
    ...risksOfOptions(trust),
    ...risksOfEnd(judged),
    ...risksOfChain(judged),
    ...risksOfPolicy(header),
    ...risksOfInputs(header),
    withheldFeed(facts),
    delay(facts),
    ...risksOfOutputs(header),
  ];
}
