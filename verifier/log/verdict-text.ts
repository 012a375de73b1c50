// The verdict on an epoch for people: what is proven in a few lines, what the operator could still have
// done, and after a refusal the next step. All texts of a log that are printed were checked when they
// were parsed or are escaped here, so that a hostile log cannot write control sequences to a terminal.

import { renderRisks } from '../residual-risks.ts';
import type { Succession } from './epoch-changes.ts';
import type { KeyFacts } from './key-accounts.ts';
import { duration } from './log-risks.ts';
import type { LogFacts, LogVerdict } from './verdict.ts';
import { printable, renderEnclave, renderJudgement, row } from './verdict-frame.ts';

const MAX_SHOWN_FINDINGS = 20;

export function renderVerdict(verdict: LogVerdict): string {
  const { skipped } = verdict;
  return renderJudgement(verdict, verdict.origin === null ? [] : renderFacts(verdict, skipped));
}

function isoOf(ns: string): string {
  return new Date(Number(BigInt(ns) / 1_000_000n)).toISOString();
}

function renderFacts(facts: LogFacts, skipped: readonly string[]): readonly string[] {
  const { anchors, commits, previous, consistency } = facts;
  const lines = [
    row('origin', facts.origin),
    row('log head', `size ${facts.size}, root ${facts.root}`),
    row('time', `${isoOf(facts.time.first_ns)} to ${isoOf(facts.time.last_ns)}`),
    row('end', endText(facts)),
    ...(facts.hand_over === null
      ? []
      : [row('next image', `PCR0 ${facts.hand_over.pcr0}: ${facts.hand_over.note}`)]),
    ...renderEnclave(facts),
    ...facts.streams.map(({ id, label, name }) => row('stream', `${id} ${name}, label ${label}`)),
    ...facts.strategies.flatMap((strategy) => [
      row('strategy', `${strategy.name} ${strategy.version}, commitment ${strategy.commitment}`),
      row('parameters', `commitment ${strategy.parameters_commitment}`),
    ]),
    ...keysText(facts),
    row('leaves', countsText(facts.counts)),
    row('rows', String(facts.rows)),
    row('gaps', gapsText(facts.gaps)),
    row('feed', feedText(facts.feed)),
    row('private', privateText(facts.private_leaves)),
    row(
      'anchors',
      `${anchors.count}, clock at most ${anchors.largest_divergence_ms} ms from NSM time`,
    ),
    row('signed heads', commits.checked ? `${commits.notes}, none contradicts` : 'none is here'),
  ];
  lines.push(...storageText(facts));
  if (previous !== null) {
    const { epoch, size, changed } = previous;
    const since = changed?.length === 0 ? 'nothing' : changed?.join(', ');
    const link = changed === null ? 'its folder is not here' : `verified; changed since: ${since}`;
    lines.push(
      row('previous', `epoch ${epoch}, size ${size}: ${link}`),
      ...successionText(previous),
    );
  }
  const { result, remembered_heads: heads } = consistency;
  const first = skipped.includes('remembered_heads') ? 'not used' : 'no head of it seen before';
  lines.push(row('memory', result === 'ok' ? `consistent with ${heads} seen before` : first));
  lines.push(...renderRisks(facts).map(printable));
  return lines;
}

/** Sealed items and data keys, with the account of AWS that holds the key of each. */
export function keysText({ sealed, data_keys: dataKeys }: KeyFacts): readonly string[] {
  return [
    ...sealed.map(({ purpose, name, version, account }) =>
      row('sealed', `${purpose}/${name} version ${version}, under a key of AWS account ${account}`),
    ),
    ...dataKeys.map(({ name, version, account }) =>
      row('data key', `${name} version ${version}, under a key of AWS account ${account}`),
    ),
  ];
}

const SUCCESSION: Readonly<Record<Succession, string | null>> = {
  same_image: null,
  announced: 'this image is the one that the epoch before had announced',
  unannounced: 'ANOTHER IMAGE, which the epoch before had not announced',
  other_than_announced: 'ANOTHER IMAGE THAN THE ONE that the epoch before had announced',
};

function successionText(previous: NonNullable<LogFacts['previous']>): readonly string[] {
  const { succession, hand_over: handOver } = previous;
  const text = succession === null ? null : SUCCESSION[succession];
  if (text === null) return [];
  const note = handOver === null || handOver.note === '' ? '' : `: "${handOver.note}"`;
  return [row('hand-over', `${text}${note}`)];
}

function storageText({ storage, commits }: LogFacts): readonly string[] {
  const lines: string[] = [];
  if (commits.superseded_by !== null) {
    lines.push(row('superseded', `its commits were ended by ${commits.superseded_by}`));
  }
  if (storage === null) return lines;
  const { store, objects, locked, findings } = storage;
  lines.push(row('store', `${store}: ${locked} of ${objects} objects locked (COMPLIANCE)`));
  const shown = findings.slice(0, MAX_SHOWN_FINDINGS);
  lines.push(...shown.map(({ problem, key }) => row('FINDING', `${problem} ${key}`)));
  const more = findings.length - shown.length;
  return more > 0 ? [...lines, row('FINDING', `${more} more: see --json`)] : lines;
}

function endText({ end, close_reason: reason }: LogFacts): string {
  if (end === 'clean') return `clean, asked for by ${reason ?? 'nobody'}`;
  if (end === 'unclean') return 'UNCLEAN: a later epoch exists and there is no close leaf';
  return 'open: no close leaf; it still runs or has ended uncleanly';
}

function countsText(counts: LogFacts['counts']): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
    .join(', ');
}

function feedText({ instruments, lag_ms: lag }: LogFacts['feed']): string {
  const silent = instruments.toSorted((a, b) => b.longest_silence_ms - a.longest_silence_ms);
  const [worst] = silent;
  const silence =
    worst === undefined
      ? 'no instruments'
      : `longest silence ${duration(worst.longest_silence_ms)} (${worst.symbol})`;
  const never = instruments.filter(({ rows }) => rows === 0).length;
  const parts = [silence, ...(never > 0 ? [`${never} without any row`] : [])];
  if (lag !== null) {
    parts.push(`${duration(lag.smallest)} to ${duration(lag.largest)} behind the enclave's clock`);
  }
  return parts.join(', ');
}

function gapsText({ total, by_reason: reasons }: LogFacts['gaps']): string {
  if (total === 0) return 'none';
  const parts = Object.entries(reasons).map(([reason, count]) => `${count} ${reason}`);
  return `${total}: ${parts.join(', ')}`;
}

function privateText({ total, opened }: LogFacts['private_leaves']): string {
  return opened === null
    ? `${total} closed (give --key to open them)`
    : `${opened} of ${total} opened`;
}
