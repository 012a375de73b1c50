// The verifier's memory of log heads, per origin. A log can only be seen to be rewritten by somebody who
// remembers what it was: every head that was seen, in a document or a log, must lie in every later tree
// of that origin. Heads from documents cannot be linked until a log is read, so several are kept.
// Trusts its own file; whoever can write there can make us forget.
//
//   { "version": 1, "origins": { "<origin>": { "log_key": SHA-256 of the SPKI, hex,
//                                              "heads": [ { "size", "root": hex, "seen_ms" } ] } } }

import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { equalBytes, parseHex, toHex } from '../wire/bytes.ts';
import { parseOrigin } from '../wire/header.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import { lockHeads } from './heads-lock.ts';
import type { CommandIo } from './io.ts';
import { readSmallFile } from './small-file.ts';

const MAX_FILE_BYTES: number = 16 * 1024 * 1024;
/** Unlinked heads of one origin. Beyond it the oldest stays, and the ones after it go first. */
const MAX_HEADS = 64;
/** With 64 heads each the file stays below its maximum. */
const MAX_ORIGINS = 1024;

export interface SeenHead {
  readonly origin: string;
  /** SHA-256 of the log key's SPKI. */
  readonly logKeyHash: Uint8Array;
  readonly size: number;
  readonly root: Uint8Array;
}

export interface RememberedHead {
  readonly size: number;
  readonly root: Uint8Array;
  /** By the verifier's clock. */
  readonly seenMs: number;
}

interface Remembered {
  readonly logKeyHash: Uint8Array;
  /** Ascending by size. */
  readonly heads: readonly RememberedHead[];
}

const hash = z.string().regex(/^[0-9a-f]{64}$/u);
const schema = z.strictObject({
  version: z.literal(1),
  origins: z.record(
    z.string().regex(/^[!-~]{1,96}$/u),
    z.strictObject({
      log_key: hash,
      heads: z
        .array(z.strictObject({ size: z.int().min(0), root: hash, seen_ms: z.int().min(0) }))
        .max(MAX_HEADS),
    }),
  ),
});

export class HeadMemory {
  readonly #path: string | null;
  readonly #origins: Map<string, Remembered>;
  #changed = false;

  private constructor(path: string | null, origins: Map<string, Remembered>) {
    this.#path = path;
    this.#origins = origins;
  }

  /** A missing file is an empty memory, an unreadable one is refused; null forgets everything. */
  static async load(path: string | null): Promise<Result<HeadMemory>> {
    if (path === null) return accept(new HeadMemory(null, new Map()));
    const bytes = await readSmallFile(path, MAX_FILE_BYTES);
    if (!bytes.ok) {
      const missing = bytes.refusal.detail['system'] === 'ENOENT';
      return missing ? accept(new HeadMemory(path, new Map())) : bytes;
    }
    const parsed = schema.safeParse(parseJson(Buffer.from(bytes.value).toString('utf8')));
    if (!parsed.success) return refuse('file_unreadable', { path, what: 'not a memory of heads' });
    const origins = new Map<string, Remembered>();
    for (const [origin, entry] of Object.entries(parsed.data.origins)) {
      const heads = entry.heads.map(({ size, root, seen_ms: seenMs }) => ({
        size,
        root: fromHex(root),
        seenMs,
      }));
      heads.sort((a, b) => a.size - b.size);
      origins.set(origin, { logKeyHash: fromHex(entry.log_key), heads });
    }
    return accept(new HeadMemory(path, origins));
  }

  /**
   * Runs `work` over the memory as it is on the disk now, and saves what it has remembered; no other
   * verifier writes in between. Nothing is saved when `work` refuses.
   */
  static async update<T>(
    path: string | null,
    work: (memory: HeadMemory) => Result<T>,
  ): Promise<Result<T>> {
    const lock = path === null ? null : await lockHeads(path);
    if (lock?.ok === false) return lock;
    try {
      const memory = await HeadMemory.load(path);
      if (!memory.ok) return memory;
      const done = work(memory.value);
      if (!done.ok || !memory.value.#changed) return done;
      const saved = await memory.value.save().then(() => accept(null), refuseWriting);
      return saved.ok ? done : saved;
    } finally {
      lock?.value.release();
    }
  }

  /** Heads that a tree of this origin must contain, ascending by size. */
  heads(origin: string): readonly RememberedHead[] {
    return this.#origins.get(origin)?.heads ?? [];
  }

  origins(): readonly string[] {
    return [...this.#origins.keys()];
  }

  /** Numbers of the remembered epochs of this origin's log. */
  epochs(origin: string): readonly number[] {
    const logId = parseOrigin(origin)?.logId;
    return this.origins().flatMap((other) => {
      const parsed = parseOrigin(other);
      return parsed !== null && parsed.logId === logId ? [parsed.epoch] : [];
    });
  }

  /** For an epoch that is offered as the newest: `rollback` when a later one is remembered. */
  checkNewest(origin: string): Result<null> {
    const latest = Math.max(0, ...this.epochs(origin));
    const actual = parseOrigin(origin)?.epoch ?? 0;
    return latest > actual
      ? refuse('rollback', { what: 'epoch', expected: latest, actual })
      : accept(null);
  }

  /** `fork` for another key or another root of the same size, `rollback` for an older head. */
  check(head: SeenHead): Result<null> {
    const agrees = this.checkFork(head);
    if (!agrees.ok) return agrees;
    const last = this.heads(head.origin).at(-1);
    if (last !== undefined && head.size < last.size) {
      return refuse('rollback', { expected: last.size, actual: head.size, seen_ms: last.seenMs });
    }
    return accept(null);
  }

  /** `fork` only: for a head that may well be an old one. */
  checkFork(head: SeenHead): Result<null> {
    const known = this.#origins.get(head.origin);
    if (known === undefined) return accept(null);
    if (!equalBytes(known.logKeyHash, head.logKeyHash)) {
      return refuse('fork', {
        what: 'log key',
        expected: toHex(known.logKeyHash),
        actual: toHex(head.logKeyHash),
      });
    }
    const same = known.heads.find(({ size }) => size === head.size);
    if (same !== undefined && !equalBytes(same.root, head.root)) {
      return refuse('fork', {
        size: head.size,
        expected: toHex(same.root),
        actual: toHex(head.root),
        seen_ms: same.seenMs,
      });
    }
    return accept(null);
  }

  /** After `check` passed. `linked`: the tree was read and holds all heads before, so they may go. */
  remember(head: SeenHead, seenMs: number, linked = false): void {
    const { origin, logKeyHash, size, root } = head;
    this.#changed = true;
    const before = linked ? [] : this.heads(origin).filter((known) => known.size !== size);
    const heads = [...before, { size, root, seenMs }].sort((a, b) => a.size - b.size);
    if (heads.length > MAX_HEADS) heads.splice(1, heads.length - MAX_HEADS);
    // Last in order: the one that was not seen for the longest time is forgotten first.
    this.#origins.delete(origin);
    this.#origins.set(origin, { logKeyHash, heads });
    for (const oldest of this.#origins.keys()) {
      if (this.#origins.size <= MAX_ORIGINS) break;
      this.#origins.delete(oldest);
    }
  }

  /** Replaces the file as a whole; it is durable before the old one goes. See `update`. */
  async save(): Promise<void> {
    if (this.#path === null) return;
    const origins = Object.fromEntries(
      Array.from(this.#origins, ([origin, { logKeyHash, heads }]) => [
        origin,
        {
          log_key: toHex(logKeyHash),
          heads: heads.map(({ size, root, seenMs }) => ({
            size,
            root: toHex(root),
            seen_ms: seenMs,
          })),
        },
      ]),
    );
    await mkdir(dirname(this.#path), { recursive: true });
    const temporary = `${this.#path}.${process.pid}.tmp`;
    const text = `${JSON.stringify({ version: 1, origins }, null, 2)}\n`;
    await writeFile(temporary, text, { flush: true });
    await rename(temporary, this.#path);
  }
}

export function refuseWriting(error: unknown): Result<never> {
  const system = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return refuse('file_unreadable', { what: 'cannot be written', system });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function fromHex(text: string): Uint8Array {
  return parseHex(text) ?? new Uint8Array();
}

/**
 * `--heads FILE`, else $TRACKSEAL_HEADS, else the user's state folder. Null for verdicts with --unsafe-
 * flags without a file of their own: what a simulator says must not enter the memory of real logs.
 */
export function headsPath(
  option: string | undefined,
  env: CommandIo['env'],
  unsafe: readonly string[],
): string | null {
  const given = option ?? env['TRACKSEAL_HEADS'];
  if (given !== undefined && given !== '') return given;
  if (unsafe.length > 0) return null;
  const state = env['XDG_STATE_HOME'] ?? join(env['HOME'] ?? '.', '.local', 'state');
  return join(state, 'trackseal', 'heads.json');
}
