// Policies as IAM reads them: JSON to statements. What AWS refuses is refused; a part of the policy language
// that this simulator does not evaluate is refused too, never skipped, because a skipped condition allows.

import { z } from 'zod';
import type { Operator } from './conditions.ts';
import { parseOperator } from './conditions.ts';
import { malformedPolicy } from './errors.ts';

export const MAX_POLICY_CHARACTERS = 32_768;

export interface Condition {
  readonly operator: Operator;
  /** In lower case: names of condition keys are not case sensitive. */
  readonly key: string;
  readonly values: readonly string[];
}

export interface Statement {
  readonly sid: string | null;
  readonly effect: 'Allow' | 'Deny';
  /** ARNs, account numbers or `*`; null in an identity policy, which is about whom it is attached to. */
  readonly principals: readonly string[] | null;
  readonly notPrincipals: readonly string[] | null;
  readonly actions: readonly string[] | null;
  readonly notActions: readonly string[] | null;
  readonly resources: readonly string[];
  readonly conditions: readonly Condition[];
}

const oneOrMore = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const principalSchema = z.union([
  z.literal('*').transform(() => ['*']),
  z.strictObject({ AWS: oneOrMore }).transform(({ AWS }) => AWS),
]);

const conditionValue = z
  .union([z.string(), z.boolean(), z.number(), z.array(z.union([z.string(), z.boolean()]))])
  .transform((value) => (Array.isArray(value) ? value : [value]).map(String));

const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: principalSchema.optional(),
  NotPrincipal: principalSchema.optional(),
  Action: oneOrMore.optional(),
  NotAction: oneOrMore.optional(),
  Resource: oneOrMore.optional(),
  Condition: z.record(z.string(), z.record(z.string(), conditionValue)).optional(),
});

const policySchema = z.strictObject({
  Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z
    .union([statementSchema, z.array(statementSchema).min(1)])
    .transform((value) => (Array.isArray(value) ? value : [value])),
});

type RawStatement = z.infer<typeof statementSchema>;

function conditionsOf(raw: RawStatement): readonly Condition[] {
  return Object.entries(raw.Condition ?? {}).flatMap(([name, keys]) => {
    const operator = parseOperator(name);
    if (operator === null) throw malformedPolicy(`Invalid Condition type : ${name}`);
    return Object.entries(keys).map(([key, values]) => {
      return { operator, key: key.toLowerCase(), values };
    });
  });
}

function exactlyOne(a: unknown, b: unknown): boolean {
  return (a === undefined) !== (b === undefined);
}

function statementOf(raw: RawStatement, kind: 'key' | 'identity'): Statement {
  if (!exactlyOne(raw.Action, raw.NotAction)) {
    throw malformedPolicy('Statement must have either an Action or a NotAction');
  }
  if (kind === 'key' && !exactlyOne(raw.Principal, raw.NotPrincipal)) {
    throw malformedPolicy('Statement must have either a Principal or a NotPrincipal');
  }
  if (kind === 'identity' && (raw.Principal ?? raw.NotPrincipal) !== undefined) {
    throw malformedPolicy('Policy document should not specify a principal.');
  }
  if (raw.Resource === undefined) throw malformedPolicy('Policy statement must contain resources.');
  return {
    sid: raw.Sid ?? null,
    effect: raw.Effect,
    principals: raw.Principal ?? null,
    notPrincipals: raw.NotPrincipal ?? null,
    actions: raw.Action ?? null,
    notActions: raw.NotAction ?? null,
    resources: raw.Resource,
    conditions: conditionsOf(raw),
  };
}

/** The last one of each kind: the same policy decides call after call. */
const parsedLast = new Map<
  string,
  { readonly text: string; readonly statements: readonly Statement[] }
>();

/** Throws MalformedPolicyDocumentException. */
export function parsePolicy(text: string, kind: 'key' | 'identity'): readonly Statement[] {
  const last = parsedLast.get(kind);
  if (last?.text === text) return last.statements;
  const statements = readPolicy(text, kind);
  parsedLast.set(kind, { text, statements });
  return statements;
}

function readPolicy(text: string, kind: 'key' | 'identity'): readonly Statement[] {
  if (text.length > MAX_POLICY_CHARACTERS) throw malformedPolicy('The policy is too long.');
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw malformedPolicy('This policy contains invalid Json');
  }
  const parsed = policySchema.safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') ?? '';
    throw malformedPolicy(`Syntax errors in policy. (${where})`);
  }
  return parsed.data.Statement.map((raw) => statementOf(raw, kind));
}
