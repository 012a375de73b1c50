import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Nsm } from '../../../enclave/nsm/nsm.ts';
import { openNsmDevice } from '../../../enclave/nsm/open-device.ts';
import type { NativeAddon } from '../../../wire/node/native-addon.ts';
import { hasCompiler, openTestAddon } from '../../helpers/native-addon.ts';

describe.runIf(hasCompiler)('openNsmDevice', () => {
  let addon: NativeAddon;
  let directory = '';
  beforeAll(async () => {
    addon = await openTestAddon();
    directory = await mkdtemp(join(tmpdir(), 'ts-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('refuses a device that is not there, with the system code', () => {
    const opened = openNsmDevice(addon, join(directory, 'nsm'));
    expect(opened).toEqual({
      ok: false,
      refusal: { code: 'nsm_unavailable', detail: { system: 'ENOENT' } },
    });
  });

  it('says nsm_unavailable when the file is no NSM', async () => {
    const path = join(directory, 'file');
    await writeFile(path, 'not a device');
    const opened = openNsmDevice(addon, path);
    if (!opened.ok) throw new Error('a file can be opened');
    const answer = await new Nsm(opened.value).describe();
    expect(answer).toEqual({
      ok: false,
      refusal: { code: 'nsm_unavailable', detail: { system: 'ENOTTY' } },
    });
  });

  it.each([
    [0, 'EMSGSIZE'],
    [1, 'ENOTTY'],
    [0x1000, 'ENOTTY'],
    [0x1001, 'EMSGSIZE'],
  ])('a request of %i bytes ends with %s', async (bytes, code) => {
    const path = join(directory, 'file');
    await writeFile(path, 'not a device');
    const opened = openNsmDevice(addon, path);
    if (!opened.ok) throw new Error('a file can be opened');
    const device = opened.value;
    const asked = Promise.resolve().then(() => device.request(new Uint8Array(bytes)));
    await expect(asked).rejects.toMatchObject({ code });
  });

  it('takes bytes and a descriptor, and nothing else', () => {
    const ask = addon.nsmRequest as (...values: readonly unknown[]) => unknown;
    const bytes = new Uint8Array(8);
    for (const values of [
      [],
      [3],
      [3, null],
      [3, [1]],
      [3, new Uint16Array(8)],
      [3, new DataView(bytes.buffer)],
      [-1, bytes],
      [0.5, bytes],
      [2 ** 32, bytes],
      [Number.NaN, bytes],
      ['3', bytes],
    ]) {
      expect(() => ask(...values), JSON.stringify(values)).toThrow(
        expect.objectContaining({ code: 'EINVAL' }),
      );
    }
  });
});
