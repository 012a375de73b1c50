// Whether a bucket policy denies a request: enough of IAM's language to ask the questions of `bucket check`. What it
// does not understand denies nothing here, so that no protection is seen where there is none. Source: IAM JSON
// policy elements reference. The policy is untrusted text.

import { z } from 'zod';

type Texts = string | readonly string[];

export interface PolicyStatement {
  readonly Effect: string;
  readonly Principal?: unknown;
  readonly NotPrincipal?: unknown;
  readonly Action?: Texts | undefined;
  readonly NotAction?: Texts | undefined;
  readonly Resource?: Texts | undefined;
  readonly NotResource?: Texts | undefined;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
}

const texts = z.union([z.string(), z.array(z.string())]);
const statementSchema: z.ZodType<PolicyStatement> = z.object({
  Effect: z.string(),
  Principal: z.unknown().optional(),
  NotPrincipal: z.unknown().optional(),
  Action: texts.optional(),
  NotAction: texts.optional(),
  Resource: texts.optional(),
  NotResource: texts.optional(),
  Condition: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
});
const policySchema: z.ZodType<{ Statement: PolicyStatement | PolicyStatement[] }> = z.object({
  Statement: z.union([statementSchema, z.array(statementSchema)]),
});

export interface PolicyQuestion {
  readonly principal: string;
  readonly action: string;
  readonly resource: string;
  /** Condition keys as they are written in a policy; absent ones are absent in the request. */
  readonly context: Readonly<Record<string, string>>;
}

/** Null for what is no policy. */
export function parseBucketPolicy(text: string): readonly PolicyStatement[] | null {
  try {
    const { Statement } = policySchema.parse(JSON.parse(text));
    return Array.isArray(Statement) ? Statement : [Statement];
  } catch {
    return null;
  }
}

function list(value: unknown): readonly string[] {
  const all: readonly unknown[] = Array.isArray(value) ? value : [value];
  return all.filter((one) => one !== undefined).map(String);
}

/** `*` and `?` as in a policy; linear, whatever the pattern. */
export function isLike(pattern: string, text: string): boolean {
  let [at, from, star, mark] = [0, 0, -1, 0];
  while (from < text.length) {
    if (pattern[at] === '*') {
      star = at;
      mark = from;
      at += 1;
    } else if (pattern[at] === '?' || pattern[at] === text[from]) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      at = star + 1;
      mark += 1;
      from = mark;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}

type Compare = (actual: string, wanted: string) => boolean;

const NUMERIC: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  NumericEquals: (a, b) => a === b,
  NumericLessThan: (a, b) => a < b,
  NumericLessThanEquals: (a, b) => a <= b,
  NumericGreaterThan: (a, b) => a > b,
  NumericGreaterThanEquals: (a, b) => a >= b,
};

function comparison(operator: string): Compare | null {
  const number = NUMERIC[operator];
  if (number !== undefined) return (a, b) => number(Number(a), Number(b));
  if (operator === 'StringEquals') return (a, b) => a === b;
  if (operator === 'StringEqualsIgnoreCase') return (a, b) => a.toLowerCase() === b.toLowerCase();
  if (operator === 'Bool') return (a, b) => a.toLowerCase() === b.toLowerCase();
  if (/^(?:StringLike|ArnLike|ArnEquals)$/u.test(operator)) return (a, b) => isLike(b, a);
  return null;
}

function conditionHolds(operator: string, actual: string | undefined, wanted: unknown): boolean {
  const values = list(wanted);
  if (operator === 'Null') return values.includes(String(actual === undefined));
  const ifExists = operator.endsWith('IfExists');
  const plain = ifExists ? operator.slice(0, -'IfExists'.length) : operator;
  const isNegated = /^(?:String|Arn|Numeric)Not/u.test(plain);
  const compare = comparison(isNegated ? plain.replace('Not', '') : plain);
  if (compare === null) return false;
  if (actual === undefined) return isNegated || ifExists;
  return values.some((one) => compare(actual, one)) !== isNegated;
}

function everybody(principal: unknown): boolean {
  if (principal === '*') return true;
  if (typeof principal !== 'object' || principal === null) return false;
  return 'AWS' in principal && list(principal.AWS).includes('*');
}

function applies(statement: PolicyStatement, question: PolicyQuestion): boolean {
  const { Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  // A denial of some is none of everybody: who asks here stands for anybody.
  const names = [...list((statement.Principal as { AWS?: unknown } | undefined)?.AWS)];
  if (!everybody(statement.Principal) && !names.includes(question.principal)) return false;
  const action = question.action.toLowerCase();
  const acts = list(Action ?? NotAction).some((one) => isLike(one.toLowerCase(), action));
  if (acts === (Action === undefined)) return false;
  const on = list(Resource ?? NotResource).some((one) => isLike(one, question.resource));
  if (on === (Resource === undefined)) return false;
  const context = new Map(
    Object.entries(question.context).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return Object.entries(Condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, wanted]) =>
      conditionHolds(operator, context.get(key.toLowerCase()), wanted),
    ),
  );
}

export function isDenied(policy: readonly PolicyStatement[], question: PolicyQuestion): boolean {
  return policy.some((statement) => statement.Effect === 'Deny' && applies(statement, question));
}

/** Principals that conditions of denials of this action make an exception of: those who may. */
export function exceptedFrom(
  policy: readonly PolicyStatement[],
  action: string,
): readonly string[] {
  const found = new Set<string>();
  for (const { Effect, Action, Condition = {} } of policy) {
    const acts = list(Action).some((one) => isLike(one.toLowerCase(), action.toLowerCase()));
    if (Effect !== 'Deny' || !acts) continue;
    for (const keys of Object.values(Condition)) {
      for (const [key, wanted] of Object.entries(keys)) {
        if (key.toLowerCase() === 'aws:principalarn') list(wanted).forEach((one) => found.add(one));
      }
    }
  }
  return [...found];
}

/** Whether a statement lets everybody in, as far as its conditions go. */
export function allowsEverybody({
  Effect,
  Principal,
  NotPrincipal,
  Condition,
}: PolicyStatement): boolean {
  const isOpen = everybody(Principal) || NotPrincipal !== undefined;
  return Effect === 'Allow' && isOpen && Condition === undefined;
}
