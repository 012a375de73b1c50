// `npm run bench:vm`: our AF_VSOCK streams beside the published binary of node-vsock, which is fetched for this and
// is part of nothing. Figures of an emulated machine mean nothing but for their ratios.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { cleanUpAfterEach, temporaryFolder } from '../e2e/processes.ts';
import { newVmPlace, SKIPPED } from './place.ts';
import { ADDON, guestProgram, NODE, runGuest, writeTestImage } from './test-image.ts';

cleanUpAfterEach();

const PACKAGE = 'node-vsock-linux-x64-gnu@0.0.5';
const BINARY = 'package/node-vsock.linux-x64-gnu.node';

const FIGURES: readonly string[] = [
  'round_trip_ms',
  'mib_per_second',
  'writer_cpu_ms',
  'slow_reader_waiting_bytes',
  'slow_reader_rss',
];

/** Null where the registry does not give it. */
async function fetchBinary(folder: string): Promise<Uint8Array | null> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run('npm', ['pack', '--silent', PACKAGE], { cwd: folder });
    await run('tar', ['-xzf', stdout.trim(), BINARY], { cwd: folder });
    return new Uint8Array(readFileSync(join(folder, BINARY)));
  } catch {
    return null;
  }
}

describe.skipIf(SKIPPED)('AF_VSOCK', () => {
  it('beside node-vsock', async (context) => {
    const folder = temporaryFolder();
    const data = await fetchBinary(folder);
    if (data === null) {
      console.log(`bench:vm: skipped, because ${PACKAGE} cannot be fetched`);
      context.skip();
      return;
    }
    const image = join(folder, 'bench.eif');
    const program = await guestProgram('bench-vsock');
    const theirs = { name: 'theirs.node', data, mode: 0o755 } as const;
    const command = [NODE, `/test/${program.name}`, ADDON, '/test/theirs.node'];
    writeTestImage(image, [program, theirs], command);
    const { console: text, lines } = await runGuest(image, newVmPlace(folder).vsock);
    const found = lines.filter((line) => line['bench'] !== undefined);
    const names = found.map((line) => line['bench']);
    expect(names, text).toEqual(['theirs', 'ours', 'theirs', 'ours', 'theirs', 'ours']);
    for (const line of found) console.log(JSON.stringify(line));
    const median = (kind: string, name: string): number => {
      const values = found
        .filter((line) => line['bench'] === kind)
        .map((line) => Number(line[name]));
      return values.toSorted((x, y) => x - y)[1] ?? Number.NaN;
    };
    for (const name of FIGURES) {
      const [ours, theirs] = [median('ours', name), median('theirs', name)];
      console.log(
        `${name}: ours ${ours}, node-vsock ${theirs}, ratio ${(ours / theirs).toFixed(3)}`,
      );
    }
  });
});
