// Whether a principal may do something with a key, as AWS decides it: an explicit Deny anywhere wins; a
// principal of the key's account needs the key policy, or IAM where the key policy delegates to the account's
// root; a principal of another account needs both. Grants do not exist here.

import type { RequestContext } from './conditions.ts';
import { holds, matchesPattern } from './conditions.ts';
import { accessDenied } from './errors.ts';
import type { Statement } from './policy.ts';
import { parsePolicy } from './policy.ts';
import type { Recipient } from './recipient.ts';
import type { Principal } from './signature.ts';

export interface Attempt {
  readonly principal: Principal;
  /** `kms:Decrypt` and so on. */
  readonly action: string;
  readonly keyArn: string;
  readonly keyPolicy: string;
  readonly encryptionContext: ReadonlyMap<string, string>;
  readonly recipient: Recipient | null;
  readonly extra?: ReadonlyMap<string, string>;
}

export function accountOf(arn: string): string {
  return arn.split(':')[4] ?? '';
}

/** An assumed role acts as the role. */
function roleOf(arn: string): string {
  const match = /^arn:aws:sts::([0-9]{12}):assumed-role\/([^/]+)\//u.exec(arn);
  return match === null ? arn : `arn:aws:iam::${match[1] ?? ''}:role/${match[2] ?? ''}`;
}

function contextOf(attempt: Attempt): RequestContext {
  const { principal, encryptionContext, recipient } = attempt;
  const context = new Map<string, readonly string[]>([
    ['aws:principalarn', [roleOf(principal.arn)]],
    ['aws:principalaccount', [accountOf(principal.arn)]],
    ['kms:calleraccount', [accountOf(principal.arn)]],
    ['aws:securetransport', ['true']],
  ]);
  for (const [key, value] of encryptionContext) {
    context.set(`kms:encryptioncontext:${key.toLowerCase()}`, [value]);
  }
  if (encryptionContext.size > 0) {
    context.set('kms:encryptioncontextkeys', [...encryptionContext.keys()]);
  }
  for (const [index, pcr] of recipient?.pcrs ?? []) {
    context.set(`kms:recipientattestation:pcr${index}`, [pcr]);
    if (index === 0) context.set('kms:recipientattestation:imagesha384', [pcr]);
  }
  for (const [key, value] of attempt.extra ?? []) context.set(key.toLowerCase(), [value]);
  return context;
}

/** How a statement names the principal: itself, or only its account. */
function matchPrincipal(names: readonly string[], arn: string): 'self' | 'account' | null {
  const account = accountOf(arn);
  if (names.some((name) => name === '*' || name === arn || name === roleOf(arn))) return 'self';
  const root = `arn:aws:iam::${account}:root`;
  return names.some((name) => name === account || name === root) ? 'account' : null;
}

function matchesAction(statement: Statement, action: string): boolean {
  const among = (patterns: readonly string[]): boolean =>
    patterns.some((pattern) => matchesPattern(pattern.toLowerCase(), action.toLowerCase()));
  if (statement.actions !== null) return among(statement.actions);
  return !among(statement.notActions ?? []);
}

function applies(statement: Statement, attempt: Attempt, context: RequestContext): boolean {
  return (
    matchesAction(statement, attempt.action) &&
    statement.resources.some((pattern) => matchesPattern(pattern, attempt.keyArn)) &&
    statement.conditions.every(({ operator, key, values }) =>
      holds(operator, values, context.get(key)),
    )
  );
}

interface KeyPolicyDecision {
  readonly denied: boolean;
  /** Allowed directly, or left to IAM of the principal's account. */
  readonly allowed: 'self' | 'account' | null;
}

function decideKeyPolicy(attempt: Attempt, context: RequestContext): KeyPolicyDecision {
  let allowed: KeyPolicyDecision['allowed'] = null;
  const { arn } = attempt.principal;
  for (const statement of parsePolicy(attempt.keyPolicy, 'key')) {
    if (!applies(statement, attempt, context)) continue;
    const { principals, notPrincipals } = statement;
    const match =
      principals === null
        ? matchPrincipal(notPrincipals ?? [], arn) === null
          ? 'self'
          : null
        : matchPrincipal(principals, arn);
    if (match === null) continue;
    if (statement.effect === 'Deny') return { denied: true, allowed: null };
    if (allowed !== 'self') allowed = match;
  }
  return { denied: false, allowed };
}

function decideIdentity(attempt: Attempt, context: RequestContext): 'allow' | 'deny' | 'nothing' {
  const { identityPolicy } = attempt.principal;
  if (identityPolicy === undefined) return 'allow';
  const statements = parsePolicy(identityPolicy, 'identity').filter((one) =>
    applies(one, attempt, context),
  );
  if (statements.some(({ effect }) => effect === 'Deny')) return 'deny';
  return statements.length > 0 ? 'allow' : 'nothing';
}

/** Null when allowed, else AWS's reason. */
export function decide(attempt: Attempt): string | null {
  const context = contextOf(attempt);
  const key = decideKeyPolicy(attempt, context);
  if (key.denied) return 'with an explicit deny in a resource-based policy';
  const identity = decideIdentity(attempt, context);
  if (identity === 'deny') return 'with an explicit deny in an identity-based policy';
  if (key.allowed === null) {
    return `because no resource-based policy allows the ${attempt.action} action`;
  }
  const foreign = accountOf(attempt.principal.arn) !== accountOf(attempt.keyArn);
  const needsIdentity = foreign || key.allowed === 'account';
  if (!needsIdentity || identity === 'allow') return null;
  return `because no identity-based policy allows the ${attempt.action} action`;
}

/** Throws AccessDeniedException. */
export function authorize(attempt: Attempt): void {
  const reason = decide(attempt);
  if (reason !== null) {
    throw accessDenied(attempt.principal.arn, attempt.action, attempt.keyArn, reason);
  }
}
