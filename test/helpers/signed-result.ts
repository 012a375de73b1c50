// A log with a signed result in it, made by the desk's own code, for tests of the verifier.

import { generateDeskKeys } from '../../enclave/desk/keys.ts';
import type { AccountFigures } from '../../enclave/desk/accounts.ts';
import type { SignedResult } from '../../enclave/desk/results.ts';
import { Results } from '../../enclave/desk/results.ts';
import { utf8 } from '../../wire/bytes.ts';
import { LABEL, STREAM } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import { assertAccepted } from '../../wire/result.ts';
import type { EpochOptions } from './epoch-builder.ts';
import { EpochBuilder } from './epoch-builder.ts';
import { someFigures } from './fake-desk.ts';

const keys: ReturnType<typeof generateDeskKeys> = generateDeskKeys();

export interface LoggedResult {
  readonly epoch: EpochBuilder;
  readonly index: number;
  /** As a client keeps it. */
  readonly file: SignedResult & { readonly session_expires: string };
}

export async function loggedResult(
  operation: 'summary' | 'metrics' = 'metrics',
  options: EpochOptions & { readonly figures?: AccountFigures } = {},
): Promise<LoggedResult> {
  const { figures = someFigures(), ...rest } = options;
  const epoch = await EpochBuilder.create({
    ...rest,
    header: (header) => ({ ...header, ed25519Key: keys.ed25519.publicKey }),
  });
  epoch.addInput();
  const results = new Results({
    origin: epoch.origin,
    keys,
    append: (kind, plaintext) => {
      const { results: stream } = STREAM;
      const index = epoch.add({ kind, stream, label: LABEL.enclave }, plaintext, true);
      const salt = nodeCrypto.sha256(utf8(`salt ${index}`)).slice(0, 16);
      return Promise.resolve({ index, salt, hash: new Uint8Array(32) });
    },
    acknowledged: () => Promise.resolve(),
  });
  const account = {
    id: '00'.repeat(16),
    commitment: nodeCrypto.sha256(utf8('account')),
    userTag: new Uint8Array(32),
    venue: 'kraken',
    label: 'main',
    accountType: 'spot',
    environment: 'live',
    symbols: [],
    allowTrading: false,
    credentials: { apiKey: Buffer.alloc(1), secret: Buffer.alloc(1), passphrase: null },
    createdNs: 0n,
    source: 'session',
  } as const;
  const made = assertAccepted(await results.make(account, figures, operation));
  epoch.commit();
  return {
    epoch,
    index: made.leaf_index,
    file: { session_expires: new Date(0).toISOString(), ...made },
  };
}
