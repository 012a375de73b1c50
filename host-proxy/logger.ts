// Structured logs: one JSON object a line. What is logged are closed event names, codes, numbers and
// names that the host itself has made; never payload bytes and never text that the enclave sent.

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

export type LogFields = Readonly<Record<string, string | number | boolean | null>>;

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export interface LoggerOptions {
  /** Events below it are left out. */
  readonly level: Level;
  /** Takes one line with its newline. */
  readonly write: (line: string) => void;
  readonly now: () => Date;
}

export function createLogger({ level, write, now }: LoggerOptions): Logger {
  const log =
    (at: Level) =>
    (event: string, fields: LogFields = {}): void => {
      if (LEVELS.indexOf(at) < LEVELS.indexOf(level)) return;
      // First for the reader, last so that no field takes their place.
      const head = { time: now().toISOString(), level: at, event };
      write(`${JSON.stringify({ ...head, ...fields, ...head })}\n`);
    };
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') };
}
