// The options by which every verifying command learns what to trust: the image's PCRs, or a policy file,
// and the flags that switch a check off. There is no default policy that passes, and each --unsafe- flag
// that was given is part of the verdict.

import type { AttestationPolicy, ImagePcrs } from '../wire/attestation/policy.ts';
import { parseHex } from '../wire/bytes.ts';
import { nodeCrypto } from '../wire/node/crypto.ts';
import type { Result } from '../wire/result.ts';
import { accept, refuse } from '../wire/result.ts';
import type { PolicyFile } from './policy-file.ts';
import { MAX_POLICY_BYTES, parsePolicyFile } from './policy-file.ts';
import type { CommandIo } from './io.ts';
import { MAX_LIST_BYTES, policyOfList, verifyMeasurements } from './measurements/list.ts';
import type { VerifiedList } from './measurements/list.ts';
import { listsPath, rememberList } from './measurements/memory.ts';
import type { TrustedRoot } from './roots.ts';
import { awsRoot, NO_ROOT, parseRoot } from './roots.ts';
import { readSmallFile } from './small-file.ts';

type PolicyOptions = Readonly<
  Record<
    'pcr0' | 'pcr1' | 'pcr2' | 'policy' | 'measurements-list' | 'unsafe-root',
    { readonly type: 'string' }
  > &
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
  'measurements-list': { type: 'string' },
  'unsafe-root': { type: 'string' },
  'unsafe-any-image': { type: 'boolean' },
  'unsafe-allow-debug': { type: 'boolean' },
  'unsafe-unsigned': { type: 'boolean' },
};

export const POLICY_USAGE = `what to trust:
  --policy FILE          nitro-cli's measurements JSON, optionally with further images, config_digest,
                         origin, owner_key, release_key, root
  --measurements-list FILE
                         a list that the policy's release_key has signed: its images are allowed,
                         revoked ones refused; an older list than one seen before is refused
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
  readonly 'measurements-list'?: string | undefined;
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
    'pcrs' | 'alternatives' | 'revoked' | 'unsafeAllowDebug' | 'origin' | 'configDigest'
  > | null;
  /** The signed list of measurements in use; null without one. */
  readonly list: VerifiedList | null;
  /** Flags that switched a check off, as they were given. */
  readonly unsafe: readonly string[];
  /** Fields of the policy file that this version reads but cannot check. */
  readonly unchecked: readonly string[];
}

/** Refuses contradictory or unreadable options: exit code 2 for the command. */
export async function readTrustOptions(
  values: PolicyOptionValues,
  env: CommandIo['env'],
): Promise<Result<TrustOptions>> {
  const root = await readRoot(values['unsafe-root'], values['unsafe-unsigned'] === true);
  if (!root.ok) return root;
  const image = await readImage(values);
  if (!image.ok) return image;
  const { file } = image.value;
  if (file?.rootSha256 !== undefined && file.rootSha256 !== root.value.sha256) {
    return refuse('chain_root', {
      what: 'the policy names another root',
      expected: file.rootSha256,
      actual: root.value.sha256,
    });
  }
  const list = await readList(values['measurements-list'], file, env);
  if (!list.ok) return list;
  const anyImage = values['unsafe-any-image'] === true;
  const unsafeAllowDebug = values['unsafe-allow-debug'] === true;
  const unsafe = [
    values['unsafe-root'] === undefined ? null : '--unsafe-root',
    values['unsafe-unsigned'] === true ? '--unsafe-unsigned' : null,
    anyImage ? '--unsafe-any-image' : null,
    unsafeAllowDebug ? '--unsafe-allow-debug' : null,
  ].filter((flag) => flag !== null);
  const listed = list.value === null ? null : policyOfList(list.value.list);
  const [first, ...others] = [...image.value.images, ...(listed?.alternatives ?? [])];
  if (file !== null && first === undefined) {
    return refuse('policy_malformed', {
      what:
        list.value === null
          ? 'the policy names a release key and no image: give --measurements-list FILE'
          : 'neither the policy nor the list allows an image',
    });
  }
  const images = {
    pcrs: first ?? null,
    ...(others.length === 0 ? {} : { alternatives: others }),
    ...(listed === null ? {} : { revoked: listed.revoked }),
  };
  const decided = first !== undefined || anyImage;
  return accept({
    root: root.value,
    policy: decided ? { ...images, unsafeAllowDebug, ...pinned(file) } : null,
    list: list.value,
    unsafe,
    unchecked: [
      ...(file?.ownerKey === undefined ? [] : ['owner_key']),
      // Without the list nobody has asked whether the image was taken back.
      ...(file?.releaseKey === undefined || list.value !== null ? [] : ['release_key']),
    ],
  });
}

/** A list says something only to whoever has chosen the key that signs it. */
async function readList(
  path: string | undefined,
  file: PolicyFile | null,
  env: CommandIo['env'],
): Promise<Result<VerifiedList | null>> {
  if (path === undefined) return accept(null);
  if (file?.releaseKey === undefined) {
    return refuse('policy_malformed', {
      what: '--measurements-list needs a --policy that names a release_key',
    });
  }
  const bytes = await readSmallFile(path, MAX_LIST_BYTES);
  if (!bytes.ok) return bytes;
  const verified = verifyMeasurements(nodeCrypto, bytes.value, file.releaseKey);
  if (!verified.ok) return verified;
  const known = await rememberList(listsPath(env), verified.value);
  return known.ok ? verified : known;
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
  readonly images: readonly ImagePcrs[];
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
    return pcrs.ok ? accept({ file: null, images: [pcrs.value] }) : pcrs;
  }
  if (values.policy === undefined) return accept({ file: null, images: [] });
  const bytes = await readSmallFile(values.policy, MAX_POLICY_BYTES);
  if (!bytes.ok) return bytes;
  const file = parsePolicyFile(Buffer.from(bytes.value).toString('utf8'));
  return file.ok ? accept({ file: file.value, images: file.value.images }) : file;
}

function readPcrs(given: readonly (string | undefined)[]): Result<ImagePcrs> {
  const [pcr0, pcr1, pcr2] = given.map((text) => parseHex(text?.toLowerCase() ?? ''));
  if (pcr0?.length !== 48 || pcr1?.length !== 48 || pcr2?.length !== 48) {
    return refuse('policy_malformed', { what: '--pcr0, --pcr1 and --pcr2: 96 hex digits each' });
  }
  return accept({ pcr0, pcr1, pcr2 });
}
