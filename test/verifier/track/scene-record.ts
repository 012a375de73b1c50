// What the verifier needs for records that come out of a ledger scene: a document of its epoch, and whom to trust.

import type { TrustOptions } from '../../../verifier/policy-options.ts';
import { parseRoot } from '../../../verifier/roots.ts';
import { parseLeaf } from '../../../wire/leaf.ts';
import { openLeaf } from '../../../wire/open-leaf.ts';
import { nodeCrypto } from '../../../wire/node/crypto.ts';
import { assertAccepted } from '../../../wire/result.ts';
import { EpochBuilder, measurements, simulatedRoot } from '../../helpers/epoch-builder.ts';
import type { LedgerScene } from '../../helpers/ledger-scene.ts';

/** Of an epoch of the scene's log whose result key is the scene's. */
export async function documentFor({ keys, services }: LedgerScene): Promise<Uint8Array> {
  const [given] = services;
  if (given === undefined) throw new Error('no ledger');
  const epoch = await EpochBuilder.create({
    epoch: given.epoch,
    configuration: { log_id: given.configuration.log_id },
    header: (header) => ({ ...header, ed25519Key: keys.ed25519.publicKey }),
  });
  const leaf = assertAccepted(parseLeaf(epoch.leaves[1] ?? new Uint8Array()));
  return assertAccepted(openLeaf(nodeCrypto, leaf, null, null)).plaintext;
}

export async function trust(): Promise<TrustOptions> {
  const root = assertAccepted(parseRoot((await simulatedRoot()).pem));
  const policy = { pcrs: measurements, unsafeAllowDebug: false };
  return { root, policy, list: null, unsafe: [], unchecked: [] };
}
