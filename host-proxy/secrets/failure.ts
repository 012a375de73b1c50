// Why an enclave stopped, as an operator needs it: what it could not unseal, the file that was, what that means,
// and what to do next. The enclave's word proves nothing; it names things of our own configuration only.

import type { RefusalCode } from '../../wire/codes.ts';
import { REFUSAL_CODES } from '../../wire/codes.ts';
import type { Failed } from '../../wire/messages.ts';
import type { LogFields } from '../logger.ts';
import type { SealedFile } from './secrets.ts';

const SEAL_AGAIN = 'seal it again with `trackseal seal` and give the new file to this host';

const NEXT: Partial<Readonly<Record<RefusalCode, string>>> = {
  roots_mismatch: 'the image was built wrongly: build it again, roots.pem and manifest together',
  host_not_measured:
    'the image may not talk to this name: correct `kms.host` or `s3.host` in the configuration, or build an image whose manifest names it',
  egress_refused:
    'add the name and port to `egress.allow` of the host; its log says what it refused',
  tls_untrusted:
    'somebody else answers at this name, or with a root that the image does not have: check `egress.allow` for an address that was set by hand',
  credentials_missing:
    'set `credentials` of the host, and look for `credentials_failed` in its log',
  credentials_expired:
    'look for `credentials_failed` in the log: the role of the instance or the profile gives no newer ones',
  kms_unreachable:
    'check the network, `egress` and the region; `trackseal host` tries again by itself where `enclave.restart` is set',
  kms_denied:
    'KMS never says why, and this host does not try again, with `enclave.restart` neither: check in this order, and start it again. First the image: if PCR0 of the one that runs is not in the key policy (`trackseal kms policy`), its owner has to allow it and to seal again. Then whether policy, role or key were changed just now: that takes minutes to arrive. Then the clock: KMS takes no signature and no attestation document out of its time. Then `trackseal kms canary` with the credentials of this host: DENIED says that KMS is reached and takes them',
  kms_answer_invalid:
    'what answered is not the KMS it should be: keep the logs, and check who could stand between',
  seal_malformed: `the file is damaged or is not a sealed item: ${SEAL_AGAIN}`,
  seal_signature_invalid:
    'it was signed by another key than the owner key that the image has measured: ask the owner who sealed it',
  seal_wrong_image: `it was sealed for another image than the one that runs: start that image, or the owner has to ${SEAL_AGAIN}`,
  seal_wrong_configuration: `it was sealed for another configuration, log or key: ${SEAL_AGAIN}`,
  seal_unexpected:
    'the configuration does not name it, or it is there twice: correct `sealed` of the host',
  seal_missing: 'the configuration asks for it: name its file in `sealed` of the host',
  seal_rolled_back:
    'it is older than what the last epoch had: give the newest file, an older one is never taken again; for a data key, bring its record back into `state/data-keys` from your copy',
  seal_commitment_mismatch: `it is not what its statement says: ${SEAL_AGAIN}`,
  compliance_key_mismatch:
    'the sealed key is not the one whose public half is in the configuration: seal the right one',
  previous_stale:
    'another enclave went on with this log: bring this host its log folder before it starts again',
  epoch_claimed: 'another enclave has this epoch: stop one of the two',
  superseded: 'another enclave went on with this log: stop one of the two',
  bucket_missing: 'check `s3` in the configuration; `trackseal bucket check` says more',
  bucket_denied: 'check the bucket policy and the role of this host; `trackseal bucket check`',
  bucket_unversioned: '`trackseal bucket check` says what is missing',
  bucket_unlocked: 'a bucket gets its lock when it is made: `trackseal bucket create`',
};

/** What an operator may do; null where there is no advice. */
export function nextStep(code: RefusalCode): string | null {
  return NEXT[code] ?? null;
}

/** `strategy/order-flow`; null when the enclave did not say. */
export function failedItem({ purpose, name }: Failed): string | null {
  if (purpose === null) return null;
  return name === null ? purpose : `${purpose}/${name}`;
}

/** For the log. */
export function failureFields(failed: Failed, sealed: readonly SealedFile[]): LogFields {
  const item = failedItem(failed);
  const file = fileOf(failed, sealed);
  const next = nextStep(failed.code);
  return {
    code: failed.code,
    ...(item === null ? {} : { could_not_unseal: item }),
    ...(file === null ? {} : { file }),
    means: REFUSAL_CODES[failed.code],
    ...(next === null ? {} : { next }),
  };
}

function fileOf({ position, purpose }: Failed, sealed: readonly SealedFile[]): string | null {
  if (position === null || purpose === 'data_key') return null;
  return sealed[position]?.file ?? null;
}
