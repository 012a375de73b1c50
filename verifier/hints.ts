// What a person can do about a refusal. Kept apart from the checks: a hint is advice, not a verdict.

import type { RefusalCode } from '../wire/codes.ts';

const HINTS: Partial<Readonly<Record<RefusalCode, string>>> = {
  certificate_expired:
    'a leaf certificate lives three hours: ask for a fresh document, or judge an archived one with --at signing',
  timestamp_future: 'compare your clock with a time server, or judge it --at signing',
  document_stale: 'ask for a fresh document; compare your clock with a time server',
  chain_root:
    'the document is not from AWS Nitro hardware; a simulator needs --unsafe-root with its root.pem',
  debug_mode:
    'ask the operator to start the enclave without --debug-mode; --unsafe-allow-debug is for tests',
  pcr_mismatch:
    'another image runs than your policy says: rebuild it from source and compare the measurements',
  pcr_missing: 'the enclave has not locked a register that your policy needs: treat it as unproven',
  nonce_mismatch:
    'the document answers another challenge, or is a replay: ask again with a new nonce',
  user_data_malformed: 'this enclave does not run Trackseal, or another version of it',
  purpose_mismatch: 'a document for another purpose: ask the operator for the right one',
  origin_mismatch: 'a document of another log: compare the origin in your policy',
  config_mismatch: 'the enclave runs with another configuration than your policy pins',
  tls_key_mismatch:
    'somebody between you and the enclave ends the TLS connection: do not send secrets there',
  policy_missing:
    'give --policy FILE or --pcr0/1/2 with the measurements of the image you expect (or --unsafe-any-image)',
  policy_malformed: 'correct the option or the policy file; --help lists them',
  document_not_enclave: 'ask for a document of the enclave, not of the EC2 instance (NitroTPM)',
  cose_malformed: 'give the raw document (CBOR), not base64 or JSON',
  cbor_malformed: 'give the raw document (CBOR), not base64 or JSON',
  cbor_not_deterministic: 'give the raw document (CBOR), not base64 or JSON',
  cbor_truncated: 'the file is cut: fetch it again, as binary',
  cbor_trailing_bytes: 'the file has bytes after the document: fetch it again, as binary',
  usage_invalid: '--help shows the options',
  file_unreadable: 'check the path and its permissions',
  source_unreachable: 'check the address and that the host proxy runs',
  rate_limited: 'wait a second and try again',
  not_ready: 'the enclave is booting: try again',
  rollback: 'keep the document: with the head you remember it shows that the log went back',
  fork: 'keep the document: with the head you remember it proves two histories',
};

export function hintOf(code: RefusalCode): string {
  return HINTS[code] ?? 'the document is not valid evidence: ask for another one';
}
