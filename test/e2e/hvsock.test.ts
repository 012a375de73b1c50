// The appliance over the stand-in for vhost-device-vsock (simulator/vsock-device.ts): a transport that does not
// carry the end of one direction. What depends on such an end would hang or lose something here.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { attest, fetchStatus, newAppliance, newPlace, TestHost, verifyLog } from './appliance.ts';
import { expectReportsAgree, listLeaves, readJournal } from './evidence.ts';
import { cleanUpAfterEach, temporaryFolder } from './processes.ts';

cleanUpAfterEach();

describe('over hvsock:', () => {
  it('a feed ends complete, every report is logged, and the epoch closes cleanly', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const options = { speed: null, limitEvents: 20_000, hvsock: true };
    const host = TestHost.start(appliance, await newPlace(), options);
    const { end, summary } = await host.finish();
    expect(end, host.process.stderr).toEqual({ code: 0, signal: null });
    expect(summary).toMatchObject({ clean: true, epochs: [{ closed: true, unreleased: [] }] });
    expect((await verifyLog(appliance)).json).toMatchObject({ verdict: 'verified', end: 'clean' });
    expectReportsAgree(await listLeaves(appliance, 1), readJournal(appliance));
  });

  it('answers LPs, stops when asked, and starts another epoch after the first', async () => {
    const appliance = await newAppliance(join(temporaryFolder(), 'a'));
    const heads = join(appliance.directory, 'lp', 'heads.json');
    const place = await newPlace();
    for (const epoch of [1, 2]) {
      const host = TestHost.start(appliance, place, { speed: 20, hvsock: true });
      await host.waitForEvent('enclave_ready');
      const url = await host.url();
      expect(await fetchStatus(`${url}/health`)).toBe(200);
      expect((await attest(appliance, url, heads)).json).toMatchObject({ verdict: 'verified' });
      host.process.signal('SIGTERM');
      expect((await host.finish()).end).toEqual({ code: 0, signal: null });
      const { json } = await verifyLog(appliance, { epoch, heads });
      expect(json).toMatchObject({ verdict: 'verified', end: 'clean' });
    }
  });
});
