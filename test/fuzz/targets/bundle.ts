// Evidence files: the container, and a whole file with everything in it. A forger can repack and hash again,
// so most inputs are files whose parts were changed before they were packed; what is accepted then must be
// the leaves of the log, and no others.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBundle } from '../../../verifier/evidence/make-bundle.ts';
import { PART, isPartName } from '../../../verifier/evidence/manifest.ts';
import { verifyParts } from '../../../verifier/evidence/verify-bundle.ts';
import { readZip, writeZip } from '../../../verifier/evidence/zip.ts';
import { EpochFiles } from '../../../verifier/log/epoch-files.ts';
import { FolderSource } from '../../../verifier/log/source.ts';
import { verifierCrypto } from '../../../verifier/log/verifier-crypto.ts';
import { toHex, utf8 } from '../../../wire/bytes.ts';
import { canonicalJson } from '../../../wire/configuration.ts';
import type { WireCrypto } from '../../../wire/crypto.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { leafHash } from '../../../wire/tlog/merkle.ts';
import { complianceKeys, sampleEpoch, testTrust } from '../../helpers/epoch-builder.ts';
import { filesOf, writeFiles } from '../../helpers/epoch-files.ts';
import { mutateBytes } from '../mutate/bytes.ts';
import type { Target } from '../target.ts';
import { expectSameBytes, expectThat, judge } from '../target.ts';

const MAX_BYTES = 256 * 1024;

export function zipTarget(): Target {
  const seeds = [
    new Map([['a', utf8('hello')]]),
    new Map([
      ['a', utf8('x'.repeat(500))],
      ['b/c', new Uint8Array()],
      ['d', utf8('end')],
    ]),
  ].map((files) => writeZip(files));
  return {
    name: 'zip',
    files: ['verifier/evidence/zip.ts'],
    maxBytes: MAX_BYTES,
    seeds,
    mutate: mutateBytes,
    run: (bytes) => {
      const read = readZip(bytes, (name) => !name.includes('..'));
      if (!read.ok) return judge(read);
      const names = [...read.value.keys()];
      expectThat(names.join() === names.toSorted().join(), 'names are out of order');
      // Packed again it is read as the same: nothing is in the file that the reader did not see.
      const again = assertAccepted(readZip(writeZip(read.value), () => true));
      for (const [name, content] of read.value) {
        expectSameBytes(again.get(name) ?? utf8('?'), content, 'another content');
      }
      return `accepted ${names.length}`;
    },
  };
}

/** Signatures of one chain over and over: as the verifier of logs does it, and one more. */
function rememberingCrypto(): WireCrypto {
  const crypto = verifierCrypto();
  const known = new Map<string, boolean>();
  return {
    ...crypto,
    verifyP384Raw: (spki, message, signature) => {
      const key = [spki, message, signature].map((part) => toHex(crypto.sha256(part))).join('');
      const answer = known.get(key) ?? crypto.verifyP384Raw(spki, message, signature);
      if (known.size < 1000) known.set(key, answer);
      return answer;
    },
  };
}

/** The first byte of an input says which part is changed; the others are its new content. */
export async function bundleTarget(): Promise<Target> {
  const epoch = await sampleEpoch();
  const directory = mkdtempSync(join(tmpdir(), 'trackseal-fuzz-bundle-'));
  await writeFiles(directory, filesOf(epoch));
  const made = await makeBundle(nodeCrypto, {
    files: new EpochFiles(new FolderSource(directory), 1),
    selection: { by: 'time', from_ns: '0', to_ns: String(epoch.nowNs) },
    keys: complianceKeys(),
    withhold: new Set([9]),
    reason: 'fuzzing',
    otherEpochs: null,
    onProgress: () => undefined,
  });
  rmSync(directory, { recursive: true });
  const whole = assertAccepted(made).bytes;
  const parts = assertAccepted(readZip(whole, isPartName));
  const names = [...parts.keys()];
  const trust = await testTrust();
  const crypto = rememberingCrypto();
  const leaves = new Set(epoch.leaves.map((leaf) => toHex(leafHash(nodeCrypto, leaf))));
  const original = new Map(names.map((name, at) => [at, parts.get(name) ?? new Uint8Array()]));
  return {
    name: 'bundle',
    files: [
      'verifier/evidence/verify-bundle.ts',
      'verifier/evidence/manifest.ts',
      'verifier/evidence/versions.ts',
    ],
    maxBytes: MAX_BYTES,
    seeds: Array.from(original, ([at, bytes]) =>
      Uint8Array.from([at, ...bytes.subarray(0, MAX_BYTES - 1)]),
    ),
    mutate: mutateBytes,
    // Every part is hashed, the header's configuration parsed: whatever the input, about the same.
    maxSteps: { base: 5_000_000, perByte: 500 },
    run: (input) => {
      const at = (input[0] ?? 0) % names.length;
      const name = names[at] ?? '';
      const changed = new Map(parts).set(name, input.subarray(1));
      if (name !== PART.manifest) {
        const manifest = JSON.parse(
          Buffer.from(parts.get(PART.manifest) ?? []).toString('utf8'),
        ) as { files: Record<string, string> };
        manifest.files[name] = toHex(nodeCrypto.sha256(input.subarray(1)));
        changed.set(PART.manifest, canonicalJson(manifest));
      }
      const verified = verifyParts(crypto, changed, trust);
      if (!verified.ok) return judge(verified);
      for (const { hash } of verified.value.leaves) {
        expectThat(leaves.has(toHex(hash)), 'a leaf that is not in the log');
      }
      // Words that nobody can check may differ: why, and what the store has said.
      const free = name === PART.manifest || name === PART.versions;
      if (!free)
        expectSameBytes(input.subarray(1), parts.get(name) ?? utf8('?'), `${name} differs`);
      return `accepted ${name}`;
    },
  };
}
