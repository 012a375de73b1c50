// wire/header.ts, with what hangs on it: origins, the wrapped disclosure key, and user data of documents.

import { encodeUserData, PURPOSE } from '../../../wire/attestation/user-data.ts';
import { parseUserData } from '../../../wire/attestation/parse-user-data.ts';
import { encodeEvidence, parseEvidence } from '../../../wire/log-verification/evidence.ts';
import { unwrapDisclosureKey } from '../../../wire/open-disclosure.ts';
import { originOf, parseHeader, parseOrigin } from '../../../wire/header.ts';
import { encodeAnyHeader } from '../../helpers/old-header.ts';
import type { EpochHeader } from '../../../wire/header.ts';
import { MAX_LEAF_BYTES, MAX_USER_DATA_BYTES } from '../../../wire/limits.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { COMPLIANCE, wireVectors } from '../../vectors/wire.ts';
import type { Target } from '../target.ts';
import { expectThat, judge } from '../target.ts';
import { canonicalTarget, codec } from './canonical.ts';

const HASH = new Uint8Array(32).fill(9);

function checkHeader(header: EpochHeader): string {
  const { origin, epoch, wrappedDisclosureKey } = header;
  const parsed = parseOrigin(origin);
  expectThat(parsed !== null && originOf(parsed.logId, epoch) === origin, 'the origin is another');
  return judge(unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, COMPLIANCE, origin));
}

export function headerTarget(): Target {
  const header = assertAccepted(parseHeader(Buffer.from(wireVectors()['header'] ?? '', 'hex')));
  const strategy = {
    stream: 1000,
    name: 'example',
    version: '1.0.0',
    bundleCommitment: HASH,
    parametersCommitment: HASH,
  };
  const first = { ...header, previous: null, strategies: [strategy], feedMode: 'live' } as const;
  return canonicalTarget({
    name: 'header',
    files: ['wire/header.ts', 'wire/disclosure.ts', 'wire/open-disclosure.ts', 'wire/fields.ts'],
    maxBytes: MAX_LEAF_BYTES,
    words: ['a/e0000000001', 'a/e0000000000', 'A/e0000000001', 'a/b/e9999999999', '/e0000000001'],
    codecs: [codec('header', parseHeader, encodeAnyHeader, [header, first], checkHeader)],
  });
}

export function userDataTarget(): Target {
  const whole = assertAccepted(
    parseUserData(Buffer.from(wireVectors()['user data of a challenge'] ?? '', 'hex')),
  );
  return canonicalTarget({
    name: 'user-data',
    files: ['wire/attestation/parse-user-data.ts', 'wire/fields.ts'],
    maxBytes: 2 * MAX_USER_DATA_BYTES,
    words: ['a b', 'a/e0000000001', '~'.repeat(96), '~'.repeat(97)],
    codecs: [
      codec('user data', parseUserData, encodeUserData, [
        whole,
        { ...whole, purpose: PURPOSE.kms, head: null, leafZeroHash: null, x25519Key: HASH },
        { ...whole, purpose: PURPOSE.boot, ed25519Key: HASH, tlsKeyHash: null, configDigest: null },
      ]),
    ],
  });
}

export function evidenceTarget(): Target {
  return canonicalTarget({
    name: 'evidence',
    files: ['wire/log-verification/evidence.ts', 'wire/fields.ts'],
    maxBytes: 1024 * 1024 * 2,
    codecs: [
      codec('evidence', parseEvidence, encodeEvidence, [
        { leaf: HASH, leafKey: HASH, leafZero: HASH, document: HASH, blob: HASH },
        { leaf: HASH, leafKey: null, leafZero: HASH, document: HASH, blob: null },
      ]),
    ],
  });
}
