// The codes that the enclave's core says and takes from others: its own, those of strategies, and those with which a host
// explains reports and connections. The words for them, and the codes of everybody else, are in codes.ts, which no
// program that is trusted by everybody has to contain. A test compares both with what the sources use.

import type { RefusalCode } from './codes.ts';

const CODES: ReadonlySet<string> = new Set(
  `
cbor_truncated cbor_malformed cbor_not_deterministic cbor_limit cbor_trailing_bytes message_malformed json_malformed
frame_too_large frame_unknown credit_exceeded credit_malformed stream_closed batch_malformed batch_replayed
batch_out_of_order stream_unknown instrument_unknown report_unknown_output config_not_canonical config_invalid
item_missing item_unexpected commitment_mismatch commitment_not_measured previous_invalid boot_order boot_timeout
roots_mismatch host_not_measured egress_refused tls_untrusted credentials_missing credentials_expired kms_unreachable
kms_denied kms_answer_invalid seal_malformed seal_signature_invalid seal_wrong_image seal_wrong_configuration
seal_unexpected seal_missing seal_rolled_back seal_commitment_mismatch compliance_key_mismatch desk_ended
desk_malformed tap_ended nsm_error nsm_malformed nsm_unavailable clock_divergence clock_backwards ack_unknown
log_unavailable log_stalled log_full superseded superseded_malformed previous_stale epoch_claimed object_replaced
bucket_missing bucket_denied bucket_region bucket_unversioned bucket_unlocked bucket_governance bucket_retention_short
internal strategy_malformed strategy_parameters strategy_crashed strategy_over_budget strategy_output_malformed
strategy_output_limit leaf_malformed leaf_kind_unknown leaf_digest_mismatch leaf_key_wrong leaf_padding
disclosure_key_wrong blob_missing blob_mismatch note_malformed note_signature checkpoint_malformed checkpoint_origin
inclusion_invalid header_mismatch cause_invalid document_too_large cose_malformed cose_algorithm cose_unprotected
cose_signature_length document_malformed document_digest document_not_enclave user_data_malformed origin_mismatch
rate_limited not_ready signal_malformed signal_not_logged signal_repeated signal_expired risk_order_notional
risk_position_notional risk_order_rate risk_price_band risk_daily_loss risk_kill_switch risk_no_market
source_unreachable capture_malformed venue_refused spool_corrupt
`
    .trim()
    .split(/\s+/u),
);

export function isEnclaveCode(text: string): text is RefusalCode {
  return CODES.has(text);
}
