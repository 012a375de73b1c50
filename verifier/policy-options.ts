// The options by which every verifying command learns what to trust: the image's PCRs, or a policy file,
// and the flags that switch a check off. There is no default policy that passes, and each --unsafe- flag
// that was given is part of the verdict.

import { open } from 'node:fs/promises';
import type { AttestationPolicy, ImagePcrs } from '../wire/attestation/policy.ts';
import { parseHex } from '../wire/bytes.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { PolicyFile } from './policy-file.ts';
import { MAX_POLICY_BYTES, parsePolicyFile } from './policy-file.ts';
import type { TrustedRoot } from './roots.ts';
import { awsRoot, NO_ROOT, parseRoot } from './roots.ts';

type PolicyOptions = Readonly<
  Record<'pcr0' | 'pcr1' | 'pcr2' | 'policy' | 'unsafe-root', { readonly type: 'string' }> &
    Record<
      'unsafe-any-image' | 'unsafe-allow-debug' | 'unsafe-unsigned',
      { readonly type: 'boolean' }
    >
>;

/** For `parseArgs`; spread into a command's own options. */
export const POLICY_OPTIONS: PolicyOptions = {
  pcr0: { type: 'string' },
  pcr1: { type: 'string' },
  pcr2: { type: 'string' },
  policy: { type: 'string' },
  'unsafe-root': { type: 'string' },
  'unsafe-any-image': { type: 'boolean' },
  'unsafe-allow-debug': { type: 'boolean' },
  'unsafe-unsigned': { type: 'boolean' },
};

export const POLICY_USAGE = `what to trust:
  --policy FILE          nitro-cli's measurements JSON, optionally with config_digest, origin,
                         owner_key, release_key, root
  --pcr0 HEX --pcr1 HEX --pcr2 HEX
                         the image's measurements; all three, instead of --policy
  --unsafe-any-image     accept any image: proves nothing about what runs
  --unsafe-allow-debug   accept debug mode: the operator can read and change such an enclave
  --unsafe-root FILE     trust this root certificate (PEM) instead of AWS Nitro Enclaves G1
  --unsafe-unsigned      take only documents that nobody signed, as an emulated enclave makes them:
                         anybody can write one, so nothing is proved about where this ran
`;

export interface PolicyOptionValues {
  readonly pcr0?: string | undefined;
  readonly pcr1?: string | undefined;
  readonly pcr2?: string | undefined;
  readonly policy?: string | undefined;
  readonly 'unsafe-root'?: string | undefined;
  readonly 'unsafe-any-image'?: boolean | undefined;
  readonly 'unsafe-allow-debug'?: boolean | undefined;
  readonly 'unsafe-unsigned'?: boolean | undefined;
}

export interface TrustOptions {
  readonly root: TrustedRoot;
  /** Null when neither PCRs nor --unsafe-any-image were given: then nothing can be decided. */
  readonly policy: Pick<
    AttestationPolicy,
    'pcrs' | 'unsafeAllowDebug' | 'origin' | 'configDigest'
  > | null;
  /** Flags that switched a check off, as they were given. */
  readonly unsafe: readonly string[];
  /** Fields of the policy file that this version reads but cannot check. */
  readonly unchecked: readonly string[];
}

/** Reads a whole small file; `maximum` is checked before it is read. */
export async function readSmallFile(path: string, maximum: number): Promise<Result<Uint8Array>> {
  try {
    const file = await open(path);
    try {
      const buffer = new Uint8Array(maximum + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length);
        length += bytesRead;
        if (length > maximum)
          return refuse('file_unreadable', { path, what: 'too large', maximum });
        if (bytesRead === 0) return accept(buffer.slice(0, length));
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    return refuse('file_unreadable', { path, system: code });
  }
}

/** Refuses contradictory or unreadable options: exit code 2 for the command. */
export async function readTrustOptions(values: PolicyOptionValues): Promise<Result<TrustOptions>> {
  const root = await readRoot(values['unsafe-root'], values['unsafe-unsigned'] === true);
  if (!root.ok) return root;
  const image = await readImage(values);
  if (!image.ok) return image;
  const { file, pcrs } = image.value;
  if (file?.rootSha256 !== undefined && file.rootSha256 !== root.value.sha256) {
    return refuse('chain_root', {
      what: 'the policy names another root',
      expected: file.rootSha256,
      actual: root.value.sha256,
    });
  }
  const anyImage = values['unsafe-any-image'] === true;
  const unsafeAllowDebug = values['unsafe-allow-debug'] === true;
  const unsafe = [
    values['unsafe-root'] === undefined ? null : '--unsafe-root',
    values['unsafe-unsigned'] === true ? '--unsafe-unsigned' : null,
    anyImage ? '--unsafe-any-image' : null,
    unsafeAllowDebug ? '--unsafe-allow-debug' : null,
  ].filter((flag) => flag !== null);
  const decided = pcrs !== null || anyImage;
  return accept({
    root: root.value,
    policy: decided ? { pcrs, unsafeAllowDebug, ...pinned(file) } : null,
    unsafe,
    unchecked: [
      ...(file?.ownerKey === undefined ? [] : ['owner_key']),
      ...(file?.releaseKey === undefined ? [] : ['release_key']),
    ],
  });
}

function pinned(file: PolicyFile | null): Pick<AttestationPolicy, 'origin' | 'configDigest'> {
  const { origin, configDigest } = file ?? {};
  return {
    ...(origin === undefined ? {} : { origin }),
    ...(configDigest === undefined ? {} : { configDigest }),
  };
}

async function readRoot(path: string | undefined, unsigned: boolean): Promise<Result<TrustedRoot>> {
  if (unsigned && path !== undefined) {
    return refuse('usage_invalid', { what: 'one of --unsafe-root and --unsafe-unsigned' });
  }
  if (unsigned) return accept(NO_ROOT);
  if (path === undefined) return accept(awsRoot());
  const bytes = await readSmallFile(path, MAX_POLICY_BYTES);
  return bytes.ok ? parseRoot(Buffer.from(bytes.value).toString('latin1')) : bytes;
}

interface ImageOptions {
  readonly file: PolicyFile | null;
  readonly pcrs: ImagePcrs | null;
}

async function readImage(values: PolicyOptionValues): Promise<Result<ImageOptions>> {
  const given = [values.pcr0, values.pcr1, values.pcr2];
  const some = given.some((value) => value !== undefined);
  const ways = [some, values.policy !== undefined, values['unsafe-any-image'] === true];
  if (ways.filter(Boolean).length > 1) {
    return refuse('policy_malformed', {
      what: 'give one of --policy, --pcr0/1/2, --unsafe-any-image',
    });
  }
  if (some) {
    const pcrs = readPcrs(given);
    return pcrs.ok ? accept({ file: null, pcrs: pcrs.value }) : pcrs;
  }
  if (values.policy === undefined) return accept({ file: null, pcrs: null });
  const bytes = await readSmallFile(values.policy, MAX_POLICY_BYTES);
  if (!bytes.ok) return bytes;
  const file = parsePolicyFile(Buffer.from(bytes.value).toString('utf8'));
  return file.ok ? accept({ file: file.value, pcrs: file.value.pcrs }) : file;
}

function readPcrs(given: readonly (string | undefined)[]): Result<ImagePcrs> {
  const [pcr0, pcr1, pcr2] = given.map((text) => parseHex(text?.toLowerCase() ?? ''));
  if (pcr0?.length !== 48 || pcr1?.length !== 48 || pcr2?.length !== 48) {
    return refuse('policy_malformed', { what: '--pcr0, --pcr1 and --pcr2: 96 hex digits each' });
  }
  return accept({ pcr0, pcr1, pcr2 });
}
