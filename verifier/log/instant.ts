// Times on the command line: UTC, down to the nanosecond, as the log has them.

const TIME = /^(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d))?(?:\.(\d{1,9}))?Z$/u;

/** Nanoseconds since the Unix epoch; null for anything else, and for days that do not exist. */
export function parseInstantNs(text: string): bigint | null {
  const match = TIME.exec(text);
  if (match === null) return null;
  const [, minute = '', second = '00', fraction = ''] = match;
  const full = `${minute}:${second}.000Z`;
  const ms = Date.parse(full);
  if (Number.isNaN(ms) || ms < 0 || new Date(ms).toISOString() !== full) return null;
  return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'));
}
