import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { CaptureOptions, CaptureParser } from '../../../host-proxy/feed/capture.ts';
import { readCapture } from '../../../host-proxy/feed/capture.ts';
import { accept, refuse } from '../../../wire/result.ts';

const directory = mkdtempSync(join(tmpdir(), 'trackseal-capture-'));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Understands `n<number>`, passes over `-`, refuses the rest. */
const parser: CaptureParser = {
  parse: (text, receiveTimeNs) => {
    if (text === '-') return accept(null);
    if (!/^n\d+ *$/u.test(text)) return refuse('capture_malformed', { field: 'json' });
    return accept({
      type: 'trade',
      instrument: 1,
      receiveTimeNs,
      exchangeTimeNs: null,
      id: Number(text.slice(1)),
      price: 1,
      quantity: 1,
      buyerTook: true,
    });
  },
};

async function read(
  content: Buffer | string,
  options: Partial<CaptureOptions> = {},
  name = 'capture.txt',
): Promise<unknown[]> {
  const path = join(directory, name);
  writeFileSync(path, content);
  return readPath(path, options);
}

/** Ids of events and details of refusals, in order. */
async function readPath(path: string, options: Partial<CaptureOptions> = {}): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const chunk of readCapture(path, parser, { onMalformed: 'continue', ...options })) {
    for (const event of chunk.events) seen.push(event.type === 'trade' ? event.id : event);
    for (const { code, detail } of chunk.refusals) {
      seen.push(`${code} ${Object.values(detail).join(' ')}`);
    }
  }
  return seen;
}

describe('capture', () => {
  it('reads lines with and without a last newline, plain and gzipped', async () => {
    expect(await read('1 n1\n2 -\n3 n3\n')).toEqual([1, 3]);
    expect(await read('1 n1\n2 n2')).toEqual([1, 2]);
    expect(await read(gzipSync('1 n1\n2 n2\n'), {}, 'capture.gz')).toEqual([1, 2]);
    expect(await read('')).toEqual([]);
  });

  it('reads lines that cross chunks', async () => {
    const lines = Array.from(
      { length: 60_000 },
      (_, index) => `${index.toString()} n${index.toString()}`,
    );
    const expected = lines.map((_, index) => index);
    expect(await read(lines.join('\n'))).toEqual(expected);
    expect(await read(gzipSync(lines.join('\n')), {}, 'long.gz')).toEqual(expected);
  });

  it.each([
    ['an empty line', ''],
    ['no time', 'n2'],
    ['a time with a sign', '-5 n2'],
    ['a time of 20 digits', '10000000000000000000 n2'],
    ['a time of 2^63', '9223372036854775808 n2'],
  ])('refuses %s with its number and goes on', async (_, line) => {
    expect(await read(`1 n1\n${line}\n3 n3\n`)).toEqual([1, 3, 'capture_malformed 2 time']);
  });

  it('stops at the first refusal when asked to', async () => {
    const content = '1 n1\n2 ?\n3 n3\n4 ?\n';
    expect(await read(content, { onMalformed: 'stop' })).toEqual([1, 'capture_malformed 2 json']);
    expect(await read(content)).toEqual([
      1,
      3,
      'capture_malformed 2 json',
      'capture_malformed 4 json',
    ]);
  });

  it.each([
    [9, [1, 2, 3]],
    [10, [1, 2, 3]],
    [11, [1, 'capture_malformed 2 length', 3]],
  ])('a line of %i bytes where 10 are allowed', async (bytes, expected) => {
    const content = `1 n1\n${'2 n2'.padEnd(bytes)}\n3 n3`;
    expect(await read(content, { maxLineBytes: 10 })).toEqual(expected);
  });

  it('does not keep a line that is far too long', async () => {
    const content = gzipSync(`1 n1\n2 ${'n'.repeat(30_000_000)}\n3 n3\n`);
    expect(await read(content, {}, 'bomb.gz')).toEqual([1, 'capture_malformed 2 length', 3]);
  });

  it('says when the file is damaged or missing', async () => {
    const whole = gzipSync(
      Array.from({ length: 5000 }, (_, index) => `${index.toString()} n${index.toString()}\n`).join(
        '',
      ),
    );
    const cut = await read(whole.subarray(0, whole.length - 1000), {}, 'cut.gz');
    expect(cut.at(-1)).toBe('file_unreadable ');
    expect(cut.length).toBeGreaterThan(10);
    expect(await readPath(join(directory, 'missing'))).toEqual(['file_unreadable ']);
    expect(await readPath(join(directory, 'missing.gz'))).toEqual(['file_unreadable ']);
    expect(await read('1 n1\n', {}, 'plain.gz')).toEqual(['file_unreadable ']);
  });
});
