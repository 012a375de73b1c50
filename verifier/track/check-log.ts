// Are the statements of a record in the log? For each epoch that signed some: its tree is read once, its head has to be signed
// by the attested key, and each leaf's digest has to be that of the statements with its salt. No key is needed for it. A
// log that ends before a leaf has lost it, or is an older copy.

import { equalBytes } from '../../wire/bytes.ts';
import { parseOrigin } from '../../wire/header.ts';
import { KIND, parseLeaf } from '../../wire/leaf.ts';
import { readAttestationLeaf, verifyBoot } from '../../wire/log-verification/boot.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Result } from '../../wire/result.ts';
import { accept, refuse } from '../../wire/result.ts';
import { verifyCheckpoint } from '../../wire/tlog/checkpoint.ts';
import type { SignedStatement } from '../../wire/track/evidence.ts';
import { encodeTrackLeaf } from '../../wire/track/statement.ts';
import type { CommandIo } from '../io.ts';
import { unsafeClaimedSize } from '../log/epoch-files.ts';
import { selectEpoch } from '../log/epoch-list.ts';
import { readTree } from '../log/read-tree.ts';
import type { StoreOptionValues } from '../log/store-options.ts';
import { verifierCrypto } from '../log/verifier-crypto.ts';
import type { TrustOptions } from '../policy-options.ts';
import type { AttestedEpoch } from './attested-keys.ts';
import type { VerifiedRecord } from './check-record.ts';
import type { LossLeaves } from './losses.ts';
import { lossLeaves, LossSearch } from './losses.ts';

export interface LogPlace {
  /** Folder, URL or bucket. */
  readonly address: string;
  readonly values: StoreOptionValues;
  readonly env: CommandIo['env'];
  readonly onProgress: (done: number, total: number) => void;
}

type Leaves = ReadonlyMap<number, Uint8Array>;

/** Leaves at `indexes` of an epoch whose head verified. */
async function readLeaves(
  { origin, key }: AttestedEpoch,
  indexes: readonly number[],
  trust: TrustOptions,
  { address, values, env, onProgress }: LogPlace,
  search: LossSearch,
): Promise<Result<Leaves>> {
  const crypto = verifierCrypto();
  const epoch = parseOrigin(origin)?.epoch;
  const wanted = epoch === undefined ? undefined : String(epoch);
  const selected = await selectEpoch(address, wanted, values, env);
  if (!selected.ok) return selected;
  const { files } = selected.value;
  const note = await files.checkpoint();
  if (!note.ok) return note;
  if (note.value === null) return refuse('file_unreadable', { what: 'no checkpoint', origin });
  const claimed = unsafeClaimedSize(note.value);
  if (!claimed.ok) return claimed;
  const size = claimed.value;
  const beyond = indexes.find((index) => index >= size);
  if (beyond !== undefined) return refuse('record_unlogged', { origin, leaf: beyond, size });
  const found = new Map<number, Uint8Array>();
  const waiting = indexes.toSorted((a, b) => b - a);
  const read = await readTree(crypto, files, size, [0, 1], {
    onProgress,
    onLeaves: (first, bundle) => {
      search.take(first, bundle);
      for (let next = waiting.at(-1); next !== undefined; next = waiting.at(-1)) {
        const leaf = bundle[next - first];
        if (leaf === undefined) break;
        found.set(next, leaf.slice());
        waiting.pop();
      }
    },
  });
  if (!read.ok) return read;
  const { tree, leaves } = read.value;
  const [leafZero, leafOne] = [leaves.get(0), leaves.get(1)];
  if (leafZero === undefined || leafOne === undefined) return refuse('leaf_misplaced', { origin });
  const document = readAttestationLeaf(crypto, leafOne);
  if (!document.ok) return document;
  const boot = verifyBoot(crypto, leafZero, document.value, {
    rootDer: trust.root.der,
    policy: trust.policy ?? { pcrs: null },
  });
  if (!boot.ok) return boot;
  const { header } = boot.value;
  if (header.origin !== origin) {
    return refuse('origin_mismatch', { expected: origin, actual: header.origin });
  }
  if (header.ed25519Key === null || !equalBytes(header.ed25519Key, key)) {
    return refuse('record_unlogged', { origin, what: 'another enclave of this epoch' });
  }
  const checkpoint = verifyCheckpoint(crypto, note.value, header.origin, header.logKey);
  if (!checkpoint.ok) return checkpoint;
  if (!equalBytes(checkpoint.value.root, tree.root())) return refuse('root_mismatch', { size });
  return accept(found);
}

/** The statements of one leaf, by position. */
function checkLeaf(
  origin: string,
  index: number,
  own: readonly SignedStatement[],
  bytes: Uint8Array | undefined,
): Result<null> {
  const place = { origin, leaf: index };
  const inOrder = own.toSorted((a, b) => a.position - b.position);
  if (inOrder.some(({ position }, at) => position !== at)) {
    return refuse('record_unlogged', { ...place, what: 'the file has not all statements of it' });
  }
  const salt = inOrder[0]?.leafSalt ?? new Uint8Array();
  // Whoever gets one statement opens the leaf with the salt beside it.
  if (inOrder.some(({ leafSalt }) => !equalBytes(leafSalt, salt))) {
    return refuse('record_unlogged', { ...place, what: 'its statements have different salts' });
  }
  const leaf = parseLeaf(bytes ?? new Uint8Array());
  if (!leaf.ok) return leaf;
  const digest = nodeCrypto.sha256(
    salt,
    encodeTrackLeaf(inOrder.map(({ statement }) => statement)),
  );
  const { kind, digest: logged } = leaf.value;
  if (kind === KIND.result && equalBytes(logged, digest)) return accept(null);
  return refuse('record_unlogged', place);
}

/** Gives where lost statements can have been. Refuses `record_unlogged`, and what the log of an epoch is refused for. */
export async function checkRecordLog(
  { signed, epochs, losses }: Pick<VerifiedRecord, 'signed' | 'epochs' | 'losses'>,
  trust: TrustOptions,
  log: LogPlace,
): Promise<Result<LossLeaves>> {
  const found = new Map<number, number>();
  const byOrigin = Map.groupBy(signed, ({ origin }) => origin);
  for (const epoch of epochs) {
    const { origin } = epoch;
    const byLeaf = Map.groupBy(byOrigin.get(origin) ?? [], ({ leafIndex }) => leafIndex);
    const indexes = [...byLeaf.keys()];
    const search = new LossSearch(losses, origin, new Set(indexes), found);
    const leaves = await readLeaves(epoch, indexes, trust, log, search);
    if (!leaves.ok) return leaves;
    for (const [index, group] of byLeaf) {
      const checked = checkLeaf(origin, index, group, leaves.value.get(index));
      if (!checked.ok) return checked;
    }
  }
  const read = new Set(epochs.map(({ origin }) => origin));
  return accept(lossLeaves(losses, found, read));
}
