// Reads an epoch of a log folder without the product's readers: leaves from the entry bundles of the
// checkpoint's size, opened with compliance's key. That they are the tree's is for `verify log` to say.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readComplianceKey } from '../../verifier/compliance-key.ts';
import { unwrapDisclosureKey } from '../../wire/disclosure.ts';
import { parseHeader } from '../../wire/header.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { KIND, leafKey, openLeaf, parseLeaf } from '../../wire/leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Recovery, Report } from '../../wire/payloads.ts';
import { clientOrderIdOf, parseRecovery, parseReport } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { entriesPath, parseEntryBundle, TILE_WIDTH } from '../../wire/tlog/tile.ts';

export interface FinalEpoch {
  readonly epoch: number;
  readonly size: number;
  /** Outputs by leaf index. */
  readonly outputs: ReadonlyMap<number, FinalOutput>;
  readonly reports: readonly Report[];
  readonly recoveries: readonly Recovery[];
  readonly closed: boolean;
}

export interface FinalOutput {
  /** SHA-256 of salt and plaintext. */
  readonly digest: Uint8Array;
  readonly clientOrderId: string;
}

export function listFinalEpochs(logDirectory: string): readonly number[] {
  return readdirSync(join(logDirectory, 'epochs'))
    .map(Number)
    .sort((a, b) => a - b);
}

function readLeaves(directory: string, size: number): readonly Uint8Array[] {
  const leaves: Uint8Array[] = [];
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const width = Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH);
    const bytes = new Uint8Array(readFileSync(join(directory, entriesPath(bundle, width))));
    leaves.push(...assertAccepted(parseEntryBundle(bytes, width)));
  }
  return leaves;
}

/** Throws where a file is missing or cannot be read. */
export async function readFinalEpoch(
  logDirectory: string,
  epoch: number,
  complianceKey: string,
): Promise<FinalEpoch> {
  const directory = join(logDirectory, 'epochs', String(epoch).padStart(10, '0'));
  const size = Number(readFileSync(join(directory, 'checkpoint'), 'utf8').split('\n')[1]);
  const bytes = readLeaves(directory, size);
  const leaves = bytes.map((leaf) => assertAccepted(parseLeaf(leaf)));
  const [first] = leaves;
  if (first === undefined) throw new Error(`epoch ${epoch} is empty`);
  const keys = assertAccepted(await readComplianceKey(complianceKey));
  const header = assertAccepted(
    parseHeader(assertAccepted(openLeaf(nodeCrypto, first, null, null)).plaintext),
  );
  const { origin, wrappedDisclosureKey } = header;
  const key = assertAccepted(unwrapDisclosureKey(nodeCrypto, wrappedDisclosureKey, keys, origin));
  const open = (leaf: Leaf, index: number): Uint8Array => {
    const own = leaf.body.form === 'private' ? leafKey(nodeCrypto, key, origin, index) : null;
    return assertAccepted(openLeaf(nodeCrypto, leaf, own, null)).plaintext;
  };
  const outputs = new Map<number, FinalOutput>();
  const reports: Report[] = [];
  const recoveries: Recovery[] = [];
  for (const [index, leaf] of leaves.entries()) {
    if (leaf.kind === KIND.output) {
      const hash = leafHash(nodeCrypto, bytes[index] ?? new Uint8Array());
      outputs.set(index, { digest: leaf.digest, clientOrderId: clientOrderIdOf(hash) });
    } else if (leaf.kind === KIND.report) {
      reports.push(assertAccepted(parseReport(open(leaf, index))));
    } else if (leaf.kind === KIND.recovery) {
      recoveries.push(assertAccepted(parseRecovery(open(leaf, index))));
    }
  }
  const closed = leaves.at(-1)?.kind === KIND.close;
  return { epoch, size, outputs, reports, recoveries, closed };
}
