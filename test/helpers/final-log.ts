// Reads an epoch of a log folder without the product's readers: leaves from the entry bundles of the
// checkpoint's size, opened with compliance's key. That they are the tree's is for `verify log` to say.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ComplianceKey } from '../../verifier/compliance-key.ts';
import { readU32, toHex } from '../../wire/bytes.ts';
import { unwrapDisclosureKey } from '../../wire/open-disclosure.ts';
import { parseHeader } from '../../wire/header.ts';
import type { Leaf } from '../../wire/leaf.ts';
import { KIND, leafKey, parseLeaf } from '../../wire/leaf.ts';
import { openLeaf } from '../../wire/open-leaf.ts';
import { nodeCrypto } from '../../wire/node/crypto.ts';
import type { Recovery, Report } from '../../wire/payloads.ts';
import { clientOrderIdOf, parseRecovery, parseReport } from '../../wire/payloads.ts';
import { assertAccepted } from '../../wire/result.ts';
import { parseCheckpoint } from '../../wire/tlog/checkpoint.ts';
import { leafHash } from '../../wire/tlog/merkle.ts';
import { entriesPath, parseEntryBundle, TILE_WIDTH } from '../../wire/tlog/tile.ts';

export interface FinalEpoch {
  readonly epoch: number;
  readonly size: number;
  /** Roots by size, of every signed note, in hex. */
  readonly heads: ReadonlyMap<number, string>;
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

/** A log folder, wherever it is. Paths are below it. */
export interface LogFiles {
  /** Throws when it is not there. */
  read(path: string): Uint8Array;
  list(path: string): readonly string[];
}

export function logFolder(directory: string): LogFiles {
  return {
    read: (path) => new Uint8Array(readFileSync(join(directory, path))),
    list: (path) => readdirSync(join(directory, path)).sort(),
  };
}

export function listFinalEpochs(files: LogFiles): readonly number[] {
  return files
    .list('epochs')
    .map(Number)
    .sort((a, b) => a - b);
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

function readLeaves(files: LogFiles, folder: string, size: number): readonly Uint8Array[] {
  const leaves: Uint8Array[] = [];
  for (let bundle = 0; bundle * TILE_WIDTH < size; bundle++) {
    const width = Math.min(TILE_WIDTH, size - bundle * TILE_WIDTH);
    const bytes = files.read(`${folder}/${entriesPath(bundle, width)}`);
    leaves.push(...assertAccepted(parseEntryBundle(bytes, width)));
  }
  return leaves;
}

/** Roots by size, of every signed note. */
function readHeads(files: LogFiles, folder: string): ReadonlyMap<number, string> {
  const heads = new Map<number, string>();
  for (const name of files.list(`${folder}/commits`)) {
    const bytes = files.read(`${folder}/commits/${name}`);
    for (let at = 0; at < bytes.length; at += 4 + readU32(bytes, at)) {
      const note = textOf(bytes.subarray(at + 4, at + 4 + readU32(bytes, at)));
      const text = note.slice(0, note.indexOf('\n\n') + 1);
      const { size, root } = assertAccepted(parseCheckpoint(text));
      heads.set(size, toHex(root));
    }
  }
  return heads;
}

/** Throws where a file is missing or cannot be read. */
export function readFinalEpoch(files: LogFiles, epoch: number, keys: ComplianceKey): FinalEpoch {
  const folder = `epochs/${String(epoch).padStart(10, '0')}`;
  const size = Number(textOf(files.read(`${folder}/checkpoint`)).split('\n')[1]);
  const bytes = readLeaves(files, folder, size);
  const leaves = bytes.map((leaf) => assertAccepted(parseLeaf(leaf)));
  const [first] = leaves;
  if (first === undefined) throw new Error(`epoch ${epoch} is empty`);
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
  const heads = readHeads(files, folder);
  return { epoch, size, heads, outputs, reports, recoveries, closed };
}
