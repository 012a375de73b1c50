// What can be wrong with a key policy: a closed list, each with what it lets happen and what to do about it.

export type Severity = 'error' | 'warning' | 'note';

export type FindingCode =
  | 'wildcard_principal'
  | 'not_principal'
  | 'not_action'
  | 'root_delegation'
  | 'allow_without_attestation'
  | 'attestation_optional'
  | 'pcr0_alone'
  | 'zero_pcr'
  | 'pcr_malformed'
  | 'pcr_case'
  | 'attestation_unknown'
  | 'no_explicit_deny'
  | 'deny_joined'
  | 'put_key_policy_open'
  | 'policy_changeable'
  | 'grant_hole'
  | 'reencrypt_hole'
  | 'no_encryption_context'
  | 'encryption_context_partial'
  | 'encryption_context_optional'
  | 'encrypt_makes_data_keys'
  | 'operator_unknown'
  | 'policy_too_large';

interface FindingText {
  readonly severity: Severity;
  readonly what: string;
  readonly next: string;
}

export const FINDINGS: Readonly<Record<FindingCode, FindingText>> = {
  wildcard_principal: {
    severity: 'error',
    what: 'everybody in every AWS account is allowed, as far as conditions do not stop them',
    next: 'name the roles and users',
  },
  not_principal: {
    severity: 'error',
    what: 'NotPrincipal: whoever is created tomorrow is not in the list either',
    next: 'allow with Principal; deny with Principal * and a condition on aws:PrincipalArn',
  },
  not_action: {
    severity: 'error',
    what: 'NotAction allows every action that AWS adds later',
    next: 'name the actions',
  },
  root_delegation: {
    severity: 'error',
    what: "the account's root is allowed, so any IAM policy of that account can give the key away",
    next: 'remove the statement; name an administrator who has no use of the key',
  },
  allow_without_attestation: {
    severity: 'error',
    what: 'plaintext of this key is allowed to callers that are no enclave',
    next: 'add StringEqualsIgnoreCase on kms:RecipientAttestation:PCR0, PCR1 and PCR2, and the explicit denials',
  },
  attestation_optional: {
    severity: 'error',
    what: 'the attestation is asked for with IfExists, ForAllValues or a negation: a request without one passes',
    next: 'use StringEqualsIgnoreCase',
  },
  pcr0_alone: {
    severity: 'error',
    what: 'not all of PCR0, PCR1 and PCR2 are required: bytes can move between measured parts without changing PCR0',
    next: 'require all three, together',
  },
  zero_pcr: {
    severity: 'error',
    what: 'a register of zeros: every enclave in debug mode has those, and its operator reads its memory',
    next: 'take the measurements of the built image',
  },
  pcr_malformed: {
    severity: 'error',
    what: 'a value that no register can have (48 bytes as 96 hex digits), or a pattern',
    next: 'copy the value from measurements.json',
  },
  pcr_case: {
    severity: 'warning',
    what: 'upper-case hex is compared case-sensitively: KMS has lower case, so this image is never allowed',
    next: 'use StringEqualsIgnoreCase, or lower case',
  },
  attestation_unknown: {
    severity: 'error',
    what: 'a condition key of RecipientAttestation that is not about a Nitro Enclave, or does not exist',
    next: 'the keys are kms:RecipientAttestation:ImageSha384 and kms:RecipientAttestation:PCR<n>',
  },
  no_explicit_deny: {
    severity: 'warning',
    what: 'nothing denies use without the measurements: grants, IAM or another statement can allow it',
    next: 'deny Decrypt, GenerateDataKey and GenerateDataKeyPair to * with StringNotEqualsIgnoreCase, one statement per register',
  },
  deny_joined: {
    severity: 'error',
    what: 'a Deny with several conditions holds only where all of them do: one wrong register of two passes it',
    next: 'one Deny per register, without other conditions',
  },
  put_key_policy_open: {
    severity: 'error',
    what: 'whoever uses the key, an account as a whole, or everybody may replace this policy',
    next: 'give kms:PutKeyPolicy to one administrator without use of the key, or to nobody (--lockdown)',
  },
  policy_changeable: {
    severity: 'note',
    what: 'an administrator can replace this policy, and so open the key to anything',
    next: 'alarm on PutKeyPolicy in CloudTrail, or lock the policy (--lockdown)',
  },
  grant_hole: {
    severity: 'error',
    what: 'kms:CreateGrant is allowed: a grant allows what no statement here does',
    next: 'deny kms:CreateGrant to *',
  },
  reencrypt_hole: {
    severity: 'error',
    what: 'kms:ReEncryptFrom is allowed: a secret can be moved under a key that anybody opens, without attestation',
    next: 'deny kms:ReEncryptFrom and kms:ReEncryptTo to *',
  },
  no_encryption_context: {
    severity: 'error',
    what: 'use without an encryption context: a ciphertext can be passed off as another one',
    next: 'require kms:EncryptionContext:trackseal:purpose, :trackseal:image and :trackseal:version',
  },
  encryption_context_partial: {
    severity: 'warning',
    what: 'the encryption context is not fixed in purpose, image and version',
    next: 'condition all three, and kms:EncryptionContextKeys',
  },
  encryption_context_optional: {
    severity: 'error',
    what: 'the encryption context is asked for with IfExists or a negation: a request without one passes',
    next: 'use StringEquals or StringLike, and Null: false',
  },
  encrypt_makes_data_keys: {
    severity: 'warning',
    what: 'kms:Encrypt is allowed for data keys: whoever may call it can bring a data key that they know',
    next: 'allow kms:Encrypt only for the purposes of sealed items',
  },
  operator_unknown: {
    severity: 'error',
    what: 'a condition operator that IAM does not have: nothing rests on it',
    next: 'correct its name',
  },
  policy_too_large: {
    severity: 'error',
    what: 'more than 32,768 characters: KMS refuses it',
    next: 'drop images that no longer run',
  },
};

export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  /** Name of the statement, or null for the policy as a whole. */
  readonly statement: string | null;
  readonly what: string;
  readonly next: string;
}
