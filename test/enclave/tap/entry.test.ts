import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOT } from '../../../scripts/bundle.ts';

function run(...args: readonly string[]): { readonly code: number | null; readonly said: string } {
  const entry = join(ROOT, 'enclave/tap/main.ts');
  const options = { encoding: 'utf8', input: '', timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args], options);
  return { code: status, said: stdout + stderr };
}

describe('the tap’s entry point of the image', () => {
  it.each([
    ['a folder of sockets', ['1', 'unix:/tmp']],
    ['an emulated device', ['1', 'guest:/tmp/vm']],
    ['no address', ['1']],
  ])('refuses %s: it talks over vsock and nothing else', (_, args) => {
    expect(run(...args)).toEqual({ code: 2, said: '' });
  });
});
