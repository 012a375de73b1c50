// Condition operators of IAM. A key that is not in the request makes a positive comparison fail and a
// negated one succeed; `…IfExists` succeeds without it, and so does `ForAllValues`, which is what lets a
// request without attestation pass where a policy's author did not think of it.

export type Comparison =
  | 'StringEquals'
  | 'StringNotEquals'
  | 'StringEqualsIgnoreCase'
  | 'StringNotEqualsIgnoreCase'
  | 'StringLike'
  | 'StringNotLike'
  | 'ArnEquals'
  | 'ArnNotEquals'
  | 'ArnLike'
  | 'ArnNotLike'
  | 'Bool'
  | 'Null';

export interface Operator {
  readonly comparison: Comparison;
  readonly ifExists: boolean;
  readonly quantifier: 'ForAnyValue' | 'ForAllValues' | null;
}

/** In lower case, to the values of the request. A key that is not there is not in the map. */
export type RequestContext = ReadonlyMap<string, readonly string[]>;

const COMPARISONS: ReadonlySet<string> = new Set<Comparison>([
  'StringEquals',
  'StringNotEquals',
  'StringEqualsIgnoreCase',
  'StringNotEqualsIgnoreCase',
  'StringLike',
  'StringNotLike',
  'ArnEquals',
  'ArnNotEquals',
  'ArnLike',
  'ArnNotLike',
  'Bool',
  'Null',
]);

/** Null for what IAM does not have, or this simulator does not evaluate. */
export function parseOperator(name: string): Operator | null {
  const match = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/u.exec(name);
  const [, quantifier, comparison = '', ifExists] = match ?? [];
  if (!COMPARISONS.has(comparison)) return null;
  if (comparison === 'Null' && ifExists !== undefined) return null;
  return {
    comparison: comparison as Comparison,
    ifExists: ifExists !== undefined,
    quantifier: (quantifier ?? null) as Operator['quantifier'],
  };
}

/** `*` any characters, `?` one. */
export function matchesPattern(pattern: string, text: string): boolean {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su').test(text);
}

function lower(text: string): string {
  return text.toLowerCase();
}

/** The comparison without its negation. */
function compare(comparison: Comparison, wanted: string, actual: string): boolean {
  switch (comparison) {
    case 'StringEquals':
    case 'StringNotEquals':
      return wanted === actual;
    case 'StringEqualsIgnoreCase':
    case 'StringNotEqualsIgnoreCase':
    case 'Bool':
      return lower(wanted) === lower(actual);
    case 'StringLike':
    case 'StringNotLike':
    case 'ArnEquals':
    case 'ArnNotEquals':
    case 'ArnLike':
    case 'ArnNotLike':
      return matchesPattern(wanted, actual);
    case 'Null':
    default:
      return false;
  }
}

export function holds(
  operator: Operator,
  values: readonly string[],
  actual: readonly string[] | undefined,
): boolean {
  const { comparison, ifExists, quantifier } = operator;
  if (comparison === 'Null')
    return values.some((value) => (lower(value) === 'true') === (actual === undefined));
  const negated = comparison.includes('Not');
  if (actual === undefined) {
    if (quantifier !== null) return quantifier === 'ForAllValues' || ifExists;
    return ifExists || negated;
  }
  const one = (value: string): boolean =>
    values.some((wanted) => compare(comparison, wanted, value)) !== negated;
  if (quantifier === 'ForAllValues') return actual.every(one);
  return actual.some(one);
}
