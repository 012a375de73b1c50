// What the demo shows at its end: for a person, one screen; for `--json`, what each verifier answered.

import type { Attempt } from './demo-changed-image.ts';
import { recordRows } from './demo-record.ts';
import type { TraderSummary } from './demo-trader.ts';
import type { ResultSummary } from '../wire/result-summary.ts';

export interface Json {
  readonly [name: string]: unknown;
}

interface HostEpoch {
  readonly size: number;
  readonly root: string | null;
  readonly closed: boolean;
  readonly feed: {
    readonly events: number;
    readonly batches_sent: number;
    readonly signals: number;
    readonly reports: number;
  } | null;
  readonly execution: {
    readonly accepted: number;
    readonly fills: number;
    readonly filled: number;
    readonly expired: number;
    readonly rejected: Readonly<Record<string, number>>;
    readonly profit: string | null;
    readonly realised: string | null;
    readonly fees: string | null;
    readonly volume: string | null;
  } | null;
}

export interface HostJson {
  readonly clean: boolean;
  readonly epochs: readonly HostEpoch[];
}

/** What came from KMS, by the log of the KMS, and what a changed image got. */
export interface KmsSummary {
  readonly key_arn: string;
  /** Of the key: the owner's, not the host's. */
  readonly account: string;
  /** PCR0. */
  readonly image: string;
  readonly items: number;
  /** Keys that KMS gave, each to an attestation document of that image. */
  readonly released: number;
  readonly changed: readonly Attempt[];
  readonly asExpected: boolean;
}

export interface BucketSummary {
  readonly address: string;
  /** Of `trackseal bucket check`; null for a folder. */
  readonly check: Json | null;
  /** Of `trackseal verify log`, out of the bucket. */
  readonly log: Json;
  readonly asExpected: boolean;
}

export interface DemoSummary {
  readonly verdict: 'proved' | 'refused';
  readonly host: HostJson;
  /** What a verifier without flags says, where the enclave is emulated. */
  readonly unsigned: { readonly code: string; readonly asExpected: boolean } | null;
  readonly attestation: Json;
  readonly log: Json;
  readonly trade: { readonly found: boolean; readonly report: Json | null; readonly proof: Json };
  readonly replay: Json;
  /** Null where nobody handed exchange keys over. */
  readonly trader: TraderSummary | null;
  /** Null where nothing was sealed. */
  readonly kms: KmsSummary | null;
  /** Null where the log stayed on this machine. */
  readonly bucket: BucketSummary | null;
  readonly kept: string | null;
}

function text(value: unknown): string {
  if (typeof value === 'number') return value.toLocaleString('en-US');
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : 'none';
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Json)[name] : undefined;
}

/** The amount with two decimals, rounded towards zero; the JSON has all eight. */
function money(amount: string | null): string {
  if (amount === null) return 'unknown';
  return /^-?\d+(?:\.\d{1,2})?/u.exec(amount)?.[0] ?? amount;
}

function row(name: string, value: string): string {
  return `  ${name.padEnd(22)}${value}`;
}

function marketRows({ epochs }: HostJson): readonly string[] {
  const epoch = epochs.at(-1);
  const { feed, execution } = epoch ?? {};
  const rejected = Object.entries(execution?.rejected ?? {}).map(([code, n]) => `${n} ${code}`);
  return [
    row('events', `${text(feed?.events)} in ${text(feed?.batches_sent)} batches`),
    row('signals', `${text(feed?.signals)} released, each after its log entry was durable`),
    row(
      'orders',
      `${text(execution?.accepted)} accepted, ${text(execution?.filled)} filled, ` +
        `${text(execution?.expired)} expired${rejected.length > 0 ? `, rejected: ${rejected.join(', ')}` : ''}`,
    ),
    row(
      'paper P&L',
      `${money(execution?.profit ?? null)} USDT after ${money(execution?.fees ?? null)} of fees on ` +
        `${money(execution?.volume ?? null)} traded`,
    ),
    row('log', `${text(epoch?.size)} leaves, root ${text(epoch?.root).slice(0, 16)}…`),
  ];
}

function tradeRows({ trade }: DemoSummary): readonly string[] {
  if (!trade.found) return [row('one trade', 'NOT FOUND: no order was filled')];
  const payload = field(trade.proof, 'payload');
  const order = ['side', 'quantity', 'instrument', 'limit'].map((name) =>
    text(field(payload, name)),
  );
  return [
    row(
      'one trade',
      `${text(trade.proof['verdict'])}: leaf ${text(trade.proof['index'])}, ${order.slice(0, 3).join(' ')} at ${order[3] ?? ''}`,
    ),
  ];
}

function amounts(sums: Readonly<Record<string, string>>): string {
  const parts = Object.entries(sums).map(([currency, amount]) => `${amount} ${currency}`);
  return parts.length === 0 ? 'none' : parts.join(', ');
}

function clock(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

/** Polls to which the exchange refused a part. */
function outageRows(outage: ResultSummary | null): readonly string[] {
  if (outage === null) return [row('outage', 'NOT AS EXPECTED: no poll was refused in time')];
  const { polls, gaps } = outage;
  const failed = polls.failed + polls.partial + polls.missed;
  return gaps.map(({ from_ms: from, to_ms: to, reason }) =>
    row(
      'outage',
      `${failed} polls did not get everything: a gap from ${clock(from)} to ${clock(to)} (${reason})`,
    ),
  );
}

function clockRows({ clock_moved: isMoved }: TraderSummary): readonly string[] {
  if (!isMoved) return [];
  return [
    row(
      'clock',
      'MOVED ahead twice for enclave, exchange and verifiers: to a full hour, and to the next',
    ),
    row('', 'a demo lasts minutes; --clock machine leaves it alone, and then no hour is seen'),
  ];
}

function traderRows(trader: TraderSummary | null): readonly string[] {
  if (trader === null) return [];
  const { result, verdict, venue, asExpected } = trader;
  if (result === null) return [row('trader', 'NO RESULT: no poll of the exchange was complete')];
  const { trades, volume, fees, polls } = result;
  const compared = asExpected ? "equal to the exchange's own books" : 'NOT AS EXPECTED';
  return [
    row(
      'trader',
      `${text(field(verdict, 'verdict'))}: ${venue}, simulated, polled ${polls.complete} times`,
    ),
    row('', `${trades} trades, volume ${amounts(volume)}, ${compared}`),
    row('', `fees ${amounts(fees)}; the key was in the clear in the enclave only`),
    ...outageRows(trader.outage),
    ...clockRows(trader),
    ...(trader.record === null
      ? [row('track record', 'NOT AS EXPECTED: no signed hours in time')]
      : recordRows(trader.record).map(([name, line]) => row(name, line))),
  ];
}

function kmsRows(kms: KmsSummary | null): readonly string[] {
  if (kms === null) return [];
  const { released, items, image, account } = kms;
  const byItself = kms.changed.find((one) => !one.signed_for_it);
  const byKms = kms.changed.find((one) => one.signed_for_it);
  return [
    row(
      'sealed',
      `${released} of ${items} keys released by KMS, only to PCR0 ${image.slice(0, 16)}…`,
    ),
    row('', `the key is in account ${account}, not the host's`),
    row('one bit changed', `enclave stopped: ${text(byItself?.code)}, before it asked KMS`),
    row('', `signed for it, too: ${text(byKms?.code)}, KMS says ${text(byKms?.kms)}`),
  ];
}

function bucketRows(bucket: BucketSummary | null): readonly string[] {
  if (bucket === null) return [];
  const { address, check, log } = bucket;
  const found = `${text(log['verdict'])}: ${text(log['size'])} leaves out of ${address}`;
  if (check === null) {
    return [
      row('write-once folder', found),
      row('', 'no lock: whoever runs this machine can delete it'),
    ];
  }
  const parts = (check['parts'] ?? []) as readonly Json[];
  const sum = (name: string): number =>
    parts.reduce((total, part) => total + Number(part[name] ?? 0), 0);
  return [
    row('bucket', found),
    row(
      '',
      `lock ${text(check['verdict'])}: ${text(sum('objects'))} objects in COMPLIANCE mode, ${sum('unlocked')} without`,
    ),
  ];
}

/** What the operator of the changed image reads. */
function operatorLines(kms: KmsSummary | null): readonly string[] {
  const said = kms?.changed.find((one) => one.signed_for_it)?.says ?? '';
  if (said === '') return [];
  return [
    '',
    'What the operator of the changed image reads',
    ...said.split('\n').map((line) => `  ${line}`),
  ];
}

function unsignedRow({ code, asExpected }: { code: string; asExpected: boolean }): string {
  const verdict = asExpected ? 'refused, as it must be' : 'NOT AS EXPECTED';
  return row(
    'without flags',
    `${verdict}: ${code}, nobody signed the document (--unsafe-unsigned)`,
  );
}

export function renderSummary(summary: DemoSummary): string {
  const { attestation, log, replay, verdict, kept, unsigned } = summary;
  const proved =
    unsigned === null ? 'PROVED' : 'PROVED, but for the signature, which only real hardware makes';
  const anchors = field(log['anchors'], 'count');
  const operator = (log['operator_could_still'] ?? []) as readonly string[];
  return [
    '',
    'What happened',
    ...marketRows(summary.host),
    '',
    'What was proved',
    row(
      'attestation',
      `${text(attestation['verdict'])}: fresh nonce, this image, this configuration, this TLS key`,
    ),
    ...(unsigned === null ? [] : [unsignedRow(unsigned)]),
    row(
      'whole log',
      `${text(log['verdict'])}: ${text(log['size'])} leaves, ${text(anchors)} time anchors, end ${text(log['end'])}`,
    ),
    ...tradeRows(summary),
    row(
      'replay',
      `${text(replay['verdict'])}: ${text(replay['identical'])} of ${text(replay['outputs'])} signals byte for byte`,
    ),
    ...traderRows(summary.trader),
    ...kmsRows(summary.kms),
    ...bucketRows(summary.bucket),
    ...operatorLines(summary.kms),
    '',
    'What the operator could still have done',
    ...operator.map((sentence) => `  - ${sentence}`),
    ...(summary.kms === null
      ? []
      : ['  - and the KMS of this run is simulated: whoever runs it has all keys']),
    ...(summary.trader?.clock_moved === true
      ? [
          '  - and the clock of this run was moved ahead: most of the longest times above never passed',
        ]
      : []),
    unsigned === null
      ? '  - and this run used a simulated NSM: its root is not AWS (--unsafe-root)'
      : '  - and the NSM of this run is emulated and does not sign: anybody could have written its documents',
    '',
    verdict === 'proved' ? proved : 'REFUSED: run again with --json to see which verdict',
    ...(kept === null ? [] : ['', `everything is in ${kept}`]),
    '',
  ].join('\n');
}
