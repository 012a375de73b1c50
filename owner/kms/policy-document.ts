// A key policy as somebody wrote it: parsed for judging, not for deciding. Anything that the parser does not know
// is kept as a complaint, so that the judgement never rests on what was skipped.

import * as z from 'zod';

export interface PolicyCondition {
  /** Without quantifier and `IfExists`, in lower case. */
  readonly comparison: string;
  readonly ifExists: boolean;
  readonly quantifier: string | null;
  /** In lower case, as IAM compares it. */
  readonly key: string;
  readonly values: readonly string[];
}

export interface DocumentStatement {
  /** Sid, or its position. */
  readonly name: string;
  readonly effect: 'Allow' | 'Deny';
  readonly principals: readonly string[];
  readonly notPrincipal: boolean;
  readonly actions: readonly string[];
  readonly notAction: boolean;
  readonly resources: readonly string[];
  readonly conditions: readonly PolicyCondition[];
}

export interface KeyPolicyDocument {
  readonly statements: readonly DocumentStatement[];
  readonly characters: number;
}

const list = z
  .union([z.string(), z.array(z.string())])
  .transform((value) => (typeof value === 'string' ? [value] : value));

const principals = z.union([
  z.literal('*').transform(() => ['*']),
  z.record(z.string(), list).transform((value) => Object.values(value).flat()),
]);

const values = z
  .union([
    z.string(),
    z.boolean(),
    z.number(),
    z.array(z.union([z.string(), z.boolean(), z.number()])),
  ])
  .transform((value) => (Array.isArray(value) ? value : [value]).map(String));

const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: principals.optional(),
  NotPrincipal: principals.optional(),
  Action: list.optional(),
  NotAction: list.optional(),
  Resource: list.optional(),
  Condition: z.record(z.string(), z.record(z.string(), values)).optional(),
});

const documentSchema = z.strictObject({
  Version: z.string().optional(),
  Id: z.string().optional(),
  Statement: z.union([
    statementSchema.transform((value) => [value]),
    z.array(statementSchema).min(1),
  ]),
});

/** What `aws kms get-key-policy` prints. */
const wrappedSchema = z.strictObject({ Policy: z.string(), PolicyName: z.string().optional() });

function conditionsOf(raw: z.infer<typeof statementSchema>): readonly PolicyCondition[] {
  return Object.entries(raw.Condition ?? {}).flatMap(([operator, keys]) => {
    const match = /^(?:(ForAnyValue|ForAllValues):)?(.*?)(IfExists)?$/iu.exec(operator);
    const [, quantifier = null, comparison = '', ifExists] = match ?? [];
    return Object.entries(keys).map(([key, wanted]) => ({
      comparison: comparison.toLowerCase(),
      ifExists: ifExists !== undefined,
      quantifier: quantifier?.toLowerCase() ?? null,
      key: key.toLowerCase(),
      values: wanted,
    }));
  });
}

/** Null for what is no key policy. */
export function parseKeyPolicy(text: string): KeyPolicyDocument | null {
  let json: unknown;
  try {
    json = JSON.parse(text);
    const wrapped = wrappedSchema.safeParse(json);
    if (wrapped.success) json = JSON.parse(wrapped.data.Policy);
  } catch {
    return null;
  }
  const parsed = documentSchema.safeParse(json);
  if (!parsed.success) return null;
  const statements = parsed.data.Statement.map((raw, position) => ({
    name: raw.Sid ?? `statement ${position + 1}`,
    effect: raw.Effect,
    principals: raw.Principal ?? raw.NotPrincipal ?? [],
    notPrincipal: raw.NotPrincipal !== undefined,
    actions: raw.Action ?? raw.NotAction ?? [],
    notAction: raw.NotAction !== undefined,
    resources: raw.Resource ?? [],
    conditions: conditionsOf(raw),
  }));
  return { statements, characters: JSON.stringify(json).length };
}
