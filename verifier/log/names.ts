// Names of numbered things, as docs/PROTOCOL.md writes them.

/** `strategyEvent` as `strategy_event`. */
export function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/gu, (letter) => `_${letter.toLowerCase()}`);
}

export function nameOf(names: Readonly<Record<string, number>>, value: number): string {
  const name = Object.entries(names).find(([, known]) => known === value)?.[0];
  return name === undefined ? String(value) : snakeCase(name);
}
