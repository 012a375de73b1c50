// Time anchors: attestation documents over earlier roots. Each shows that the tree of that size existed
// when the hypervisor, not the host, says so. Between two anchors a host can delay the enclave unseen.

import { equalBytes } from '../bytes.ts';
import type { WireCrypto } from '../crypto.ts';
import { PURPOSE } from '../attestation/user-data.ts';
import { parseAnchor } from '../payloads.ts';
import type { Refusal, Result } from '../result.ts';
import { accept, refuse } from '../result.ts';
import type { MemoryTree } from '../tlog/merkle.ts';
import type { LogTrust, VerifiedBoot } from './boot.ts';
import { verifyEpochDocument } from './boot.ts';

const IMAGE_PCRS = [0, 1, 2];

export interface AnchorFacts {
  readonly count: number;
  /** Tree size of the last one. */
  readonly lastSize: number | null;
  /** NSM time, the boot document's included. */
  readonly firstTimestampMs: number;
  readonly lastTimestampMs: number;
  readonly longestIntervalMs: number;
  /** Leaf time against NSM time, both ways. */
  readonly largestDivergenceMs: number;
}

export class Anchors {
  readonly #crypto: WireCrypto;
  readonly #trust: LogTrust;
  readonly #boot: VerifiedBoot;
  readonly #firstMs: number;
  #count = 0;
  #lastSize: number | null = null;
  #lastMs: number;
  #longestMs = 0;
  #divergenceMs: number;

  constructor(crypto: WireCrypto, trust: LogTrust, boot: VerifiedBoot, bootLeafNs: bigint) {
    this.#crypto = crypto;
    this.#trust = trust;
    this.#boot = boot;
    this.#firstMs = boot.attestation.document.timestampMs;
    this.#lastMs = this.#firstMs;
    this.#divergenceMs = divergence(bootLeafNs, this.#firstMs);
  }

  /** `tree` holds all leaves before `index`. Refuses with `anchor_invalid`; the cause is in the detail. */
  add(index: number, leafNs: bigint, plaintext: Uint8Array, tree: MemoryTree): Result<null> {
    const parsed = parseAnchor(plaintext);
    if (!parsed.ok) return invalid(index, parsed.refusal);
    const { size, document } = parsed.value;
    if (size > index) return refuse('anchor_invalid', { index, size });
    const { header, leafZeroHash, attestation: boot } = this.#boot;
    const expected = { purpose: PURPOSE.anchor, leafZeroHash };
    const verified = verifyEpochDocument(this.#crypto, document, header, expected, this.#trust);
    if (!verified.ok) return invalid(index, verified.refusal);
    const anchor = verified.value.attestation.document;
    const { head } = verified.value.userData;
    const root = tree.root(size);
    if (anchor.nonce === null || !equalBytes(anchor.nonce, root)) {
      return refuse('anchor_invalid', { index, size, cause: 'nonce_mismatch' });
    }
    if (head?.size !== size || !equalBytes(head.root, root)) {
      return refuse('anchor_invalid', { index, size, cause: 'header_mismatch' });
    }
    for (const pcr of IMAGE_PCRS) {
      const [now, then] = [anchor.pcrs.get(pcr), boot.document.pcrs.get(pcr)];
      const same = now !== undefined && then !== undefined && equalBytes(now, then);
      if (!same) return refuse('anchor_invalid', { index, cause: 'pcr_mismatch', pcr });
    }
    if (anchor.timestampMs < this.#lastMs) {
      return refuse('anchor_invalid', { index, cause: 'time_backwards' });
    }
    this.#count++;
    this.#lastSize = size;
    this.#longestMs = Math.max(this.#longestMs, anchor.timestampMs - this.#lastMs);
    this.#lastMs = anchor.timestampMs;
    this.#divergenceMs = Math.max(this.#divergenceMs, divergence(leafNs, anchor.timestampMs));
    return accept(null);
  }

  facts(): AnchorFacts {
    return {
      count: this.#count,
      lastSize: this.#lastSize,
      firstTimestampMs: this.#firstMs,
      lastTimestampMs: this.#lastMs,
      longestIntervalMs: this.#longestMs,
      largestDivergenceMs: this.#divergenceMs,
    };
  }
}

function divergence(leafNs: bigint, nsmMs: number): number {
  return Math.abs(Number(leafNs / 1_000_000n) - nsmMs);
}

function invalid(index: number, refusal: Refusal): Result<never> {
  return refuse('anchor_invalid', { index, cause: refusal.code, ...withoutIndex(refusal) });
}

function withoutIndex({ detail }: Refusal): Refusal['detail'] {
  const { index: _, ...rest } = detail;
  return rest;
}
