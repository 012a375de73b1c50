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
  image_revoked:
    'the publisher has taken this image back: do not rely on it, and ask what happened since',
  measurements_older:
    'fetch the newest list from whoever publishes the image, not from the operator',
  measurements_conflict:
    'two lists were signed with one number: keep both, and ask whoever holds the release key',
  measurements_signature:
    'compare the release_key of your policy with the one that the publisher names',
  bundle_zip_malformed: 'give the file as `trackseal log pull` has written it, not packed again',
  bundle_too_large: 'ask for a shorter time, or leave kinds out with --withhold input',
  bundle_parts: 'the file was changed after it was made: ask for another one, and keep this',
  bundle_contradiction:
    'the file says something else than its leaves: keep it, and ask for another',
  bundle_incomplete: 'leaves of the range are missing: ask for another file, and keep this',
  policy_missing:
    'give --policy FILE or --pcr0/1/2 with the measurements of the image you expect (or --unsafe-any-image)',
  policy_malformed: 'correct the option or the policy file; --help lists them',
  document_not_enclave: 'ask for a document of the enclave, not of the EC2 instance (NitroTPM)',
  cose_malformed: 'give the raw document (CBOR), not base64 or JSON',
  cbor_malformed: 'give the raw document (CBOR), not base64 or JSON',
  cbor_not_deterministic: 'give the raw document (CBOR), not base64 or JSON',
  cbor_truncated: 'the file is cut: fetch it again, as binary',
  cbor_trailing_bytes: 'the file has bytes after the document: fetch it again, as binary',
  eif_crc: 'the file was damaged on its way: fetch it again, and compare its SHA-256',
  eif_measurements:
    'another image than announced: build it from the announced commit and compare with `trackseal image describe`',
  eif_digest:
    'the PCRs are right and the file is not: sections were shifted or the metadata or signature differ; ask for the announced file',
  eif_signature_pcr0: 'the signature was made for another image: do not run this file',
  eif_certificate: 'compare the certificate with the one that the release page names',
  eif_magic: 'give the .eif file',
  lock_malformed: 'take eif/image.lock from the commit, or make it anew with `make lock`',
  input_missing:
    'restore the file; after a change of your own refresh the list with `npm run lock` (repository) or `make lock` (all)',
  input_changed:
    'restore the file; after a change of your own refresh the list with `npm run lock` (repository) or `make lock` (all)',
  input_unavailable:
    'check the network and the proxy; when the mirrors have dropped an old version: `make lock` pins the current ones',
  toolchain_unusable: 'see docs/IMAGE.md for what a building machine needs',
  build_failed:
    'the last lines of the step are above; sources and toolchain are pinned, so look at the machine first',
  image_differs:
    'the first differing file says what depends on the machine; PCRs of this commit mean nothing until then',
  usage_invalid: '--help shows the options',
  file_unreadable: 'check the path and its permissions',
  source_unreachable: 'check the address and that the host proxy runs',
  rate_limited: 'wait a second and try again',
  not_ready: 'the enclave is booting: try again',
  replay_mismatch:
    'the log has an output that this strategy does not give, or the other way round: compare the first difference',
  strategy_not_started: 'this epoch ran without the strategy: choose another with --epoch N',
  commitment_mismatch:
    'the files are not those that the enclave ran: find the bundle, parameters and salts of that epoch',
  rollback: 'keep what you were given: with the head you remember it shows that the log went back',
  fork: 'keep what you were given: two signed heads that contradict prove two histories',
  tile_missing: 'the copy of the log is not complete: ask for the whole folder, blobs included',
  blob_missing: 'the copy of the log is not complete: ask for the whole folder, blobs included',
  tile_mismatch: 'the copy of the log was changed: ask for another one, and keep this',
  blob_mismatch: 'the copy of the log was changed: ask for another one, and keep this',
  root_mismatch:
    'the leaves are not those that the enclave signed: ask for another copy, and keep this',
  note_signature:
    'the head was not signed by the attested key: ask for another copy, and keep this',
  commit_mismatch: 'commits/ was changed or is not complete: ask for another copy, and keep this',
  inclusion_invalid: 'the leaf is not in the log under that head: ask for another proof',
  proof_malformed: 'give the file as `trackseal log prove` has written it',
  header_mismatch: 'the header is not the attested one: treat the whole epoch as unproven',
  gap_mismatch:
    'the log hides a hole in the market data, or claims one: treat the whole epoch as unproven',
  anchor_invalid: 'a time anchor is not genuine: treat the times of this epoch as unproven',
  epoch_link: 'the folders are not one log: ask for the epoch before as it was archived',
  epoch_without_predecessor:
    'you know other epochs of this log: verify the newest one first; if this one is the newest, ask why the log starts anew, and pin its origin in the policy only then',
  leaf_after_close: 'the epoch went on after its close: ask for the leaves that are missing here',
  disclosure_key_wrong:
    'give the private key whose public part is in the configuration of this epoch',
  accounts_not_served:
    'this enclave takes no accounts: ask the operator for the address of one that does',
  not_registered: 'register first; a session that has ended has to be registered anew',
  session_unknown: 'register anew: the session has ended, was revoked, or never was',
  session_limit: 'the enclave has as many sessions as its configuration allows: ask the operator',
  exchange_refused: 'compare key, secret, passphrase, account type and --sandbox with the exchange',
  permission_excessive:
    'make a key at the exchange that may only read, or say that this account may trade',
  venue_unknown: 'docs/VENUES.md lists the exchanges',
  environment_refused: 'this enclave takes no accounts of a sandbox',
  envelope_time: 'compare your clock with a time server',
  envelope_unopened: 'the enclave has started anew, or somebody is in between: try again',
  no_figures: 'the account has not been polled yet: try again in some minutes',
  record_unattested:
    'ask for the attestation document of that epoch (/attestation/boot, or leaf 1 of its log): --attestation FILE',
  record_unlogged:
    'ask for a newer copy of the log; if the enclave has it neither, the end of the log was dropped',
  record_signature: 'the record is not of the attested enclave: do not use it, and keep it',
  record_mismatch:
    'do not use the record, and keep it: the enclave has signed figures that contradict',
  chain_hole: 'ask for the whole record: something was left out',
  result_signature: 'the result is not of the attested enclave: do not use it, and keep it',
  certificate_refused: 'make the certificate for the names and the key of `trackseal tls csr`',
  leaf_key_wrong: 'the key in the file opens another leaf: ask for another proof',
};

export function hintOf(code: RefusalCode): string {
  return (
    HINTS[code] ??
    'what you were given is not valid evidence: ask for another copy, and keep this one'
  );
}
