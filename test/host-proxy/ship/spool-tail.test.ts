import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DiskFailure } from '../../../host-proxy/files.ts';
import { SpoolTail } from '../../../host-proxy/ship/spool-tail.ts';
import { MARK_AFTER_MS, Spool } from '../../../host-proxy/spool.ts';
import { MAX_LOG_OUT_BYTES } from '../../../wire/limits.ts';
import { MemoryFiles } from '../../helpers/memory-files.ts';

const SEGMENT_BYTES: number = 8 * 1024;

function payloadOf(number: number, bytes: number): Uint8Array {
  return new Uint8Array(bytes).fill(number + 1);
}

function tailOf(files: MemoryFiles, directory = '/spool'): SpoolTail {
  return new SpoolTail(files, () => (files.isDirectory(directory) ? directory : null));
}

describe('the tail of a spool', () => {
  it('gives every record once and in order, while the spool is written and afterwards', async () => {
    const step = fc.record({
      // Groups of one and of several, over the ends of segments and of what is read at once.
      bytes: fc.array(fc.oneof(fc.integer({ min: 1, max: 900 }), fc.constant(SEGMENT_BYTES)), {
        minLength: 1,
        maxLength: 5,
      }),
      reads: fc.integer({ min: 0, max: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 20 }), async (steps) => {
        const files = new MemoryFiles();
        const spool = await Spool.create(files, '/spool', SEGMENT_BYTES);
        const tail = tailOf(files);
        const written: Uint8Array[] = [];
        const read: Uint8Array[] = [];
        for (const { bytes, reads } of steps) {
          const payloads = bytes.map((length, at) => payloadOf(written.length + at, length));
          await Promise.all(payloads.map((payload) => spool.append(payload)));
          written.push(...payloads);
          for (let left = reads; left > 0 && read.length < written.length; left--) {
            read.push(tail.next());
          }
        }
        await spool.close();
        while (read.length < written.length) read.push(tail.next());
        expect(read).toEqual(written);
        expect(tail.records).toBe(written.length);
      }),
      { numRuns: 50 },
    );
  });

  it('reads over a mark that a later group has overwritten', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, '/spool', SEGMENT_BYTES);
    const tail = tailOf(files);
    await spool.append(payloadOf(0, 10));
    await new Promise((resolve) => setTimeout(resolve, 3 * MARK_AFTER_MS));
    // What is read with it has the mark behind it.
    expect(tail.next()).toEqual(payloadOf(0, 10));
    await spool.append(payloadOf(1, 20));
    expect(tail.next()).toEqual(payloadOf(1, 20));
    await spool.close();
  });

  it('reads a commit of the largest size', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, '/spool', SEGMENT_BYTES);
    await spool.append(payloadOf(0, 5));
    await spool.append(payloadOf(1, MAX_LOG_OUT_BYTES));
    await spool.append(payloadOf(2, 5));
    await spool.close();
    const tail = tailOf(files);
    expect([tail.next(), tail.next(), tail.next()].map(({ length }) => length)).toEqual([
      5,
      MAX_LOG_OUT_BYTES,
      5,
    ]);
  });

  it('finds the spool where it is after it was settled', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, '/spool', SEGMENT_BYTES);
    for (let number = 0; number < 30; number++) await spool.append(payloadOf(number, 700));
    await spool.close();
    const tail = new SpoolTail(files, () => (files.isDirectory('/spool') ? '/spool' : '/settled'));
    for (let number = 0; number < 5; number++) expect(tail.next()[0]).toBe(number + 1);
    await files.rename('/spool', '/settled');
    for (let number = 5; number < 30; number++) expect(tail.next()[0]).toBe(number + 1);
  });

  it('fails on a record that is damaged or not there, and does not skip it', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, '/spool', SEGMENT_BYTES);
    for (let number = 0; number < 30; number++) await spool.append(payloadOf(number, 700));
    await spool.close();
    files.damage('/spool/0000000000', (bytes) => {
      const damaged = bytes.slice();
      damaged[2000] = 0;
      return damaged;
    });
    const tail = tailOf(files);
    expect([tail.next()[0], tail.next()[0]]).toEqual([1, 2]);
    expect(() => tail.next()).toThrow(DiskFailure);
    expect(() => tail.next()).toThrow(DiskFailure);
    expect(() => tailOf(files, '/nowhere').next()).toThrow(DiskFailure);
  });
});
