// A bug that is planted into a source as it is loaded, to see whether the fuzzer finds it.

import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT } from './coverage.ts';

export interface Plant {
  readonly target: string;
  /** What no longer holds. */
  readonly what: string;
  /** Found by the memory that is kept, not by an input. */
  readonly grows?: boolean;
  /** Path from the root. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly search: string;
  readonly replace: string;
}

/** Must be called before the file is loaded. */
export function plantBug({ file, search, replace }: Plant): void {
  const planted = pathToFileURL(join(ROOT, file)).href;
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (url !== planted) return loaded;
      const source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
      if (source.split(search).length !== 2) {
        throw new Error(`${file} must contain this once: ${search}`);
      }
      return { ...loaded, source: source.replace(search, () => replace) };
    },
  });
}
