import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskFailure } from '../../host-proxy/files.ts';
import type { Files } from '../../host-proxy/files.ts';
import { MARK_AFTER_MS, readSpool, Spool } from '../../host-proxy/spool.ts';
import type { SpoolEnd } from '../../host-proxy/spool.ts';
import type { Result } from '../../wire/result.ts';
import { Crash, MemoryFiles } from '../helpers/memory-files.ts';
import { randomPicks } from '../helpers/random.ts';

const DIRECTORY = '/spool/0000000001';
const SEGMENT_BYTES = 512;

function payloadOf(number: number, bytes = 40): Uint8Array {
  return new Uint8Array(bytes).fill(number + 1);
}

function readAll(files: Files): { payloads: Uint8Array[]; end: Result<SpoolEnd> } {
  const payloads: Uint8Array[] = [];
  const reader = readSpool(files, DIRECTORY);
  for (;;) {
    const next = reader.next();
    if (next.done === true) return { payloads, end: next.value };
    payloads.push(next.value.slice());
  }
}

/** Appends one after the other, so that each is a group of its own; answers what was acknowledged. */
async function appendEach(
  files: Files,
  count: number,
  { bytes, close = true }: { readonly bytes?: number; readonly close?: boolean } = {},
): Promise<number> {
  let acknowledged = 0;
  try {
    const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
    for (let number = 0; number < count; number++) {
      await spool.append(payloadOf(number, bytes));
      acknowledged++;
    }
    if (close) await spool.close();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
  return acknowledged;
}

function path(segment: number): string {
  return `${DIRECTORY}/000000000${segment}`;
}

function flip(at: number): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
}

describe('spool', () => {
  it('gives back what was appended, over several segments', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 30);
    const { payloads, end } = readAll(files);
    expect(payloads).toEqual(Array.from({ length: 30 }, (_, number) => payloadOf(number)));
    expect(end).toEqual({ ok: true, value: { records: 30, cutBytes: 0 } });
    expect(files.list(DIRECTORY).length).toBeGreaterThan(3);
  });

  it('answers positions that read back while it is open', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
    const positions = await Promise.all(
      Array.from({ length: 20 }, (_, number) => spool.append(payloadOf(number))),
    );
    positions.forEach((position, number) => {
      expect(spool.read(position)).toEqual(payloadOf(number));
    });
  });

  it('answers no record that is not as it was written', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
    const position = await spool.append(payloadOf(0));
    for (let at = 0; at < 56; at++) {
      files.onRead = (_, bytes) => bytes.with(at, (bytes[at] ?? 0) ^ 1);
      expect(() => spool.read(position)).toThrow(DiskFailure);
    }
    files.onRead = (_, bytes) => bytes.slice(1);
    expect(() => spool.read(position)).toThrow('EBADMSG');
  });

  it('takes a record that is larger than a segment', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 3, { bytes: SEGMENT_BYTES * 2 });
    expect(readAll(files).payloads).toHaveLength(3);
  });

  it('shares one sync among all that arrived while a sync was running', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, DIRECTORY, 64 * 1024);
    const gate = Promise.withResolvers<null>();
    files.beforeSync = async () => {
      await gate.promise;
    };
    const appended = Array.from({ length: 50 }, (_, number) => spool.append(payloadOf(number)));
    gate.resolve(null);
    await Promise.all(appended);
    expect(spool.counters).toMatchObject({ records: 50, groups: 2 });
    expect(files.trace.filter((line) => line.startsWith('fdatasync'))).toHaveLength(2);
  });

  it('keeps every acknowledged record when all unsynced writes are lost, at any moment', async () => {
    const whole = new MemoryFiles();
    await appendEach(whole, 12);
    for (let crashAt = 0; crashAt <= whole.operations; crashAt++) {
      const files = new MemoryFiles();
      files.crashAt = crashAt;
      const acknowledged = await appendEach(files, 12);
      for (const survival of ['nothing', 'everything', randomPicks(crashAt)] as const) {
        const { payloads, end } = readAll(files.afterCrash(survival));
        expect(end.ok).toBe(true);
        expect(payloads.length).toBeGreaterThanOrEqual(acknowledged);
        payloads.forEach((payload, number) => {
          expect(payload).toEqual(payloadOf(number));
        });
      }
    }
  });

  it('keeps every acknowledged record when groups of several records are torn', async () => {
    for (let seed = 0; seed < 300; seed++) {
      const pick = randomPicks(seed);
      const files = new MemoryFiles();
      files.crashAt = 5 + pick(40);
      let acknowledged = 0;
      try {
        const spool = await Spool.create(files, DIRECTORY, 2048);
        for (let number = 0; number < 60;) {
          const together = 1 + pick(6);
          await Promise.all(
            Array.from({ length: together }, (_, at) =>
              spool.append(payloadOf(number + at, 30 + ((number + at) % 90))),
            ),
          );
          number += together;
          acknowledged = number;
        }
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      }
      const { payloads, end } = readAll(files.afterCrash(pick));
      expect({ seed, ok: end.ok, kept: payloads.length >= acknowledged }).toEqual({
        seed,
        ok: true,
        kept: true,
      });
    }
  });

  it('cuts a last record that ends at any of its bytes, and says so', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 3, { close: false });
    const [begin, end] = [2 * 56, 3 * 56];
    for (let cut = begin; cut < end; cut++) {
      const shorter = files.afterCrash('everything');
      shorter.damage(path(0), (bytes) => bytes.slice(0, cut));
      const zeroed = files.afterCrash('everything');
      zeroed.damage(path(0), (bytes) => bytes.fill(0, cut));
      for (const [name, damaged] of Object.entries({ shorter, zeroed })) {
        const { payloads, end: result } = readAll(damaged);
        expect([name, cut, payloads.length]).toEqual([name, cut, 2]);
        // Zeros at the end cannot be told from what was never written.
        const zeros =
          damaged
            .readAt(path(0), begin, cut - begin)
            ?.toReversed()
            .findIndex(Boolean) ?? 0;
        expect(result).toEqual({
          ok: true,
          value: { records: 2, cutBytes: cut - begin - Math.max(zeros, 0) },
        });
      }
    }
  });

  it('cuts a last record with any flipped byte while nothing is behind it', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 3, { close: false });
    for (let at = 2 * 56; at < 3 * 56; at++) {
      const damaged = files.afterCrash('everything');
      damaged.damage(`${DIRECTORY}/0000000000`, (bytes) => {
        bytes[at] = (bytes[at] ?? 0) ^ 0x40;
        return bytes;
      });
      const { payloads, end } = readAll(damaged);
      expect(payloads).toHaveLength(2);
      expect(end).toEqual({ ok: true, value: { records: 2, cutBytes: 56 } });
    }
  });

  it('refuses any damage once it is closed: the mark says that all of it was synced', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 3);
    expect(readAll(files).payloads).toHaveLength(3);
    for (let at = 0; at < 3 * 56; at++) {
      const damaged = files.afterCrash('nothing');
      damaged.damage(path(0), flip(at));
      const { end } = readAll(damaged);
      expect([at, end.ok ? 'accepted' : end.refusal.code]).toEqual([at, 'spool_corrupt']);
    }
    // A mark that is damaged itself hides nothing.
    for (let at = 3 * 56; at < 3 * 56 + 16; at++) {
      const damaged = files.afterCrash('nothing');
      damaged.damage(path(0), flip(at));
      const { payloads, end } = readAll(damaged);
      expect([at, payloads.length, end.ok]).toEqual([at, 3, true]);
    }
  });

  describe('when nothing more comes', () => {
    beforeEach(() => {
      vi.useFakeTimers();
    });
    afterEach(() => {
      vi.useRealTimers();
    });

    it('marks the last group, durably, and goes on over the mark', async () => {
      const files = new MemoryFiles();
      const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
      const appendAll = async (): Promise<void> => {
        for (let number = 0; number < 30; number++) {
          await spool.append(payloadOf(number));
          // After every third record it is idle for long enough.
          if (number % 3 === 2) await vi.advanceTimersByTimeAsync(MARK_AFTER_MS);
          const { payloads, end } = readAll(files.afterCrash('nothing'));
          expect([payloads.length, end.ok]).toEqual([number + 1, true]);
          const damaged = files.afterCrash('nothing');
          const last = `${DIRECTORY}/${damaged.list(DIRECTORY).at(-1) ?? ''}`;
          const segment = (damaged.readFile(last, 1 << 20) ?? []).some(Boolean)
            ? last
            : `${DIRECTORY}/${damaged.list(DIRECTORY).at(-2) ?? ''}`;
          damaged.damage(segment, (bytes) =>
            bytes.fill(7, (number % 9) * 56, (number % 9) * 56 + 20),
          );
          expect([number, readAll(damaged).end.ok]).toEqual([
            number,
            number % 3 !== 2 || number % 9 === 8,
          ]);
        }
      };
      await appendAll();
      await spool.close();
      expect(readAll(files).payloads).toHaveLength(30);
    });

    it('takes what comes while it writes the mark', async () => {
      const files = new MemoryFiles();
      const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
      await spool.append(payloadOf(0));
      const gate = Promise.withResolvers<null>();
      files.beforeSync = async () => {
        await gate.promise;
      };
      await vi.advanceTimersByTimeAsync(MARK_AFTER_MS);
      const appended = [spool.append(payloadOf(1)), spool.append(payloadOf(2))];
      gate.resolve(null);
      await Promise.all(appended);
      await spool.close();
      expect(readAll(files).payloads).toEqual([0, 1, 2].map((number) => payloadOf(number)));
    });

    it('is dead when the mark cannot be synced', async () => {
      const files = new MemoryFiles();
      const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
      await spool.append(payloadOf(0));
      files.fault = { operation: 'fdatasync', at: 1, systemCode: 'EIO' };
      await vi.advanceTimersByTimeAsync(MARK_AFTER_MS);
      await expect(spool.append(payloadOf(1))).rejects.toThrow('EIO');
      await expect(spool.close()).rejects.toThrow(DiskFailure);
    });
  });

  it('loses nothing of a crash between any two operations, marks among them', async () => {
    for (let seed = 0; seed < 300; seed++) {
      const pick = randomPicks(seed);
      const files = new MemoryFiles();
      files.crashAt = 5 + pick(60);
      let acknowledged = 0;
      vi.useFakeTimers();
      try {
        const spool = await Spool.create(files, DIRECTORY, 2048);
        for (; acknowledged < 30; acknowledged++) {
          await spool.append(payloadOf(acknowledged, 30 + pick(600)));
          if (pick(2) === 0) await vi.advanceTimersByTimeAsync(MARK_AFTER_MS);
        }
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
      } finally {
        vi.useRealTimers();
      }
      const { payloads, end } = readAll(files.afterCrash(pick));
      expect({ seed, ok: end.ok, kept: payloads.length >= acknowledged }).toEqual({
        seed,
        ok: true,
        kept: true,
      });
    }
  });

  it('refuses damage in front of an acknowledged record', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 20);
    const damages: [string, (disk: MemoryFiles) => void][] = Array.from({ length: 56 }, (_, at) => [
      `flipped byte ${at} of the second record`,
      (disk) => {
        disk.damage(path(0), flip(56 + at));
      },
    ]);
    damages.push(
      ['zeroed first record', (disk) => disk.damage(path(0), (bytes) => bytes.fill(0, 0, 56))],
      [
        'zeroed last record of a segment',
        (disk) => disk.damage(path(0), (bytes) => bytes.fill(0, 8 * 56)),
      ],
      ['segment cut short', (disk) => disk.damage(path(0), (bytes) => bytes.slice(0, 100))],
      ['empty segment', (disk) => disk.damage(path(1), () => new Uint8Array())],
      ['flip in the last record of a segment', (disk) => disk.damage(path(1), flip(8 * 56 + 20))],
    );
    for (const [name, damage] of damages) {
      const damaged = files.afterCrash('everything');
      damage(damaged);
      const { end } = readAll(damaged);
      expect([name, end.ok ? 'accepted' : end.refusal.code]).toEqual([name, 'spool_corrupt']);
    }
  });

  it('refuses damage in front of an acknowledged record of the same segment', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 3);
    for (let at = 0; at < 2 * 56; at++) {
      const damaged = files.afterCrash('everything');
      damaged.damage(path(0), flip(at));
      const { end } = readAll(damaged);
      expect([at, end.ok ? 'accepted' : end.refusal.code]).toEqual([at, 'spool_corrupt']);
    }
  });

  it('refuses a damaged end of a segment when the next one has been written to', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 10);
    files.damage(path(0), flip(8 * 56 + 20));
    files.damage(path(1), flip(20));
    const { end } = readAll(files);
    expect(end).toMatchObject({ ok: false, refusal: { code: 'spool_corrupt' } });
  });

  it('refuses a missing segment', async () => {
    const files = new MemoryFiles();
    await appendEach(files, 30);
    await files.removeFile(`${DIRECTORY}/0000000001`);
    const { end } = readAll(files);
    expect(end).toMatchObject({ ok: false, refusal: { code: 'spool_corrupt' } });
  });

  it.each([
    ['fdatasync', 'EIO'],
    ['write', 'ENOSPC'],
  ])('is dead after a failed %s: nothing is acknowledged or retried', async (operation, code) => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, DIRECTORY, 64 * 1024);
    const before = files.trace.filter((line) => line.startsWith(operation)).length;
    await spool.append(payloadOf(0));
    files.fault = { operation, at: before + 1, systemCode: code };
    const waiting = [spool.append(payloadOf(1)), spool.append(payloadOf(2))];
    const results = await Promise.allSettled(waiting);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const operations = files.operations;
    await expect(spool.append(payloadOf(3))).rejects.toThrow(code);
    await expect(spool.close()).rejects.toThrow(DiskFailure);
    expect(files.operations).toBe(operations);
    expect(readAll(files.afterCrash('nothing')).payloads).toEqual([payloadOf(0)]);
  });

  it('fails an append when the disk is full, and keeps what was acknowledged', async () => {
    const files = new MemoryFiles();
    const spool = await Spool.create(files, DIRECTORY, SEGMENT_BYTES);
    files.capacityBytes = 3 * SEGMENT_BYTES;
    let acknowledged = 0;
    const appendAll = async (): Promise<void> => {
      for (; acknowledged < 100; acknowledged++) await spool.append(payloadOf(acknowledged));
    };
    await expect(appendAll()).rejects.toMatchObject({ systemCode: 'ENOSPC' });
    expect(acknowledged).toBe(27);
    expect(readAll(files.afterCrash('nothing')).payloads).toHaveLength(27);
  });
});
