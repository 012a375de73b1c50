// Market data from a venue's streams, over the enclave's own TLS and over the host's, with a real host, enclave
// and strategy. The venue is simulated and plays a capture.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { TlsAuthority } from '../../simulator/kms/authority.ts';
import type { ApplianceSources } from '../../scripts/appliance.ts';
import { eventually, LiveVenue } from '../helpers/live-venue.ts';
import { VenueTape } from '../helpers/venue-tape.ts';
import type { HostOptions } from './appliance.ts';
import { CAPTURE, newAppliance, TestHost, verifyLog } from './appliance.ts';
import { cleanUpAfterEach, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

const HOSTS = [
  { host: 'stream.binance.com', port: 443 },
  { host: 'api.binance.com', port: 443 },
] as const;
const SOURCE = { venue: 'binance-spot', host: 'stream.binance.com' };

interface Stage {
  readonly venue: LiveVenue;
  readonly tape: VenueTape;
  readonly directory: string;
  readonly authority: TlsAuthority;
  readonly start: (sources: ApplianceSources, options: Partial<HostOptions>) => Promise<Running>;
}

interface Running {
  readonly host: TestHost;
  /** SIGTERM, the end of the host, and the verdict about its log. */
  readonly finish: () => Promise<{ readonly [key: string]: unknown }>;
}

async function openStage(): Promise<Stage> {
  const authority = await TlsAuthority.open(null);
  const { keyPem, certificatePem } = await authority.issue([
    'localhost',
    ...HOSTS.map(({ host }) => host),
  ]);
  const venue = await LiveVenue.start({ tls: { key: keyPem, cert: certificatePem } });
  const tape = new VenueTape(venue, CAPTURE);
  const directory = join(temporaryFolder(), 'a');
  const start: Stage['start'] = async (sources, options) => {
    const appliance = await newAppliance(directory, {}, { sources });
    const sockets = temporaryFolder();
    const place = { hostSockets: sockets, enclaveSockets: sockets };
    const host = TestHost.start(appliance, place, { speed: null, metrics: true, ...options });
    await host.waitForEvent('enclave_ready');
    return {
      host,
      finish: async () => {
        host.process.signal('SIGTERM');
        const { end, summary } = await host.finish();
        expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
        expect(summary.epochs[0]?.execution?.accepted).toBeGreaterThan(0);
        const verified = await verifyLog(appliance);
        expect(verified.code, verified.stderr).toBe(0);
        return verified.json;
      },
    };
  };
  return { venue, tape, directory, authority, start };
}

async function metric(host: TestHost, name: string): Promise<number> {
  const { port } = await host.waitForEvent('metrics_listening');
  const text = await (await fetch(`http://127.0.0.1:${Number(port)}/metrics`)).text();
  const line = text
    .split('\n')
    .find((one) => one.startsWith(`${name} `) || one.startsWith(`${name}{`));
  return Number(line?.slice(line.lastIndexOf(' ') + 1) ?? Number.NaN);
}

/** Plays until the strategy has traded, with a connection that breaks on the way. */
async function trade({ venue, tape }: Stage, host: TestHost): Promise<void> {
  await eventually(() => venue.requests.length === 1, 'subscription');
  const played = tape.play(20);
  await eventually(() => tape.sent > 500, 'a beginning');
  for (const socket of venue.sockets) socket.terminate();
  await eventually(() => venue.requests.length === 2, 'reconnect');
  while ((await metric(host, 'trackseal_signals_total')) < 3 && tape.sent < 30_000) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  tape.stop();
  await played;
}

/** That both feeds lead to; `label` is that of the stream with the data. */
function expectVerdict(verdict: Readonly<Record<string, unknown>>, label: string): void {
  expect(verdict).toMatchObject({
    verdict: 'verified',
    end: 'clean',
    feed_mode: 'live',
    streams: expect.arrayContaining([{ id: 2, label, name: 'binance' }]) as unknown,
    gaps: { by_reason: { declared: 1 } },
  });
}

describe('market data over the enclave’s own TLS', () => {
  it('reaches a strategy, its orders are executed, and the verdict names the label', async () => {
    const stage = await openStage();
    const { venue, authority } = stage;
    const { host, finish } = await stage.start(
      {
        roots: authority.pem,
        hosts: HOSTS,
        streams: [{ id: 2, name: 'binance', source: SOURCE }],
      },
      {
        more: {
          feed: null,
          egress: {
            allow: HOSTS.map((one) => ({ ...one, address: `127.0.0.1:${venue.port}` })),
          },
        },
      },
    );
    await trade(stage, host);
    expect(await metric(host, 'trackseal_feed_events_total')).toBe(0);
    expect(await metric(host, 'trackseal_egress_connected_total')).toBeGreaterThan(2);
    const verdict = await finish();
    expectVerdict(verdict, 'tls');
    expect(verdict['residual_risks']).not.toContain('invented_prices');
    expect(verdict['residual_risks']).toContain('withheld_feed');
  });

  it('needs a way, and the host says which before it starts', async () => {
    const { authority, start } = await openStage();
    const streams = [{ id: 2, name: 'binance', source: SOURCE }];
    await expect(
      start({ roots: authority.pem, hosts: HOSTS, streams }, { more: { feed: null } }),
    ).rejects.toThrow('egress.allow: stream.binance.com:443');
  });
});

describe('market data over the host’s connections', () => {
  it('reaches a strategy, its orders are executed, and the verdict says whose word it is', async () => {
    const stage = await openStage();
    const { venue, authority, directory } = stage;
    const root = `${directory}.pem`;
    writeFileSync(root, authority.pem);
    const feed = {
      source: 'live',
      streams: [
        {
          stream: 2,
          venue: 'binance-spot',
          url: `wss://localhost:${venue.port}`,
          rest_url: `https://localhost:${venue.port}`,
        },
      ],
    };
    const { host, finish } = await stage.start(
      { roots: '', hosts: [], streams: [{ id: 2, name: 'binance' }] },
      { more: { feed }, env: { NODE_EXTRA_CA_CERTS: root } },
    );
    await trade(stage, host);
    expect(await metric(host, 'trackseal_live_gaps_total')).toBe(1);
    expect(await metric(host, 'trackseal_live_books')).toBe(1);
    const verdict = await finish();
    expectVerdict(verdict, 'host');
    expect(verdict['residual_risks']).toContain('invented_prices');
  });
});
