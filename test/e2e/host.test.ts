import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  fetchStatus,
  killSwitchOf,
  newAppliance,
  newPlace,
  TestHost,
  verifyLog,
} from './appliance.ts';
import { decisionsOf, expectReportsAgree, listLeaves, readJournal } from './evidence.ts';
import { cleanUpAfterEach, descendantsNamed, temporaryFolder, trackseal } from './processes.ts';

cleanUpAfterEach();

describe('a host that runs', () => {
  it('serves a log that verifies while it grows, and shares its folder with no other host', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 20 });
    await host.waitForEvent('enclave_ready');
    const log = `http://127.0.0.1:${Number((await host.waitForEvent('tiles_listening'))['port'])}/`;
    const sizes: number[] = [];
    for (let round = 0; round < 4; round++) {
      const last = sizes.at(-1) ?? 0;
      await host.waitFor('more leaves', () => tap.acknowledgedSize > last + 300);
      const { code, json, stderr } = await verifyLog(appliance, { log, heads });
      expect([code, json['verdict'], json['end']], stderr).toEqual([0, 'verified', 'open']);
      sizes.push(Number(json['size']));
    }
    expect(sizes).toEqual([...new Set(sizes)].toSorted((a, b) => a - b));
    for (const path of ['epochs', 'epochs/0000000001/checkpoint', 'epochs/0000000001/commits']) {
      expect((await fetch(`${log}${path}`)).status, path).toBe(200);
    }
    for (const path of ['', 'tmp', '..%2f..%2fhost%2fhost.json']) {
      expect((await fetch(`${log}${path}`)).status, path).toBe(404);
    }

    // A state folder of its own does not make it another log, whatever the log folder is called.
    const alias = join(temporaryFolder(), 'log');
    symlinkSync(appliance.logDirectory, alias);
    for (const folders of [{}, { state: temporaryFolder(), log: alias }]) {
      const other = TestHost.start(appliance, await newPlace(), { speed: null, ...folders });
      expect((await other.finish()).end).toEqual({ code: 2, signal: null });
      expect(other.process.stderr).toContain('folder_in_use');
      expect(other.events('enclave_started')).toEqual([]);
    }

    expect(await fetchStatus(`${await host.url()}/health`)).toBe(200);
    host.process.signal('SIGINT');
    expect((await host.finish()).end).toEqual({ code: 0, signal: null });
    expect((await verifyLog(appliance, { heads })).json).toMatchObject({
      verdict: 'verified',
      end: 'clean',
    });
  });

  it('stops trading by the kill switch, and goes on logging when its strategy is gone', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const { pack, parameters, parametersSalt, complianceKey, logDirectory } = appliance;
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40 });
    await host.waitFor('orders', () => tap.releases.length > 5);
    writeFileSync(killSwitchOf(appliance), '');
    const before = tap.releases.length;
    await host.waitFor('signals after it', () => tap.releases.length > before + 5);
    const [strategy] = descendantsNamed(await host.enclavePid(), 'runner.ts');
    if (strategy === undefined) throw new Error('the strategy process is not to be seen in /proc');
    process.kill(strategy, 'SIGKILL');
    const size = tap.acknowledgedSize;
    await host.waitFor('leaves after it', () => tap.acknowledgedSize > size + 200);
    host.process.signal('SIGTERM');
    expect((await host.finish()).end).toEqual({ code: 0, signal: null });

    const records = readJournal(appliance);
    const reasons = decisionsOf(records).map(({ refused }) => refused);
    expect(reasons[0]).toBe(null);
    expect(reasons.at(-1)).toBe('risk_kill_switch');
    // Once on it stays on.
    const first = reasons.indexOf('risk_kill_switch');
    expect(reasons.slice(first)).toEqual(reasons.slice(first).map(() => 'risk_kill_switch'));

    const leaves = await listLeaves(appliance, 1);
    expectReportsAgree(leaves, records);
    const events = leaves.filter(({ kind }) => kind === 'strategy_event');
    expect(events.map(({ payload }) => payload)).toEqual([
      { event: 'started', code: null },
      { event: 'ended', code: 'strategy_crashed' },
    ]);
    const end = events[1]?.index ?? 0;
    expect(leaves.filter(({ kind, index }) => kind === 'output' && index > end)).toEqual([]);
    const inputs = leaves.filter(({ kind, index }) => kind === 'input' && index > end);
    expect(inputs.length).toBeGreaterThan(0);
    expect((await verifyLog(appliance)).json).toMatchObject({ verdict: 'verified', end: 'clean' });

    const files = ['--parameters', parameters, '--parameters-salt', parametersSalt];
    const args = [logDirectory, '--strategy', pack, ...files, '--key', complianceKey, '--json'];
    const { code, json, stderr } = await trackseal(['replay', ...args]);
    expect(code, stderr).toBe(0);
    expect(json).toMatchObject({
      verdict: 'identical',
      outputs: leaves.filter(({ kind }) => kind === 'output').length,
      ended: { logged: 'strategy_crashed' },
    });
  });

  it('goes on trading and logging when the process that talks to the outside is gone', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, { speed: 40 });
    await host.waitFor('orders', () => tap.releases.length > 5);
    const url = await host.url();
    expect(await fetchStatus(`${url}/health`)).toBe(200);
    const [desk] = descendantsNamed(await host.enclavePid(), 'simulator/desk.ts');
    if (desk === undefined) throw new Error('the desk is not to be seen in /proc');
    process.kill(desk, 'SIGKILL');
    const before = tap.releases.length;
    await host.waitFor('signals after it', () => tap.releases.length > before + 5);
    await host.waitFor('word of it', () =>
      host.events('enclave_diagnostic').some(({ code }) => code === 'desk_ended'),
    );
    host.process.signal('SIGTERM');
    expect((await host.finish()).end).toEqual({ code: 0, signal: null });
    expect((await verifyLog(appliance)).json).toMatchObject({ verdict: 'verified', end: 'clean' });
  });
});
