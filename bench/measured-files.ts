// The real file system with a stop watch at each fdatasync: how long it took, and of which file. What is
// measured is what the host itself waits for, in the run that is reported.

import { performance } from 'node:perf_hooks';
import type { Files, OpenFile } from '../host-proxy/files.ts';
import { nodeFiles } from '../host-proxy/files.ts';

export interface Sync {
  readonly path: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** `syncs` grows with each fdatasync that has ended, in the order of their ends. */
export function measuredFiles(syncs: Sync[]): Files {
  return {
    ...nodeFiles,
    create: async (path) => {
      const file = await nodeFiles.create(path);
      const measured: OpenFile = {
        write: (bytes, position) => file.write(bytes, position),
        datasync: async () => {
          const startMs = performance.now();
          await file.datasync();
          syncs.push({ path, startMs, endMs: performance.now() });
        },
        sync: () => file.sync(),
        setMode: (mode) => file.setMode(mode),
        close: () => file.close(),
      };
      return measured;
    },
  };
}
