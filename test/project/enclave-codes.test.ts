import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { bundleImage } from '../../eif/build/bundles.ts';
import { ROOT } from '../../scripts/bundle.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import { isEnclaveCode } from '../../wire/enclave-codes.ts';

/** Of the host: what explains reports, and connections that were not made. */
const HOST_FOLDERS = ['host-proxy/execution', 'host-proxy/egress'];
/** Programs whose codes the core says or takes. */
const PROGRAMS = new Set(['main.mjs', 'strategy-runner.mjs']);

async function codesIn(paths: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const path of paths) {
    const text = await readFile(join(ROOT, path), 'utf8');
    for (const [, word = ''] of text.matchAll(/'([a-z0-9_]+)'/gu)) {
      if (Object.hasOwn(REFUSAL_CODES, word)) found.add(word);
    }
  }
  return found;
}

describe('wire/enclave-codes.ts', () => {
  it('has every code that core, strategies and the host’s execution use, and none that does not exist', async () => {
    const bundles = await bundleImage();
    const sources = bundles
      .filter(({ name }) => PROGRAMS.has(name))
      .flatMap(({ metafile }) => Object.keys(metafile.inputs))
      .filter((path) => !path.includes('node_modules/'));
    const host = await Promise.all(
      HOST_FOLDERS.map(async (folder) =>
        (await readdir(join(ROOT, folder))).map((name) => `${folder}/${name}`),
      ),
    );
    const used = await codesIn([...sources, ...host.flat()]);
    expect([...used].filter((code) => !isEnclaveCode(code))).toEqual([]);
    const text = await readFile(join(ROOT, 'wire/enclave-codes.ts'), 'utf8');
    const listed = (/`([^`]*)`/u.exec(text)?.[1] ?? '').trim().split(/\s+/u);
    expect(listed.filter((code) => !Object.hasOwn(REFUSAL_CODES, code))).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });
});
