// A subset of bucket policies, enough for what `trackseal bucket policy` prints: Allow and Deny, principals,
// actions and resources with wildcards, and the condition operators below. Everybody who has a key belongs to
// the bucket's account and may do everything that no statement denies. Source: IAM User Guide, "Policy
// evaluation logic". What is not understood is refused when it is put, never skipped.

import * as z from 'zod';
import { S3Refusal } from './refusal.ts';

const texts = z.union([z.string(), z.array(z.string()).min(1)]);
const principal = z.union([z.literal('*'), z.strictObject({ AWS: texts })]);
const statementSchema = z.strictObject({
  Sid: z.string().optional(),
  Effect: z.enum(['Allow', 'Deny']),
  Principal: principal.optional(),
  NotPrincipal: principal.optional(),
  Action: texts.optional(),
  NotAction: texts.optional(),
  Resource: texts.optional(),
  NotResource: texts.optional(),
  Condition: z.record(z.string(), z.record(z.string(), texts)).optional(),
});
const policySchema = z.strictObject({
  Version: z.enum(['2012-10-17', '2008-10-17']).optional(),
  Id: z.string().optional(),
  Statement: z.union([statementSchema, z.array(statementSchema).min(1)]),
});

type Statement = z.infer<typeof statementSchema>;

export interface PolicyRequest {
  readonly principal: string;
  readonly action: string;
  /** `arn:aws:s3:::bucket/key` */
  readonly resource: string;
  /** Condition keys in lower case; absent keys are absent here. */
  readonly context: ReadonlyMap<string, string>;
}

const MAX_POLICY_BYTES = 20 * 1024;
const KEYS: ReadonlySet<string> = new Set([
  'aws:principalarn',
  'aws:securetransport',
  's3:if-none-match',
  's3:object-lock-legal-hold',
  's3:object-lock-mode',
  's3:object-lock-remaining-retention-days',
  's3:object-lock-retain-until-date',
  's3:objectcreationoperation',
  's3:tlsversion',
  's3:versionid',
  's3:x-amz-server-side-encryption',
  's3:x-amz-server-side-encryption-aws-kms-key-id',
  's3:x-amz-server-side-encryption-customer-algorithm',
]);

function malformed(why: string): S3Refusal {
  return new S3Refusal(400, 'MalformedPolicy', why);
}

function listOf(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

function isLike(pattern: string, text: string): boolean {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'su').test(text);
}

type Operator = (actual: string, expected: string) => boolean;

const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: (actual, expected) => actual === expected,
  StringEqualsIgnoreCase: (actual, expected) => actual.toLowerCase() === expected.toLowerCase(),
  StringLike: (actual, expected) => isLike(expected, actual),
  ArnEquals: (actual, expected) => isLike(expected, actual),
  ArnLike: (actual, expected) => isLike(expected, actual),
  Bool: (actual, expected) => actual === expected,
  NumericEquals: (actual, expected) => Number(actual) === Number(expected),
  NumericLessThan: (actual, expected) => Number(actual) < Number(expected),
  NumericLessThanEquals: (actual, expected) => Number(actual) <= Number(expected),
  NumericGreaterThan: (actual, expected) => Number(actual) > Number(expected),
  NumericGreaterThanEquals: (actual, expected) => Number(actual) >= Number(expected),
};
/** True where none of the expected values agrees, and where the key is absent. */
const NEGATED: Readonly<Record<string, string>> = {
  StringNotEquals: 'StringEquals',
  StringNotLike: 'StringLike',
  ArnNotEquals: 'ArnEquals',
  ArnNotLike: 'ArnLike',
  NumericNotEquals: 'NumericEquals',
};

interface Parts {
  readonly base: string;
  readonly ifExists: boolean;
  readonly negated: boolean;
}

function partsOf(operator: string): Parts {
  const ifExists = operator.endsWith('IfExists');
  const plain = ifExists ? operator.slice(0, -'IfExists'.length) : operator;
  const base = NEGATED[plain] ?? plain;
  return { base, ifExists, negated: base !== plain };
}

function holds(operator: string, actual: string | undefined, expected: readonly string[]): boolean {
  if (operator === 'Null') return expected.includes(String(actual === undefined));
  const { base, ifExists, negated } = partsOf(operator);
  if (actual === undefined) return negated || ifExists;
  const compare = OPERATORS[base];
  if (compare === undefined) throw malformed(`Invalid Condition type : ${operator}`);
  return expected.some((one) => compare(actual, one)) !== negated;
}

function applies(statement: Statement, request: PolicyRequest): boolean {
  const { Action, NotAction, Resource, NotResource, Condition = {} } = statement;
  const isPrincipal = (named: z.infer<typeof principal>): boolean =>
    named === '*' || listOf(named.AWS).some((one) => one === '*' || matchesArn(one, request));
  const act = (patterns: readonly string[]): boolean =>
    patterns.some((one) => isLike(one.toLowerCase(), request.action.toLowerCase()));
  const on = (patterns: readonly string[]): boolean =>
    patterns.some((one) => isLike(one, request.resource));
  if (statement.Principal !== undefined && !isPrincipal(statement.Principal)) return false;
  if (statement.NotPrincipal !== undefined && isPrincipal(statement.NotPrincipal)) return false;
  if (Action === undefined ? act(listOf(NotAction)) : !act(listOf(Action))) return false;
  if (Resource === undefined ? on(listOf(NotResource)) : !on(listOf(Resource))) return false;
  return Object.entries(Condition).every(([operator, keys]) =>
    Object.entries(keys).every(([key, expected]) =>
      holds(operator, request.context.get(key.toLowerCase()), listOf(expected)),
    ),
  );
}

/** An account's root names the whole account. */
function matchesArn(named: string, { principal: who }: PolicyRequest): boolean {
  if (named === who) return true;
  const account = /^(?:arn:aws:iam::)?(\d{12})(?::root)?$/u.exec(named)?.[1];
  return account !== undefined && who.split(':')[4] === account;
}

function statementsOf(text: string): readonly Statement[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw malformed('This policy contains invalid Json');
  }
  const parsed = policySchema.safeParse(json);
  if (!parsed.success) throw malformed(`Policy has invalid form: ${parsed.error.message}`);
  const { Statement: one } = parsed.data;
  return Array.isArray(one) ? one : [one];
}

/** Refuses what this subset does not have, as AWS refuses what it does not know: `MalformedPolicy`. */
export function checkPolicy(text: string, bucket: string): void {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) throw malformed('Policy is too long');
  for (const statement of statementsOf(text)) {
    const { Principal, NotPrincipal, Action, NotAction, Resource, NotResource } = statement;
    if ((Principal === undefined) === (NotPrincipal === undefined)) {
      throw malformed('Missing required field Principal');
    }
    if ((Action === undefined) === (NotAction === undefined)) {
      throw malformed('Missing required field Action');
    }
    if ((Resource === undefined) === (NotResource === undefined)) {
      throw malformed('Missing required field Resource');
    }
    const arn = `arn:aws:s3:::${bucket}`;
    for (const one of [...listOf(Resource), ...listOf(NotResource)]) {
      if (one !== arn && !one.startsWith(`${arn}/`)) throw malformed('Policy has invalid resource');
    }
    for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
      if (operator !== 'Null' && OPERATORS[partsOf(operator).base] === undefined) {
        throw malformed(`Invalid Condition type : ${operator}`);
      }
      for (const key of Object.keys(keys)) {
        if (!KEYS.has(key.toLowerCase()))
          throw malformed(`Policy has an invalid condition key: ${key}`);
      }
    }
  }
}

/** Whether a statement denies it. */
export function isDenied(policy: string | null, request: PolicyRequest): boolean {
  if (policy === null) return false;
  return statementsOf(policy).some(
    (statement) => statement.Effect === 'Deny' && applies(statement, request),
  );
}
