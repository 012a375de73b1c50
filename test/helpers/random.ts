// Repeatable random picks for tests (mulberry32), so that a failing seed can be run again.

/** A function that picks an integer from [0, bound). */
export function randomPicks(seed: number): (bound: number) => number {
  let state = (seed * 0x9e3779b1) >>> 0;
  return (bound) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  };
}
