// On new kernels a large write to vsock can be lost or stall (the limit is 32 KiB, AF_VSOCK of Nitro): no write of the
// enclave is larger, in the clear or under TLS. Watched by strace in the guest. This image alone has another
// boot ramdisk: its init, which forbids tracing for good, writes that word to another file.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { COMMAND } from '../../eif/build/rootfs.ts';
import { encodeRamdisk, parseRamdisk } from '../../eif/ramdisk.ts';
import { unpackPackage } from '../../scripts/vm/fetch.ts';
import { pinned, readVmLock } from '../../scripts/vm/lock.ts';
import { assertAccepted } from '../../wire/result.ts';
import { attest, TestHost } from '../e2e/appliance.ts';
import { cleanUpAfterEach, temporaryFolder } from '../e2e/processes.ts';
import { consoleOf, newVmAppliance, newVmPlace, SKIPPED, vmHost } from './place.ts';
import type { TestFile } from './test-image.ts';
import { guestProgram, NODE, writeTestImage } from './test-image.ts';

cleanUpAfterEach();

const MAX_WRITE_BYTES = 32 * 1024;
const NO_TRACING = '/proc/sys/kernel/yama/ptrace_scope';
/** As long, takes the same word, and means only how long a panic waits. */
const HARMLESS = '/proc/sys/kernel/panic'.replace('panic', 'panic'.padStart(17, '/'));
const LIBRARIES = [
  'lib/x86_64-linux-gnu/liblzma.so.5',
  'usr/lib/x86_64-linux-gnu/libunwind.so.8',
  'usr/lib/x86_64-linux-gnu/libunwind-ptrace.so.0',
  'usr/lib/x86_64-linux-gnu/libunwind-x86_64.so.8',
];

function allowTracing(ramdisk: Uint8Array): Uint8Array {
  const entries = assertAccepted(parseRamdisk(new Uint8Array(gunzipSync(ramdisk))));
  const changed = entries.map((entry) => {
    if (entry.type !== 'file' || entry.path !== 'init') return entry;
    const data = Buffer.from(entry.data);
    const at = data.indexOf(NO_TRACING);
    expect(at).toBeGreaterThan(0);
    expect(HARMLESS).toHaveLength(NO_TRACING.length);
    data.write(HARMLESS, at, 'latin1');
    const { type, path, mode } = entry;
    return { type, path, mode, data: new Uint8Array(data) };
  });
  return new Uint8Array(gzipSync(encodeRamdisk(changed)));
}

async function straceFiles(folder: string): Promise<readonly TestFile[]> {
  const lock = await readVmLock();
  for (const name of ['strace', 'libunwind8', 'liblzma5']) {
    await unpackPackage(pinned(lock, name), folder);
  }
  return ['usr/bin/strace', ...LIBRARIES].map((path) => ({
    name: path.slice(path.lastIndexOf('/') + 1),
    data: new Uint8Array(readFileSync(join(folder, path))),
    mode: 0o755,
  }));
}

describe.skipIf(SKIPPED)('what the enclave writes to vsock', () => {
  it('is never more than 32 KiB at once, TLS included', async () => {
    const folder = temporaryFolder();
    const image = join(folder, 'trace.eif');
    const program = await guestProgram('trace-writes');
    const files = [program, ...(await straceFiles(join(folder, 'strace')))];
    const command = [NODE, `/test/${program.name}`, '/test/strace', '/test', ...COMMAND];
    writeTestImage(image, files, command, allowTracing);
    const appliance = await newVmAppliance(join(folder, 'a'));
    const place = newVmPlace(folder);
    // Large batches: their leaves are larger than one write.
    const settings = { speed: null, limitEvents: 20_000, closeRows: 1024 };
    const host = TestHost.start(appliance, place, {
      ...settings,
      ...vmHost(place, 'hvsock', image),
    });
    const url = await host.url();
    await host.waitForEvent('enclave_ready');
    const patience = ['--unsafe-any-image', '--timeout-ms', '120000'];
    await attest({ ...appliance, trust: ['--unsafe-unsigned'] }, url, join(folder, 'h'), patience);
    const { end } = await host.finish();
    const console = consoleOf(place);
    expect(end, console).toEqual({ code: 0, signal: null });
    const line = console.split(/\r?\n/u).find((one) => one.startsWith('{')) ?? '{}';
    const seen = JSON.parse(line) as Record<string, number>;
    globalThis.console.log(line);
    // Positive control: writes were cut at the limit, and the TLS server's were among those watched.
    expect(seen['largest'], line).toBe(MAX_WRITE_BYTES);
    expect(seen['tlsWrites'], line).toBeGreaterThan(3);
    expect(seen['largestTls'], line).toBeLessThanOrEqual(MAX_WRITE_BYTES);
    expect(seen['otherCount'], line).toBe(0);
  });
});
