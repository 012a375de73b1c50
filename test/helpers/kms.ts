// A simulated KMS with an owner's key in one account and a host in another, and documents of a simulated NSM.

import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { KMSClient } from '@aws-sdk/client-kms';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { onTestFinished } from 'vitest';
import type { KmsOptions, RunningKms } from '../../simulator/kms/server.ts';
import { startKms } from '../../simulator/kms/server.ts';
import type { Principal } from '../../simulator/kms/signature.ts';
import { SimulatedNsm } from '../../simulator/nsm/device.ts';
import type { SimulatedNsmOptions } from '../../simulator/nsm/device.ts';
import { encodeNsm } from '../../simulator/nsm/encode.ts';
import type { Measurements } from '../../simulator/nsm/measure.ts';
import { SimulatedRoot } from '../../simulator/nsm/root.ts';
import { parseCbor } from '../../wire/cbor.ts';
import type { CborMap } from '../../wire/cbor.ts';
import { assertAccepted } from '../../wire/result.ts';

export const OWNER_ACCOUNT = '111111111111';
export const HOST_ACCOUNT = '222222222222';
export const REGION = 'eu-central-1';
export const KEY_ARN: string = `arn:aws:kms:${REGION}:${OWNER_ACCOUNT}:key/01234567-89ab-cdef-0123-456789abcdef`;
export const OTHER_KEY_ARN: string = `arn:aws:kms:${REGION}:${OWNER_ACCOUNT}:key/76543210-89ab-cdef-0123-456789abcdef`;

export const OWNER: Principal = {
  arn: `arn:aws:iam::${OWNER_ACCOUNT}:user/owner`,
  accessKeyId: 'AKIAOWNER',
  secretAccessKey: 'owner-secret',
};
export const ADMIN: Principal = {
  arn: `arn:aws:iam::${OWNER_ACCOUNT}:user/admin`,
  accessKeyId: 'AKIAADMIN',
  secretAccessKey: 'admin-secret',
};
export const HOST: Principal = {
  arn: `arn:aws:sts::${HOST_ACCOUNT}:assumed-role/trackseal-host/i-0123456789abcdef0`,
  accessKeyId: 'ASIAHOST',
  secretAccessKey: 'host-secret',
  sessionToken: 'host-token',
};
export const HOST_ROLE: string = `arn:aws:iam::${HOST_ACCOUNT}:role/trackseal-host`;
export const PRINCIPALS: readonly Principal[] = [OWNER, ADMIN, HOST];

/** Whoever is named may do everything: for tests of the protocol, not of policies. */
export function openPolicy(...principals: readonly Principal[]): string {
  const AWS = principals.map(({ arn }) => arn);
  const statement = { Effect: 'Allow', Principal: { AWS }, Action: 'kms:*', Resource: '*' };
  return JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
}

export function pcr(byte: number): Uint8Array {
  return new Uint8Array(48).fill(byte);
}

export const IMAGE: Measurements = { pcr0: pcr(0xa0), pcr1: pcr(0xa1), pcr2: pcr(0xa2) };

let sharedRoot: Promise<SimulatedRoot> | null = null;

export function simulatedRoot(): Promise<SimulatedRoot> {
  sharedRoot ??= SimulatedRoot.create();
  return sharedRoot;
}

/** Closed when the test is over. */
export async function simulatedKms(options: Partial<KmsOptions> = {}): Promise<RunningKms> {
  const { certificateDer } = await simulatedRoot();
  const kms = await startKms({
    attestationRootDer: certificateDer,
    principals: PRINCIPALS,
    keys: [{ arn: KEY_ARN, policy: openPolicy(...PRINCIPALS) }],
    ...options,
  });
  onTestFinished(() => kms.close());
  return kms;
}

/** As a user has it: AWS's SDK, with the simulator's CA. No retries, so that the first answer is seen. */
export function clientOf(kms: RunningKms, principal: Principal, ca: string = kms.caPem): KMSClient {
  const { accessKeyId, secretAccessKey, sessionToken } = principal;
  const client = new KMSClient({
    region: kms.region,
    endpoint: kms.endpoint,
    maxAttempts: 1,
    credentials: {
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    requestHandler: new NodeHttpHandler({ httpsAgent: { ca } }),
  });
  onTestFinished(() => {
    client.destroy();
  });
  return client;
}

let sharedKey: { readonly spki: Uint8Array; readonly privateKey: KeyObject } | null = null;

/** RSA-2048, one for all tests of a file: making one takes a while. */
export function recipientKey(): { readonly spki: Uint8Array; readonly privateKey: KeyObject } {
  if (sharedKey === null) {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    sharedKey = { spki, privateKey };
  }
  return sharedKey;
}

/** An attestation document of an enclave with this image. */
export async function documentOf(
  options: Partial<SimulatedNsmOptions> = {},
  publicKey: Uint8Array | null = recipientKey().spki,
): Promise<Uint8Array> {
  const nsm = new SimulatedNsm({ root: await simulatedRoot(), measurements: IMAGE, ...options });
  const fields = new Map([
    ['public_key', publicKey],
    ['user_data', null],
    ['nonce', null],
  ]);
  const answer = await nsm.request(encodeNsm(new Map([['Attestation', fields]])));
  const decoded = assertAccepted(parseCbor(answer, { maxBytes: 65_536, deterministic: false }));
  const document = ((decoded as CborMap).get('Attestation') as CborMap).get('document');
  if (!(document instanceof Uint8Array)) throw new Error('no document');
  return document;
}

/** The field of a request. */
export async function recipientOf(
  options: Partial<SimulatedNsmOptions> = {},
): Promise<{ AttestationDocument: Uint8Array; KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }> {
  return {
    AttestationDocument: await documentOf(options),
    KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  };
}
