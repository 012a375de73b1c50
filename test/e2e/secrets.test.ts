// Secrets, credentials, data keys, hand-over and metrics of a real host beside a real enclave, with all of AWS
// simulated.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SimulatedAws } from '../../scripts/simulated-aws.ts';
import type { Appliance } from '../../scripts/appliance.ts';
import { newAppliance, stateOf, TestHost, verifyLog } from './appliance.ts';
import { cleanUpAfterEach, closeAfterwards, temporaryFolder, trackseal } from './processes.ts';

cleanUpAfterEach();

interface Stage {
  readonly appliance: Appliance;
  readonly aws: SimulatedAws;
  readonly start: (more?: object) => TestHost;
}

async function openStage(dataKeys: readonly string[]): Promise<Stage> {
  const directory = join(temporaryFolder(), 'a');
  const aws = await SimulatedAws.open(directory, false);
  closeAfterwards(() => aws.close());
  const appliance = await newAppliance(directory, {}, { cloud: { ...aws.appliance, dataKeys } });
  await aws.start(appliance);
  const sealed = await aws.seal(appliance);
  const start = (more: object = {}): TestHost => {
    const sockets = temporaryFolder();
    const place = { hostSockets: sockets, enclaveSockets: sockets };
    const env = aws.hostEnvironment() as Readonly<Record<string, string>>;
    const cloud = {
      strategies: [],
      sealed,
      egress: { allow: aws.egress },
      credentials: { source: 'imds' },
      metrics: { port: 0 },
    };
    return TestHost.start(appliance, place, { speed: 5, env, more: { ...cloud, ...more } });
  };
  return { appliance, aws, start };
}

async function scrape(host: TestHost): Promise<ReadonlyMap<string, number>> {
  const { port } = await host.waitForEvent('metrics_listening');
  const answer = await fetch(`http://127.0.0.1:${Number(port)}/metrics`);
  const lines = (await answer.text()).split('\n').filter((line) => /^[a-z]/u.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

describe('a host whose enclave has its secrets from KMS', () => {
  it('keeps data keys, rotates them, shows it all in its metrics, and hands over to another image', async () => {
    const { appliance, start } = await openStage(['venue']);
    const keys = (): readonly string[] => readdirSync(join(stateOf(appliance), 'data-keys'));
    const first = start();
    await first.waitForEvent('enclave_ready');
    expect(keys()).toEqual(['venue-1.key']);
    const metrics = await scrape(first);
    expect(metrics.get('trackseal_enclave_ready')).toBe(1);
    expect(metrics.get('trackseal_epoch')).toBe(1);
    expect(metrics.get('trackseal_data_key_version{name="venue"}')).toBe(1);
    expect(metrics.get('trackseal_egress_connected_total')).toBeGreaterThan(0);
    expect(metrics.get('trackseal_credentials_remaining_seconds')).toBeGreaterThan(3000);
    expect(metrics.get('trackseal_credentials_pushed_total')).toBeGreaterThan(0);
    expect(metrics.get('trackseal_log_acknowledged_leaves')).toBeGreaterThan(1);

    const config = ['--config', first.configFile];
    const rotated = await trackseal(['kms', 'rotate', 'venue', ...config, '--json']);
    expect([rotated.code, rotated.json]).toEqual([
      0,
      { asked: true, name: 'venue', current_version: 1 },
    ]);
    expect((await trackseal(['kms', 'rotate', 'other', ...config])).code).toBe(1);
    // Made by the next start, not by this one.
    expect(keys()).toEqual(['venue-1.key']);

    const next = ['--measurements', appliance.measurements, '--note', 'version 2'];
    const handed = await trackseal(['host', 'hand-over', ...config, ...next, '--json']);
    expect(handed.code, handed.stderr).toBe(0);
    expect(handed.json).toMatchObject({ epoch: 1, closed: true });
    const { end, summary } = await first.finish();
    expect(end).toEqual({ code: 0, signal: null });
    expect(handed.json['root']).toBe((summary.epochs[0] as unknown as { root: string }).root);
    const verified = await verifyLog(appliance);
    expect(verified.json, verified.stderr).toMatchObject({
      verdict: 'verified',
      end: 'clean',
      close_reason: 'hand_over',
    });
    const nobody = await trackseal(['host', 'hand-over', ...config, ...next]);
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain('no host runs');

    const second = start();
    await second.waitForEvent('enclave_ready');
    expect(keys()).toEqual(['venue-1.key', 'venue-2.key']);
    expect(readdirSync(join(stateOf(appliance), 'requests'))).not.toContain('rotate-venue');
    second.process.signal('SIGTERM');
    expect((await second.finish()).end).toEqual({ code: 0, signal: null });
    expect((await verifyLog(appliance, { epoch: 2 })).json).toMatchObject({ verdict: 'verified' });
  });

  it('does not start without a way, credentials or an item, and says which', async () => {
    const { appliance, start } = await openStage([]);
    for (const [more, said] of [
      [{ egress: null }, 'egress.allow: kms.'],
      [{ credentials: null }, 'credentials: '],
      [{ sealed: [] }, 'seal_missing'],
      [{ metrics: { host: '0.0.0.0', port: 0 } }, 'metrics.host'],
    ] as const) {
      const host = start(more);
      expect((await host.finish()).end).toEqual({ code: 2, signal: null });
      expect(host.process.stderr).toContain(said);
      expect(host.events('enclave_started')).toEqual([]);
    }
    expect(readdirSync(appliance.logDirectory)).toEqual([]);
  });

  it('that gets no credentials says so, in its log and at its end', async () => {
    const { aws, start } = await openStage([]);
    aws.withdrawCredentials();
    const host = start();
    const { end, summary } = await host.finish();
    expect(end).toEqual({ code: 1, signal: null });
    expect(summary.epochs.map(({ code }) => code)).toEqual(['credentials_missing']);
    expect(host.events('credentials_failed').length).toBeGreaterThan(0);
    expect(host.process.stderr).toMatch(/credentials_missing(?:.|\n)*next {2}.*`credentials`/u);
    expect(readFileSync(host.configFile, 'utf8')).not.toContain('ASIA');
  });
});
