// Attestation documents and certificate chains in which a test changes one thing. Everything is signed
// with keys of its own, so that a refusal can only come from the check under test.

import 'reflect-metadata';
import type { Extension, JsonName } from '@peculiar/x509';
import {
  authorityExtensions,
  generateKeyPair,
  instanceExtensions,
  issueCertificate,
  leafExtensions,
} from '../../../simulator/nsm/certificates.ts';
import type { Issuer, KeyPair } from '../../../simulator/nsm/certificates.ts';
import { signPayload } from '../../../simulator/nsm/document.ts';
import { concatBytes } from '../../../wire/bytes.ts';
import type { CborValue } from '../../../wire/cbor.ts';
import { encodeCbor, encodeCborHead } from '../../../wire/cbor.ts';

export const SIGNED_MS: number = Date.UTC(2026, 5, 1, 12);
const DAY_MS = 86_400_000;

export type LinkName = 'root' | 'regional' | 'zonal' | 'instance' | 'leaf';
const NAMES: readonly LinkName[] = ['root', 'regional', 'zonal', 'instance', 'leaf'];

export interface Link {
  readonly subject: JsonName;
  /** The issuer's name in the certificate; the issuer's own subject when left out. */
  readonly issuerName?: JsonName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly extensions: (keys: KeyPair, issuer: KeyPair) => Promise<readonly Extension[]>;
  readonly keys?: KeyPair;
  /** Signs instead of the issuer. */
  readonly signer?: KeyPair;
}

export interface ForgedChain {
  readonly ders: readonly Uint8Array[];
  readonly rootDer: Uint8Array;
  readonly keys: Readonly<Record<LinkName, KeyPair>>;
}

const PATH_LENGTHS: Partial<Readonly<Record<LinkName, number>>> = { regional: 2, zonal: 1 };

function linkOf(name: LinkName): Link {
  return {
    subject: [{ O: ['Forged'] }, { CN: [name] }],
    notBeforeMs: SIGNED_MS - DAY_MS,
    notAfterMs: SIGNED_MS + DAY_MS,
    extensions: async (keys, issuer) => {
      if (name === 'leaf') return leafExtensions();
      if (name === 'instance') return instanceExtensions();
      return authorityExtensions(keys, name === 'root' ? null : issuer, PATH_LENGTHS[name]);
    },
  };
}

export async function forgeChain(
  changes: Partial<Readonly<Record<LinkName, Partial<Link>>>> = {},
): Promise<ForgedChain> {
  const ders: Uint8Array[] = [];
  const keys: Partial<Record<LinkName, KeyPair>> = {};
  let issuer: Issuer | null = null;
  for (const name of NAMES) {
    const link: Link = { ...linkOf(name), ...changes[name] };
    const own = link.keys ?? (await generateKeyPair());
    const parent: Issuer = issuer ?? { subject: link.subject, keys: own };
    const signer: Issuer = {
      subject: link.issuerName ?? parent.subject,
      keys: link.signer ?? parent.keys,
    };
    const extensions = await link.extensions(own, parent.keys);
    ders.push(await issueCertificate({ ...link, extensions }, own, signer));
    keys[name] = own;
    issuer = { subject: link.subject, keys: own };
  }
  const [rootDer] = ders;
  if (rootDer === undefined) throw new Error('no root');
  return { ders, rootDer, keys: keys as Record<LinkName, KeyPair> };
}

export interface Payload {
  readonly module_id: CborValue;
  readonly digest: CborValue;
  readonly timestamp: CborValue;
  readonly pcrs: CborValue;
  readonly certificate: CborValue;
  readonly cabundle: CborValue;
  readonly public_key: CborValue;
  readonly user_data: CborValue;
  readonly nonce: CborValue;
}

export function pcrsOf(indexes: readonly number[]): Map<number, Uint8Array> {
  return new Map(indexes.map((index) => [index, new Uint8Array(48).fill(index + 1)]));
}

export function payloadOf(chain: Pick<ForgedChain, 'ders'>): Payload {
  return {
    module_id: 'i-0123456789abcdef0-enc0123456789abcdef',
    digest: 'SHA384',
    timestamp: SIGNED_MS,
    pcrs: pcrsOf([0, 1, 2, 3, 4]),
    certificate: chain.ders.at(-1) ?? null,
    cabundle: chain.ders.slice(0, -1),
    public_key: null,
    user_data: null,
    nonce: null,
  };
}

/** A definite or indefinite map in the order given; repeated keys are written as they come. */
export function encodePairs(
  pairs: readonly (readonly [CborValue, CborValue])[],
  indefinite = true,
): Uint8Array {
  const items = pairs.flatMap(([key, value]) => [encodeCbor(key), encodeCbor(value)]);
  return indefinite
    ? concatBytes(Uint8Array.of(0xbf), ...items, Uint8Array.of(0xff))
    : concatBytes(encodeCborHead(5, pairs.length), ...items);
}

/** `undefined` leaves a field out; further keys are added at the end. */
export function encodePayload(
  chain: Pick<ForgedChain, 'ders'>,
  changes: Readonly<Record<string, CborValue | undefined>> = {},
): Uint8Array {
  const fields = Object.entries({ ...payloadOf(chain), ...changes });
  return encodePairs(
    fields.flatMap(([key, value]) => (value === undefined ? [] : [[key, value] as const])),
  );
}

export async function forgeDocument(
  chain: ForgedChain,
  changes: Readonly<Record<string, CborValue | undefined>> = {},
): Promise<Uint8Array> {
  return signPayload(encodePayload(chain, changes), chain.keys.leaf.privateKey);
}
