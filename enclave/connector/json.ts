// JSON from venues with every digit that they wrote: a number whose text JavaScript would not give back stays
// text. ccxt reads texts and numbers alike.

interface Source {
  readonly source?: string;
}

type Reviver = (this: unknown, key: string, value: unknown, context: Source) => unknown;

/** Above this an answer is a list of markets, whose numbers are no money. */
const EXACT_BELOW_CHARACTERS = 4_000_000;

const keepDigits: Reviver = (_, value, { source }) =>
  typeof value === 'number' && source !== undefined && String(value) !== source ? source : value;

/** Undefined when it is no object or list. */
export function parseExactJson(text: string): unknown {
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') && !trimmed.startsWith('[')) return undefined;
  try {
    if (trimmed.length > EXACT_BELOW_CHARACTERS) return JSON.parse(trimmed) as unknown;
    return JSON.parse(trimmed, keepDigits as (key: string, value: unknown) => unknown) as unknown;
  } catch {
    return undefined;
  }
}
