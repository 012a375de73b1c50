// The configuration of a simulated KMS, for programs: who may sign requests, and which keys there are.
//
//   { "region": "eu-central-1", "names": ["kms.eu-central-1.amazonaws.com"],
//     "principals": [{ "arn", "access_key_id", "secret_access_key", "session_token"?, "expires"?: ISO time,
//                      "identity_policy"?: policy }],
//     "keys": [{ "arn", "policy": policy, "state"? }], "variant"?: "A" | "B" | "alternating" }

import { z } from 'zod';
import type { Principal } from './signature.ts';
import type { KmsOptions } from './server.ts';
import type { KeyOptions } from './keys.ts';
import { KEY_STATES } from './keys.ts';

const policy = z.record(z.string(), z.unknown());

const principalSchema = z.strictObject({
  arn: z.string().regex(/^arn:aws:(?:iam|sts)::[0-9]{12}:[\w+=,.@/-]+$/u),
  access_key_id: z.string().min(1),
  secret_access_key: z.string().min(1),
  session_token: z.string().min(1).optional(),
  expires: z.iso.datetime().optional(),
  identity_policy: policy.optional(),
});

const keySchema = z.strictObject({
  arn: z.string(),
  policy,
  state: z.enum(KEY_STATES).optional(),
});

const schema = z.strictObject({
  region: z.string().regex(/^[a-z]{2}(?:-[a-z]+)+-[0-9]$/u),
  names: z.array(z.string()).optional(),
  variant: z.enum(['A', 'B', 'alternating']).optional(),
  principals: z.array(principalSchema),
  keys: z.array(keySchema),
});

type KmsConfig = Pick<KmsOptions, 'principals'> &
  Required<Pick<KmsOptions, 'region' | 'keys'>> &
  Pick<KmsOptions, 'names' | 'variant'>;

function principalOf(one: z.infer<typeof principalSchema>): Principal {
  const { session_token: sessionToken, expires, identity_policy: identity } = one;
  return {
    arn: one.arn,
    accessKeyId: one.access_key_id,
    secretAccessKey: one.secret_access_key,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    ...(expires === undefined ? {} : { expiresMs: Date.parse(expires) }),
    ...(identity === undefined ? {} : { identityPolicy: JSON.stringify(identity) }),
  };
}

function keyOf({ arn, policy: document, state }: z.infer<typeof keySchema>): KeyOptions {
  return { arn, policy: JSON.stringify(document), ...(state === undefined ? {} : { state }) };
}

/** Throws for anything else: a file of whoever starts the simulator. */
export function parseKmsConfig(text: string): KmsConfig {
  const { region, names, variant, principals, keys } = schema.parse(JSON.parse(text));
  return {
    region,
    ...(names === undefined ? {} : { names }),
    ...(variant === undefined ? {} : { variant }),
    principals: principals.map(principalOf),
    keys: keys.map(keyOf),
  };
}
