import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostConfig } from '../../host-proxy/config-file.ts';
import { readEnclaveFiles } from '../../host-proxy/items.ts';
import { writePack } from '../../scripts/strategy-pack.ts';
import { utf8 } from '../../wire/bytes.ts';
import { canonicalJson } from '../../wire/configuration.ts';
import { hostConfiguration } from '../helpers/enclave-host.ts';

const SALT = new Uint8Array(32).fill(3);
const MODULE = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trackseal-'));
  await writeFile(join(folder, 'configuration.json'), canonicalJson(hostConfiguration()));
  await writeFile(join(folder, 'parameters.json'), '{}');
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function configWith(pack: string, bundle: Uint8Array): Promise<HostConfig> {
  const commitment = { name: 'one', version: '1', commitment: '' };
  await writePack(join(folder, pack), { bundle, salt: SALT, commitment });
  const configuration = join(folder, 'configuration.json');
  const parameters = join(folder, 'parameters.json');
  const strategies = [{ pack: join(folder, pack), parameters, parameters_salt: null }];
  return { configuration, strategies, sealed: [] } as unknown as HostConfig;
}

describe('the files for the enclave', () => {
  it.each([
    ['a script', utf8('export default {};')],
    ['a module', MODULE],
  ] as const)('have the bundle of a pack: %s', async (name, bundle) => {
    const read = readEnclaveFiles(await configWith(name, bundle));
    expect(read).toMatchObject({
      ok: true,
      value: {
        items: [
          { purpose: 'strategy', name: 'one', version: '1', salt: SALT, bytes: bundle },
          { purpose: 'parameters', name: 'one', version: '1', bytes: utf8('{}') },
        ],
      },
    });
  });

  it('have the bundle of the last pack only, whatever it was before', async () => {
    await configWith('both', utf8('export default {};'));
    const read = readEnclaveFiles(await configWith('both', MODULE));
    expect(read).toMatchObject({ ok: true, value: { items: [{ bytes: MODULE }, {}] } });
  });

  it('are refused with the file that is missing', async () => {
    const config = await configWith('none', MODULE);
    await rm(join(folder, 'none', 'bundle.wasm'));
    const read = readEnclaveFiles(config);
    expect(read).toMatchObject({ ok: false, refusal: { code: 'file_unreadable' } });
  });
});
