// A certificate chain that the host brought for the TLS key. It proves nothing about the enclave, and is shown to
// browsers: it must be for this key, for names of the configuration and for now, so that the host cannot have the enclave
// speak for others. Who issued it is the browsers' matter. Hostile bytes; OpenSSL parses them.

import { X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { equalBytes, parseUtf8 } from '../../wire/bytes.ts';
import { MAX_CERTIFICATE_CHAIN_BYTES } from '../../wire/desk-frames.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';

const MAX_CERTIFICATES = 8;
const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\r\n]+-----END CERTIFICATE-----/gu;
/** RFC 5280 4.2.1.12. */
const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';

export interface ChainDemands {
  /** Of the TLS key, DER. */
  readonly spki: Uint8Array;
  /** Of the configuration. */
  readonly names: readonly string[];
  readonly nowMs: number;
}

export interface CheckedChain {
  /** Leaf first, nothing else in it. */
  readonly pem: string;
  readonly expiresMs: number;
}

/** Refuses `certificate_refused`, saying what is wrong. */
export function checkCertificateChain(
  bytes: Uint8Array,
  demands: ChainDemands,
): Result<CheckedChain> {
  const certificates = parseChain(bytes);
  const [leaf] = certificates;
  if (leaf === undefined) return refuse('certificate_refused', { what: 'not PEM certificates' });
  const wrong = checkLeaf(leaf, demands) ?? checkLinks(certificates, demands.nowMs);
  if (wrong !== null) return refuse('certificate_refused', { what: wrong });
  const pem = certificates.map(String).join('');
  if (!isUsable(pem)) return refuse('certificate_refused', { what: 'too weak for TLS' });
  const expiresMs = Math.min(...certificates.map(({ validTo }) => Date.parse(validTo)));
  return accept({ pem, expiresMs });
}

/** OpenSSL has demands of its own, such as on the length of an authority's key, and throws later otherwise. */
function isUsable(pem: string): boolean {
  try {
    createSecureContext({ cert: pem });
    return true;
  } catch {
    return false;
  }
}

/** Empty unless all of it are certificates. */
function parseChain(bytes: Uint8Array): readonly X509Certificate[] {
  const text = bytes.length > MAX_CERTIFICATE_CHAIN_BYTES ? null : parseUtf8(bytes);
  const blocks = text?.match(BLOCK) ?? [];
  if (text === null || blocks.length > MAX_CERTIFICATES) return [];
  if (text.replaceAll(BLOCK, '').trim() !== '') return [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return [];
  }
}

function checkLeaf(leaf: X509Certificate, { spki, names, nowMs }: ChainDemands): string | null {
  if (leaf.ca) return 'the first one is an authority';
  let key: Uint8Array;
  try {
    key = new Uint8Array(leaf.publicKey.export({ format: 'der', type: 'spki' }));
  } catch {
    return 'another key';
  }
  if (!equalBytes(key, spki)) return 'another key';
  const subjects = leaf.subjectAltName?.split(', ') ?? [];
  const allowed = new Set(names.map((name) => `DNS:${name}`));
  if (subjects.length === 0 || !subjects.every((one) => allowed.has(one))) return 'other names';
  // Usages of the extension; without it all are allowed.
  const usages = leaf.keyUsage as readonly string[] | undefined;
  if (usages !== undefined && !usages.includes(SERVER_AUTH)) return 'not for servers';
  return checkTime(leaf, nowMs);
}

function checkTime({ validFrom, validTo }: X509Certificate, nowMs: number): string | null {
  return Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo) ? null : 'not valid now';
}

/** Each is signed by the one behind it. */
function checkLinks(certificates: readonly X509Certificate[], nowMs: number): string | null {
  for (const [index, issuer] of certificates.entries()) {
    const issued = index === 0 ? undefined : certificates[index - 1];
    if (issued === undefined) continue;
    if (!issuer.ca || !issued.checkIssued(issuer) || !isSignedBy(issued, issuer)) {
      return 'not a chain';
    }
    const late = checkTime(issuer, nowMs);
    if (late !== null) return late;
  }
  return null;
}

function isSignedBy(issued: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return issued.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
