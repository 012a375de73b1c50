import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run as describeImage } from '../../eif/commands/describe.ts';
import { run as signImage } from '../../eif/commands/sign.ts';
import { run as verifyImage } from '../../eif/commands/verify.ts';
import type { CommandIo } from '../../verifier/io.ts';
import type { SigningPair } from './forge.ts';
import { forgeEif, signingPair, SOUND } from './forge.ts';

interface Outcome {
  readonly exitCode: number;
  readonly json: Readonly<Record<string, unknown>>;
  readonly stderr: string;
}

type Run = (args: readonly string[], io: CommandIo) => Promise<number>;

async function runJson(run: Run, args: readonly string[]): Promise<Outcome> {
  let [stdout, stderr] = ['', ''];
  const exitCode = await run([...args, '--json'], {
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    isTerminal: false,
    env: {},
  });
  return { exitCode, json: stdout === '' ? {} : (JSON.parse(stdout) as Outcome['json']), stderr };
}

let directory: string;
let pair: SigningPair;
const path = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trackseal-eif-'));
  pair = await signingPair('P-384');
  await writeFile(path('image.eif'), forgeEif({ sections: SOUND }));
  await writeFile(path('key.pem'), pair.keyPem);
  await writeFile(path('certificate.pem'), pair.certificatePem);
  const { json } = await runJson(describeImage, [path('image.eif')]);
  await writeFile(path('measurements.json'), JSON.stringify(json));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe('trackseal image', () => {
  it('verifies an image against the measurements that describe has printed', async () => {
    const args = [path('image.eif'), '--measurements', path('measurements.json')];
    const { exitCode, json } = await runJson(verifyImage, args);
    expect(exitCode).toBe(0);
    expect(json['verdict']).toBe('verified');
  });

  it('refuses an image in which a byte moved from one measured section to the next', async () => {
    // The same joined content, so the same PCR0, PCR1 and PCR2: only the file's digest tells.
    const sections = SOUND.with(0, { type: 1, data: Buffer.from('kernelc') }).with(1, {
      type: 2,
      data: Buffer.from('onsole=ttyS0'),
    });
    await writeFile(path('shifted.eif'), forgeEif({ sections }));
    const args = [path('shifted.eif'), '--measurements', path('measurements.json')];
    expect((await runJson(verifyImage, args)).exitCode).toBe(0);
    const original = await runJson(describeImage, [path('image.eif')]);
    const sha256 = String(original.json['sha256']);
    const pinned = await runJson(verifyImage, [...args, '--sha256', sha256]);
    expect(pinned.exitCode).toBe(1);
    expect(pinned.json['code']).toBe('eif_digest');
  });

  it('refuses another application', async () => {
    const sections = SOUND.with(4, { type: 3, data: Buffer.from('another') });
    await writeFile(path('other.eif'), forgeEif({ sections }));
    const args = [path('other.eif'), '--measurements', path('measurements.json')];
    const { exitCode, json, stderr } = await runJson(verifyImage, args);
    expect(exitCode).toBe(1);
    expect(json['code']).toBe('eif_measurements');
    expect(stderr).toContain('next');
  });

  it('signs, and verifies the signer', async () => {
    const key = ['--key', path('key.pem'), '--certificate', path('certificate.pem')];
    const signed = await runJson(signImage, [path('image.eif'), ...key, '-o', path('signed.eif')]);
    expect(signed.exitCode).toBe(0);
    const signer = signed.json['signer'] as { certificateSha256: string };
    const args = ['--measurements', path('measurements.json')];
    const named = [...args, '--certificate-sha256', signer.certificateSha256];
    expect((await runJson(verifyImage, [path('signed.eif'), ...named])).exitCode).toBe(0);
    const unsigned = await runJson(verifyImage, [path('image.eif'), ...named]);
    expect(unsigned.json['code']).toBe('eif_signature_missing');
    const stranger = [...args, '--certificate-sha256', '0'.repeat(64)];
    const other = await runJson(verifyImage, [path('signed.eif'), ...stranger]);
    expect(other.json['code']).toBe('eif_certificate');
  });

  it('shows what is left of a damaged file, and exits with 1', async () => {
    const file = new Uint8Array(await readFile(path('image.eif')));
    file[file.length - 1] = 0;
    await writeFile(path('damaged.eif'), file);
    const { exitCode, json } = await runJson(describeImage, [path('damaged.eif')]);
    expect(exitCode).toBe(1);
    expect(json['faults']).toEqual(['eif_crc']);
    expect(json['Measurements']).toBeDefined();
  });

  it('cannot decide without a file', async () => {
    const { exitCode, json } = await runJson(describeImage, [path('nothing.eif')]);
    expect(exitCode).toBe(2);
    expect(json['code']).toBe('file_unreadable');
  });
});
