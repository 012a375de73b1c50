// Dates of Flex statements, in the forms that a query can be set to: 20230103, 2023-01-03 and 03-JAN-23, alone or with
// a time behind a separator (101500, 10:15:00, with or without EST or EDT). Times are New York's. Dates with slashes
// are refused: 03/01/2023 is a day in January for some settings and in March for others.

const HOUR_MS = 3_600_000;
const DAY_MS: number = 24 * HOUR_MS;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];

const DATE = /^(?:(\d{4})-?(\d{2})-?(\d{2})|(\d{1,2})-([A-Za-z]{3})-(\d{2}))/u;
const TIME = /^(\d{2}):?(\d{2}):?(\d{2})(?: ?(E[SD]T))?$/u;

/** Daylight saving in New York since 2007: second Sunday of March to first Sunday of November, at two. */
function offsetHours(localMs: number): number {
  const year = new Date(localMs).getUTCFullYear();
  const sunday = (month: number, nth: number): number => {
    const first = Date.UTC(year, month, 1);
    const days = (7 - new Date(first).getUTCDay()) % 7;
    return first + (days + 7 * (nth - 1)) * DAY_MS + 2 * HOUR_MS;
  };
  return localMs >= sunday(2, 2) && localMs < sunday(10, 1) ? 4 : 5;
}

/** In New York; 0 is Sunday. */
export function weekdayOf(timeMs: number): number {
  const hours = offsetHours(timeMs - 5 * HOUR_MS);
  return new Date(timeMs - hours * HOUR_MS).getUTCDay();
}

export interface FlexTime {
  /** Of the date alone: the first moment of that day in New York. */
  readonly timeMs: number;
  readonly dateOnly: boolean;
}

/** Null for anything else, a day that does not exist included. */
export function parseFlexTime(text: string): FlexTime | null {
  const match = DATE.exec(text);
  if (match === null) return null;
  const [whole, year4, month2, day2, day, name, year2] = match;
  const month = name === undefined ? Number(month2) : MONTHS.indexOf(name.toUpperCase()) + 1;
  const date = [Number(year4 ?? `20${year2}`), month, Number(day2 ?? day)] as const;
  const midnight = Date.UTC(date[0], date[1] - 1, date[2]);
  const check = new Date(midnight);
  if (check.getUTCMonth() !== date[1] - 1 || check.getUTCDate() !== date[2]) return null;
  const rest = text.slice(whole.length);
  if (rest === '') return { timeMs: midnight + offsetHours(midnight) * HOUR_MS, dateOnly: true };
  const time = TIME.exec(rest.replace(/^(?:, |[;, T])/u, ''));
  if (time === null) return null;
  const [, hours, minutes, seconds, zone] = time;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return null;
  const local =
    midnight + Number(hours) * HOUR_MS + Number(minutes) * 60_000 + Number(seconds) * 1000;
  const offset = zone === undefined ? offsetHours(local) : zone === 'EDT' ? 4 : 5;
  return { timeMs: local + offset * HOUR_MS, dateOnly: false };
}

/** The last millisecond of that day in New York. */
export function endOfFlexDay(text: string): number | null {
  const parsed = parseFlexTime(text);
  if (parsed === null) return null;
  const next = parsed.timeMs + DAY_MS;
  // A day of 23 or 25 hours ends an hour off.
  const shift = offsetHours(parsed.timeMs - 5 * HOUR_MS) - offsetHours(next - 5 * HOUR_MS);
  return next - shift * HOUR_MS - 1;
}
