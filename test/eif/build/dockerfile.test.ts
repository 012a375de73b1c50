import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { COMMAND } from '../../../eif/build/rootfs.ts';
import { ROOT } from '../../../scripts/bundle.ts';

it('Dockerfile.enclave starts what the image starts, and adds nothing else', async () => {
  const text = await readFile(join(ROOT, 'Dockerfile.enclave'), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const command = JSON.stringify(COMMAND).replaceAll(',', ', ');
  expect(lines).toEqual(['FROM scratch', 'ADD rootfs.tar /', `CMD ${command}`]);
});
