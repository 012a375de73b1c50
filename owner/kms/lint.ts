// Judges a key policy without asking AWS: for each way around attestation that was seen in the field, whether the
// policy leaves it open. It errs towards complaining. What it cannot see: IAM of other accounts, grants that
// exist already, and who can become one of the named principals.

import { CONTEXT_KEYS, MAX_KEY_POLICY_CHARACTERS } from './policy.ts';
import type { Finding, FindingCode } from './findings.ts';
import { FINDINGS } from './findings.ts';
import type { DocumentStatement, KeyPolicyDocument, PolicyCondition } from './policy-document.ts';

const RELEASING = ['kms:Decrypt', 'kms:GenerateDataKey', 'kms:GenerateDataKeyPair'] as const;
const IMAGE_REGISTERS: readonly number[] = [0, 1, 2];
const ATTESTATION = 'kms:recipientattestation:';
const CONTEXT = 'kms:encryptioncontext:';
const PCR = /^[0-9a-f]{96}$/iu;
const OPERATORS =
  /^(?:string(?:not)?equals(?:ignorecase)?|string(?:not)?like|arn(?:not)?(?:equals|like)|numeric(?:not)?equals|numeric(?:less|greater)than(?:equals)?|date(?:not)?equals|date(?:less|greater)than(?:equals)?|bool|null|binaryequals|(?:not)?ipaddress)$/u;

function finding(code: FindingCode, statement: DocumentStatement | null): Finding {
  const { severity, what, next } = FINDINGS[code];
  return { code, severity, statement: statement?.name ?? null, what, next };
}

function matches(pattern: string, action: string): boolean {
  const source = pattern.replaceAll(/[.+^${}()|[\]\\]/gu, String.raw`\$&`);
  return new RegExp(`^${source.replaceAll('*', '.*').replaceAll('?', '.')}$`, 'iu').test(action);
}

function covers(statement: DocumentStatement, action: string): boolean {
  const named = statement.actions.some((pattern) => matches(pattern, action));
  return named !== statement.notAction;
}

function isEverybody(statement: DocumentStatement): boolean {
  return !statement.notPrincipal && statement.principals.some((one) => one.includes('*'));
}

function isForAll(statement: DocumentStatement): boolean {
  return !statement.notPrincipal && statement.principals.includes('*');
}

function isRoot(principal: string): boolean {
  return /^(?:[0-9]{12}|arn:aws[a-z-]*:iam::[0-9]{12}:root)$/u.test(principal);
}

/** Register of an attestation condition; null for another key, NaN for one that does not exist. */
function registerOf({ key }: PolicyCondition): number | null {
  if (!key.startsWith(ATTESTATION)) return null;
  const name = key.slice(ATTESTATION.length);
  if (name === 'imagesha384') return 0;
  return /^pcr(?:[12]?\d|3[01])$/u.test(name) ? Number(name.slice(3)) : Number.NaN;
}

function isNegated({ comparison }: PolicyCondition): boolean {
  return comparison.includes('not');
}

function isEquality({ comparison }: PolicyCondition): boolean {
  return comparison === 'stringequals' || comparison === 'stringequalsignorecase';
}

/** A positive comparison that a request without the key does not meet. */
function isRequired(condition: PolicyCondition): boolean {
  if (condition.comparison === 'null') return false;
  return !condition.ifExists && !isNegated(condition) && condition.quantifier !== 'forallvalues';
}

/** `Null` of `false`: any value, but one. */
function mustBeThere({ comparison, values }: PolicyCondition): boolean {
  return comparison === 'null' && values.every((value) => value.toLowerCase() === 'false');
}

/** Does a Deny to everybody, without conditions, take this action away? */
function isForbidden(policy: KeyPolicyDocument, action: string): boolean {
  return policy.statements.some(
    (one) =>
      one.effect === 'Deny' &&
      isForAll(one) &&
      one.conditions.length === 0 &&
      one.resources.includes('*') &&
      covers(one, action),
  );
}

/** Registers without whose values `action` is denied to everybody. */
function deniedWithout(policy: KeyPolicyDocument, action: string): ReadonlySet<number> {
  const registers = new Set<number>();
  for (const one of policy.statements) {
    const [condition, ...more] = one.conditions;
    if (one.effect !== 'Deny' || !isForAll(one) || !covers(one, action)) continue;
    if (condition === undefined || more.length > 0 || !one.resources.includes('*')) continue;
    const { comparison, quantifier } = condition;
    const equality = comparison === 'stringnotequals' || comparison === 'stringnotequalsignorecase';
    const register = registerOf(condition);
    if (equality && quantifier === null && register !== null) registers.add(register);
  }
  return registers;
}

function lintPrincipals(statement: DocumentStatement): readonly FindingCode[] {
  if (statement.effect === 'Deny') return [];
  const codes: FindingCode[] = [];
  if (isEverybody(statement)) codes.push('wildcard_principal');
  if (statement.notPrincipal) codes.push('not_principal');
  if (statement.notAction) codes.push('not_action');
  if (statement.principals.some(isRoot)) codes.push('root_delegation');
  return codes;
}

function lintValues(statement: DocumentStatement): readonly FindingCode[] {
  const codes: FindingCode[] = [];
  for (const condition of statement.conditions) {
    const { comparison, values } = condition;
    if (!OPERATORS.test(comparison)) codes.push('operator_unknown');
    const register = registerOf(condition);
    if (register === null) continue;
    if (Number.isNaN(register)) codes.push('attestation_unknown');
    if (comparison === 'null') continue;
    if (values.some((value) => /^0+$/u.test(value))) codes.push('zero_pcr');
    if (comparison.endsWith('like') || values.some((value) => !PCR.test(value))) {
      codes.push('pcr_malformed');
    }
    const sensitive = comparison === 'stringequals' || comparison === 'stringnotequals';
    if (sensitive && values.some((value) => /[A-F]/u.test(value))) codes.push('pcr_case');
  }
  return codes;
}

function lintAttestation(
  statement: DocumentStatement,
  policy: KeyPolicyDocument,
): readonly FindingCode[] {
  const { effect, conditions } = statement;
  const attested = conditions.filter(
    (one) => registerOf(one) !== null && one.comparison !== 'null',
  );
  if (effect === 'Deny') {
    const partial = attested.some(isNegated) && conditions.length > 1;
    return partial ? ['deny_joined'] : [];
  }
  const codes: FindingCode[] = [];
  for (const action of RELEASING) {
    if (!covers(statement, action) || isForbidden(policy, action)) continue;
    const required = new Set(
      attested.filter((one) => isRequired(one) && isEquality(one)).map(registerOf),
    );
    const denied = deniedWithout(policy, action);
    const missing = IMAGE_REGISTERS.filter((index) => !required.has(index) && !denied.has(index));
    if (attested.some((one) => !isRequired(one))) codes.push('attestation_optional');
    if (required.size === 0 && denied.size === 0) codes.push('allow_without_attestation');
    else if (missing.length > 0) codes.push('pcr0_alone');
    if (IMAGE_REGISTERS.some((index) => !denied.has(index))) codes.push('no_explicit_deny');
  }
  return codes;
}

function lintContext(
  statement: DocumentStatement,
  policy: KeyPolicyDocument,
): readonly FindingCode[] {
  if (statement.effect === 'Deny') return [];
  const used = ['kms:Encrypt', ...RELEASING].filter(
    (action) => covers(statement, action) && !isForbidden(policy, action),
  );
  if (used.length === 0) return [];
  const { conditions } = statement;
  const context = conditions.filter(({ key }) => key.startsWith(CONTEXT));
  const codes: FindingCode[] = [];
  const valued = context.filter((one) => isRequired(one) || mustBeThere(one));
  const named = new Set(valued.map(({ key }) => key.slice(CONTEXT.length)));
  if (context.some((one) => isNegated(one) || one.ifExists))
    codes.push('encryption_context_optional');
  if (named.size === 0) codes.push('no_encryption_context');
  else if (CONTEXT_KEYS.some((key) => !named.has(key))) codes.push('encryption_context_partial');
  if (used.includes('kms:Encrypt')) {
    const purposes = context
      .filter((one) => isRequired(one) && one.key === `${CONTEXT}trackseal:purpose`)
      .flatMap(({ values }) => values);
    const makes = purposes.length === 0 || purposes.some((one) => matches(one, 'data-key/x'));
    if (makes) codes.push('encrypt_makes_data_keys');
  }
  return codes;
}

/** Who may use the key for something that releases plaintext. */
function usersOf(policy: KeyPolicyDocument): ReadonlySet<string> {
  const statements = policy.statements.filter(
    (one) => one.effect === 'Allow' && RELEASING.some((action) => covers(one, action)),
  );
  return new Set(statements.flatMap(({ principals }) => principals));
}

function lintPower(
  statement: DocumentStatement,
  policy: KeyPolicyDocument,
): readonly FindingCode[] {
  if (statement.effect === 'Deny') return [];
  const codes: FindingCode[] = [];
  const allows = (action: string): boolean =>
    covers(statement, action) && !isForbidden(policy, action);
  if (allows('kms:CreateGrant')) codes.push('grant_hole');
  if (allows('kms:ReEncryptFrom')) codes.push('reencrypt_hole');
  if (allows('kms:PutKeyPolicy')) {
    const users = usersOf(policy);
    const open =
      isEverybody(statement) ||
      statement.notPrincipal ||
      statement.principals.some((one) => isRoot(one) || users.has(one));
    codes.push(open ? 'put_key_policy_open' : 'policy_changeable');
  }
  return codes;
}

const ORDER: readonly Finding['severity'][] = ['error', 'warning', 'note'];

/** Errors first; each code at most once per statement. A policy that cannot be read is the caller's matter. */
export function lintPolicy(policy: KeyPolicyDocument | null): readonly Finding[] {
  if (policy === null) return [];
  const findings: Finding[] = [];
  if (policy.characters > MAX_KEY_POLICY_CHARACTERS)
    findings.push(finding('policy_too_large', null));
  for (const statement of policy.statements) {
    const codes = new Set([
      ...lintPrincipals(statement),
      ...lintValues(statement),
      ...lintAttestation(statement, policy),
      ...lintContext(statement, policy),
      ...lintPower(statement, policy),
    ]);
    for (const code of codes) findings.push(finding(code, statement));
  }
  return findings.toSorted((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
}
