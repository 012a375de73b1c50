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
]);

export function isPermanent(code: RefusalCode): boolean {
  return PERMANENT.has(code);
}
