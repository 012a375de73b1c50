import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { DiskWatch } from '../../host-proxy/disk-watch.ts';
import type { LogFields, Logger } from '../../host-proxy/logger.ts';

const PLACES = [
  { name: 'state', directory: '/state' },
  { name: 'log', directory: '/log' },
] as const;

function listening(): { readonly logger: Logger; readonly lines: [string, LogFields][] } {
  const lines: [string, LogFields][] = [];
  const add = (event: string, fields: LogFields = {}): void => {
    lines.push([event, fields]);
  };
  return { logger: { debug: add, info: add, warn: add, error: add }, lines };
}

describe('disk watch', () => {
  it('names a disk below the mark, once, again after ten minutes, and when it is back', async () => {
    const { logger, lines } = listening();
    const free = new Map([
      ['/state', 1000],
      ['/log', 5000],
    ]);
    const freeBytes = (directory: string): Promise<number> =>
      Promise.resolve(free.get(directory) ?? 0);
    const watch = new DiskWatch({ places: PLACES, minFreeBytes: 1000, logger, freeBytes });
    await watch.look();
    expect(lines).toEqual([]);
    free.set('/state', 999);
    for (let look = 0; look < 60; look++) await watch.look();
    expect(lines).toEqual([
      [
        'disk_low',
        {
          place: 'state',
          folder: '/state',
          free_bytes: 999,
          min_free_bytes: 1000,
          next: expect.stringContaining('free space') as string,
        },
      ],
    ]);
    await watch.look();
    expect(lines.map(([event]) => event)).toEqual(['disk_low', 'disk_low']);
    free.set('/state', 1000);
    await watch.look();
    await watch.look();
    expect(lines.at(-1)).toEqual([
      'disk_space_back',
      { place: 'state', folder: '/state', free_bytes: 1000, min_free_bytes: 1000 },
    ]);
    expect(lines).toHaveLength(3);
  });

  it('passes over a disk that does not say, and looks at the other', async () => {
    const { logger, lines } = listening();
    await new DiskWatch({
      places: PLACES,
      minFreeBytes: 1,
      logger,
      freeBytes: (directory) =>
        directory === '/state' ? Promise.reject(new Error('ENOSYS')) : Promise.resolve(0),
    }).look();
    expect(lines).toMatchObject([['disk_low', { place: 'log' }]]);
  });

  it('asks the real file system', async () => {
    const { logger, lines } = listening();
    const places = [{ name: 'log', directory: tmpdir() }] as const;
    await new DiskWatch({ places, minFreeBytes: Number.MAX_SAFE_INTEGER, logger }).look();
    expect(lines).toMatchObject([['disk_low', { place: 'log' }]]);
    expect(lines[0]?.[1]['free_bytes']).toBeGreaterThan(0);
  });
});
