// Where a price comes from, as it is published: parts of a path that may name what is held are left out.

/** By what they are of: there are few, and each round of prices has the same ones. */
const known = new Map<string, string>();
const MAX_KNOWN = 1000;

/** Of a source that told prices of `symbol`: host and endpoint. */
export function shownSource(source: string, symbol: string): string {
  const key = `${source} ${symbol}`;
  let shown = known.get(key);
  if (shown === undefined) {
    shown = withoutNames(source, symbol);
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(key, shown);
  }
  return shown;
}

const WORD = /[a-z0-9]+/gu;

function withoutNames(source: string, symbol: string): string {
  const names = new Set<string>();
  const small = symbol.toLowerCase();
  for (let word = WORD.exec(small); word !== null; word = WORD.exec(small)) names.add(word[0]);
  let shown = '';
  for (const [at, part] of source.split('/').entries()) {
    const isHidden = at > 0 && mayName(part, names);
    shown += `${at > 0 ? '/' : ''}${isHidden ? '*' : part}`;
  }
  return shown;
}

function mayName(part: string, names: ReadonlySet<string>): boolean {
  if (/^[^a-z]*[A-Z][^a-z]*$/u.test(part)) return true;
  const small = part.toLowerCase();
  for (const name of names) if (small.includes(name)) return true;
  return false;
}
