// The key policy for a key that only named images may use. Two nets: an Allow names whole images, register by
// register; a Deny per register stops everything else, whoever allows it, be it IAM, a grant or a later mistake.
//
// What cannot be attested is denied to all (grants, re-encryption), or bound to a context (Encrypt, which the
// owner's signature makes harmless). What remains open by design: whoever may PutKeyPolicy can undo all of it.

import type { ImageMeasurements } from '../measurements-file.ts';

/** The largest key policy that KMS takes. */
export const MAX_KEY_POLICY_CHARACTERS = 32_768;

export interface PolicyOptions {
  /** Oldest first: each image can open data keys of those before it, and none of those after. */
  readonly images: readonly ImageMeasurements[];
  /** Roles (ARN) whose credentials the hosts give to their enclaves. */
  readonly enclaveRoles: readonly string[];
  /** Who seals. */
  readonly owners: readonly string[];
  /** Who administers the key and can use it for nothing. */
  readonly admins: readonly string[];
  /** PCR0 of images that are gone, whose data keys must stay readable; lower-case hex. */
  readonly earlierImages: readonly string[];
  /** Nobody can ever change the policy again. */
  readonly lockdown: boolean;
  /** Account whose root, and so its IAM policies, gets the default full access; null for none. */
  readonly rootBypass: string | null;
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: '*' | { readonly AWS: string | readonly string[] };
  readonly Action: string | readonly string[];
  readonly Resource: '*';
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

export interface KeyPolicy {
  readonly Version: '2012-10-17';
  readonly Id: string;
  readonly Statement: readonly PolicyStatement[];
}

export const CONTEXT_KEYS = ['trackseal:purpose', 'trackseal:image', 'trackseal:version'] as const;
const SEALED = [
  'strategy/*',
  'parameters/*',
  'client_ca/*',
  'compliance_key/*',
  'exchange_account/*',
  'database_password/*',
];
const DATA_KEY = 'data-key/*';

const ADMIN_ACTIONS = [
  'kms:DescribeKey',
  'kms:GetKeyPolicy',
  'kms:GetKeyRotationStatus',
  'kms:ListKeyPolicies',
  'kms:ListGrants',
  'kms:ListResourceTags',
  'kms:EnableKey',
  'kms:DisableKey',
  'kms:EnableKeyRotation',
  'kms:ScheduleKeyDeletion',
  'kms:CancelKeyDeletion',
  'kms:RevokeGrant',
  'kms:UpdateKeyDescription',
  'kms:TagResource',
  'kms:UntagResource',
];
/** They answer plaintext to an attested caller, or to any. */
const ATTESTED_ACTIONS = ['kms:Decrypt', 'kms:GenerateDataKey', 'kms:GenerateDataKeyPair'];
/** They move secrets to where no attestation is asked for, and know no Recipient. */
const FORBIDDEN_ACTIONS = [
  'kms:CreateGrant',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
  'kms:GenerateDataKeyWithoutPlaintext',
  'kms:GenerateDataKeyPairWithoutPlaintext',
];

type Conditions = NonNullable<PolicyStatement['Condition']>;

function context(images: readonly string[], purposes: readonly string[]): Conditions {
  return {
    StringEquals: { 'kms:EncryptionContext:trackseal:image': images },
    StringLike: { 'kms:EncryptionContext:trackseal:purpose': purposes },
    'ForAllValues:StringEquals': { 'kms:EncryptionContextKeys': CONTEXT_KEYS },
    Null: { 'kms:EncryptionContext:trackseal:version': 'false' },
  };
}

function registersOf({ pcr0, pcr1, pcr2, others }: ImageMeasurements): ReadonlyMap<number, string> {
  return new Map([[0, pcr0], [1, pcr1], [2, pcr2], ...others]);
}

function attested(image: ImageMeasurements): Conditions {
  const pairs = Array.from(registersOf(image), ([index, value]) => {
    return [`kms:RecipientAttestation:PCR${index}`, value] as const;
  });
  return { StringEqualsIgnoreCase: Object.fromEntries(pairs) };
}

function imageStatements(options: PolicyOptions, position: number): readonly PolicyStatement[] {
  const { images, enclaveRoles, earlierImages } = options;
  const image = images[position];
  if (image === undefined) return [];
  const readable = [...earlierImages, ...images.slice(0, position + 1).map(({ pcr0 }) => pcr0)];
  const who = { Effect: 'Allow', Principal: { AWS: enclaveRoles }, Resource: '*' } as const;
  const number = position + 1;
  return [
    {
      ...who,
      Sid: `Image${number}OpensWhatIsSealedForIt`,
      Action: 'kms:Decrypt',
      Condition: { ...attested(image), ...context([image.pcr0], SEALED) },
    },
    {
      ...who,
      Sid: `Image${number}ReadsDataKeys`,
      Action: 'kms:Decrypt',
      Condition: { ...attested(image), ...context(readable, [DATA_KEY]) },
    },
    {
      ...who,
      Sid: `Image${number}MakesDataKeys`,
      Action: 'kms:GenerateDataKey',
      Condition: { ...attested(image), ...context([image.pcr0], [DATA_KEY]) },
    },
  ];
}

/** A Deny for each register on its own: conditions of one statement are joined, and one that holds would do. */
function denials(images: readonly ImageMeasurements[]): readonly PolicyStatement[] {
  const all = images.map(registersOf);
  const indexes = new Set(all.flatMap((registers) => [...registers.keys()]));
  return [...indexes].flatMap((index) => {
    const values = all.map((registers) => registers.get(index));
    // An image that does not say what this register is may have any value there.
    if (values.includes(undefined)) return [];
    return [
      {
        Sid: `DenyWithoutPCR${index}`,
        Effect: 'Deny',
        Principal: '*',
        Action: ATTESTED_ACTIONS,
        Resource: '*',
        Condition: {
          StringNotEqualsIgnoreCase: {
            [`kms:RecipientAttestation:PCR${index}`]: [...new Set(values)].filter(
              (value) => value !== undefined,
            ),
          },
        },
      } satisfies PolicyStatement,
    ];
  });
}

function contextDenials(): readonly PolicyStatement[] {
  return CONTEXT_KEYS.map((key): PolicyStatement => {
    const name = key.slice('trackseal:'.length);
    return {
      Sid: `DenyWithoutContext${name.charAt(0).toUpperCase()}${name.slice(1)}`,
      Effect: 'Deny',
      Principal: '*',
      Action: ['kms:Encrypt', ...ATTESTED_ACTIONS],
      Resource: '*',
      Condition: { Null: { [`kms:EncryptionContext:${key}`]: 'true' } },
    };
  });
}

function administration(options: PolicyOptions): readonly PolicyStatement[] {
  const { admins, lockdown, rootBypass } = options;
  const everywhere = { Principal: '*', Resource: '*', Effect: 'Deny' } as const;
  const change = lockdown ? [] : ['kms:PutKeyPolicy'];
  const bypass: readonly PolicyStatement[] =
    rootBypass === null
      ? []
      : [
          {
            Sid: 'RootBypass',
            Effect: 'Allow',
            Principal: { AWS: `arn:aws:iam::${rootBypass}:root` },
            Action: 'kms:*',
            Resource: '*',
          },
        ];
  const locked: readonly PolicyStatement[] = lockdown
    ? [{ ...everywhere, Sid: 'LockedDown', Action: 'kms:PutKeyPolicy' }]
    : [];
  return [
    ...bypass,
    {
      Sid: 'AdministerWithoutUse',
      Effect: 'Allow',
      Principal: { AWS: admins },
      Action: [...ADMIN_ACTIONS, ...change],
      Resource: '*',
    },
    { ...everywhere, Sid: 'DenyWaysAroundAttestation', Action: FORBIDDEN_ACTIONS },
    ...locked,
  ];
}

/** Every list of `options` but `earlierImages` has at least one entry. */
export function makeKeyPolicy(options: PolicyOptions): KeyPolicy {
  const images = options.images.map(({ pcr0 }) => pcr0);
  return {
    Version: '2012-10-17',
    Id: 'trackseal',
    Statement: [
      ...administration(options),
      {
        Sid: 'SealForAnImage',
        Effect: 'Allow',
        Principal: { AWS: options.owners },
        Action: 'kms:Encrypt',
        Resource: '*',
        Condition: context(images, SEALED),
      },
      ...options.images.flatMap((_, position) => imageStatements(options, position)),
      ...denials(options.images),
      ...contextDenials(),
    ],
  };
}
