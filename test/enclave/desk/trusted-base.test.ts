// Mistake 6 of earlier systems: a trusted base that runs command lines and database clients, and code that is replaced by
// a script without any rule of continuity.

import { build } from 'esbuild';
import { describe, expect, it } from 'vitest';
import { SealedVault } from '../../../enclave/desk/sealed-vault.ts';
import { RECORD_KIND } from '../../../enclave/desk/vault-record.ts';
import { ROOT } from '../../../scripts/bundle.ts';
import { utf8 } from '../../../wire/bytes.ts';
import { FakeDesk } from '../../helpers/fake-desk.ts';

describe('mistake 6', () => {
  it('the desk runs no programs, opens no files, and loads nothing at run time', async () => {
    const { metafile } = await build({
      absWorkingDir: ROOT,
      entryPoints: ['enclave/desk/parts.ts'],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'silent',
    });
    const builtins = new Set(
      Object.values(metafile.inputs)
        .flatMap(({ imports }) => imports)
        .filter(({ external }) => external === true)
        .map(({ path }) => path.replace(/^node:/u, '')),
    );
    for (const name of [
      'child_process',
      'worker_threads',
      'vm',
      'fs',
      'fs/promises',
      'inspector',
    ]) {
      expect([name, builtins.has(name)]).toEqual([name, false]);
    }
    // It is looked at: these are there.
    expect(builtins.has('crypto')).toBe(true);
    const packages = new Set(
      Object.keys(metafile.inputs).flatMap(
        (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/u.exec(path)?.[1] ?? [],
      ),
    );
    // Of the requests that it judges zod, of certificates x509; no HTTP client, no database, no ccxt.
    for (const name of ['ccxt', 'axios', 'pg', 'undici', 'ws'])
      expect(packages.has(name)).toBe(false);
    expect(packages.has('zod')).toBe(true);
  });

  it('another image has no key for what this one kept: continuity is the policy of a KMS key', async () => {
    const id = '0123456789abcdef0123456789abcdef';
    const mine = new FakeDesk({ vaultKeys: new Map([[1, new Uint8Array(32).fill(3)]]) });
    await new SealedVault(mine.services).write(id, RECORD_KIND.session, utf8('secret'));
    for (const vaultKeys of [new Map<number, Uint8Array>(), new Map([[1, new Uint8Array(32)]])]) {
      const other = new FakeDesk({ vaultKeys, records: mine.records, epoch: 2 });
      expect(new SealedVault(other.services).openAll().opened).toEqual([]);
    }
  });
});
