import {
  chmodSync,
  cpSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../../scripts/bundle.ts';
import { readHours } from '../../scripts/demo-record.ts';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import { startS3 } from '../../simulator/s3/server.ts';
import type { KmsSummary } from '../../scripts/demo-summary.ts';
import type { TraderSummary } from '../../scripts/demo-trader.ts';
import { ALICE, BUCKET } from '../wire/node/objects/s3-server.ts';
import { CAPTURE } from './appliance.ts';
import {
  cleanUpAfterEach,
  closeAfterwards,
  lastingFolder,
  LAUNCHER,
  seededNumbers,
  temporaryFolder,
  TestProcess,
  trackseal,
} from './processes.ts';
import type { CommandResult, Json } from './processes.ts';
import { openBucket } from './ship-bucket.ts';

cleanUpAfterEach();

interface CaptureCounts {
  messages: number;
  /** Rows: a trade is one, a best bid/ask two, a book level one. */
  events: number;
}

/** Counted from the file with nothing of the product. */
function countCapture(): CaptureCounts {
  const counts = { messages: 0, events: 0 };
  const lines = gunzipSync(readFileSync(CAPTURE)).toString('utf8').trimEnd().split('\n');
  for (const line of lines) {
    const message = JSON.parse(line.slice(line.indexOf(' ') + 1)) as Json;
    const data = (message['data'] ?? message) as Readonly<Record<string, readonly unknown[]>>;
    const levels = [data['bids'], data['asks']].every(Array.isArray)
      ? [data['bids'], data['asks']]
      : [data['b'], data['a']];
    counts.messages++;
    if ('t' in data) counts.events++;
    else if (!Array.isArray(levels[0])) counts.events += 2;
    else counts.events += (levels[0]?.length ?? 0) + (levels[1]?.length ?? 0);
  }
  return counts;
}

interface Summary {
  readonly verdict: string;
  readonly host: {
    readonly clean: boolean;
    readonly epochs: readonly {
      readonly size: number;
      readonly root: string;
      readonly feed: Readonly<Record<string, number>>;
      readonly replay: Json;
      readonly execution: {
        readonly released: number;
        readonly accepted: number;
        readonly filled: number;
        readonly rejected: Readonly<Record<string, number>>;
        readonly profit: string;
      };
    }[];
  };
  readonly attestation: Json;
  readonly log: Json & { readonly counts: Readonly<Record<string, number>> };
  readonly trade: { readonly found: boolean; readonly report: Json; readonly proof: Json };
  readonly replay: Json;
}

/** Three polls a minute apart on top of everything else: three minutes where others work, too. */
const HOUR_PASSES_MS = 600_000;
/** With the machine's clock: no hour passes while it runs. */
const SHORT = ['demo', '--json', '--speed', 'max', '--clock', 'machine'];

let kept = '';
let demo: CommandResult;

beforeAll(async () => {
  kept = lastingFolder();
  demo = await trackseal(['demo', '--json', '--speed', 'max', '--keep', kept]);
}, HOUR_PASSES_MS);
afterAll(() => {
  rmSync(kept, { recursive: true, force: true });
});

describe('trackseal demo --json', () => {
  it('exits with 0, says nothing else, and every part of the summary agrees with the others', () => {
    expect(demo.code, demo.stderr).toBe(0);
    expect(demo.stderr).toBe('');
    const { verdict, host, attestation, log, trade, replay } = demo.json as unknown as Summary;
    expect(verdict).toBe('proved');

    expect(host.clean).toBe(true);
    expect(host.epochs).toHaveLength(1);
    const [epoch] = host.epochs;
    if (epoch === undefined) throw new Error('no epoch');
    const { feed, execution } = epoch;
    const { messages, events } = countCapture();
    expect(epoch).toMatchObject({ closed: true, feed_complete: true, code: null, unreleased: [] });
    expect(epoch.replay).toMatchObject({ messages, events, refused_lines: 0, ended: 'end' });
    expect(feed).toMatchObject({ events, batches_done: feed['batches_sent'], batches_refused: 0 });
    const signals = feed['signals'];
    expect(signals).toBeGreaterThan(0);
    const rejected = Object.values(execution.rejected).reduce((sum, count) => sum + count, 0);
    expect(execution).toMatchObject({ released: signals, accepted: execution.released - rejected });
    expect(execution.filled).toBeGreaterThan(0);
    expect(execution.profit).toMatch(/^-?\d+\.\d{8}$/u);

    expect(attestation).toMatchObject({
      verdict: 'verified',
      nonce_checked: true,
      valid_at_signing: true,
      valid_now: true,
      user_data: { purpose: 'challenge', origin: log['origin'] },
      unsafe: ['--unsafe-root'],
      root: { aws: false },
    });
    expect(new Set(Object.values(attestation['checks'] as object))).toEqual(new Set(['passed']));

    expect(log).toMatchObject({
      verdict: 'verified',
      end: 'clean',
      close_reason: 'host',
      size: epoch.size,
      root: epoch.root,
      rows: events,
      commit_policy: 'spool',
      feed_mode: 'replay',
      gaps: { total: 0 },
      commits: { checked: true, covered_size: epoch.size },
      attestation: { image_checked: true },
      consistency: { result: 'ok' },
    });
    expect(log.counts).toMatchObject({
      input: feed['batches_sent'],
      output: signals,
      report: feed['reports'],
      close: 1,
    });
    expect(log.counts['anchor']).toBeGreaterThanOrEqual(1);
    const { total, opened } = log['private_leaves'] as { total: number; opened: number };
    // The seed, signals and their reports; polls, results and audit of the trader's account.
    const { exchange_call: polls = 0, result: results = 0, audit = 0 } = log.counts;
    expect(Math.min(polls, results, audit)).toBeGreaterThanOrEqual(1);
    const ofMarket = 1 + Number(signals) + Number(feed['reports']);
    expect([total, opened]).toEqual([ofMarket + polls + results + audit, total]);
    expect(log['operator_could_still']).toEqual(
      expect.arrayContaining([
        expect.stringContaining('"spool"'),
        expect.stringContaining('"host"'),
      ]),
    );

    expect(trade.found).toBe(true);
    expect(trade.report).toMatchObject({ status: 'filled', environment: 'paper' });
    expect(trade.proof).toMatchObject({
      verdict: 'verified',
      kind: 'output',
      index: trade.report['output'],
      disclosed: true,
      payload: { instrument: 'ETHUSDT', venue: 'binance' },
      root: epoch.root,
    });

    expect(replay).toMatchObject({
      verdict: 'identical',
      outputs: signals,
      identical: signals,
      inputs: feed['batches_sent'],
      not_logged: 0,
      first_difference: null,
    });
  });

  it('a trader got a signed summary that equals the books of the exchange', () => {
    const { trader } = demo.json as unknown as { readonly trader: TraderSummary };
    expect(trader).toMatchObject({ venue: 'bybit', environment: 'sandbox', asExpected: true });
    expect(trader.registration).toMatchObject({
      registered: true,
      permissions: { read: true, trade: false, withdraw: false },
    });
    expect(trader.verdict).toMatchObject({ verdict: 'verified' });
    expect(trader.result).toMatchObject({ trades: 4, volume: trader.ledger.volume, gaps: [] });
    expect(trader.ledger.volume).toEqual({ USDT: '9183.477' });
    // While the exchange refuses a part: the poll is in the counts, its time is a gap, and no trade is lost.
    const { polls, gaps, ...outage } = trader.outage ?? {};
    expect(outage).toMatchObject({ trades: 4, volume: trader.ledger.volume });
    expect((polls?.failed ?? 0) + (polls?.partial ?? 0)).toBeGreaterThanOrEqual(1);
    expect(polls?.complete).toBeGreaterThanOrEqual(1);
    expect(gaps).toMatchObject([{ reason: expect.stringMatching(/^[a-z_]+$/u) as string }]);
    expect((gaps?.[0]?.to_ms ?? 0) - (gaps?.[0]?.from_ms ?? 0)).toBeGreaterThan(0);
  });

  it('and signed hourly returns, which a deposit does not move, with an outage as a gap and nothing unexplained', () => {
    const { record } = (demo.json as unknown as { readonly trader: TraderSummary }).trader;
    if (record === null) throw new Error('no record');
    expect(record).toMatchObject({
      verdict: 'verified',
      code: null,
      explained: record.returns,
      opening: '0',
      unreconciled: 0,
      residual: '0',
    });
    expect(record.reconciled).toBeGreaterThanOrEqual(1);
    expect(record.returns).toBeGreaterThan(20);
    expect(record.deposits).toMatchObject([{ moved: false }]);
    const [paid] = record.deposits;
    expect(Number(paid?.inflow)).toBeGreaterThan(9900);
    expect(paid?.chained).toBe(paid?.return);
    expect(Math.abs(Number(paid?.return))).toBeLessThan(0.015);
    expect(paid?.bound).toBeLessThan(0.03);
    expect(record.gaps).toMatchObject([{ reason: 'no_value' }]);
    expect(readFileSync(record.report, 'utf8')).toContain('<svg');
    // Out of the database of the host, where no trade is in the clear.
    expect(readdirSync(join(kept, 'host/database'))).toContain('data');
  });

  it('an hour went by that the enclave saw from start to end: with a trade, compared with the balances, residual 0', async () => {
    const { trader } = demo.json as unknown as { readonly trader: TraderSummary };
    expect(trader.clock_moved).toBe(true);
    const hours = await readHours(join(kept, 'trader/record.json'));
    const seen = hours.map(({ figures }) => figures).filter(({ rebuilt }) => !rebuilt);
    const hour = seen.find(({ trades }) => trades > 0);
    expect(hour).toMatchObject({ status: 'reconciled', residual: 0n, trades: 1 });
    expect(hour?.fees).toBeGreaterThan(0n);
    const { startMs = 0 } = hour ?? {};
    const told = { start_ms: startMs, trades: 1, status: 'reconciled', residual: '0' };
    expect(trader.record?.compared).toContainEqual(told);
    expect(trader.record?.headline).not.toBeNull();
    // Who looks later has the machine's clock, and that is back.
    expect(readFileSync(join(kept, 'clock'))).toEqual(Buffer.from([0]));
    const trust = ['--policy', join(kept, 'lp/policy.json')];
    const root = ['--unsafe-root', join(kept, 'aws/root.pem')];
    const document = ['--attestation', join(kept, 'lp/attestation.cbor')];
    const record = join(kept, 'trader/record.json');
    const again = await trackseal(['verify', 'record', record, ...trust, ...root, ...document]);
    expect(again.code, again.stderr).toBe(0);
  });

  it('KMS gave each key to this image only, and neither it nor the enclave anything to a changed one', () => {
    const { kms } = demo.json as unknown as { readonly kms: KmsSummary };
    const policy = JSON.parse(readFileSync(join(kept, 'lp/policy.json'), 'utf8')) as {
      readonly Measurements: { readonly PCR0: string };
    };
    // Strategy, parameters, compliance's key, the database's password.
    expect(kms).toMatchObject({ items: 4, released: 4, account: '111111111111' });
    expect(kms.image).toBe(policy.Measurements.PCR0);
    const changed = readFileSync(join(kept, 'image/changed.json'), 'utf8');
    expect(changed).not.toContain(kms.image);
    expect(kms.changed).toMatchObject([
      { signed_for_it: false, code: 'seal_wrong_image', exit_code: 1, ready: false, kms: null },
      { signed_for_it: true, code: 'kms_denied', exit_code: 1, ready: false },
    ]);
    expect(kms.changed[1]?.kms).toMatch(/^AccessDeniedException/u);
    for (const { says } of kms.changed) {
      expect(says).toMatch(
        /could not unseal {2}(?:[a-z_]+\/order-flow|(?:compliance_key|database_password)\/main)\n/u,
      );
      expect(says).toMatch(/\n {2}file {2}\/.+\.sealed\n/u);
      expect(says).toMatch(/\n {2}next {2}.+/u);
    }
  });

  it('the host had ciphertext only, and no credentials in its log', () => {
    const config = JSON.parse(readFileSync(join(kept, 'host/host.json'), 'utf8')) as {
      readonly strategies: readonly unknown[];
      readonly sealed: readonly string[];
    };
    expect(config.strategies).toEqual([]);
    const parameters = readFileSync(join(kept, 'quant/parameters.json'));
    for (const file of config.sealed) expect(readFileSync(file).includes(parameters)).toBe(false);
    const log = readFileSync(join(kept, 'host/host.log'), 'utf8');
    expect(log).toContain('"credentials_fetched"');
    expect(log).toContain('"metrics_listening"');
    expect(log).not.toMatch(/A[KS]IASIMULATED/u);
  });
});

describe('trackseal demo', () => {
  it(
    'tells a person what happened, what was proved, what was not, and leaves nothing',
    async () => {
      const temporary = temporaryFolder();
      const env = { TMPDIR: temporary };
      const { code, stdout, stderr } = await trackseal(['demo', '--speed', 'max'], { env });
      expect(code, stderr).toBe(0);
      expect(readdirSync(temporary)).toEqual([]);
      const { events } = countCapture();
      expect(stdout).toContain(`${events.toLocaleString('en-US')} in `);
      expect(stdout).toMatch(/signals {2,}[1-9][\d,]* released/u);
      expect(stdout).toMatch(/orders {2,}[1-9][\d,]* accepted, [1-9][\d,]* filled/u);
      expect(stdout).toMatch(/paper P&L {2,}-?\d+\.\d\d USDT after \d+\.\d\d of fees/u);
      expect(stdout).toMatch(/log {2,}[1-9][\d,]* leaves, root [0-9a-f]{16}…/u);
      expect(stdout).toMatch(/attestation {2,}verified: fresh nonce/u);
      expect(stdout).toMatch(/whole log {2,}verified: .* end clean/u);
      expect(stdout).toMatch(/one trade {2,}verified: leaf \d+, (?:buy|sell) \d+\.\d+ ETHUSDT at/u);
      expect(stdout).toMatch(/replay {2,}identical: (\d+) of \1 signals byte for byte/u);
      expect(stdout).toMatch(/What the operator could still have done\n(?: {2}- .+\n){3,}/u);
      expect(stdout).toMatch(/sealed {2,}4 of 4 keys released by KMS, only to PCR0 [0-9a-f]{16}…/u);
      expect(stdout).toMatch(/one bit changed {2,}enclave stopped: seal_wrong_image/u);
      expect(stdout).toMatch(/kms_denied, KMS says AccessDeniedException/u);
      expect(stdout).toMatch(/write-once folder {2,}verified: [\d,]+ leaves out of/u);
      // Ten thousand of a stablecoin, a little above a dollar or below it.
      const amount = String.raw`(?:99|100)\d\d\.\d+ USD came into 2\d{4}\.\d\d`;
      expect(stdout).toMatch(
        new RegExp(`${amount}: return -?[01]\\.\\d{3} %, not moved by it; markets went up to`, 'u'),
      );
      expect(stdout).toMatch(
        /outage {2,}[1-9] polls did not get everything: a gap from [\d:]{8} to [\d:]{8} \(/u,
      );
      expect(stdout).toMatch(/[\d: -]{16} to [\d: -]{16} {2}a gap \(no_value\), never a zero/u);
      expect(stdout).toMatch(/reconciled: the exchange's balances less every record leave 0;/u);
      expect(stdout).toMatch(/[1-9] hours compared with balances since, residual 0:/u);
      expect(stdout).toMatch(
        /seen from start to end, trades in it: 1; reconciled with the exchange's balances, residual 0$/mu,
      );
      expect(stdout).toMatch(/clock {2,}MOVED ahead twice/u);
      expect(stdout).toContain('the clock of this run was moved ahead');
      expect(stdout).toContain('hours before the registration are rebuilt');
      expect(stdout).not.toMatch(/MOVED BY IT|NOT RECONCILED|NOT AS EXPECTED/u);
      expect(stdout).toContain('simulated NSM');
      expect(stdout).toMatch(/^PROVED$/mu);
      // Steps on stderr, so that stdout is the result alone.
      expect(stderr).toMatch(/^1\. .+\n2\. /u);
    },
    HOUR_PASSES_MS,
  );

  it('runs several strategies side by side, and proves all of them', async () => {
    const template = join(ROOT, 'strategies/template');
    const mine = ['--strategy', template, '--strategy', template];
    const args = [...SHORT, '--limit', '40000', ...mine];
    const { code, json, stderr } = await trackseal(args);
    expect(code, stderr).toBe(0);
    const { replay } = json as unknown as {
      replay: { strategies: Json[]; not_replayed: string[] };
    };
    expect(replay).toMatchObject({ verdict: 'identical', not_replayed: [] });
    const names = replay.strategies.map(({ name, stream }) => [name, stream]);
    expect(names).toEqual([
      ['template', 1000],
      ['template-2', 1001],
    ]);
    // The same strategy with the same parameters: the salts are theirs.
    const [first, second] = replay.strategies.map(({ commitment }) => commitment);
    expect(first).not.toBe(second);
    const nowhere = await trackseal(['demo', '--strategy', '/nonexistent', '--json']);
    expect([nowhere.code, nowhere.json['code']]).toEqual([2, 'file_unreadable']);
  });

  it('works when it is over before the LP asks again', async () => {
    const args = [...SHORT, '--limit', '20000', '--kms', 'none'];
    const { code, json, stderr } = await trackseal(args);
    expect(code, stderr).toBe(0);
    expect(json).toMatchObject({
      verdict: 'proved',
      kms: null,
      trader: { clock_moved: false },
      attestation: { verdict: 'verified' },
    });
  });
});

describe('trackseal demo --s3', () => {
  // The machine's clock: it stays in a bucket.
  const ARGS = ['demo', '--json', '--speed', 'max', '--limit', '20000'];
  interface Proved {
    readonly verdict: string;
    readonly log: Json;
    readonly bucket: { readonly check: Json; readonly log: Json };
  }

  it('simulator: the enclave writes into the bucket by itself, and the bucket alone is enough', async () => {
    const { code, json, stderr } = await trackseal([...ARGS, '--s3', 'simulator']);
    expect(code, stderr).toBe(0);
    const { verdict, log, bucket } = json as unknown as Proved;
    expect(verdict).toBe('proved');
    expect(bucket.log).toMatchObject({
      verdict: 'verified',
      commit_policy: 's3',
      root: log['root'],
      size: log['size'],
    });
    const parts = bucket.check['parts'] as readonly { objects: number; unlocked: number }[];
    expect(parts.reduce((sum, { objects }) => sum + objects, 0)).toBeGreaterThan(10);
    expect(parts.map(({ unlocked }) => unlocked)).toEqual(parts.map(() => 0));
  });

  it('URL: the host ships to a bucket that is there, with the keys of the environment', async () => {
    const { s3 } = await openBucket();
    const env = {
      AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
      AWS_REGION: s3.region,
    };
    const url = `${s3.url}/${BUCKET}/demos`;
    const { code, json, stderr } = await trackseal([...ARGS, '--s3', url], { env });
    const { log, bucket } = json as unknown as Proved;
    // The test's bucket has no policy, which `bucket check` says; the log in it is whole.
    expect(bucket.log, stderr).toMatchObject({
      verdict: 'verified',
      commit_policy: 'spool',
      root: log['root'],
    });
    expect(bucket.check['findings']).not.toEqual([]);
    expect(code).toBe(1);
  });

  it('URL: proves it where the bucket is as `bucket create` makes it, and keeps its retention', async () => {
    const authority = await TlsAuthority.open(null);
    const { keyPem: key, certificatePem: certificate } = await authority.issue(['127.0.0.1']);
    const s3 = await startS3({ users: [ALICE], tls: { key, certificate } });
    closeAfterwards(s3.close);
    const ca = join(temporaryFolder(), 'ca.pem');
    writeFileSync(ca, authority.pem);
    const env = {
      AWS_ACCESS_KEY_ID: ALICE.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ALICE.secretAccessKey,
      AWS_REGION: s3.region,
    };
    const url = `${s3.url}/a-bucket/desk`;
    const early = await trackseal([...ARGS, '--s3', url, '--s3-ca', ca], { env });
    expect([early.code, early.json['code']]).toEqual([2, 'bucket_missing']);
    const where = ['--endpoint', s3.url, '--ca', ca, '--retention-days', '3'];
    const made = ['bucket', 'create', 's3://a-bucket/desk', ...where, '--writer', ALICE.arn];
    expect((await trackseal(made, { env })).code).toBe(0);
    const { code, json, stderr } = await trackseal([...ARGS, '--s3', url, '--s3-ca', ca], { env });
    expect(code, stderr).toBe(0);
    const { verdict, log, bucket } = json as unknown as Proved;
    expect(verdict).toBe('proved');
    expect(bucket.log).toMatchObject({ verdict: 'verified', root: log['root'] });
    const parts = bucket.check['parts'] as readonly { earliest: string; unlocked: number }[];
    expect(parts.length).toBeGreaterThan(0);
    const twoDaysMs = 2 * 86_400_000;
    const kept = parts.map(({ earliest }) => Date.parse(earliest) > Date.now() + twoDaysMs);
    expect(kept).toEqual(parts.map(() => true));
  });

  it.each([
    ['--s3', 'nowhere'],
    ['--s3', 'Folder'],
    ['--s3', 'ftp://host/bucket'],
    ['--s3', 'https://host'],
    ['--s3', 'simulator', '--kms', 'none'],
    ['--s3', 'simulator', '--clock', 'moved'],
    ['--s3', 'https://host/bucket/prefix', '--clock', 'moved'],
    ['--clock', 'fast'],
    ['--kms', 'aws'],
  ])('%s %s %s %s is refused before anything is prepared', async (...args) => {
    const { code, stdout, stderr } = await trackseal(['demo', ...args]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^usage: trackseal demo/u);
  });
});

/** Runs `look` while one bit of the file is another. */
async function withFlip<T>(path: string, at: number, look: () => Promise<T>): Promise<T> {
  const { mode } = statSync(path);
  const bytes = readFileSync(path);
  const flipped = Buffer.from(bytes);
  flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
  chmodSync(path, 0o644);
  try {
    writeFileSync(path, flipped);
    return await look();
  } finally {
    writeFileSync(path, bytes);
    chmodSync(path, mode);
  }
}

function trust(): readonly string[] {
  return ['--policy', join(kept, 'lp/policy.json'), '--unsafe-root', join(kept, 'aws/root.pem')];
}

function keyed(): readonly string[] {
  return ['--key', join(kept, 'compliance/key.pem')];
}

function verifyLog(...more: readonly string[]): Promise<CommandResult> {
  return trackseal(['verify', 'log', join(kept, 'log'), ...trust(), '--json', ...more]);
}

function replay(
  changed: { readonly strategy?: string; readonly parameters?: string } = {},
): Promise<CommandResult> {
  const {
    strategy = join(kept, 'quant/strategy'),
    parameters = join(kept, 'quant/parameters.json'),
  } = changed;
  const salt = ['--parameters-salt', join(kept, 'quant/parameters.salt')];
  const files = ['--strategy', strategy, '--parameters', parameters, ...salt];
  return trackseal(['replay', join(kept, 'log'), ...files, ...keyed(), '--json']);
}

function epochFile(...names: readonly string[]): string {
  return join(kept, 'log/epochs/0000000001', ...names);
}

/** An offset in the plaintext of a large leaf: not in a length, nor in the leaf's own head. */
function insideOfBatch(path: string): number {
  const bundle = readFileSync(path);
  for (let at = 0; at < bundle.length; at += 2 + bundle.readUInt16BE(at)) {
    if (bundle.readUInt16BE(at) > 1000) return at + 800;
  }
  throw new Error('a bundle without a batch');
}

function commitFile(): string {
  return epochFile('commits', readdirSync(epochFile('commits'))[0] ?? '');
}

/** Exit code and verdict of a refusal, with its code. */
function refusal(code: string): readonly [number, string, string] {
  return [1, 'refused', code];
}

function answerOf({ code, json }: CommandResult): readonly unknown[] {
  return [code, json['verdict'], json['code']];
}

/** Offsets of a file, drawn from the seed. */
function offsets(
  random: (low: number, high: number) => number,
  path: string,
  count: number,
): number[] {
  const { size } = statSync(path);
  return Array.from({ length: count }, () => random(0, size - 1));
}

describe('evidence of a kept run', () => {
  it('is listed for as long as somebody reads', async () => {
    const script = '"$0" log list "$1" --json | head -n 1';
    const head = new TestProcess('/bin/sh', ['-c', script, LAUNCHER, join(kept, 'log')]);
    await head.closed;
    expect(JSON.parse(head.stdout)).toMatchObject({ index: 0, kind: 'header' });
    expect(head.stderr).toBe('');
  });
});

describe('evidence of a kept run, with one bit changed', () => {
  it.each([
    ['an entry bundle', 'tile/entries/003', ['tile_mismatch', 'leaf_malformed']],
    ['a tile of hashes', 'tile/0/003', ['tile_mismatch']],
    ['the checkpoint', 'checkpoint', ['note_signature', 'note_malformed', 'checkpoint_malformed']],
  ])('%s: verify log refuses', async (_, name, codes) => {
    const random = seededNumbers(name);
    for (const at of offsets(random, epochFile(name), 3)) {
      const answer = answerOf(await withFlip(epochFile(name), at, verifyLog));
      expect(codes.map(refusal), `offset ${at}`).toContainEqual(answer);
    }
  });

  it('a note of a commit: verify log refuses', async () => {
    const random = seededNumbers('commits');
    for (const at of offsets(random, commitFile(), 4)) {
      const answer = answerOf(await withFlip(commitFile(), at, verifyLog));
      expect(answer, `offset ${at}`).toEqual(refusal('commit_mismatch'));
    }
  });

  it('an entry bundle: no proof is made, nothing is listed to the end, nothing is replayed', async () => {
    const path = epochFile('tile/entries/003');
    await withFlip(path, insideOfBatch(path), async () => {
      const output = join(temporaryFolder(), 'proof');
      const log = join(kept, 'log');
      const prove = ['log', 'prove', log, '--index', '300', '-o', output, ...keyed(), '--json'];
      expect(answerOf(await trackseal(prove))).toEqual(refusal('root_mismatch'));
      expect(() => statSync(output)).toThrow('ENOENT');
      const listed = await trackseal(['log', 'list', log, '--json']);
      expect(listed.code).toBe(1);
      expect(listed.stderr).toMatch(/^REFUSED {2}[a-z_]+: /u);
      const replayed = await replay();
      expect(replayed.code).toBe(2);
      expect(replayed.json).toMatchObject({ verdict: 'undecided', code: 'leaf_digest_mismatch' });
    });
  });

  it('the attestation document: verify attestation refuses', async () => {
    const path = join(kept, 'lp/attestation.cbor');
    const verify = (): Promise<CommandResult> =>
      trackseal(['verify', 'attestation', path, ...trust(), '--json']);
    expect((await verify()).json).toMatchObject({ verdict: 'verified', nonce_checked: false });
    const random = seededNumbers('attestation');
    for (const at of offsets(random, path, 6)) {
      const { code, json } = await withFlip(path, at, verify);
      expect([code, json['verdict']], `offset ${at}`).toEqual([1, 'refused']);
      expect(json['code']).toMatch(/^(?:cbor|cose|chain|certificate|document|user_data)_/u);
    }
    const nonce = ['--nonce', '00112233445566778899aabbccddeeff'];
    const other = ['verify', 'attestation', path, ...trust(), ...nonce, '--json'];
    expect(answerOf(await trackseal(other))).toEqual(refusal('nonce_mismatch'));
  });

  it('the proof of the trade: verify proof refuses', async () => {
    const path = join(kept, 'compliance/trade.tlog-proof');
    const verify = (): Promise<CommandResult> =>
      trackseal(['verify', 'proof', path, ...trust(), '--json']);
    expect((await verify()).json).toMatchObject({ verdict: 'verified', disclosed: true });
    const random = seededNumbers('proof');
    for (const at of offsets(random, path, 8)) {
      const { code, json } = await withFlip(path, at, verify);
      expect([code, json['verdict']], `offset ${at}`).toEqual([1, 'refused']);
    }
  });

  it('a parameter or the bundle: nothing is replayed in the name of the logged strategy', async () => {
    const folder = temporaryFolder();
    expect((await replay()).json).toMatchObject({ verdict: 'identical' });
    const parameters = join(folder, 'parameters.json');
    const text = readFileSync(join(kept, 'quant/parameters.json'), 'utf8');
    expect(text).toContain('"hold_ms": 3000');
    writeFileSync(parameters, text.replace('"hold_ms": 3000', '"hold_ms": 3001'));
    const strategy = join(folder, 'strategy');
    cpSync(join(kept, 'quant/strategy'), strategy, { recursive: true });
    const bundle = readFileSync(join(strategy, 'bundle.js'), 'utf8');
    writeFileSync(join(strategy, 'bundle.js'), `${bundle}\n`);
    for (const changed of [{ parameters }, { strategy }]) {
      const { code, json } = await replay(changed);
      expect(json).toMatchObject({ verdict: 'undecided', code: 'commitment_mismatch' });
      expect(code).toBe(2);
    }
  });

  it('a file that is missing, another image, no policy: each has its code', async () => {
    const missing = epochFile('tile/entries/005');
    const bytes = readFileSync(missing);
    rmSync(missing);
    expect(answerOf(await verifyLog())).toEqual(refusal('tile_missing'));
    writeFileSync(missing, bytes, { mode: 0o444 });
    const policy = JSON.parse(readFileSync(join(kept, 'lp/policy.json'), 'utf8')) as {
      readonly Measurements: Readonly<Record<string, string>>;
    };
    const other = { ...policy.Measurements, PCR0: 'ab'.repeat(48) };
    const file = join(temporaryFolder(), 'policy.json');
    writeFileSync(file, JSON.stringify({ ...policy, Measurements: other }));
    const root = ['--unsafe-root', join(kept, 'aws/root.pem')];
    const verify = ['verify', 'log', join(kept, 'log'), '--json'];
    const another = await trackseal([...verify, '--policy', file, ...root]);
    expect(answerOf(another)).toEqual(refusal('pcr_mismatch'));
    // AWS's root has not signed this.
    const pcrs = Object.entries(policy.Measurements)
      .filter(([name]) => name.startsWith('PCR'))
      .flatMap(([name, value]) => [`--${name.toLowerCase()}`, value]);
    expect(answerOf(await trackseal([...verify, ...pcrs]))).toEqual(refusal('chain_root'));
    const nobody = await trackseal([...verify, ...root]);
    expect(nobody.code).toBe(2);
    expect(nobody.json).toMatchObject({ verdict: 'undecided', code: 'policy_missing' });
    expect((await verifyLog(...keyed())).json).toMatchObject({ verdict: 'verified' });
  });
});
