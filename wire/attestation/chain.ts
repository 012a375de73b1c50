// Is a list of certificates a chain from the pinned root to a leaf that may sign attestation documents?
// Only the pinned root is trusted, byte for byte: a self-signed certificate in a document proves
// nothing. Hostile input can at most make us check as many signatures as the document parser allows.
// Time is not looked at here; verify.ts keeps it apart, because it is asked for twice.

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import type { Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { Certificate } from './certificate.ts';
import { parseCertificate } from './certificate.ts';

/** `chain` is DER, root first, leaf last, at least two. Positions in refusals count from the root. */
export function verifyChain(
  crypto: WireCrypto,
  chain: readonly Uint8Array[],
  rootDer: Uint8Array,
): Result<readonly Certificate[]> {
  const [root] = chain;
  if (root === undefined || chain.length < 2 || !equalBytes(root, rootDer)) {
    return refuse('chain_root');
  }
  const certificates: Certificate[] = [];
  for (const [position, der] of chain.entries()) {
    const parsed = parseCertificate(der);
    if (!parsed.ok) return refuse(parsed.refusal.code, { position, ...parsed.refusal.detail });
    certificates.push(parsed.value);
  }
  for (const [position, certificate] of certificates.entries()) {
    const issuer = certificates[position - 1];
    // The root's issuer is itself, and what it signed of itself proves nothing: it is pinned.
    if (issuer !== undefined && !equalBytes(certificate.issuer, issuer.subject)) {
      return refuse('chain_issuer', { position });
    }
    const role = checkRole(certificate, position, certificates.length);
    if (!role.ok) return role;
    if (issuer === undefined) continue;
    if (!crypto.verifyP384Der(issuer.spki, certificate.tbs, certificate.signature)) {
      return refuse('chain_signature', { position });
    }
  }
  return accept(certificates);
}

/** RFC 5280 6.1.4 (k), (m), (n), and for the leaf that it cannot issue anything itself. */
function checkRole(certificate: Certificate, position: number, count: number): Result<null> {
  const { isCa, keyUsage, pathLength } = certificate;
  const leaf = position === count - 1;
  if (isCa === leaf) return refuse('certificate_extension', { position, what: 'CA flag' });
  if (keyUsage === null || keyUsage.keyCertSign === leaf) {
    return refuse('certificate_extension', { position, what: 'keyCertSign' });
  }
  if (leaf && !keyUsage.digitalSignature) {
    return refuse('certificate_extension', { position, what: 'digitalSignature' });
  }
  // CA certificates between this one and the leaf.
  const below = count - 2 - position;
  if (pathLength !== null && below > pathLength) {
    return refuse('chain_length', { position, path_length: pathLength, below });
  }
  return accept(null);
}
