// trackseal track returns|snapshots|metrics URL: a track record over gRPC, for who has a certificate of the enclave's client
// CA. The enclave is challenged first; what is shown is what signed statements say. With -o the statements are kept.

import { writeFile } from 'node:fs/promises';
import { refused, runCommand, undecided } from '../../verifier/command-line.ts';
import type { CommandIo } from '../../verifier/io.ts';
import { row } from '../../verifier/log/verdict-frame.ts';
import { POLICY_OPTIONS, POLICY_USAGE } from '../../verifier/policy-options.ts';
import type { PolicyOptionValues } from '../../verifier/policy-options.ts';
import { readSmallFile } from '../../verifier/small-file.ts';
import { parseUtf8 } from '../../wire/bytes.ts';
import { MAX_DOCUMENT_BYTES } from '../../wire/limits.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { signedStatementToJson } from '../../wire/track/evidence.ts';
import { FIGURE_MARKETS } from '../../wire/track/figures.ts';
import type { RangeQuestion } from '../node/asked-rows.ts';
import type { EnclaveClientSettings, MetricsAnswer, TrackAnswer } from '../node/enclave-client.ts';
import { EnclaveClient } from '../node/enclave-client.ts';
import { nodeEnvironment } from '../node/index.ts';
import type { VerifiedMetrics, VerifiedReturn, VerifiedSnapshot } from '../node/track-rows.ts';
import type { TrackTotals } from '../node/track-totals.ts';
import { readClientTrust, tellFailure } from './trust-options.ts';

type Verb = 'returns' | 'snapshots' | 'metrics';

const MAX_PEM_BYTES = 64 * 1024;

const ABOUT: Readonly<Record<Verb, string>> = {
  returns: `Shows the hourly returns of a user, each as its signed statement says it. What is \`rebuilt\` was worked out backwards: it is in
no figure but those named \`rebuilt.\`, and who chains returns leaves it out.`,
  snapshots: 'Shows what the accounts of a user were worth at 00:00 UTC of each day.',
  metrics: 'Shows the figures of each account of a user, markets on lines of their own.',
};

const KEEPS = `keep the signed statements: without a range those of all hours and snapshots, which
                         is the whole chain for \`trackseal verify record\` as long as nothing was
                         corrected or lost; \`trackseal session track\` has that, too`;

function usageOf(verb: Verb): string {
  const range = '  --from TIME, --to TIME ISO 8601, or ms since the Unix epoch; both or none\n';
  return `usage: trackseal track ${verb} URL --certificate FILE --key FILE --user-id ID [OPTIONS]

${ABOUT[verb]}
The enclave at URL is challenged and verified first; gRPC goes only to the TLS key that it proves. Exit code 1 also when a
statement is of an epoch for which there is no attestation document (--epoch).

  --grpc HOST:PORT       default: port 50051 of URL's host
  --certificate FILE     PEM, of the enclave's client CA
  --key FILE             PEM
  --user-id ID           as it was registered
  --exchange NAME        one venue only
${verb === 'metrics' ? '' : range}  --epoch FILE           attestation document (CBOR) of an earlier epoch; may be repeated
  -o, --output FILE      ${verb === 'metrics' ? 'keep the signed statements of the rows' : KEEPS}
${POLICY_USAGE}
  --timeout-ms N         1,000 to 120,000, default 30,000
  --json                 rows and statements as JSON on stdout
  --help

Exit codes: 0 verified, 1 refused, 2 could not (no policy, no answer, wrong usage).
`;
}

const OPTIONS = {
  ...POLICY_OPTIONS,
  grpc: { type: 'string' },
  certificate: { type: 'string' },
  key: { type: 'string' },
  'user-id': { type: 'string' },
  exchange: { type: 'string' },
  from: { type: 'string' },
  to: { type: 'string' },
  epoch: { type: 'string', multiple: true },
  output: { type: 'string', short: 'o' },
  'timeout-ms': { type: 'string' },
} as const;

interface Values extends PolicyOptionValues {
  readonly grpc?: string | undefined;
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
  readonly 'user-id'?: string | undefined;
  readonly exchange?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly epoch?: string[] | undefined;
  readonly output?: string | undefined;
  readonly 'timeout-ms'?: string | undefined;
}

interface Task {
  readonly settings: EnclaveClientSettings;
  readonly question: RangeQuestion;
  readonly output: string | null;
}

function usage(what: string): Result<never> {
  return refuse('usage_invalid', { what });
}

function readTime(text: string): number {
  return /^[0-9]{1,15}$/u.test(text) ? Number(text) : Date.parse(text);
}

function readQuestion({ 'user-id': userId, exchange, from, to }: Values): Result<RangeQuestion> {
  if (userId === undefined) return usage('--user-id: whose record');
  const who = { userId, ...(exchange === undefined ? {} : { exchange }) };
  if (from === undefined && to === undefined) return accept(who);
  const [fromMs, toMs] = [readTime(from ?? ''), readTime(to ?? '')];
  if (!(fromMs < toMs)) return usage('--from and --to: both, the first before the second');
  return accept({ ...who, fromMs, toMs });
}

async function readPem(path: string | undefined, name: string): Promise<Result<string>> {
  if (path === undefined) return usage(`${name}: a PEM file`);
  const bytes = await readSmallFile(path, MAX_PEM_BYTES);
  if (!bytes.ok) return bytes;
  const text = parseUtf8(bytes.value);
  return text === null ? usage(`${name}: not a PEM file`) : accept(text);
}

async function prepare(
  values: Values,
  positionals: readonly string[],
  { env }: Pick<CommandIo, 'env'>,
): Promise<Result<Task>> {
  const [enclaveUrl] = positionals;
  if (enclaveUrl === undefined || positionals.length !== 1) return usage('give one URL');
  const question = readQuestion(values);
  if (!question.ok) return question;
  const trust = await readClientTrust(values, env);
  if (!trust.ok) return trust;
  const certificate = await readPem(values.certificate, '--certificate');
  if (!certificate.ok) return certificate;
  const key = await readPem(values.key, '--key');
  if (!key.ok) return key;
  const epochs: Uint8Array[] = [];
  for (const path of values.epoch ?? []) {
    const document = await readSmallFile(path, MAX_DOCUMENT_BYTES);
    if (!document.ok) return document;
    epochs.push(document.value);
  }
  const identity = { certificate: certificate.value, key: key.value };
  return accept({
    settings: { enclaveUrl, grpcAddress: values.grpc, epochs, ...identity, ...trust.value },
    question: question.value,
    output: values.output ?? null,
  });
}

type Answer = TrackAnswer<Row> & Partial<Pick<MetricsAnswer, 'totals'>>;
type Row = VerifiedReturn | VerifiedSnapshot | VerifiedMetrics;

const ASK: Readonly<
  Record<Verb, (client: EnclaveClient, question: RangeQuestion) => Promise<Answer>>
> = {
  returns: (client, question) => client.calculateHistoricalReturns(question),
  snapshots: (client, question) => client.getSnapshotTimeSeries(question),
  metrics: (client, question) => client.getAggregatedMetrics(question),
};

function known(value: string | number | null): string {
  return value === null ? 'unknown' : String(value);
}

function lineOf(shown: Row): string {
  const mark = shown.verified ? '' : '  UNVERIFIED: no document of its epoch';
  if ('ratio' in shown) {
    const why = shown.ratio === null ? ` (${shown.reason ?? ''})` : '';
    const gaps = shown.complete ? '' : `, gaps: ${shown.gaps.join(' ')}`;
    const rebuilt = shown.rebuilt ? 'rebuilt, ' : '';
    const facts = `${rebuilt}return ${known(shown.ratio)}${why}, equity ${known(shown.equity)} USD, residual ${known(shown.residual)}${gaps}`;
    return row(
      new Date(shown.startMs).toISOString().slice(0, 13),
      `${shown.exchange}  ${facts}${mark}`,
    );
  }
  if ('deposits' in shown) {
    const { deposits, withdrawals, equity } = shown;
    const facts = `equity ${known(equity)} USD, in ${known(deposits)}, out ${known(withdrawals)}`;
    return row(
      new Date(shown.atMs).toISOString().slice(0, 10),
      `${shown.exchange}  ${facts}${mark}`,
    );
  }
  return figureLines(shown)
    .map(([name, figures]) => row(name, `${shown.exchange}  ${figures.join(', ')}${mark}`))
    .join('\n');
}

/** Of the account, then of each market that it has, without the market's name. */
function figureLines({ account, figures }: VerifiedMetrics): readonly FigureLine[] {
  const markets = FIGURE_MARKETS.map((market): FigureLine => [`  ${market}`, []]);
  const lines: readonly FigureLine[] = [[`${account.slice(0, 16)}  `, []], ...markets];
  for (const [name, value] of Object.entries(figures)) {
    const at = FIGURE_MARKETS.findIndex((market) => name.startsWith(`${market}.`));
    const own = at < 0 ? name : name.slice(name.indexOf('.') + 1);
    lines[at + 1]?.[1].push(`${own} ${known(value)}`);
  }
  return lines.filter(([, shown], at) => at === 0 || shown.length > 0);
}

type FigureLine = readonly [name: string, figures: string[]];

function totalLines(totals: TrackTotals | undefined): readonly string[] {
  if (totals === undefined) return [];
  const { accounts, ...sums } = totals;
  const facts = Object.entries(sums).map(([name, value]) => `${name} ${known(value)}`);
  return [row('together', `${accounts} accounts  ${facts.join(', ')}`)];
}

/** The statement is in the evidence, as it was signed. */
function jsonOf(shown: Row): object {
  return { ...shown, statement: undefined, evidence: signedStatementToJson(shown.evidence) };
}

function missingText(file: string, missing: number): string {
  const what =
    missing === 1 ? '1 statement of the chain is' : `${missing} statements of the chain are`;
  return `${file}: ${what} not in it (corrected, or revoking others): \`trackseal verify record\` will
refuse it. The account's owner keeps all of them with \`trackseal session track\`.
`;
}

/** What is kept of an answer: chains as far as rows have them, or the part that was asked for. */
async function keptOf(
  verb: Verb,
  client: EnclaveClient,
  { question }: Task,
  { rows }: Answer,
): Promise<{ readonly rows: readonly Row[]; readonly missing: number }> {
  if (verb !== 'metrics' && question.fromMs === undefined) return client.readChain(question);
  return { rows, missing: 0 };
}

async function perform(verb: Verb, task: Task, io: CommandIo, json: boolean): Promise<number> {
  const client = new EnclaveClient(nodeEnvironment(), task.settings);
  try {
    const answer = await ASK[verb](client, task.question);
    const { rows, verified, fresh, totals } = answer;
    if (task.output !== null) {
      const kept = await keptOf(verb, client, task, answer);
      if (kept.missing > 0) io.stderr(missingText(task.output, kept.missing));
      const text = await client.evidenceOf(kept.rows);
      try {
        await writeFile(task.output, `${text}\n`);
      } catch {
        return undecided(io, { code: 'file_unreadable', detail: { file: task.output } }, json);
      }
    }
    const shown = { verified, fresh, rows: rows.map(jsonOf), totals };
    const verdict = verified ? 'VERIFIED' : 'UNVERIFIED';
    const head = `${verdict}  ${rows.length} ${verb}${fresh ? '' : ', consistent: there may be newer ones'}`;
    const lines = [head, ...rows.map(lineOf), ...totalLines(totals)];
    io.stdout(json ? `${JSON.stringify(shown, null, 2)}\n` : `${lines.join('\n')}\n`);
    if (verified) return 0;
    const code = 'record_unattested';
    return json ? 1 : refused(io, { code, detail: {} }, false);
  } catch (error) {
    return tellFailure(io, error, json);
  } finally {
    client.close();
  }
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

function runOf(verb: Verb): Run {
  return (args, io) =>
    runCommand(args, io, {
      usage: usageOf(verb),
      options: OPTIONS,
      prepare,
      perform: (task, given, json) => perform(verb, task, given, json),
    });
}

export const runReturns: Run = runOf('returns');
export const runSnapshots: Run = runOf('snapshots');
export const runMetrics: Run = runOf('metrics');
