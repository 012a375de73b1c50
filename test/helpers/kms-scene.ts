// Attempts on a key of the simulated KMS under a policy that `trackseal kms policy` makes, or a loosened one.

import { DecryptCommand, EncryptCommand, GenerateDataKeyCommand } from '@aws-sdk/client-kms';
import type { RecipientInfo } from '@aws-sdk/client-kms';
import type { PolicyOptions } from '../../owner/kms/policy.ts';
import { makeKeyPolicy } from '../../owner/kms/policy.ts';
import type { ImageMeasurements } from '../../owner/measurements-file.ts';
import type { RunningKms } from '../../simulator/kms/server.ts';
import type { Principal } from '../../simulator/kms/signature.ts';
import { toHex } from '../../wire/bytes.ts';
import {
  ADMIN,
  clientOf,
  HOST,
  HOST_ROLE,
  IMAGE,
  KEY_ARN,
  OWNER,
  pcr,
  PRINCIPALS,
  simulatedKms,
} from './kms.ts';

export const NEXT: typeof IMAGE = { pcr0: pcr(0xb0), pcr1: pcr(0xb1), pcr2: pcr(0xb2) };

export function measured(
  image: typeof IMAGE,
  others: ImageMeasurements['others'] = new Map(),
): ImageMeasurements {
  const { pcr0, pcr1, pcr2 } = image;
  return { pcr0: toHex(pcr0), pcr1: toHex(pcr1), pcr2: toHex(pcr2), others };
}

export const OPTIONS: PolicyOptions = {
  images: [measured(IMAGE)],
  enclaveRoles: [HOST_ROLE],
  owners: [OWNER.arn],
  admins: [ADMIN.arn],
  earlierImages: [],
  lockdown: false,
  rootBypass: null,
};

export function policyOf(changes: Partial<PolicyOptions> = {}): string {
  return JSON.stringify(makeKeyPolicy({ ...OPTIONS, ...changes }));
}

export type Context = Record<string, string>;

export function contextOf(purpose: string, image: Uint8Array = IMAGE.pcr0, version = '1'): Context {
  return {
    'trackseal:purpose': purpose,
    'trackseal:image': toHex(image),
    'trackseal:version': version,
  };
}

export const STRATEGY: Context = contextOf('strategy/one');
export const DATA_KEY: Context = contextOf('data-key/book');

/** Somebody's attempt; null when KMS did it, else the name of its error. */
export type Attempt = Promise<string | null>;

export async function outcome(sent: Promise<unknown>): Attempt {
  return sent.then(
    () => null,
    (error: Error) => error.name,
  );
}

export class Scene {
  readonly kms: RunningKms;
  readonly #policy: string;
  constructor(kms: RunningKms, policy: string) {
    this.kms = kms;
    this.#policy = policy;
  }

  /** Wrapped as the owner of an open key would: what is tested is who may open it. */
  async wrapped(context: Context): Promise<Uint8Array> {
    const open = { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
    await this.kms.putKey({ arn: KEY_ARN, policy: JSON.stringify({ Statement: open }) });
    const answer = await clientOf(this.kms, OWNER).send(
      new EncryptCommand({
        KeyId: KEY_ARN,
        Plaintext: new Uint8Array(32),
        EncryptionContext: context,
      }),
    );
    await this.kms.putKey({ arn: KEY_ARN, policy: this.#policy });
    return answer.CiphertextBlob ?? new Uint8Array();
  }

  async decrypt(
    context: Context,
    Recipient: RecipientInfo | undefined,
    principal: Principal = HOST,
    wrappedUnder: Context = context,
  ): Attempt {
    const CiphertextBlob = await this.wrapped(wrappedUnder);
    return outcome(
      clientOf(this.kms, principal).send(
        new DecryptCommand({
          KeyId: KEY_ARN,
          CiphertextBlob,
          EncryptionContext: context,
          Recipient,
        }),
      ),
    );
  }

  generate(
    context: Context,
    Recipient: RecipientInfo | undefined,
    principal: Principal = HOST,
  ): Attempt {
    return outcome(
      clientOf(this.kms, principal).send(
        new GenerateDataKeyCommand({
          KeyId: KEY_ARN,
          KeySpec: 'AES_256',
          EncryptionContext: context,
          Recipient,
        }),
      ),
    );
  }

  encrypt(context: Context, principal: Principal): Attempt {
    return outcome(
      clientOf(this.kms, principal).send(
        new EncryptCommand({
          KeyId: KEY_ARN,
          Plaintext: new Uint8Array(32),
          EncryptionContext: context,
        }),
      ),
    );
  }
}

export async function scene(
  policy: string,
  principals: readonly Principal[] = PRINCIPALS,
): Promise<Scene> {
  const kms = await simulatedKms({ keys: [{ arn: KEY_ARN, policy }], principals });
  return new Scene(kms, policy);
}

export const DENIED = 'AccessDeniedException';
