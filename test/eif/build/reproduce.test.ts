import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compareImages } from '../../../eif/build/compare.ts';
import type { Circumstances, Place } from '../../../eif/build/elsewhere.ts';
import { run } from '../../../eif/commands/reproduce.ts';
import type { RamdiskEntry } from '../../../eif/ramdisk.ts';
import { encodeRamdisk } from '../../../eif/ramdisk.ts';
import type { EifParts } from '../../../eif/writer.ts';
import { encodeEif } from '../../../eif/writer.ts';
import { utf8 } from '../../../wire/bytes.ts';
import type { Result } from '../../../wire/result.ts';
import { accept, refuse } from '../../../wire/result.ts';
import { METADATA } from '../forge.ts';

const ENTRIES: readonly RamdiskEntry[] = [
  { type: 'directory', path: 'etc', mode: 0o755 },
  { type: 'file', path: 'etc/hosts', mode: 0o644, data: utf8('localhost') },
  { type: 'file', path: 'init', mode: 0o755, data: utf8('a program') },
];

function image(changes: Partial<EifParts> = {}): Uint8Array {
  return encodeEif({
    architecture: 'x86_64',
    kernel: utf8('kernel'),
    cmdline: utf8('quiet'),
    metadata: METADATA,
    ramdisks: [ramdisk(ENTRIES), ramdisk(ENTRIES)],
    signature: null,
    ...changes,
  });
}

function ramdisk(entries: readonly RamdiskEntry[], level = 9): Uint8Array {
  return new Uint8Array(gzipSync(encodeRamdisk(entries), { level }));
}

const second = (entries: readonly RamdiskEntry[]): Uint8Array =>
  image({ ramdisks: [ramdisk(ENTRIES), ramdisk(entries)] });

const [folder, hosts, init] = ENTRIES as [RamdiskEntry, RamdiskEntry, RamdiskEntry];

describe('two images', () => {
  it('are the same or not', () => {
    expect(compareImages(image(), image())).toBeNull();
  });

  it.each([
    ['a byte of a file', [folder, { ...hosts, data: utf8('localhosT') }, init], 'etc/hosts', 8],
    ['the end of a file', [folder, { ...hosts, data: utf8('localhost\n') }, init], 'etc/hosts', 9],
    ['a mode', [folder, hosts, { ...init, mode: 0o700 }], 'init', 0],
    ['a file more', [...ENTRIES, { ...init, path: 'sh' }], 'sh', 0],
    ['a file less', [folder, init], 'etc/hosts', 0],
  ] as const)('differ in %s', (_what, entries, file, offset) => {
    const difference = compareImages(image(), second(entries as readonly RamdiskEntry[]));
    expect(difference).toMatchObject({ section: 'ramdisk 2', file, offset });
  });

  it('differ in the compressor only', () => {
    const other = image({ ramdisks: [ramdisk(ENTRIES, 1), ramdisk(ENTRIES)] });
    expect(compareImages(image(), other)).toMatchObject({
      section: 'ramdisk 1',
      file: null,
      what: 'the same files, compressed differently',
    });
  });

  it.each([
    ['kernel', { kernel: utf8('kernal') }, 4],
    ['cmdline', { cmdline: utf8('quie') }, 4],
  ])('differ in the %s', (section, changes, offset) => {
    expect(compareImages(image(), image(changes))).toMatchObject({ section, file: null, offset });
  });

  it('differ where nothing can be read', () => {
    expect(compareImages(utf8('abc'), utf8('abd'))).toMatchObject({ section: 'file', offset: 2 });
    const cut = image().subarray(0, 700);
    expect(compareImages(image(), cut)).toMatchObject({ section: 'file', offset: 700 });
  });
});

const CIRCUMSTANCES: Circumstances = {
  folder: '/',
  user: '0',
  umask: '022',
  timeZone: 'UTC',
  locale: 'C',
  processors: '1',
  times: 'now',
};

function place(built: Result<Uint8Array>): Place {
  return { circumstances: CIRCUMSTANCES, build: () => Promise.resolve(built) };
}

async function reproduce(
  first: Result<Uint8Array>,
  other: Result<Uint8Array> | Error,
  args: readonly string[] = ['--json'],
): Promise<{ exitCode: number; json: Record<string, unknown>; stderr: string }> {
  let [stdout, stderr] = ['', ''];
  const io = {
    stdout: (text: string): void => void (stdout += text),
    stderr: (text: string): void => void (stderr += text),
    isTerminal: false,
    env: {},
  };
  const exitCode = await run(args, io, () => ({
    first: place(first),
    second: () => (other instanceof Error ? Promise.reject(other) : Promise.resolve(place(other))),
  }));
  return {
    exitCode,
    json: JSON.parse(stdout === '' ? '{}' : stdout) as Record<string, unknown>,
    stderr,
  };
}

describe('trackseal image reproduce', () => {
  it('ends with 0 for the same bytes', async () => {
    const { exitCode, json } = await reproduce(accept(image()), accept(image()));
    expect(exitCode).toBe(0);
    expect(json).toMatchObject({ verdict: 'same', builds: [CIRCUMSTANCES, CIRCUMSTANCES] });
    expect(json['Measurements']).toMatchObject({ PCR0: expect.stringMatching(/^[0-9a-f]{96}$/u) });
  });

  it('ends with 1 for other bytes, and names the file', async () => {
    const planted = second([folder, { ...hosts, data: utf8('localhosT') } as RamdiskEntry, init]);
    const { exitCode, json, stderr } = await reproduce(accept(image()), accept(planted));
    expect(exitCode).toBe(1);
    expect(json).toMatchObject({
      verdict: 'refused',
      code: 'image_differs',
      detail: { section: 'ramdisk 2', file: 'etc/hosts', offset: 8 },
    });
    expect(stderr).toContain('etc/hosts');
  });

  it.each([
    ['the first build', refuse('build_failed', { step: 'planted' }), accept(image())],
    ['the second build', accept(image()), refuse('input_changed', { input: 'planted' })],
    ['its place', accept(image()), new Error('no space left')],
  ])('ends with 2 when %s fails', async (_what, first, other) => {
    const { exitCode, json } = await reproduce(first, other);
    expect(exitCode).toBe(2);
    expect(json).toMatchObject({ verdict: 'undecided' });
  });

  it('ends with 2 for unknown options', async () => {
    const { exitCode } = await reproduce(accept(image()), accept(image()), ['--json', '--twice']);
    expect(exitCode).toBe(2);
  });
});
