// Reads a capture: one line is `<local time in ns> <json>`, the file may be gzipped. Nothing is read
// ahead of the consumer but one chunk of the file. A line that cannot be read is refused with its number;
// lines and the whole are capped, so that a broken or hostile file cannot fill the memory.

import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Refusal, Result } from '../../wire/result.ts';
import type { MarketEvent } from '../../wire/market/events.ts';

/** A snapshot of 5,000 levels a side is about 400 KiB. */
export const MAX_LINE_BYTES: number = 4 * 1024 * 1024;
const NEWLINE = 10;
const SPACE = 32;
const MAX_TIME_NS = (1n << 63n) - 1n;

export interface CaptureParser {
  /** Null: nothing of ours. */
  parse(text: string, receiveTimeNs: bigint): Result<MarketEvent | null>;
}

export interface CaptureOptions {
  /** What to do with a line that is refused. `stop`: the chunk with the refusal is the last. */
  readonly onMalformed: 'stop' | 'continue';
  /** Default 4 MiB. */
  readonly maxLineBytes?: number;
}

/** The next events of the file, in its order; refusals name the line. */
export interface CaptureChunk {
  readonly events: readonly MarketEvent[];
  readonly refusals: readonly Refusal[];
}

function malformed(line: number, field: string): Refusal {
  return { code: 'capture_malformed', detail: { line, field } };
}

class LineParser {
  readonly #parser: CaptureParser;
  readonly #options: CaptureOptions;
  readonly #maxLineBytes: number;
  #rest: Buffer[] = [];
  #restBytes = 0;
  #line = 0;
  /** Inside a line that was too long. */
  #skipping = false;
  stopped = false;
  events: MarketEvent[] = [];
  refusals: Refusal[] = [];

  constructor(parser: CaptureParser, options: CaptureOptions) {
    this.#parser = parser;
    this.#options = options;
    this.#maxLineBytes = options.maxLineBytes ?? MAX_LINE_BYTES;
  }

  push(chunk: Buffer): void {
    let start = 0;
    while (!this.stopped) {
      const end = chunk.indexOf(NEWLINE, start);
      if (end < 0) break;
      this.#part(chunk.subarray(start, end));
      this.#endLine();
      start = end + 1;
    }
    if (!this.stopped) this.#part(chunk.subarray(start));
  }

  /** The last line may have no newline. */
  end(): void {
    if (!this.stopped && (this.#restBytes > 0 || this.#skipping)) this.#endLine();
  }

  #part(bytes: Buffer): void {
    if (bytes.length === 0 || this.#skipping) return;
    if (this.#restBytes + bytes.length > this.#maxLineBytes) {
      this.#skipping = true;
      this.#rest = [];
      this.#refuse(malformed(this.#line + 1, 'length'));
      return;
    }
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
  }

  #endLine(): void {
    this.#line++;
    const [first] = this.#rest;
    const bytes = this.#rest.length === 1 && first ? first : Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    if (this.#skipping) this.#skipping = false;
    else this.#parse(bytes);
  }

  #parse(bytes: Buffer): void {
    const space = bytes.indexOf(SPACE);
    const time = bytes.toString('latin1', 0, Math.max(space, 0));
    if (!/^[0-9]{1,19}$/u.test(time) || BigInt(time) > MAX_TIME_NS) {
      this.#refuse(malformed(this.#line, 'time'));
      return;
    }
    const parsed = this.#parser.parse(bytes.toString('utf8', space + 1), BigInt(time));
    if (!parsed.ok) {
      const { code, detail } = parsed.refusal;
      this.#refuse({ code, detail: { line: this.#line, ...detail } });
    } else if (parsed.value !== null) {
      this.events.push(parsed.value);
    }
  }

  #refuse(refusal: Refusal): void {
    this.refusals.push(refusal);
    if (this.#options.onMalformed === 'stop') this.stopped = true;
  }
}

/** Errors end up where the consumer awaits the next chunk. */
function openCapture(path: string): Readable {
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  if (!path.endsWith('.gz')) return file;
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  pipeline(file, gunzip, () => {});
  return gunzip;
}

/**
 * The events of the file at `path`, gzipped when its name ends in `.gz`. A file that is missing, or
 * damaged in the middle, gives one refusal `file_unreadable` as its last chunk.
 */
export async function* readCapture(
  path: string,
  parser: CaptureParser,
  options: CaptureOptions,
): AsyncGenerator<CaptureChunk> {
  const lines = new LineParser(parser, options);
  const stream = openCapture(path);
  const take = (): CaptureChunk => {
    const { events, refusals } = lines;
    lines.events = [];
    lines.refusals = [];
    return { events, refusals };
  };
  try {
    for await (const chunk of stream) {
      lines.push(chunk as Buffer);
      yield take();
      if (lines.stopped) return;
    }
  } catch {
    lines.refusals.push({ code: 'file_unreadable', detail: {} });
    yield take();
    return;
  } finally {
    stream.destroy();
  }
  lines.end();
  yield take();
}
