import 'reflect-metadata';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { runMetrics, runReturns, runSnapshots } from '../../client/commands/track.ts';
import { assertAccepted, refuse } from '../../wire/result.ts';
import { parseTrackEvidence } from '../../wire/track/evidence.ts';
import { originOf } from '../../wire/header.ts';
import type { Place } from '../vectors/track.ts';
import { HOUR, hourAt } from '../vectors/track.ts';
import { FakeTrack } from '../helpers/fake-track.ts';
import type { TrackScene } from '../helpers/track-scene.ts';
import { openTrackScene } from '../helpers/track-scene.ts';

let scene: TrackScene;
let folder = '';

beforeAll(async () => {
  scene = await openTrackScene();
  folder = await mkdtemp(join(tmpdir(), 'ts-cmd-'));
  await writeFile(join(folder, 'policy.json'), scene.policy);
  await writeFile(join(folder, 'root.pem'), scene.rootPem);
  await writeFile(join(folder, 'client.pem'), scene.identity.certificate);
  await writeFile(join(folder, 'client.key'), scene.identity.key);
});

afterAll(async () => {
  await scene.close();
  await rm(folder, { recursive: true });
});

beforeEach(() => {
  scene.track.refusal = null;
  scene.track.changeReturns = (rows) => rows;
  scene.track.asked.length = 0;
});

type Run = typeof runReturns;

async function run(
  command: Run,
  more: readonly string[],
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  let out = '';
  let err = '';
  const args = [
    scene.url,
    `--grpc=${scene.grpc}`,
    '--user-id=trader-1',
    `--policy=${join(folder, 'policy.json')}`,
    `--unsafe-root=${join(folder, 'root.pem')}`,
    `--certificate=${join(folder, 'client.pem')}`,
    `--key=${join(folder, 'client.key')}`,
    ...more,
  ];
  const code = await command(args, {
    env: {},
    isTerminal: false,
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
  });
  return { code, out, err };
}

describe('trackseal track', () => {
  it('returns: a line for each hour, a gap as what it is', async () => {
    const { code, out } = await run(runReturns, ['--from', '2026-11-20', '--to', '2026-11-22']);
    expect(code).toBe(0);
    expect(out).toContain('VERIFIED  4 returns\n');
    expect(out).toMatch(
      /2026-11-20T23 +kraken {2}return 0\.000480769230769231, equity 26012\.5 USD/u,
    );
    expect(out).toMatch(/return unknown \(no_valuation\).*gaps: exchange_unavailable/u);
    expect(scene.track.asked[0]?.query).toMatchObject({
      range: { startMs: Date.UTC(2026, 10, 20), endMs: Date.UTC(2026, 10, 22) },
    });
  });

  it('returns: an hour that was worked out backwards is marked in its line, and in JSON', async () => {
    const supersedes = { counter: 5, reason: 'late_data' };
    const { chain } = scene.track;
    const last = hourAt(HOUR + 3 * 3_600_000) as Extract<Place, { kind: 'hour' }>;
    chain.link({ ...last, supersedes, figures: { ...last.figures, rebuilt: true } });
    try {
      const { code, out } = await run(runReturns, []);
      expect(code).toBe(0);
      const marks = out
        .trimEnd()
        .split('\n')
        .slice(1)
        .map((line) => /kraken {2}(rebuilt, )?return /u.exec(line)?.[1] ?? null);
      expect(marks).toEqual([null, null, null, 'rebuilt, ']);
      const json = JSON.parse((await run(runReturns, ['--json'])).out) as {
        readonly rows: readonly { readonly rebuilt?: unknown }[];
      };
      expect(json.rows.map(({ rebuilt }) => rebuilt)).toEqual([false, false, false, true]);
    } finally {
      chain.statements.pop();
    }
  });

  it('--json and -o: rows, and a file of the statements', async () => {
    const file = join(folder, 'evidence.json');
    const { code, out } = await run(runReturns, ['--json', '-o', file]);
    expect(code).toBe(0);
    const shown = JSON.parse(out) as {
      readonly verified: boolean;
      readonly rows: readonly object[];
    };
    expect(shown.verified).toBe(true);
    expect(shown.rows[0]).toMatchObject({
      startMs: HOUR,
      counter: 1,
      evidence: { leaf_index: 97 },
    });
    expect(shown.rows[0]).not.toHaveProperty('statement');
    const text = await readFile(file);
    const evidence = assertAccepted(parseTrackEvidence(new Uint8Array(text)));
    // The snapshot between them, too: their chain.
    expect([evidence.statements.length, evidence.attestations.length]).toEqual([5, 1]);
  });

  it('-o says what of a chain is not there; with a range it keeps the range', async () => {
    const file = join(folder, 'part.json');
    const kept = async (): Promise<number> => {
      const text = new Uint8Array(await readFile(file));
      return assertAccepted(parseTrackEvidence(text)).statements.length;
    };
    scene.track.chain.link({
      ...hourAt(HOUR + 3_600_000),
      supersedes: { counter: 3, reason: 'late_data' },
    } as Place);
    try {
      const { code, err } = await run(runReturns, ['-o', file]);
      expect([code, await kept()]).toEqual([0, 5]);
      expect(err).toContain('part.json: 1 statement of the chain is not in it');
      expect(err).toContain('trackseal session track');
      const range = ['--from', '2026-11-20', '--to', '2026-11-22'];
      const part = await run(runReturns, ['-o', file, ...range]);
      expect([part.code, part.err, await kept()]).toEqual([0, '', 4]);
    } finally {
      scene.track.chain.statements.pop();
    }
  });

  it('snapshots and metrics', async () => {
    const snapshots = await run(runSnapshots, []);
    expect(snapshots.out).toMatch(/2026-11-21 +kraken {2}equity 26012\.5 USD, in 1000, out 0/u);
    const metrics = await run(runMetrics, ['--exchange', 'kraken']);
    expect(metrics.out).toContain('VERIFIED  1 metrics, consistent: there may be newer ones');
    expect(metrics.out).toContain('cumulative_return unknown');
    const markets =
      / [0-9]+\n {4}spot +kraken {2}unrealised -3\n {4}swap +kraken {2}daily\.win_rate 0\.6\n/u;
    expect(metrics.out).toMatch(markets);
    expect(metrics.code).toBe(0);
  });

  it('an epoch without a document: shown as unverified, exit code 1', async () => {
    const origin = originOf('trackseal.example/vectors', 6);
    const earlier = new FakeTrack({ sign: () => new Uint8Array(64), origin });
    const rows = await earlier.historicalReturns(
      { certificate: new Uint8Array(32) },
      { userUid: 'u', exchange: null, range: null, pageSize: 500, pageToken: null },
      new AbortController().signal,
    );
    const [first] = assertAccepted(rows).returns;
    if (first === undefined) throw new Error('no row');
    scene.track.changeReturns = () => [first];
    const { code, out, err } = await run(runReturns, []);
    expect(code).toBe(1);
    expect(out).toContain('UNVERIFIED');
    expect(err).toContain('record_unattested');
  });

  it.each([
    [['--from', '2026-11-22', '--to', '2026-11-20'], 'usage_invalid'],
    [['--from', '2026-11-22'], 'usage_invalid'],
    [['--certificate', '/nonexistent'], 'file_unreadable'],
    [['--epoch', '/nonexistent'], 'file_unreadable'],
    [['more'], 'usage_invalid'],
  ])('%j: %s, exit code 2', async (more, code) => {
    const said = await run(runReturns, [...more, '--json']);
    expect(said.code).toBe(2);
    expect(JSON.parse(said.out)).toMatchObject({ verdict: 'undecided', code });
  });

  it('what the enclave refuses: exit code 1', async () => {
    scene.track.refusal = refuse('account_unknown');
    const said = await run(runMetrics, ['--json']);
    expect(said.code).toBe(1);
    expect(JSON.parse(said.out)).toMatchObject({ verdict: 'refused', code: 'account_unknown' });
  });
});
