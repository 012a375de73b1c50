// All real roots of f(s) = Σ c·exp(−s·t), each in a bracket of its own, or the answer that they cannot be told apart.
// Sums of positive and of negative terms both fall with s, so their values at the ends of an interval bound f and f'
// on it: an interval is dropped only where f cannot be zero, and taken as a root only where f' cannot be and f changes
// its sign. Double precision with a margin for its errors; the caller computes the root itself in decimals.

export interface Term {
  /** 0 or more; years. */
  readonly t: number;
  /** Not 0. */
  readonly c: number;
}

/** f is monotone in it and has other signs at its ends. */
export interface Bracket {
  readonly low: number;
  readonly high: number;
}

/** Errors of rounding, relative to the sum of magnitudes. */
const MARGIN = 1e-12;
/** Terms times evaluations: a second or so. */
const MAX_WORK = 40_000_000;
const MIN_RELATIVE_WIDTH = 1e-11;

interface Value {
  readonly at: number;
  /** Sums of c·e^(−s·t) over c > 0, and of |c|·e^(−s·t) over c < 0. */
  readonly plus: number;
  readonly minus: number;
  /** The same with c·t. */
  readonly plusSlope: number;
  readonly minusSlope: number;
}

function valueAt(terms: readonly Term[], at: number): Value {
  let plus = 0;
  let minus = 0;
  let plusSlope = 0;
  let minusSlope = 0;
  for (const { t, c } of terms) {
    const part = c * Math.exp(-at * t);
    if (part > 0) {
      plus += part;
      plusSlope += part * t;
    } else {
      minus -= part;
      minusSlope -= part * t;
    }
  }
  return { at, plus, minus, plusSlope, minusSlope };
}

/** 0 where rounding could decide. */
function signOf({ plus, minus }: Value): -1 | 0 | 1 {
  const margin = MARGIN * (plus + minus);
  const value = plus - minus;
  if (value > margin) return 1;
  return value < -margin ? -1 : 0;
}

/** Can a − b be zero when a is in [aLow, aHigh] and b in [bLow, bHigh]? */
function canBeZero(aLow: number, aHigh: number, bLow: number, bHigh: number): boolean {
  const margin = MARGIN * (aHigh + bHigh);
  return aLow - bHigh <= margin && aHigh - bLow >= -margin;
}

function hasNoRoot(a: Value, middle: Value, b: Value): boolean {
  if (!canBeZero(b.plus, a.plus, b.minus, a.minus)) return true;
  // Mean value theorem, from the middle.
  const steepest = Math.max(
    Math.abs(a.plusSlope - b.minusSlope),
    Math.abs(b.plusSlope - a.minusSlope),
  );
  const reach = ((b.at - a.at) / 2) * steepest * (1 + MARGIN);
  const margin = MARGIN * (middle.plus + middle.minus);
  return Math.abs(middle.plus - middle.minus) > reach + margin;
}

function isMonotone(a: Value, b: Value): boolean {
  return !canBeZero(b.plusSlope, a.plusSlope, b.minusSlope, a.minusSlope);
}

/** A point near the middle at which the sign is certain; null where there is none. */
function certainMiddle(evaluate: (at: number) => Value, a: Value, b: Value): Value | null {
  for (const share of [0.5, 0.46, 0.54, 0.41, 0.59]) {
    const middle = evaluate(a.at + (b.at - a.at) * share);
    if (signOf(middle) !== 0) return middle;
  }
  return null;
}

/** Beyond it the first term is larger than all others together. */
function horizon(terms: readonly Term[]): number {
  const [first, ...others] = terms;
  if (first === undefined) return 0;
  let at = 1;
  const rest = (s: number): number =>
    others.reduce((sum, { t, c }) => sum + Math.abs(c) * Math.exp(-s * t), 0);
  while (rest(at) > 0.5 * Math.abs(first.c) && at < 1e12) at *= 2;
  return at;
}

/** Roots with s > 0, in order. `terms` by rising t, the first at 0; the sign at s = 0 is certain. */
function positiveRoots(terms: readonly Term[]): readonly Bracket[] | null {
  let work = 0;
  const evaluate = (at: number): Value => {
    work += terms.length;
    return valueAt(terms, at);
  };
  const found: Bracket[] = [];
  const open: [Value, Value][] = [[evaluate(0), evaluate(horizon(terms))]];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [a, b] = next;
    if (isMonotone(a, b)) {
      if (signOf(a) !== signOf(b)) found.push({ low: a.at, high: b.at });
      continue;
    }
    const width = b.at - a.at;
    const middle = certainMiddle(evaluate, a, b);
    if (middle !== null && hasNoRoot(a, middle, b)) continue;
    if (middle === null || width < MIN_RELATIVE_WIDTH * (1 + a.at) || work > MAX_WORK) return null;
    open.push([middle, b], [a, middle]);
  }
  return found;
}

/** Shifted so that the sign at 0 is certain: a root at exactly 0 is a root like others. */
function certainOrigin(terms: readonly Term[], length: number): number | null {
  for (const step of [0, -1, 1, -2, 3, -5, 7]) {
    const at = (step * 0.013) / length;
    if (signOf(valueAt(terms, at)) !== 0) return at;
  }
  return null;
}

/** Halves a bracket until rounding could decide. */
export function narrow(terms: readonly Term[], { low, high }: Bracket): number {
  const length = terms.at(-1)?.t ?? 0;
  // In the direction in which no term overflows.
  const sign = (s: number): number =>
    s >= 0
      ? signOf(valueAt(terms, s))
      : signOf(
          valueAt(
            terms.map(({ t, c }) => ({ t: length - t, c })),
            -s,
          ),
        );
  const atLow = sign(low);
  let [a, b] = [low, high];
  for (let step = 0; step < 200; step++) {
    const middle = a + (b - a) / 2;
    const found = middle <= a || middle >= b ? 0 : sign(middle);
    if (found === 0) return middle;
    if (found === atLow) a = middle;
    else b = middle;
  }
  return a + (b - a) / 2;
}

/**
 * All real roots in rising order; null when two cannot be told apart, when f touches zero without crossing it, or when
 * it takes too long. `terms` by rising t, the first at 0, of both signs.
 */
export function isolateRoots(terms: readonly Term[]): readonly Bracket[] | null {
  const length = terms.at(-1)?.t ?? 0;
  const origin = certainOrigin(terms, length);
  if (origin === null) return null;
  const shifted = terms.map(({ t, c }) => ({ t, c: c * Math.exp(-origin * t) }));
  const above = positiveRoots(shifted);
  if (above === null) return null;
  const below = positiveRoots(shifted.map(({ t, c }) => ({ t: length - t, c })).toReversed());
  if (below === null) return null;
  return [
    ...below.map(({ low, high }) => ({ low: origin - high, high: origin - low })).toReversed(),
    ...above.map(({ low, high }) => ({ low: origin + low, high: origin + high })),
  ];
}
