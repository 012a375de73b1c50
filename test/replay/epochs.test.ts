// Over every capture a whole appliance, as fast as it goes: three strategies in two languages, the enclave killed
// in the middle, the next epoch to the end. Each epoch is replayed in processes of its own, byte for byte, and
// the first one is made again from the capture: batches, outputs and reports.

import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Appliance } from '../../scripts/appliance.ts';
import { newAppliance, newPlace, TestHost, verifyLog } from '../e2e/appliance.ts';
import { cleanUpAfterEach, temporaryFolder, trackseal } from '../e2e/processes.ts';
import type { CommandResult, Json } from '../e2e/processes.ts';
import { writeTapeStrategy } from '../helpers/tape-strategy.ts';
import { ROOT } from '../enclave/strategy/support.ts';
import { instrumentOf, LIMIT, parametersFor, testedCaptures, TIMEOUT_MS } from './captures.ts';

cleanUpAfterEach();
vi.setConfig({ testTimeout: TIMEOUT_MS, hookTimeout: TIMEOUT_MS });

/** Leaves of the first epoch when its enclave is killed. */
const KILL_AT: number = LIMIT === null ? 1500 : 300;

async function prepare(path: string): Promise<Appliance> {
  const folder = temporaryFolder();
  const instrument = await instrumentOf(path);
  const { symbol, market } = instrument;
  const quantity = 10 ** (instrument.quantity_scale - 3);
  const tape = { symbol, market, every: 10, quantity, spread: 100, count_reports: 1 };
  return newAppliance(
    join(folder, 'a'),
    {},
    {
      instruments: [instrument],
      parameters: await parametersFor('order-flow', instrument),
      others: [
        {
          strategy: join(ROOT, 'strategies/assembly/mean-reversion.ts'),
          strategyName: 'mean-reversion',
          parameters: await parametersFor('mean-reversion', instrument),
        },
        { strategy: await writeTapeStrategy(folder), strategyName: 'tape', parameters: tape },
      ],
    },
  );
}

function replay(appliance: Appliance, epoch: number): Promise<CommandResult> {
  const files = appliance.strategies.flatMap(({ pack, parameters, parametersSalt }) => {
    const salted = ['--parameters', parameters, '--parameters-salt', parametersSalt];
    return ['--strategy', pack, ...salted];
  });
  const log = [appliance.logDirectory, '--key', appliance.complianceKey, '--epoch', String(epoch)];
  return trackseal(['replay', ...log, ...files, '--all', '--json']);
}

describe.each(testedCaptures())('$name', ({ path }) => {
  it('is replayed byte for byte, before and after a kill, and made again from the capture', async () => {
    const appliance = await prepare(path);
    const place = await newPlace();
    const { tap } = place;
    const host = TestHost.start(appliance, place, {
      speed: null,
      restart: true,
      capture: path,
      ...(LIMIT === null ? {} : { limitEvents: LIMIT }),
    });
    await host.waitFor('leaves before the kill', () => tap.acknowledgedSize >= KILL_AT);
    process.kill(await host.enclavePid(), 'SIGKILL');
    const { end, summary } = await host.finish();
    expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
    expect(summary.epochs.map(({ closed }) => closed)).toEqual([false, true]);

    for (const epoch of [2, 1]) {
      const verified = await verifyLog(appliance, { epoch });
      expect(verified.json, verified.stderr).toMatchObject({ verdict: 'verified', epoch });
      const { code, json, stderr } = await replay(appliance, epoch);
      expect(code, stderr + JSON.stringify(json['first_difference'])).toBe(0);
      expect(json).toMatchObject({ verdict: 'identical', end: epoch === 1 ? 'open' : 'clean' });
      expect(json['outputs']).toBe(json['identical']);
      // Once more, in other processes.
      expect((await replay(appliance, epoch)).json).toEqual(json);
      // The second epoch is whole; in the first rows of a sample the second strategy does nothing yet.
      const outputs = (json['strategies'] as Json[]).map((one) => Number(one['outputs']));
      const least = epoch === 1 ? 0 : 1;
      expect(outputs[0]).toBeGreaterThanOrEqual(least);
      expect(outputs[2]).toBeGreaterThanOrEqual(10 * least);
    }

    for (const { name, pack, parameters } of appliance.strategies) {
      const log = ['--like', appliance.logDirectory, '--epoch', '1', '--only', name];
      const key = ['--key', appliance.complianceKey, '--host', host.configFile];
      const files = ['--capture', path, '--parameters', parameters];
      const like = await trackseal([
        'strategy',
        'backtest',
        pack,
        ...files,
        ...log,
        ...key,
        '--json',
      ]);
      expect(like.json, like.stderr).toMatchObject({
        verdict: 'identical',
        first_difference: null,
      });
    }
  });
});
