// Every limit of the protocol in one place, with where it comes from. A guard names its limit here.

export const PROTOCOL_VERSION = 1;

/** AF_VSOCK writes above this are lost or corrupted on recent kernels (docs/PROTOCOL.md 2). */
export const MAX_WRITE_BYTES: number = 32 * 1024;

/** Granted at the start of a stream without a message: feed, diagnostics, strategy. */
export const FIRST_CREDIT_BYTES: number = 1024 * 1024;
/** Log and boot streams carry single frames of up to 8 MiB, so their first grant covers two. */
export const FIRST_CREDIT_BULK_BYTES: number = 16 * 1024 * 1024;

/** A batch of 1,024 rows takes 46 KiB of columns; groups and heads fit easily in the rest. */
export const MAX_FEED_IN_BYTES: number = 256 * 1024;
export const MAX_FEED_OUT_BYTES: number = 128 * 1024;
/** A commit: leaves of at most 60 KiB and blobs of at most 1 MiB. */
export const MAX_LOG_OUT_BYTES: number = 8 * 1024 * 1024;
export const MAX_LOG_IN_BYTES: number = 4 * 1024;
export const MAX_BOOT_BYTES: number = 8 * 1024 * 1024;
export const MAX_DIAGNOSTIC_BYTES: number = 4 * 1024;
export const MAX_STRATEGY_IN_BYTES: number = 8 * 1024 * 1024;
export const MAX_STRATEGY_OUT_BYTES: number = 256 * 1024;

export const MAX_BATCH_ROWS = 1024;
/** An update of no rows is still a group, so groups are bounded on their own. */
export const MAX_BATCH_GROUPS = 1024;

/** tlog-tiles entries have a u16 length; 60 KiB leaves room for the leaf's own header. */
export const MAX_LEAF_BYTES = 61_440;
export const MAX_BLOB_BYTES: number = 1024 * 1024;
export const MAX_CAUSES = 64;
/** Padded sizes of private payloads inside a leaf; larger ones are blobs. */
export const INLINE_SIZE_CLASSES: readonly number[] = [
  256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 49_152,
];
/** 16 bytes less than a power of two, so that ciphertext and tag are at most 1 MiB. */
export const BLOB_SIZE_CLASSES: readonly number[] = [65_520, 131_056, 262_128, 524_272, 1_048_560];

export const MAX_ORIGIN_CHARACTERS = 96;
export const MAX_COMMIT_LEAVES = 4096;
/** Commits that may wait for their acknowledgement. */
export const MAX_COMMITS_IN_FLIGHT = 64;

export const MAX_CONFIGURATION_BYTES: number = 32 * 1024;
export const MAX_ITEM_BYTES: number = 4 * 1024 * 1024;
/** docs/PROTOCOL.md 8: NSM takes 512 bytes of user data. */
export const MAX_USER_DATA_BYTES = 512;
/** The COSE payload of an attestation document is at most 16 KiB (AWS). */
export const MAX_DOCUMENT_BYTES: number = 16 * 1024;
/** A certificate of an attestation document, DER (AWS's CDDL). */
export const MAX_CERTIFICATE_BYTES = 1024;
export const MIN_NONCE_BYTES = 16;
export const MAX_NONCE_BYTES = 64;

export const MAX_OUTPUT_BYTES = 2048;
export const MAX_OUTPUTS_PER_BATCH = 64;
/** A report with 64 fills of 60 bytes. */
export const MAX_REPORT_BYTES = 8192;
export const MAX_REPORT_FILLS = 64;

/** What a desk may log at once: a poll with 2,048 calls of about 250 bytes fits, and one blob holds it. */
export const MAX_DESK_PLAINTEXT_BYTES: number = 1000 * 1024;
/** A session, or the state of an account with its cursors. */
export const MAX_VAULT_RECORD_BYTES: number = 256 * 1024;
export const MAX_VAULT_RECORDS = 10_000;
