// Refusals of an enclave's boot that another attempt with the same files cannot change, told apart from
// those that may pass.

import type { RefusalCode } from '../wire/codes.ts';

const PERMANENT: ReadonlySet<RefusalCode> = new Set([
  'json_malformed',
  'message_malformed',
  'config_not_canonical',
  'config_invalid',
  'item_missing',
  'item_unexpected',
  'commitment_mismatch',
  'commitment_not_measured',
  'previous_invalid',
  'boot_order',
  'strategy_malformed',
  'strategy_parameters',
  'roots_mismatch',
  'host_not_measured',
  // A policy that is being changed is another attempt's, by whoever changed it: the explanation says so.
  'kms_denied',
  'seal_malformed',
  'seal_signature_invalid',
  'seal_wrong_image',
  'seal_wrong_configuration',
  'seal_unexpected',
  'seal_missing',
  'seal_rolled_back',
  'seal_commitment_mismatch',
  'compliance_key_mismatch',
  // Another host is at work, or this one does not know the log's end: somebody has to decide.
  'previous_stale',
  'epoch_claimed',
  'object_replaced',
  'bucket_missing',
  'bucket_region',
  'bucket_unversioned',
  'bucket_unlocked',
  'bucket_governance',
  'bucket_retention_short',
]);

export function isPermanent(code: RefusalCode): boolean {
  return PERMANENT.has(code);
}
