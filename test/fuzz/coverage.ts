// Which code ran, block by block, as V8 counts it. Must be started before the sources are loaded, because
// functions that are optimised before are not counted. A take resets the counters.

import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import type { Profiler } from 'node:inspector';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const ROOT: string = join(import.meta.dirname, '..', '..');

/** What one file has and what of it ran. */
export interface FileCoverage {
  readonly file: string;
  /** One byte for each character: 1 where it ran. */
  readonly ran: Uint8Array;
  /** [start, end, ran] */
  readonly functions: readonly (readonly [number, number, boolean])[];
  readonly blocks: readonly (readonly [number, number, boolean])[];
}

export interface Taken {
  /** Characters of code that had not run before, as far as was merged. */
  readonly fresh: number;
  /** Blocks of our own sources that were executed, each time counted. */
  readonly steps: number;
  /** From now on this is nothing new. */
  readonly merge: () => void;
}

const KEY_SHIFT = 2 ** 24;

class Watched {
  readonly file: string;
  readonly ran: Uint8Array;
  readonly #taken: Uint8Array;
  readonly #functions = new Set<number>();
  readonly #blocks = new Set<number>();

  constructor(file: string) {
    this.file = file;
    const { length } = readFileSync(join(ROOT, file), 'utf8');
    this.ran = new Uint8Array(length);
    this.#taken = new Uint8Array(length);
  }

  /** Characters that ran for the first time. */
  take(functions: readonly Profiler.FunctionCoverage[]): readonly number[] {
    const taken = this.#taken.fill(0);
    // Outer ranges come before the ones inside.
    for (const { ranges } of functions) {
      for (const [index, { startOffset, endOffset, count }] of ranges.entries()) {
        taken.fill(count > 0 ? 1 : 0, startOffset, endOffset);
        const key = startOffset * KEY_SHIFT + endOffset;
        this.#blocks.add(key);
        if (index === 0) this.#functions.add(key);
      }
    }
    const fresh: number[] = [];
    for (let at = 0; at < taken.length; at++) {
      if (taken[at] === 1 && this.ran[at] === 0) fresh.push(at);
    }
    return fresh;
  }

  merge(fresh: readonly number[]): void {
    for (const at of fresh) this.ran[at] = 1;
  }

  report(): FileCoverage {
    const list = (keys: Set<number>): [number, number, boolean][] =>
      Array.from(keys, (key): [number, number, boolean] => {
        const start = Math.floor(key / KEY_SHIFT);
        return [start, key % KEY_SHIFT, this.ran[start] === 1];
      });
    const { file, ran } = this;
    return { file, ran: ran.slice(), functions: list(this.#functions), blocks: list(this.#blocks) };
  }
}

export class Coverage {
  readonly #session = new Session();
  readonly #watched = new Map<string, Watched>();
  readonly #own = pathToFileURL(ROOT).href;

  private constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  static start(): Coverage {
    return new Coverage();
  }

  watch(files: readonly string[]): void {
    for (const file of files) {
      this.#watched.set(pathToFileURL(join(ROOT, file)).href, new Watched(file));
    }
  }

  /** What ran since the last take. */
  take(): Taken {
    const news: { readonly watched: Watched; readonly fresh: readonly number[] }[] = [];
    let steps = 0;
    for (const { url, functions } of this.#read()) {
      const watched = this.#watched.get(url);
      if (watched === undefined && !this.#isOwn(url)) continue;
      for (const { ranges } of functions) for (const { count } of ranges) steps += count;
      const fresh = watched?.take(functions) ?? [];
      if (watched !== undefined && fresh.length > 0) news.push({ watched, fresh });
    }
    const merge = (): void => {
      for (const { watched, fresh } of news) watched.merge(fresh);
    };
    const total = news.reduce((sum, { fresh }) => sum + fresh.length, 0);
    return { fresh: total, steps, merge };
  }

  /** Forgets what ran, to see what single inputs reach. */
  reset(): void {
    this.take();
    for (const { ran } of this.#watched.values()) ran.fill(0);
  }

  report(): readonly FileCoverage[] {
    return Array.from(this.#watched.values(), (watched) => watched.report());
  }

  /** A source of the product. */
  #isOwn(url: string): boolean {
    return url.startsWith(this.#own) && !url.includes('/test/') && !url.includes('node_modules');
  }

  #read(): readonly Profiler.ScriptCoverage[] {
    let taken: readonly Profiler.ScriptCoverage[] = [];
    // The answer comes before `post` returns.
    this.#session.post('Profiler.takePreciseCoverage', (error, { result }) => {
      if (error !== null) throw error;
      taken = result;
    });
    return taken;
  }

  #post(method: string, parameters?: object): void {
    this.#session.post(method, parameters, (error) => {
      if (error !== null) throw error;
    });
  }
}
