// What only a guest can show, in images that share kernel and boot ramdisk with the production image.

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { contractCases } from '../wire/node/transport-contract.ts';
import { cleanUpAfterEach, temporaryFolder } from '../e2e/processes.ts';
import { newVmPlace, SKIPPED } from './place.ts';
import { ADDON, guestProgram, NODE, runGuest, writeTestImage } from './test-image.ts';

cleanUpAfterEach();

describe.skipIf(SKIPPED)('AF_VSOCK in the guest, over the loopback', () => {
  it('keeps the contract of the transports', async () => {
    const folder = temporaryFolder();
    const image = join(folder, 'contract.eif');
    const program = await guestProgram('transport-contract');
    writeTestImage(image, [program], [NODE, `/test/${program.name}`, ADDON, 'full']);
    const { end, console, lines } = await runGuest(image, newVmPlace(folder).vsock);
    const last = lines.at(-1);
    expect(last, console).toMatchObject({ contract: 'kept', failed: 0, size: 'full' });
    const names = lines.slice(0, -1).map((line) => [line['case'], line['ok']]);
    expect(names).toEqual(contractCases(true).map(({ name }) => [name, true]));
    expect(end.reason).toBe('exit code 0');
    globalThis.console.log(lines.map((line) => JSON.stringify(line)).join('\n'));
  });
});
