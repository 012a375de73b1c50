import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseHostConfig } from '../../host-proxy/config-file.ts';
import { run } from '../../host-proxy/main.ts';
import { GOOD } from './host-config.ts';

function shipOf(target: unknown): unknown {
  const text = JSON.stringify({ ...GOOD, ship: { target, retention_days: 2192 } });
  const parsed = parseHostConfig(text, '/etc/trackseal/host.json');
  return parsed.ok ? parsed.config.ship : null;
}

describe('host configuration', () => {
  it('takes the file, fills in defaults and makes paths absolute', () => {
    const parsed = parseHostConfig(JSON.stringify(GOOD), '/etc/trackseal/host.json');
    expect(parsed).toMatchObject({
      ok: true,
      config: {
        transport: 'unix:/etc/trackseal/sockets',
        state: '/etc/trackseal/state',
        log: '/srv/log',
        strategies: [{ pack: '/etc/trackseal/pack', parameters_salt: null }],
        enclave: { restart: true, ready_ms: 90_000 },
        feed: { capture: '/etc/trackseal/capture.gz', limit_events: null, close_rows: 256 },
        execution: {
          limits: { max_order_notional: 1_000_050_000_000n, max_daily_loss: 1n },
          kill_switch: null,
        },
        disk: { min_free_bytes: 1_073_741_824, spool_segment_bytes: 16_777_216 },
        ship: null,
        tiles: { host: '127.0.0.1' },
        logging: { level: 'info', file: null },
      },
    });
  });

  it('knows where the log is shipped to', () => {
    const s3 = { region: 'eu-central-1', bucket: 'log-bucket', prefix: 'logs/a', ca: 'roots.pem' };
    expect(shipOf({ s3 })).toEqual({
      target: {
        s3: { ...s3, ca: '/etc/trackseal/roots.pem', endpoint: null, expected_bucket_owner: null },
      },
      retention_days: 2192,
      checkpoint_ms: 60_000,
      max_unshipped_bytes: 1024 ** 3,
      group_bytes: 1024 ** 2,
      group_ms: 1000,
      max_pause_ms: 30_000,
      finish_ms: 60_000,
    });
    expect(shipOf({ folder: 'store' })).toMatchObject({
      target: { folder: '/etc/trackseal/store' },
    });
    expect(shipOf({ s3: { ...s3, prefix: '' } })).not.toBeNull();
    expect(shipOf({ s3: { ...s3, prefix: '../a' } })).toBeNull();
    expect(shipOf({ s3: { ...s3, endpoint: 'ftp://host' } })).toBeNull();
    expect(shipOf({ s3: { ...s3, bucket: 'Bucket' } })).toBeNull();
    expect(shipOf({ s3, folder: 'store' })).toBeNull();
  });

  it.each<[string, unknown, string]>([
    [
      'a ship without a date',
      { ...GOOD, ship: { target: { folder: 'x' } } },
      'ship.retention_days',
    ],
    ['an unknown key', { ...GOOD, retries: 3 }, 'retries'],
    ['an unknown key inside', { ...GOOD, tiles: { port: 0, hots: 'x' } }, 'tiles'],
    ['a missing key', { ...GOOD, log: undefined }, 'log'],
    ['an amount that is a number', withLimit(10_000), 'execution.limits.max_order_notional'],
    ['an amount below zero', withLimit('-1'), 'execution.limits.max_order_notional'],
    ['an amount with too many decimals', withLimit('0.000000001'), 'max_order_notional'],
    [
      'segments below 64 KiB',
      { ...GOOD, disk: { spool_segment_bytes: 65_535 } },
      'disk.spool_segment_bytes',
    ],
    [
      'segments above 512 MiB',
      { ...GOOD, disk: { spool_segment_bytes: 536_870_913 } },
      'disk.spool_segment_bytes',
    ],
    ['free space below zero', { ...GOOD, disk: { min_free_bytes: -1 } }, 'disk.min_free_bytes'],
    ['a port beyond 65535', { ...GOOD, tiles: { port: 65_536 } }, 'tiles.port'],
    ['a speed of zero', { ...GOOD, feed: { ...GOOD.feed, speed: 0 } }, 'feed.speed'],
    ['an unknown source', { ...GOOD, feed: { source: 'radio' } }, 'feed.source'],
    ['a live feed without streams', liveFeed([]), 'feed.streams'],
    [
      'an address with a path',
      liveFeed([{ stream: 1, venue: 'binance-spot', url: 'wss://a.example/ws' }]),
      'feed.streams.0.url',
    ],
    [
      'an address without TLS',
      liveFeed([{ stream: 1, venue: 'binance-spot', rest_url: 'http://a.example' }]),
      'feed.streams.0.rest_url',
    ],
    ['an empty command', { ...GOOD, enclave: { command: [] } }, 'enclave.command'],
  ])('refuses %s and says where', (_, value, where) => {
    const parsed = parseHostConfig(JSON.stringify(value), '/etc/host.json');
    expect(parsed.ok ? [] : parsed.problems).toEqual([expect.stringContaining(where)]);
  });

  it('refuses what is not JSON', () => {
    expect(parseHostConfig('{', '/etc/host.json')).toMatchObject({ ok: false });
  });
});

function liveFeed(streams: unknown): unknown {
  return { ...GOOD, feed: { source: 'live', streams } };
}

describe('a live feed in the file', () => {
  it('has defaults', () => {
    const value = liveFeed([{ stream: 1, venue: 'binance-spot' }]);
    const parsed = parseHostConfig(JSON.stringify(value), '/etc/host.json');
    expect(parsed).toMatchObject({
      config: {
        feed: {
          source: 'live',
          close_rows: 256,
          close_ms: 50,
          streams: [{ stream: 1, venue: 'binance-spot', url: null, rest_url: null }],
        },
      },
    });
  });
});

function withLimit(limit: unknown): unknown {
  const { execution } = GOOD;
  return {
    ...GOOD,
    execution: { ...execution, limits: { ...execution.limits, max_order_notional: limit } },
  };
}

describe('trackseal host', () => {
  let directory: string;
  let out: string;
  let err: string;
  const io = {
    stdout: (text: string): void => {
      out += text;
    },
    stderr: (text: string): void => {
      err += text;
    },
    isTerminal: false,
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'cfg-'));
    out = '';
    err = '';
  });

  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('explains itself', async () => {
    expect(await run(['--help'], io)).toBe(0);
    expect(out).toContain('usage: trackseal host');
    expect(await run([], io)).toBe(2);
    expect(await run(['--config', 'a', '--nonsense'], io)).toBe(2);
    expect(err).toContain('usage: trackseal host');
  });

  it('names what is wrong with the file, and with the files that it names', async () => {
    const file = join(directory, 'host.json');
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('cannot be read');
    writeFileSync(file, JSON.stringify({ ...GOOD, more: 1, transport: 'tcp:1' }));
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('more');
    writeFileSync(file, JSON.stringify({ ...GOOD, transport: 'vsock:16' }));
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('transport: vsock: needs the native addon (`addon`, a path)');
    const addon = join(directory, 'absent.node');
    writeFileSync(file, JSON.stringify({ ...GOOD, transport: 'vsock:16', addon }));
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('transport: the native addon cannot be loaded: ');
    writeFileSync(file, JSON.stringify({ ...GOOD, transport: 'tcp:1.2.3.4' }));
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('transport: must be unix:DIR, hvsock:PATH, vsock:CID or vsock:parent');
    writeFileSync(file, JSON.stringify(GOOD));
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('file_unreadable');
    expect(err).toContain(join(directory, 'configuration.json'));
    writeFileSync(join(directory, 'configuration.json'), '{"version": 1}');
    expect(await run(['--config', file], io)).toBe(2);
    expect(err).toContain('config_invalid');
  });
});
