// The file of the host's own log. A full disk must not end the host, and must not keep the alarm about it
// from being seen: what does not get into the file goes to `fallback` (standard error), and a line that
// was cut there does not spoil the next one.

import { writeSync } from 'node:fs';

export interface LogFileOptions {
  /** Appends and answers how many bytes it wrote; may throw. */
  readonly append: (bytes: Uint8Array) => number;
  /** Takes the lines that do not get into the file. */
  readonly fallback: (line: string) => void;
}

export class LogFile {
  readonly #options: LogFileOptions;
  /** The file ends in the middle of a line. */
  #cut = false;

  constructor(options: LogFileOptions) {
    this.#options = options;
  }

  /** To a file that was opened for appending. */
  static of(descriptor: number, fallback: (line: string) => void): LogFile {
    return new LogFile({ append: (bytes) => writeSync(descriptor, bytes), fallback });
  }

  /** One line with its newline. Never throws. */
  write(line: string): void {
    const bytes = Buffer.from(this.#cut ? `\n${line}` : line);
    let done = 0;
    try {
      while (done < bytes.length) {
        const written = this.#options.append(bytes.subarray(done));
        if (written === 0) break;
        done += written;
      }
    } catch {
      // The file takes nothing now; it is tried again with each line.
    }
    if (done > 0) this.#cut = bytes[done - 1] !== 0x0a;
    if (done < bytes.length) this.#options.fallback(line);
  }
}
