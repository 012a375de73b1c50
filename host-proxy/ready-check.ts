// What the enclave says of itself when it is ready must be what its log says.

import { equalBytes } from '../wire/bytes.ts';
import type { WireCrypto } from '../wire/crypto.ts';
import type { Ready } from '../wire/messages.ts';
import { leafHash } from '../wire/tlog/merkle.ts';
import type { EpochLog } from './epoch-log.ts';

export function agreesWithLog(
  crypto: WireCrypto,
  { origin, logKey, leaf0Hash }: Ready,
  log: Pick<EpochLog, 'header' | 'leaf'>,
): boolean {
  const { header } = log;
  const leaf = log.leaf(0);
  return (
    header !== null &&
    leaf !== null &&
    header.origin === origin &&
    equalBytes(header.logKey, logKey) &&
    equalBytes(leafHash(crypto, leaf), leaf0Hash)
  );
}
